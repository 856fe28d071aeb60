"""Recipes by name, and from files of users."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from .._recipe import Recipe


def find_recipe(name: str, known: Mapping[str, type[Recipe]]) -> tuple[str, type[Recipe]]:
    """The recipe of a name, or one of a user's file.

    Args:
        name: one of the known names, or FILE.py:CLASS.
        known: recipes by name.

    Returns:
        The name as a run folder keeps it, with the whole path of a file, and the class.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there is no such recipe, the file fails to run or the class is no recipe.
    """
    file, colon, class_name = name.rpartition(":")
    if not colon:
        if name not in known:
            raise ValueError(
                f"`recipe` must be one of {', '.join(known)}, or FILE.py:CLASS; got {name!r}"
            )
        return name, known[name]
    path = Path(file).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise FileNotFoundError(f"there is no file {file} with the recipe {class_name}")
    found = getattr(_module(path), class_name, None)
    if not isinstance(found, type) or not issubclass(found, Recipe):
        raise ValueError(f"{path} has no class `{class_name}` that extends `snnjax.train.Recipe`")
    return f"{path}:{class_name}", found


def _module(path: Path) -> object:
    """A file as a module, run once."""
    name = f"snnjax_recipe_{path.stem}_{abs(hash(path))}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # a dataclass looks there for the types of its fields
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise ValueError(f"{path} fails: {type(error).__name__}: {error}") from error
    return sys.modules[name]
