"""Settings that every test runs under."""

import gc
import importlib.util
import os
import shutil
from collections import defaultdict
from pathlib import Path

import hypothesis
import jax
import jaxlib.version
import pytest

from snnjax.cli._compiled import processor

# At import, not in a fixture: test modules make arrays before any fixture runs.
jax.config.update("jax_numpy_dtype_promotion", "strict")

MANY_MAPS = 6_000
"""Programs with so many take about 2.5 GB."""
MOST_BYTES_KEPT = 2 * 2**30

# Tests of a part that an extra brings, and the package that they need. The core has no extras.
NEEDS = {
    "cli": "typer",
    "datasets/test_digits.py": "sklearn",
    "datasets/test_event_page.py": "tonic",
    "datasets/test_recordings.py": "tonic",
    "devices/test_processes.py": "grain",
    "faults/test_kills.py": "typer",
    "faults/test_saves.py": "orbax",
    "interop/test_nir.py": "nir",
    "interop/test_nir_save.py": "nir",
    "train/test_checkpoint.py": "orbax",
    "train/test_loader.py": "grain",
    "train/test_event_recipes.py": "tonic",
    "train/test_run.py": "sklearn",
    "viz": "matplotlib",
    "test_benchmarks.py": "matplotlib",
    "test_notebooks.py": "nbclient",
    "test_reference.py": "matplotlib",
}
HERE = Path(__file__).parent
ABSENT = {HERE / path: name for path, name in NEEDS.items() if not importlib.util.find_spec(name)}
collect_ignore = list(ABSENT)

# The first example of a shape includes its compilation, so a deadline would measure the machine.
hypothesis.settings.register_profile("snnjax", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("snnjax")


def pytest_configure(config):
    """Set how programs are compiled, here and in the workers and commands that inherit this."""
    if "not long" in config.option.markexpr:
        # Compiling is most of what the default and the slow tests do. XLA's own passes, which
        # decide the operations and their order, are the same; only the machine code is less
        # optimised. Long tests want fast programs instead.
        flags = ["--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1"]
        if jaxlib.version.__version_info__ < (0, 11):
            # The older emitter of machine code needs half the time. Later versions have one only.
            flags.append("--xla_cpu_use_fusion_emitters=false")
        os.environ["XLA_FLAGS"] = " ".join([*flags, os.environ.get("XLA_FLAGS", "")])
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ and hasattr(config, "cache"):
        keep_compiled_programs(config.cache.mkdir("jax"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the cases of a test with `few(n, slow=m)`: n run by default, m are slow, the rest long.

    Those of each kind are spread over the cases. Without `slow` there are as many as run by
    default.
    """
    cases = defaultdict(list)
    for item in items:
        marked = item.get_closest_marker("slow") or item.get_closest_marker("long")
        if item.get_closest_marker("few") and not marked:
            cases[item.nodeid.partition("[")[0]].append(item)
    for same in cases.values():
        mark = same[0].get_closest_marker("few")
        (count,) = mark.args
        others = without(same, spread(same, count))
        slow = spread(others, mark.kwargs.get("slow", count))
        for item in slow:
            item.add_marker("slow")
        for item in without(others, slow):
            item.add_marker("long")


def spread(items, count):
    return [items[i * len(items) // count] for i in range(min(count, len(items)))]


def without(items, some):
    return [item for item in items if item not in some]


def pytest_collection_finish():
    """Spare the garbage collector what modules and tests hold: all of it stays to the end.

    Programs stay for long too, and looking through all of them takes seconds, so it is done less.
    """
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)


def pytest_report_header():
    """The tests that are not collected, and why."""
    return [f"{path.relative_to(HERE)}: {name} is not installed" for path, name in ABSENT.items()]


def keep_compiled_programs(folder):
    """Share compiled programs between workers and runs, in a folder for each kind of processor.

    JAX's own key holds the program, the flags and the versions of jaxlib and XLA.
    `pytest --cache-clear` empties the folder.
    """
    if sum(file.stat().st_size for file in folder.rglob("*-cache")) > MOST_BYTES_KEPT:
        shutil.rmtree(folder)
    settings = {
        "jax_compilation_cache_dir": str(folder / processor()),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        os.environ[name.upper()] = str(value)
        jax.config.update(name, value)


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Forget compiled programs before they take too much memory.

    Their number shows in the process's memory maps. Its memory does not: what is freed stays with
    the process.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()


@pytest.fixture
def key():
    return jax.random.key(0)
