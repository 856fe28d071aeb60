"""Spike counts where vmem is a whole number of thresholds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.neurons import Firing, iaf
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


@pytest.mark.few(3)
@pytest.mark.parametrize("threshold", [0.0, -1.0])
@pytest.mark.parametrize("cap", [1, np.inf])
def test_a_neuron_whose_threshold_is_not_above_0_does_not_fire(threshold, cap):
    vmem = jnp.array([-3.0, -0.5, 0.0, 0.5, 7.0])
    np.testing.assert_array_equal(PiecewiseLinear()(vmem, jnp.float32(threshold), cap), 0 * vmem)
    _, spikes, after = iaf.closed_form(
        jnp.float32(threshold), iaf.init(5), vmem[None], surrogate=PiecewiseLinear()
    )
    np.testing.assert_array_equal(spikes[0], 0 * vmem)
    np.testing.assert_array_equal(after[0], vmem)


def test_a_potential_that_is_nan_is_seen_in_the_spikes_and_behind_a_lower_bound():
    vmem = jnp.array([jnp.nan, 2.0])
    np.testing.assert_array_equal(PiecewiseLinear()(vmem, jnp.ones(()), 31), [np.nan, 2])
    params = iaf.IAFParams(jnp.ones(()), min_vmem=-jnp.ones(()))
    for reset in ("subtract", "zero", "none"):
        state, spikes = iaf.step(params, iaf.init(2), vmem, fire=Firing(reset=reset))
        np.testing.assert_array_equal(spikes, [np.nan, 1])
        assert np.isnan(state.vmem).tolist() == [True, False]


def test_a_cap_of_one_spike_cuts_the_same_count():
    """The cap of one has a formula of its own, without a division."""
    kinds = [-1.0, 0.0, 0.5, 1.0, 1.5, 49.0, jnp.inf, jnp.nan]
    vmem, threshold = (grid.ravel() for grid in np.meshgrid(kinds, [-1.0, 0.0, 0.3, 1.0]))
    one, two = (PiecewiseLinear()(jnp.array(vmem), jnp.array(threshold), cap) for cap in (1, 2.0))
    above = np.where(np.isinf(vmem) & (threshold > 0), 1, np.minimum(two, 1))
    np.testing.assert_array_equal(one, above)
