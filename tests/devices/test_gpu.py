"""On a GPU: loops over time as kernels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import AdEx, Izhikevich
from snnjax._time_loop import _kernels

from ..nn.neurons import ALL, draw
from ..test_scan import close

pytestmark = pytest.mark.skipif(not _kernels.are_there(), reason="there is no GPU for kernels here")

STEPS = 57


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_kernels(make, monkeypatch):
    """Spikes are equal; membrane potentials and gradients differ by rounding."""
    layer = make()
    x = draw(3, STEPS, 2, 3, 4)
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    def both(arrays, x):
        def run(arrays, x):
            return jax.vmap(lambda x: eqx.combine(arrays, static)(x))(x)

        made, pull = jax.vjp(run, arrays, x)
        return made, pull(jax.tree.map(jnp.cos, made))

    (y, state), grads = jax.jit(both)(arrays, x)
    monkeypatch.setattr(_kernels, "are_there", lambda: False)
    (wanted, wanted_state), wanted_grads = jax.jit(lambda *args: both(*args))(arrays, x)
    if layer.fires:
        np.testing.assert_array_equal(y, wanted)
    # The square and the exponential in these make more of a difference from step to step.
    many = 100 if isinstance(layer, AdEx | Izhikevich) else 1
    close((y, state), (wanted, wanted_state), 5e-6 * many)
    close(grads, wanted_grads, 1e-5 * many)
