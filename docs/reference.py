"""The reference: a page for each public module, made from the docstrings when the site is built."""

import ast
import importlib
from pathlib import Path
from types import ModuleType
from typing import TypeVar

GROUPS = {
    "Networks": ["nn", "networks", "neurons", "params", "decay", "scan", "passthrough"],
    "Training": ["surrogate", "quant", "transforms", "train"],
    "Chips": ["hardware", "codegen"],
    "In and out": ["interop", "datasets", "viz", "report"],
}
"""Packages and modules of snnjax by the part of the reference that they stand in."""


def public_modules(unit: str) -> list[str]:
    """A package or module of snnjax and all inside it, but for those with an underscore."""
    root = Path(importlib.import_module("snnjax").__file__ or "").parent
    found = []
    for path in [root / f"{unit}.py", *sorted((root / unit).rglob("*.py"))]:
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if path.exists() and not any(part.startswith("_") for part in parts):
            found.append(".".join(["snnjax", *parts]))
    return sorted(found)


def public_names(module: str) -> list[str]:
    """Names that a module defines or re-exports, as `from ._x import Y as Y`, in their order."""
    found: list[str] = []
    for node in _statements(module):
        match node:
            case ast.ImportFrom():
                found += [a.name for a in node.names if a.asname == a.name]
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found.append(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.append(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.append(name)
    loaded = importlib.import_module(module)
    unlisted = ModuleType, TypeVar
    return [
        name
        for name in found
        if not name.startswith("_") and not isinstance(getattr(loaded, name), unlisted)
    ]


def origin(module: str, name: str) -> tuple[str, str]:
    """The module that defines a name which another may re-export, and its name there."""
    for node in _statements(module):
        if isinstance(node, ast.ImportFrom) and node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    package = importlib.import_module(module).__package__ or ""
                    base = package.split(".")[: len(package.split(".")) - node.level + 1]
                    return origin(".".join([*base, *filter(None, [node.module])]), alias.name)
    return module, name


def pages() -> dict[str, list[str]]:
    """The names on the page of each module. What several re-export stands on the first page."""
    seen: set[tuple[str, str]] = set()
    found = {}
    units = [unit for group in GROUPS.values() for unit in group]
    for module in [name for unit in units for name in public_modules(unit)]:
        own = [name for name in public_names(module) if origin(module, name) not in seen]
        seen |= {origin(module, name) for name in own}
        if own:
            found[module] = own
    return found


def write(folder: Path) -> None:
    """Write the pages and their index; a page that is as it was stays untouched."""
    folder.mkdir(exist_ok=True)
    found = pages()
    for module, names in found.items():
        entries = "".join(_entry(module, name) for name in names)
        about = f".. automodule:: {module}\n   :no-members:\n\n"
        text = f"# {module}\n\n```{{eval-rst}}\n{about}{entries}```\n"
        _replace(folder / f"{module}.md", text)
    index = "# Reference\n"
    for group, units in GROUPS.items():
        modules = [name for unit in units for name in public_modules(unit) if name in found]
        listed = "\n".join(modules)
        index += f"\n```{{toctree}}\n:caption: {group}\n:maxdepth: 1\n\n{listed}\n```\n"
    _replace(folder / "index.md", index)


def _entry(module: str, name: str) -> str:
    match definition(module, name):
        case ast.ClassDef():
            return f".. autoclass:: {module}.{name}\n   :members:\n   :show-inheritance:\n\n"
        case ast.FunctionDef():
            return f".. autofunction:: {module}.{name}\n\n"
    words = "\n   ".join(words_of_data(module, name))
    return f".. py:data:: {module}.{name}\n\n   {words}\n\n"


def definition(module: str, name: str) -> ast.stmt:
    """The class, the function or the assignment that a public name stands for."""
    where, own = origin(module, name)
    for node in _statements(where):
        match node:
            case ast.ClassDef(name=found) | ast.FunctionDef(name=found) if found == own:
                return node
            case ast.AnnAssign(target=ast.Name(id=found)) if found == own:
                return node
            case ast.Assign(targets=[ast.Name(id=found)]) if found == own:
                return node
    raise LookupError(f"{where} does not define {own}")


def words_of_data(module: str, name: str) -> list[str]:
    """The docstring under an assignment, line by line."""
    from sphinx.pycode import ModuleAnalyzer

    where, own = origin(module, name)
    return ModuleAnalyzer.for_module(where).find_attr_docs().get(("", own), [])


def _statements(module: str) -> list[ast.stmt]:
    return ast.parse(Path(importlib.import_module(module).__file__ or "").read_text()).body


def _replace(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
