"""Spike counts, and the two surrogate gradients against their formulas in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.surrogate import PeriodicExponential, PiecewiseLinear, Surrogate

NEURONS = 4
THRESHOLD = np.float32([0.5, 0.8, 1.0, 1.7])
VMEM = np.float32(np.random.default_rng(0).uniform(-3, 9, (200, NEURONS)))

each_surrogate = pytest.mark.parametrize("kind", [PiecewiseLinear, PeriodicExponential])


def derivative(surrogate, vmem, threshold, max_spikes):
    """d spikes/d vmem by the formulas of the issue, in float64."""
    vmem, threshold = np.float64(vmem), np.float64(threshold)
    window = surrogate.window * (threshold if surrogate.relative else 1)
    if isinstance(surrogate, PiecewiseLinear):
        return (vmem >= threshold - window) / threshold
    u = vmem - threshold / 2
    n = np.minimum(np.floor(u / threshold), max_spikes - 1)
    v = np.where(vmem >= threshold, u - n * threshold, u)
    return np.exp(-np.abs(v - threshold / 2) / window) / threshold


def gradients(surrogate, vmem, threshold, max_spikes=31, weights=1.0):
    """Gradients of the weighted spike count by vmem and threshold."""
    return jax.grad(
        lambda v, t: (surrogate(v, t, max_spikes) * weights).sum().astype(jnp.float32), (0, 1)
    )(jnp.asarray(vmem), jnp.asarray(threshold))


# Cheaper to compile for a shape or dtype of its own; `gradients` for what many tests share.
compiled_gradients = jax.jit(gradients, static_argnums=0)


@pytest.mark.few(5)
@each_surrogate
@pytest.mark.parametrize("max_spikes", [1, 3, 31])
def test_neurons_fire_as_often_as_the_threshold_fits_up_to_the_cap(kind, max_spikes):
    wanted = np.clip(np.floor(VMEM / THRESHOLD), 0, max_spikes)
    assert wanted.max() == min(max_spikes, 17)
    np.testing.assert_array_equal(kind()(VMEM, THRESHOLD, max_spikes), wanted)


@each_surrogate
@pytest.mark.parametrize(
    ("vmem", "spikes"), [(-5.0, 0), (0.0, 0), (0.4999999, 0), (0.5, 1), (0.99999994, 1), (1.0, 2)]
)
def test_a_neuron_fires_at_its_threshold_and_not_below(kind, vmem, spikes):
    assert kind()(jnp.float32(vmem), jnp.float32(0.5), 31) == spikes


@pytest.mark.few(35)
@each_surrogate
@pytest.mark.parametrize("window", [0.2, 0.5, 1.75])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("max_spikes", [1, 3, 31])
def test_derivatives_are_those_of_the_formulas(kind, window, relative, max_spikes):
    surrogate = kind(window, relative)
    weights = np.random.default_rng(1).normal(size=VMEM.shape).astype(np.float32)
    d_vmem, d_threshold = gradients(surrogate, VMEM, THRESHOLD, max_spikes, weights)
    slope = derivative(surrogate, VMEM, THRESHOLD, max_spikes)
    assert d_vmem.shape == VMEM.shape
    np.testing.assert_allclose(d_vmem, weights * slope, rtol=2e-5, atol=1e-7)
    # The threshold is shared along the first axis, so its gradients add up.
    wanted = (weights * -slope * VMEM / THRESHOLD).sum(0)
    assert d_threshold.shape == THRESHOLD.shape
    np.testing.assert_allclose(d_threshold, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.few(9)
@each_surrogate
@pytest.mark.parametrize("shape", [(), (1,), (NEURONS,), (1, NEURONS), (200, NEURONS)])
def test_the_gradient_of_the_threshold_is_summed_where_it_is_shared(kind, shape):
    threshold = np.full(shape, 0.8, np.float32)
    surrogate = kind()
    per_element = -derivative(surrogate, VMEM, 0.8, 31) * VMEM / 0.8
    d_threshold = compiled_gradients(surrogate, VMEM, threshold)[1]
    assert d_threshold.shape == shape
    axes = tuple(i for i in range(2) if ((1,) * (2 - len(shape)) + shape)[i] == 1)
    wanted = per_element.sum(axes).reshape(shape)
    np.testing.assert_allclose(d_threshold, wanted, rtol=1e-4)


def test_the_slope_begins_at_the_edge_of_the_window():
    vmem = jnp.array([np.nextafter(np.float32(0.5), 0), 0.5])
    np.testing.assert_array_equal(compiled_gradients(PiecewiseLinear(), vmem, 1.0)[0], [0, 1])


@each_surrogate
def test_both_derivatives_reach_beyond_the_first_spike(kind):
    vmem = np.float32([3.0, 12.5])
    d_vmem, d_threshold = compiled_gradients(kind(), vmem, np.float32(1.0))
    assert np.all(d_vmem > 0)
    assert d_threshold < 0


@each_surrogate
def test_a_relative_window_scales_the_gradients_with_the_potentials_exactly(kind):
    surrogate = kind(0.3, relative=True)
    small = gradients(surrogate, VMEM, THRESHOLD)
    # A power of two changes no digit, 1000 only rounds anew.
    for a, b in zip(small, gradients(surrogate, 1024 * VMEM, 1024 * THRESHOLD), strict=True):
        np.testing.assert_array_equal(a, 1024 * b)
    np.testing.assert_allclose(
        small[0], 1000 * gradients(surrogate, 1000 * VMEM, 1000 * THRESHOLD)[0], rtol=1e-4
    )


def test_an_absolute_window_loses_the_gradients_of_scaled_potentials():
    surrogate = PeriodicExponential(0.3)
    d_vmem = gradients(surrogate, VMEM, THRESHOLD)[0]
    d_scaled = gradients(surrogate, 1024 * VMEM, 1024 * THRESHOLD)[0]
    assert np.mean(1024 * d_scaled) < 0.01 * np.mean(d_vmem)


@each_surrogate
def test_a_relative_window_is_an_absolute_one_at_threshold_one(kind):
    for a, b in zip(
        gradients(kind(0.3, relative=True), VMEM, 1.0), gradients(kind(0.3), VMEM, 1.0), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@each_surrogate
def test_spikes_and_gradients_are_the_same_under_jit_and_vmap(kind):
    surrogate = kind()

    def run(vmem):
        return surrogate(vmem, THRESHOLD, 31), gradients(surrogate, vmem, THRESHOLD)[0]

    for a, b in zip(jax.jit(jax.vmap(run))(VMEM), run(VMEM), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@each_surrogate
def test_forward_mode_agrees_with_reverse_mode(kind):
    surrogate = kind()
    forward = jax.jit(
        lambda v, t: jax.jvp(
            lambda v, t: surrogate(v, t, 31).sum(), (v, t), (jnp.ones_like(v), 2 * jnp.ones_like(t))
        )
    )(VMEM, THRESHOLD)[1]
    d_vmem, d_threshold = gradients(surrogate, VMEM, THRESHOLD)
    np.testing.assert_allclose(forward, d_vmem.sum() + 2 * d_threshold.sum(), rtol=1e-5)


@pytest.mark.few(5)
@each_surrogate
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_floating_point_dtypes_are_kept(kind, relative, dtype):
    with jax.enable_x64(dtype == "float64"):
        vmem, threshold = jnp.asarray(VMEM, dtype), jnp.asarray(THRESHOLD, dtype)
        surrogate = kind(relative=relative)
        assert surrogate(vmem, threshold, 31).dtype == dtype
        assert [g.dtype for g in compiled_gradients(surrogate, vmem, threshold)] == [dtype, dtype]


def test_a_surrogate_of_ones_own_needs_only_its_derivatives():
    class Boxcar(Surrogate):
        def derivatives(self, vmem, threshold, max_spikes):
            inside = jnp.abs(vmem - threshold) < 0.25
            return jnp.where(inside, 7.0, 0), jnp.where(inside, -3.0, 0)

    vmem = np.float32([0.5, 0.9, 1.1, 2.0])
    d_vmem, d_threshold = compiled_gradients(Boxcar(), vmem, np.float32(1.0))
    np.testing.assert_array_equal(d_vmem, [0, 7, 7, 0])
    assert d_threshold == -6


def test_a_surrogate_without_derivatives_cannot_be_made():
    with pytest.raises(TypeError, match="derivatives"):
        Surrogate()


@each_surrogate
def test_surrogates_hold_no_array_to_be_trained(kind):
    assert not jax.tree.leaves(eqx.filter(kind(), eqx.is_array))
