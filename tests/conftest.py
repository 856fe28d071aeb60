"""What every test runs under."""

import os
from pathlib import Path

import hypothesis
import jax
import pytest

# At import, not in a fixture: test modules make arrays before any fixture runs.
jax.config.update("jax_numpy_dtype_promotion", "strict")

MANY_MAPS = 42_000

# The first example of a shape includes its compilation, so a deadline would measure the machine.
hypothesis.settings.register_profile("snnjax", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("snnjax")


def pytest_configure(config):
    """Compile quickly where tests of minutes, which want fast programs, are not among the tests.

    Compiling is most of what the others do. XLA's own passes, which decide what is computed and in
    which order, are the same; only the machine code is less optimised.
    """
    if config.option.markexpr == "not slow":
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"--xla_backend_optimization_level=0 {flags}"


@pytest.fixture(autouse=True, scope="module")
def few_memory_maps():
    """Forget compiled programs before there are too many of them.

    Each takes some memory maps, of which Linux gives a process 65,530 by default; the compiler
    crashes at the next one.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()


@pytest.fixture
def key():
    return jax.random.key(0)
