import jax
import pytest

from ._commands import SMALL, trained


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The folder of a run of the main job on a small network, for reading, and its output."""
    with jax.numpy_dtype_promotion("standard"):
        return trained(tmp_path_factory.mktemp("runs") / "small", *SMALL)


@pytest.fixture(autouse=True, scope="module")
def standard_promotion():
    """optax mixes dtypes, so what trains cannot run under strict promotion."""
    with jax.numpy_dtype_promotion("standard"):
        yield
