"""The layout of the package: who imports whom, and how long files and functions are."""

import ast
import functools
import graphlib
import subprocess
import sys
from pathlib import Path

import snnjax

ROOT = Path(snnjax.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))

# A module or package imports only from the rows above its own.
ROWS = (
    {"_typing", "_extras"},
    {"_time_loop", "_tree", "_mesh", "_files", "_checks"},
    {"params", "decay", "surrogate", "passthrough", "_product"},
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


@functools.cache
def parse(path):
    return ast.parse((ROOT / path).read_text())


def module_name(path):
    """`("nn", "_lif")` for nn/_lif.py, `("nn",)` for nn/__init__.py, `()` for __init__.py."""
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def offences(find, files=FILES):
    """The files in which `find` finds something, and what it finds."""
    found = {str(path): list(find(path)) for path in files}
    return {path: every for path, every in found.items() if every}


MODULES = {module_name(path) for path in FILES}


@functools.cache
def own_imports(path):
    """The modules of snnjax that a file imports, as names like those of `module_name`."""
    folder, found = path.parts[:-1], set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            base = folder[: len(folder) - node.level + 1]
            base += tuple(node.module.split(".")) if node.module else ()
            submodules = {(*base, alias.name) for alias in node.names}
            found |= {submodule if submodule in MODULES else base for submodule in submodules}
    return found


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


def test_a_module_imports_only_from_rows_above_its_own():
    def others(path):
        unit = module_name(path)[0]
        row = ROW[unit] + (unit == "cli")  # the command line ties its siblings together
        for target in own_imports(path):
            if target == ():
                yield "names through the package itself, not from where they are"
            elif target[0] != unit and ROW[target[0]] >= row:
                yield ".".join(target)

    # The package's own __init__ takes the public names from every row.
    assert offences(others, [path for path in FILES if module_name(path)]) == {}


def test_a_module_imports_its_own_package_by_relative_names_only():
    def absolute(path):
        return [name for name in absolute_imports(ast.walk(parse(path))) if name == "snnjax"]

    assert offences(absolute) == {}


def test_no_modules_import_each_other_in_a_circle():
    graph = {module_name(path): own_imports(path) for path in FILES}
    order = tuple(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) == MODULES


def test_a_private_module_is_imported_only_within_its_folder():
    def foreign(path):
        folder = path.parts[:-1]
        for target in own_imports(path):
            first = next((i for i, part in enumerate(target) if part.startswith("_")), len(target))
            owner = target[:first]
            if first < len(target) and folder[: len(owner)] != owner:
                yield ".".join(target)

    assert offences(foreign) == {}


def test_docstrings_begin_with_a_thing_or_an_action():
    """Not with a question word, which makes a sentence that is read twice."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    starts = ("What ", "Where ", "Which ", "Whatever ")

    def questions(path):
        nodes = [node for node in ast.walk(parse(path)) if isinstance(node, documented)]
        docstrings = [ast.get_docstring(node) or "" for node in nodes]
        return [text.splitlines()[0] for text in docstrings if text.startswith(starts)]

    assert offences(questions) == {}


def test_optional_packages_are_imported_where_they_are_used():
    def optional(path):
        unit = (module_name(path) or ("__init__",))[0]
        at_import = set(absolute_imports(outside_of_functions(parse(path))))
        return () if unit in NEEDS_OPTIONAL else at_import & OPTIONAL

    assert offences(optional) == {}


def test_importing_snnjax_imports_no_optional_package():
    code = "import sys, snnjax; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    assert "jax" in loaded.decode().split()
    assert not OPTIONAL & set(loaded.decode().split())


def test_files_are_short():
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in FILES}
    assert {path: n for path, n in lengths.items() if n > MAX_LINES_OF_FILE} == {}


def body_lines(function):
    """Lines of a function below its signature and docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    def long(path):
        functions = [node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef)]
        return [f.name for f in functions if body_lines(f) > MAX_LINES_OF_FUNCTION]

    assert offences(long) == {}
