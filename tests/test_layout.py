"""The layout of the package: who imports whom, and how long files and functions are."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import snnjax

ROOT = Path(snnjax.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))

# A module or package imports only from the rows above its own.
ROWS = (
    {"_typing", "_extras"},
    {"_time_loop", "_tree", "_mesh", "_files", "_checks"},
    {"params", "decay", "surrogate", "passthrough"},
    {"quant", "neurons", "scan", "datasets"},
    {"nn"},
    {"transforms", "networks"},
    {"hardware"},
    {"interop", "codegen"},
    {"train", "viz"},
    {"report", "cli"},
)
ROW = {unit: row for row, units in enumerate(ROWS) for unit in units}

OPTIONAL = {
    "sklearn",
    "orbax",
    "typer",
    "rich",
    "matplotlib",
    "xylosim",
    "torch",
    "rockpool",
    "nir",
    "h5py",
    "tonic",
    "aedat",
    "expelliarmus",
    "grain",
}
NEEDS_OPTIONAL = {"cli", "report", "viz"}
"""Nothing imports these but whoever wants a command line or a picture."""

MAX_LINES_OF_FILE = 320
MAX_LINES_OF_FUNCTION = 60

each_file = pytest.mark.parametrize("path", FILES, ids=str)


def parse(path):
    return ast.parse((ROOT / path).read_text())


def module_name(path):
    """`("nn", "_lif")` for nn/_lif.py, `("nn",)` for nn/__init__.py, `()` for __init__.py."""
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {module_name(path) for path in FILES}


def own_imports(path):
    """The modules of snnjax that a file imports, as names like those of `module_name`."""
    folder = path.parts[:-1]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            base = folder[: len(folder) - node.level + 1]
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                submodule = (*base, alias.name)
                yield submodule if submodule in MODULES else base


def absolute_imports(nodes):
    """The top-level packages that some nodes import by an absolute name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def outside_of_functions(node):
    """The nodes that run when a module is imported, but those for type checkers only."""
    for child in ast.iter_child_nodes(node):
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not function and not for_types:
            yield child
            yield from outside_of_functions(child)


def test_every_module_has_a_row():
    assert {module[0] for module in MODULES if module} <= set(ROW)


# The package's own __init__ takes the public names from every row.
@pytest.mark.parametrize("path", [path for path in FILES if module_name(path)], ids=str)
def test_a_module_imports_only_from_rows_above_its_own(path):
    unit = module_name(path)[0]
    targets = set(own_imports(path))
    assert () not in targets, "imports names through the package itself, not from where they are"
    row = ROW[unit] + (unit == "cli")  # the command line ties its siblings together
    others = {target for target in targets if target[0] != unit}
    assert not [target for target in others if ROW[target[0]] >= row]


@each_file
def test_a_module_imports_its_own_package_by_relative_names_only(path):
    assert "snnjax" not in absolute_imports(ast.walk(parse(path)))


def test_no_modules_import_each_other_in_a_circle():
    graph = {module_name(path): set(own_imports(path)) for path in FILES}
    order = tuple(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) == MODULES


@each_file
def test_a_private_module_is_imported_only_within_its_folder(path):
    folder = path.parts[:-1]
    for target in own_imports(path):
        first = next((i for i, part in enumerate(target) if part.startswith("_")), len(target))
        owner = target[:first]
        assert first == len(target) or folder[: len(owner)] == owner, ".".join(target)


@each_file
def test_docstrings_begin_with_a_thing_or_an_action(path):
    """Not with a question word, which makes a sentence that is read twice."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for node in ast.walk(parse(path)) if isinstance(node, documented)]
    docstrings = [ast.get_docstring(node) or "" for node in nodes]
    starts = ("What ", "Where ", "Which ", "Whatever ")
    assert not [text.splitlines()[0] for text in docstrings if text.startswith(starts)]


@each_file
def test_optional_packages_are_imported_where_they_are_used(path):
    unit = (module_name(path) or ("__init__",))[0]
    at_import = set(absolute_imports(outside_of_functions(parse(path))))
    assert unit in NEEDS_OPTIONAL or not at_import & OPTIONAL


def test_importing_snnjax_imports_no_optional_package():
    code = "import sys, snnjax; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    assert "jax" in loaded.decode().split()
    assert not OPTIONAL & set(loaded.decode().split())


@each_file
def test_files_are_short(path):
    assert len((ROOT / path).read_text().splitlines()) <= MAX_LINES_OF_FILE


def body_lines(function):
    """Lines of a function below its signature and docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@each_file
def test_functions_are_short(path):
    functions = [node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef)]
    lengths = {function.name: body_lines(function) for function in functions}
    assert {k: v for k, v in lengths.items() if v > MAX_LINES_OF_FUNCTION} == {}
