"""Spike counts where vmem is a whole number of thresholds."""

import jax
import jax.numpy as jnp
import numpy as np

from snnjax.surrogate import PiecewiseLinear, whole_thresholds

# In float32 the reciprocals of one in seven of these, times themselves, are less than 1.
THRESHOLDS = np.arange(1, 2000, dtype=np.float32)
COUNTS = np.arange(1, 32, dtype=np.float32)[:, None]


def spikes(vmem):
    """Neurons that share a threshold along the first axis, compiled."""
    return jax.jit(lambda v, t: PiecewiseLinear()(v, t, 31))(vmem, THRESHOLDS)


def test_a_neuron_exactly_at_n_thresholds_fires_n_times():
    np.testing.assert_array_equal(spikes(COUNTS * THRESHOLDS), COUNTS + 0 * THRESHOLDS)


def test_a_neuron_just_below_fires_once_less():
    below = np.nextafter(COUNTS * THRESHOLDS, np.float32(0))
    np.testing.assert_array_equal(spikes(below), COUNTS - 1 + 0 * THRESHOLDS)


def test_negative_potentials_are_counted_downward():
    counts = whole_thresholds(jnp.array([-0.5, -1.0, -1.5, 0.0]), jnp.ones(()))
    np.testing.assert_array_equal(counts, [-1, -1, -2, 0])
