"""Surrogates that are derivatives of a smooth step, against that step."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, surrogate, trainable
from snnjax.surrogate import Atan, Sigmoid, StepSurrogate, from_function

KINDS = {
    "Atan": surrogate.Atan(1.7),
    "FastSigmoid": surrogate.FastSigmoid(3.0),
    "SuperSpike": surrogate.SuperSpike(),
    "SparseFastSigmoid": surrogate.SparseFastSigmoid(3.0, 0.4),
    "SparseFastSigmoid_near": surrogate.SparseFastSigmoid(3.0, 0.4, near=True),
    "Sigmoid": surrogate.Sigmoid(4.0),
    "Rectangular": surrogate.Rectangular(1.3),
    "Triangular": surrogate.Triangular(0.8, 0.3),
    "Tent": surrogate.Tent(0.7),
    "Gaussian": surrogate.Gaussian(0.6, 0.1, 1.2),
    "MultiGaussian": surrogate.MultiGaussian(mu=0.1, scale=1.2),
    "SingleExponential": surrogate.SingleExponential(0.4, 1.1),
    "SpikeRateEscape": surrogate.SpikeRateEscape(2.0, 1.4, 0.5),
    "StraightThrough": surrogate.StraightThrough(0.6),
    "LeakySpike": surrogate.LeakySpike(0.2),
    "FromFunction": from_function(jnp.tanh),
    "FromFunction_derivative": from_function(jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2),
}
X = np.random.default_rng(0).uniform(-2, 2, 500)
STEP = 1e-6

each_kind = pytest.mark.parametrize("name", KINDS)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def settings_of(kind):
    """The numbers that it can learn."""
    values = {f.name: getattr(kind, f.name) for f in dataclasses.fields(kind)}
    return {k: v for k, v in values.items() if isinstance(v, float)}


def gradients(kind, vmem, threshold, max_spikes=1):
    """Gradients of the number of spikes by vmem and by the threshold."""
    run = jax.grad(lambda v, t: kind(v, t, max_spikes).sum(), (0, 1))
    return jax.jit(run)(jnp.asarray(vmem), jnp.asarray(threshold))


def test_every_surrogate_of_this_sort_is_here():
    every = {c.__name__ for c in vars(surrogate).values() if isinstance(c, type)}
    steps = {name for name in every if issubclass(getattr(surrogate, name), StepSurrogate)}
    assert steps - {"StepSurrogate"} == {type(kind).__name__ for kind in KINDS.values()}


@pytest.mark.usefixtures("x64")
@each_kind
def test_the_derivative_is_that_of_the_primitive(name):
    kind = KINDS[name]
    at, above, *slope = np.asarray(jax.jit(kind.derivative)(np.concatenate([[0, 1e-9], X])))
    primitive = jax.jit(kind.primitive)
    differences = (primitive(X + STEP) - primitive(X - STEP)) / (2 * STEP)
    assert np.abs(slope).max() > 0.05
    np.testing.assert_allclose(slope, differences, atol=1e-7)
    # There is a slope exactly at the threshold too, where |x| has none.
    np.testing.assert_allclose(at, above, rtol=1e-6)


@pytest.mark.few(9)
@pytest.mark.usefixtures("x64")
@each_kind
def test_vmem_and_threshold_get_it(name):
    kind, threshold = dataclasses.replace(KINDS[name], relative=False), 1.4
    d_vmem, d_threshold = gradients(kind, X + threshold, np.full(X.shape, threshold))
    slope = kind.derivative(jnp.asarray(X))
    np.testing.assert_allclose(d_vmem, slope, atol=1e-12)
    np.testing.assert_allclose(d_threshold, -slope, atol=1e-12)


@pytest.mark.few(13)
@pytest.mark.usefixtures("x64")
@each_kind
def test_a_relative_one_measures_in_thresholds(name):
    kind, threshold = dataclasses.replace(KINDS[name], relative=True), 1.4
    d_vmem, d_threshold = gradients(kind, (X + 1) * threshold, np.full(X.shape, threshold))
    slope = kind.derivative(jnp.asarray(X)) / threshold
    np.testing.assert_allclose(d_vmem, slope, atol=1e-9)
    np.testing.assert_allclose(d_threshold, -slope * (X + 1), atol=1e-9)


@pytest.mark.few(3)
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["Atan", "SingleExponential", "Triangular"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_periodic_one_repeats_at_every_multiple_up_to_the_cap(name, relative):
    once = dataclasses.replace(KINDS[name], relative=relative)
    kind = dataclasses.replace(once, periodic=True)
    threshold, x = 1.5, X[np.abs(X) < 0.7]
    first = gradients(once, x + threshold, threshold)[0]
    for n in (1, 2, 3):
        vmem = x + n * threshold
        d_vmem, d_threshold = gradients(kind, vmem, threshold, max_spikes=3)
        np.testing.assert_allclose(d_vmem, first, atol=1e-12)
        wanted = -(first * (vmem / threshold if relative else n)).sum()
        np.testing.assert_allclose(d_threshold, wanted, atol=1e-9)
    beyond = gradients(kind, x + 4 * threshold, threshold, max_spikes=3)[0]
    np.testing.assert_allclose(beyond, gradients(once, x + 2 * threshold, threshold)[0], atol=1e-12)


@pytest.mark.few(5)
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", [name for name in KINDS if settings_of(KINDS[name])])
def test_a_setting_that_is_learned_gets_the_derivative_of_the_primitive(name):
    settings = {k: jnp.float64(v) for k, v in settings_of(KINDS[name]).items()}
    x, weights = jnp.asarray(X), jnp.asarray(np.cos(3 * X))
    threshold = 1.0 if KINDS[name].relative else 1.3

    def made(settings):
        return dataclasses.replace(KINDS[name], **settings)

    @jax.jit
    @jax.grad
    def learned(settings):
        return (made(settings)(x + threshold, jnp.float64(threshold), 1) * weights).sum()

    @jax.jit
    def relaxed(settings):
        return (made(settings).primitive(x) * weights).sum()

    for field, gradient in learned(settings).items():
        up, down = (relaxed(settings | {field: settings[field] + s}) for s in (STEP, -STEP))
        wanted = 0 if field == "cutoff" else (up - down) / (2 * STEP)
        np.testing.assert_allclose(gradient, wanted, atol=1e-5, err_msg=field)


@each_kind
def test_a_setting_that_is_fixed_gets_none(name):
    fixed = KINDS[name]
    gradient = eqx.filter_grad(lambda k: k(jnp.float32(X), jnp.ones(()), 1).sum())(fixed)
    assert not jax.tree.leaves(gradient)


def test_plain_grad_takes_a_fixed_setting_for_a_parameter():
    def loss(layer):
        y, _ = layer(jnp.full((3, 2), 0.6))
        return y.sum()

    fixed, learned = (LIF(2, surrogate=Sigmoid(slope)) for slope in (4.0, jnp.array(4.0)))
    gradient = jax.grad(loss)(learned).settings.surrogate.slope
    assert gradient != 0
    np.testing.assert_array_equal(jax.grad(loss)(fixed).settings.surrogate.slope, gradient)
    assert eqx.filter_grad(loss)(fixed).settings.surrogate.slope is None
    assert not trainable(fixed).settings.surrogate.slope
    assert trainable(learned).settings.surrogate.slope


def test_every_neuron_may_learn_a_slope_of_its_own():
    slopes = jnp.array([1.0, 2.0, 4.0])
    x = jnp.float32(X[:50, None])
    gradient = eqx.filter_jit(eqx.filter_grad(lambda k: k(1 + x, jnp.ones(3), 1).sum()))(
        Sigmoid(slopes)
    )
    # d sigmoid(k*x)/dk = x * s * (1 - s)
    s = jax.nn.sigmoid(slopes * x)
    np.testing.assert_allclose(gradient.slope, (x * s * (1 - s)).sum(0), atol=1e-5)


def test_the_staircase_surrogates_have_no_derivative_by_their_window():
    for kind in (surrogate.PiecewiseLinear, surrogate.PeriodicExponential):
        gradient = eqx.filter_grad(lambda k: k(jnp.float32(X), jnp.ones(()), 3).sum())(
            kind(jnp.array(0.5))
        )
        assert gradient.window == 0


@pytest.mark.few(10)
@each_kind
def test_nothing_overflows_far_from_the_threshold(name):
    kind, far = KINDS[name], jnp.float32([-1e4, 1e4])
    settings = {k: jnp.float32(v) for k, v in settings_of(kind).items()}
    gradients = jax.jit(
        jax.grad(lambda s, v: dataclasses.replace(kind, **s)(v, jnp.ones(()), 1).sum(), (0, 1))
    )(settings, far)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.few(16)
@each_kind
def test_low_precision_is_kept(name):
    dtype = jnp.bfloat16
    vmem, threshold = jnp.asarray(X + 1, dtype), jnp.ones((), dtype)
    spikes, slope = jax.eval_shape(
        jax.value_and_grad(lambda v: KINDS[name](v, threshold, 1).sum()), vmem
    )
    assert spikes.dtype == slope.dtype == dtype


def test_a_module_as_a_function_learns_its_arrays():
    class Scaled(eqx.Module):
        scale: jax.Array

        def __call__(self, x):
            return jnp.tanh(self.scale * x)

    x = jnp.float32(X)
    gradient = eqx.filter_grad(lambda k: k(1 + x, jnp.ones(()), 1).sum())(
        from_function(Scaled(jnp.array(2.0)))
    )
    wanted = (x / jnp.cosh(2 * x) ** 2).sum()
    np.testing.assert_allclose(gradient.function.scale, wanted, rtol=1e-4)


def test_what_cannot_be_called_is_no_function():
    with pytest.raises(TypeError, match=r"`function` must be callable; got 3"):
        from_function(3)


def test_atan_at_its_threshold_has_half_its_slope():
    slope = jax.grad(lambda v: Atan(2.0)(v, jnp.ones(()), 1))(jnp.ones(()))
    assert math.isclose(slope, 1.0)
