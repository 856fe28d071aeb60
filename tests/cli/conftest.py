import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def standard_promotion():
    """optax mixes dtypes, so what trains cannot run under strict promotion."""
    with jax.numpy_dtype_promotion("standard"):
        yield
