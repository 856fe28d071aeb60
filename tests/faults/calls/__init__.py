"""Public names, and a correct call of each."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import snnjax

from . import chips, core, data, layers, seen

ROOMS = {
    name.removeprefix("calls_of_"): calls
    for module in (core, layers, data, chips, seen)
    for name, calls in vars(module).items()
    if name.startswith("calls_of_")
}
"""For each room, the calls: name, function and arguments. Files are made in a folder."""

WITHOUT_A_CALL = {
    "cli.main": "it takes no arguments",
    "codegen.c.Program": "the library makes it",
    "hardware.Violation": "the library makes it",
    "hardware.xylo.Emulator": "the library makes it",
    "interop.nir.Loaded": "the library makes it",
    "train.Loading": "the library makes it",
    "train.Settings": "it has no fields",
    "train.Run": "the library makes it, by its `create` and `open`",
    "train.SweepFolder": "the library makes it, by its `create` and `open`",
    "train.TrainState": "the library makes it",
    "train.Trained": "the library makes it",
}
"""Public names that are not called with wrong arguments, and the reason."""


def public_names():
    """All functions and classes, by the first name under which they are public.

    Public is what modules without an underscore define, and what their packages import "as"
    itself. Left out are abstract classes, protocols, errors and named tuples.
    """
    found = {}
    walked = pkgutil.walk_packages(snnjax.__path__, "snnjax.")
    for path in ("snnjax", *(m.name for m in walked if "._" not in m.name)):
        module = importlib.import_module(path)
        for name in _names_in(Path(module.__file__)):
            value = getattr(module, name)
            if _is_called(value) and not any(value is other for other in found.values()):
                found[f"{path}.{name}".removeprefix("snnjax.")] = value
    return found


def _names_in(file):
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.asname == alias.name)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def _is_called(value):
    if not inspect.isclass(value):
        return inspect.isfunction(value) or hasattr(value, "__wrapped__")
    passive = issubclass(value, tuple | BaseException) or getattr(value, "_is_protocol", False)
    return not passive and not inspect.isabstract(value)


def arguments_of(function, given):
    """The names of the arguments that a function takes, and the places of `*args`."""
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield from range(len(given["*"]))
        elif parameter.kind is not parameter.VAR_KEYWORD:
            yield name


def call(function, given, replaced=(), value=None):
    """Call a function, with one argument replaced if it is named."""
    given = dict(given)
    several = list(given.pop("*", ()))
    if isinstance(replaced, int):
        several[replaced] = value
    elif replaced:
        given[replaced] = value
    found = function(*several, **given)
    return next(found, None) if isinstance(found, Iterator) else found


def all_calls(folder):
    """Name, function and arguments of every call that is here."""
    for of in ROOMS.values():
        yield from of(folder)
