"""Izhikevich's neuron and AdEx against plain integrations in float64 NumPy."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import AdEx, Izhikevich
from snnjax.neurons import Firing, adex, izhikevich
from snnjax.surrogate import Atan, PiecewiseLinear

N = 6


def izhikevich_reference(x, dt, a, b, d, r, threshold, v_reset):
    """The equations of the paper, neuron by neuron."""
    h, vs, us, spikes = 1000 * dt, [], [], []
    v = np.full(x.shape[1], -65.0)
    u = b * v
    for x_t in x:
        dv = 0.04 * v * v + 5 * v + 140 - u + r * x_t
        du = a * (b * v - u)
        v, u = v + h * dv, u + h * du
        fired = v >= threshold
        v, u = np.where(fired, v_reset, v), np.where(fired, u + d, u)
        vs.append(v)
        us.append(u)
        spikes.append(fired)
    return {"vmem": np.stack(vs), "recovery": np.stack(us), "spikes": np.stack(spikes)}


def adex_reference(x, dt, tau_mem, tau_adapt, r, a, b, v_leak, v_rheo, delta_t, threshold, v_reset):
    """The equations of the paper divided by g_L."""
    vs, ws, spikes = [], [], []
    v, w = np.full(x.shape[1], v_leak), np.zeros(x.shape[1])
    for x_t in x:
        dv = (v_leak - v + delta_t * np.exp((v - v_rheo) / delta_t) + r * (x_t - w)) / tau_mem
        dw = (a * (v - v_leak) - w) / tau_adapt
        v, w = v + dt * dv, w + dt * dw
        fired = v >= threshold
        v, w = np.where(fired, v_reset, v), np.where(fired, w + b, w)
        vs.append(v)
        ws.append(w)
        spikes.append(fired)
    return {"vmem": np.stack(vs), "adaptation": np.stack(ws), "spikes": np.stack(spikes)}


# Potentials of -120 to 30 mV; regular spiking, fast spiking, chattering, intrinsically bursting.
PATTERNS = {
    "regular": {},
    "fast": {"a": 0.1, "d": 2.0},
    "chattering": {"v_reset": -50.0, "d": 2.0},
    "bursting": {"v_reset": -55.0, "d": 4.0},
}
RS = {"a": 0.02, "b": 0.2, "d": 8.0, "r": 1.0, "threshold": 30.0, "v_reset": -65.0}
PAPER = {
    "tau_mem": 281 / 30 * 1e-3,
    "tau_adapt": 144e-3,
    "r": 1 / 30,
    "a": 4.0,
    "b": 80.5,
    "v_leak": -70.6,
    "v_rheo": -50.4,
    "delta_t": 2.0,
    "threshold": -40.4,
    "v_reset": -70.6,
}
ADEX = {"paper": {}, "no adaptation": {"a": 0.0, "b": 0.0}, "bursting": {"v_reset": -47.4}}
CASES = {
    **{
        f"izhikevich, {name}": (izhikevich, izhikevich_reference, RS | changed, 10.0)
        for name, changed in PATTERNS.items()
    },
    **{
        f"adex, {name}": (adex, adex_reference, PAPER | changed, 700.0)
        for name, changed in ADEX.items()
    },
}
KINDS = {izhikevich: izhikevich.IzhikevichParams, adex: adex.AdExParams}


def drive(amplitude, steps):
    """Steps of current with noise, from too little to fire to a lot."""
    rng = np.random.default_rng(0)
    level = np.linspace(0.2, 2.0, N)
    return amplitude * (level + 0.1 * rng.normal(size=(steps, N)))


def run(module, params, x, dt):
    start = params.b if module is izhikevich else params.v_leak
    state = module.init(start, x.shape[1], x.dtype)
    step = functools.partial(module.step, params, dt=dt, fire=Firing(reset="zero"))

    def body(before, x_t):
        after, spikes = step(before, x_t)
        return after, {**after._asdict(), "spikes": spikes}

    return jax.jit(lambda x: jax.lax.scan(body, state, x)[1])(x)


@pytest.mark.few(7)
@pytest.mark.parametrize("dt", [1e-4, 5e-4])
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_agrees_with_a_plain_integration(case, dt):
    module, reference, numbers, amplitude = CASES[case]
    # Differences of the last digit grow with every spike.
    x = drive(amplitude, 400)
    wanted = reference(x, dt, **numbers)
    with jax.enable_x64(True):
        params = KINDS[module](**{name: jnp.float64(v) for name, v in numbers.items()})
        found = run(module, params, jnp.asarray(x), dt)
    assert wanted["spikes"].sum() > N
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("layer", "reference", "numbers", "amplitude"),
    [
        (Izhikevich, izhikevich_reference, RS, 10.0),
        (AdEx, adex_reference, PAPER | {"tau_mem": 9.37e-3}, 700.0),
    ],
)
def test_the_defaults_of_the_layer_are_those_of_the_paper(layer, reference, numbers, amplitude):
    # In float32 spikes move by a step now and then, and later ones with them.
    x = drive(amplitude, 2000)
    wanted = reference(x, 1e-4, **numbers)["spikes"]
    spikes, _ = layer(N, dt=1e-4)(jnp.float32(x))
    assert np.abs(np.asarray(spikes).sum(0) - wanted.sum(0)).max() <= 1
    first = wanted.argmax(0)
    assert np.abs(np.asarray(spikes).argmax(0) - first)[wanted.any(0)].max() <= 1


@pytest.mark.few(2)
@pytest.mark.parametrize("threshold", [-40.0, -1e-3, 30.0])
def test_a_neuron_fires_once_at_its_threshold_of_either_sign_and_not_below(threshold):
    threshold, v_reset = np.float32(threshold), np.float32(-65)
    vmem = jnp.array([np.nextafter(threshold, np.float32(-100)), threshold, threshold + 500, -90])
    fire = Firing(reset="zero")
    after, spikes = fire(vmem, threshold, v_reset, unit=threshold - v_reset)
    np.testing.assert_array_equal(spikes, [0, 1, 1, 0])
    np.testing.assert_array_equal(after, [vmem[0], -65, -65, -90])
    assert np.isnan(fire(jnp.float32(np.nan), threshold, v_reset, unit=threshold - v_reset)[1])


def test_the_surrogate_sees_the_reset_at_0_and_the_threshold_at_1():
    vmem = jnp.linspace(-80.0, -20.0, 13)
    for surrogate in (Atan(2.0), PiecewiseLinear()):
        fire = Firing(surrogate, reset="none")

        def spikes(vmem, threshold, fire=fire):
            return fire(vmem, threshold, unit=jnp.float32(25.0))[1].sum()

        wanted = jax.grad(lambda u, s=surrogate: s(u, jnp.ones(()), 1).sum())(1 + (vmem + 40) / 25)
        by_vmem, by_threshold = jax.grad(spikes, (0, 1))(vmem, jnp.float32(-40.0))
        np.testing.assert_allclose(by_vmem, wanted / 25, rtol=1e-5)
        np.testing.assert_allclose(by_threshold, -wanted.sum() / 25, rtol=1e-5)


@pytest.mark.parametrize("layer", [AdEx, Izhikevich])
def test_a_threshold_at_the_reset_potential_or_below_is_an_error(layer):
    with pytest.raises(ValueError, match=r"^`threshold` must be above `v_reset`, -50\.0; got"):
        layer(3, threshold=-50.0, v_reset=-50.0)


@pytest.mark.few(1)
@pytest.mark.parametrize("layer", [AdEx, Izhikevich])
def test_thresholds_in_millivolts_have_a_gradient_through_many_spikes(layer):
    neurons = layer(N, dt=5e-4, frozen=())
    x = jnp.float32(drive(700.0 if layer is AdEx else 10.0, 200))

    def loss(threshold):
        spikes, _ = eqx.tree_at(lambda m: m.threshold, neurons, threshold)(x)
        return spikes.sum()

    slope = jax.jit(jax.grad(loss))(neurons.threshold)
    assert np.isfinite(slope)
    assert slope != 0
