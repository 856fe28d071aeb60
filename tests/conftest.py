"""What every test runs under."""

import hypothesis
import jax
import pytest

# At import, not in a fixture: test modules make arrays before any fixture runs.
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The first example of a shape includes its compilation, so a deadline would measure the machine.
hypothesis.settings.register_profile("snnjax", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("snnjax")


@pytest.fixture
def key():
    return jax.random.key(0)
