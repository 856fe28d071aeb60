"""The examples in docstrings run, each by itself and in an empty folder."""

import doctest
import importlib
import pkgutil

import jax
import pytest

import snnjax

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples():
    """Every docstring of the package with an example in it."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for module in pkgutil.walk_packages(snnjax.__path__, "snnjax."):
        try:
            imported = importlib.import_module(module.name)
        except ImportError as error:
            if error.name and error.name.startswith("snnjax"):
                raise
            continue  # needs an extra that is not installed
        yield from (found for found in finder.find(imported) if found.examples)


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_an_example_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = []
    with jax.numpy_dtype_promotion("standard"):
        result = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=printed.append)
    assert not result.failed, "".join(printed)
