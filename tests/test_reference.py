"""Every public name stands in the reference, with words."""

import ast
import runpy
from pathlib import Path

import pytest

import snnjax

ROOT = Path(snnjax.__file__).parent
REFERENCE = runpy.run_path(str(Path(__file__).parents[1] / "docs/reference.py"))


def test_the_reference_has_all_of_the_package_but_the_commands():
    units = {path.stem for path in ROOT.iterdir() if path.suffix in ("", ".py")}
    public = {name for name in units if not name.startswith("_")} - {"cli"}
    assert {name for names in REFERENCE["GROUPS"].values() for name in names} == public


@pytest.mark.slow
def test_every_name_in_the_reference_has_words():
    pytest.importorskip("sphinx")

    names = [(module, name) for module, names in REFERENCE["pages"]().items() for name in names]
    assert not [f"{module}.{name}" for module, name in names if not words(module, name)]


def words(module, name):
    node = REFERENCE["definition"](module, name)
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return ast.get_docstring(node)
    return REFERENCE["words_of_data"](module, name)
