"""DSR neurons against the formulas written as loops in float64 NumPy."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.neurons import Firing, dsr, dsr_fold, leaky

SHAPES = {"dense": (12, 5), "image": (9, 3, 4, 2)}
SETTINGS = {
    "if": dsr.DSRIF(ratio=0.4, scale=0.7),
    "lif": dsr.DSRLIF(tau=1.5, dt=0.2, ratio=0.6, scale=1.3),
    "lif_exact": dsr.DSRLIF(tau=0.4, dt=0.2, exact_gain=True),
}


def run(x, theta, settings):
    neuron = dsr.dsr_if if isinstance(settings, dsr.DSRIF) else dsr.dsr_lif
    return neuron(x, theta, settings)


def constants(settings):
    """decay, factor of the input, dt, gain, largest mean input in units of theta."""
    if isinstance(settings, dsr.DSRIF):
        return 1.0, 1.0, 1.0, 1.0, 1.0
    decay = np.exp(-settings.dt / settings.tau)
    gain = (1 - decay) / settings.dt if settings.exact_gain else 1 / settings.tau
    return decay, 1 - decay, settings.dt, gain, 1 / (settings.dt * gain)


def reference(x, theta, settings, g):
    """Output, gradient of x, gradient of theta for each neuron."""
    decay, factor, dt, gain, most = constants(settings)
    steps = len(x)
    vmem, y = np.zeros_like(x[0]), np.zeros_like(x)
    for t in range(steps):
        vmem = decay * vmem + factor * x[t]
        fires = vmem >= settings.ratio * theta
        vmem = vmem - fires * theta
        y[t] = fires * theta / dt
    tau = getattr(settings, "tau", np.inf)
    weights = np.exp(-(steps - np.arange(1, steps + 1)) * dt / tau)
    weights = (weights / weights.sum()).reshape(-1, *[1] * (x.ndim - 1))
    r, total = (weights * x).sum(0), (weights * g).sum(0) * steps
    lif = isinstance(settings, dsr.DSRLIF)
    linear = (r > 0) & (r < theta * most) if lif else (r >= 0) & (r <= theta)
    dx = np.broadcast_to(gain * total / steps * linear, x.shape)
    return y, dx, settings.scale * (dt if lif else 1) * total * (r > theta * most)


def draw(shape, settings, per_channel):
    rng = np.random.default_rng([len(shape), per_channel])
    theta = rng.uniform(0.5, 2, shape[1] if per_channel else ())
    scale = constants(settings)[4]
    mean = rng.uniform(-0.5, 2.5, shape[1:])
    x = (mean + 0.3 * rng.normal(size=shape)) * scale
    return x, theta, rng.normal(size=shape)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("per_channel", [False, True])
def test_values_and_gradients_are_those_of_the_formulas(name, shape, per_channel):
    settings, shape = SETTINGS[name], SHAPES[shape]
    x, theta, g = draw(shape, settings, per_channel)
    wide = theta.reshape(theta.shape + (1,) * (len(shape) - 2) * theta.ndim)
    y, dx, dtheta = reference(x, wide, settings, g)
    summed = dtheta.sum(tuple(range(1, len(shape) - 1))) if per_channel else dtheta.sum()
    assert np.any(dx == 0)
    assert np.any(dx != 0)
    assert np.any(summed != 0)
    with jax.enable_x64(True):
        found, vjp = jax.vjp(lambda x, t: run(x, t, settings), jnp.asarray(x), jnp.asarray(theta))
        d_x, d_theta = vjp(jnp.asarray(g))
    np.testing.assert_allclose(found, y, atol=1e-12)
    np.testing.assert_allclose(d_x, dx, atol=1e-12)
    np.testing.assert_allclose(d_theta, summed, atol=1e-12)


def test_only_the_mean_is_kept_for_the_backward_pass():
    x = jnp.ones((400, 7))
    for settings in SETTINGS.values():
        _, vjp = jax.vjp(lambda x, s=settings: run(x, jnp.ones(()), s), x)
        assert max(np.size(leaf) for leaf in jax.tree.leaves(vjp)) == 7


def test_the_exact_gain_is_what_the_neuron_does():
    # What came in, weighted, has gone out or is still there: mean(y) = gain * (mean(x) - vmem).
    settings = dsr.DSRLIF(tau=0.4, dt=0.2, exact_gain=True)
    x = np.random.default_rng(0).uniform(0, 2, (30, 4))
    decay, factor, dt, gain, _ = constants(settings)
    y = np.float64(dsr.dsr_lif(jnp.float32(x), jnp.ones(()), settings))
    vmem = np.zeros(4)
    for x_t, y_t in zip(x, y, strict=True):
        vmem = decay * vmem + factor * x_t - dt * y_t
    weights = decay ** np.arange(29, -1, -1)[:, None] / (decay ** np.arange(30)).sum()
    kept = vmem / (1 - decay**30)
    np.testing.assert_allclose(
        (weights * y).sum(0), gain * ((weights * x).sum(0) - kept), rtol=1e-4
    )
    slope = jax.grad(lambda x: dsr.dsr_lif(x, jnp.ones(()), settings).sum())(jnp.float32(x)).sum(0)
    inside = slope != 0
    np.testing.assert_allclose(slope[inside] / 30, gain, rtol=1e-5)
    assert abs(1 / settings.tau - gain) > 0.1 * gain


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", [dsr.DSRIF, dsr.DSRLIF])
def test_the_lower_bound_holds_theta(kind):
    x = jnp.full((10, 1), 1e3)

    def total(theta, bound):
        return run(x, theta, kind(lower_bound=0.5, bound=bound)).sum()

    low, at, above = jnp.float32([0.2, 0.5, 0.6])
    for bound in ("clamp", "project"):
        assert total(low, bound) == total(at, bound)
        assert total(above, bound) > total(at, bound)
    slope = jax.grad(total)
    assert slope(low, "clamp") == 0
    # The gradient at the bound itself, which can bring theta back.
    assert slope(low, "project") == slope(at, "project") == slope(at, "clamp") != 0


def test_batches_by_vmap_equal_a_loop():
    x, theta, g = (jnp.float32(v) for v in draw((12, 5), SETTINGS["lif"], True))
    batch = jnp.stack([x, -x, 2 * x])

    def loss(theta, x):
        return (run(x, theta, SETTINGS["lif"]) * g).sum()

    together = jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1)), in_axes=(None, 0)))(theta, batch)
    for i, one in enumerate(batch):
        alone = jax.value_and_grad(loss, (0, 1))(theta, one)
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)


@pytest.mark.few(1)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_dtype_of_the_input_is_kept(dtype, name):
    x = jnp.ones((6, 3), dtype)
    y, vjp = jax.vjp(lambda x, theta: run(x, theta, SETTINGS[name]), x, jnp.ones(3))
    d_x, d_theta = vjp(jnp.ones_like(y))
    assert (y.dtype, d_x.dtype, d_theta.dtype) == (dtype, dtype, "float32")


def test_long_sums_in_low_precision_do_not_stall():
    # In float16 a sum of 4096 ones stops at 2048.
    x = jnp.ones((4096, 1), jnp.float16)
    d_x = jax.grad(lambda x: dsr.dsr_if(x, jnp.ones(())).sum().astype(jnp.float32))(x)
    np.testing.assert_allclose(d_x, 1.0, rtol=2e-3)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["if", "lif"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_folded_neuron_has_the_same_spikes_of_height_one(name, per_channel):
    settings, shape = SETTINGS[name], (60, 40)
    x, theta, _ = (jnp.float32(v) for v in draw(shape, settings, per_channel))
    y = run(x, theta, settings)
    folded = dsr_fold.fold(theta, settings)
    params = leaky.LeakyParams(jnp.float32(folded.alpha_mem), folded.threshold)
    kernel = functools.partial(leaky.step, params, fire=Firing(), reset_delay=False)
    start = leaky.init(shape[1])._replace(vmem=jnp.broadcast_to(folded.vmem, shape[1]))
    _, spikes = jax.lax.scan(kernel, start, folded.gain * x + folded.bias)
    assert 0.2 < np.mean(spikes) < 0.9
    np.testing.assert_array_equal(spikes > 0, y > 0)
    # The height goes into the weights after it, so the next layer gets the same input.
    weight = jnp.float32(np.random.default_rng(0).normal(size=(3, shape[1])))
    following = dsr_fold.scale_inputs(weight, folded.amplitude)
    np.testing.assert_allclose(spikes @ following.T, y @ weight.T, rtol=1e-4, atol=1e-4)


def test_heights_go_into_the_input_channels_of_a_convolution():
    weight, heights = jnp.ones((4, 2, 3, 3)), jnp.array([2.0, 5.0])
    scaled = dsr_fold.scale_inputs(weight, heights)
    assert scaled.shape == weight.shape
    assert (scaled[:, 0] == 2).all()
    assert (scaled[:, 1] == 5).all()


def test_the_authors_settings():
    assert dsr.DSRLIF(1.0, 0.05, 0.3, 5e-4, 1.0, "project", False) == dsr.OFFICIAL_LIF
    assert dsr.DSRIF(0.5, 0.01, 1.0, "project") == dsr.OFFICIAL_IF
    assert dsr.OFFICIAL_IF_IMAGENET.scale == 1e-3


def test_the_inputs_of_each_group_of_a_convolution_get_their_own_heights():
    heights = jnp.arange(1.0, 5)
    scaled = dsr_fold.scale_inputs(jnp.ones((6, 2, 3, 3)), heights, groups=2)
    np.testing.assert_array_equal(scaled[:, :, 0, 0], [[1, 2]] * 3 + [[3, 4]] * 3)


@pytest.mark.parametrize("bound", ["clamp", "project"])
def test_a_threshold_that_becomes_nan_in_training_is_an_error_there_too(bound):
    slope = eqx.filter_jit(
        jax.grad(lambda t: run(jnp.ones((4, 2)), t, dsr.DSRIF(bound=bound)).sum())
    )
    assert np.isfinite(slope(jnp.ones(2))).all()
    with pytest.raises(eqx.EquinoxRuntimeError, match=r"`theta`, .* must not be NaN"):
        slope(jnp.array([1.0, jnp.nan]))


@pytest.mark.parametrize(
    ("x", "theta", "settings", "error", "message"),
    [
        (jnp.ones(5), 1.0, dsr.DSRIF(), ValueError, r"`x` must have the shape .* got \(5,\)"),
        (jnp.ones((5, 2), int), 1.0, dsr.DSRIF(), TypeError, "`x` must hold floating-point"),
        (jnp.ones((5, 2)), jnp.ones(3), dsr.DSRIF(), ValueError, r"`theta` .* 2 channels; got"),
        (jnp.ones((5, 2)), jnp.nan, dsr.DSRLIF(), ValueError, "`theta`, .* must not be NaN; got"),
        (jnp.ones((5, 2)), 1.0, dsr.DSRLIF(tau=0.0), ValueError, "`tau` must be above 0; got 0.0"),
        (jnp.ones((5, 2)), 1.0, dsr.DSRLIF(dt=-1.0), ValueError, "`dt` must be above 0; got -1.0"),
        (jnp.ones((5, 2)), 1.0, dsr.DSRIF(lower_bound=0.0), ValueError, "`lower_bound` must be"),
        (jnp.ones((5, 2)), 1.0, dsr.DSRIF(ratio=1.5), ValueError, "`ratio` .* got 1.5"),
        (jnp.ones((5, 2)), 1.0, dsr.DSRIF(bound="clip"), ValueError, "`bound` .* got 'clip'"),
    ],
)
def test_what_does_not_fit_is_an_error(x, theta, settings, error, message):
    with pytest.raises(error, match=message):
        run(x, jnp.asarray(theta), settings)
