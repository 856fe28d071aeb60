"""What holds for every kernel: gradients, batches, hooks, resting states, errors."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.neurons import (
    Firing,
    adex,
    alif,
    cubalif,
    iaf,
    izhikevich,
    leaky,
    li,
    lif,
    lif_euler,
    plif,
    recurrent,
    refractory,
)
from snnjax.surrogate import PiecewiseLinear

N, STEPS = 3, 12


def smooth(vmem, threshold, max_spikes):
    """A spike function that is smooth, and so makes all of a kernel smooth."""
    return max_spikes * jax.nn.sigmoid(2 * (vmem - threshold))


def spread(low, high):
    return np.linspace(low, high, N)


LEAKS = {"alpha_mem": spread(0.5, 0.9), "alpha_syn": spread(0.8, 0.4)}
LEVELS = {"threshold": spread(0.7, 1.2), "v_reset": spread(-0.3, 0.1)}
EULER = LEVELS | {"r": spread(0.8, 1.5), "v_leak": spread(-0.2, 0.3)}
BOUND = {"min_vmem": spread(-9.0, -8.0)}
ADAPTIVE = LEAKS | LEVELS | BOUND | {"alpha_adapt": spread(0.6, 0.9), "adapt_scale": spread(0.5, 2)}
CUBA = EULER | {"tau_mem": spread(4e-3, 9e-3), "tau_syn": spread(3e-3, 5e-3), "w_in": spread(1, 2)}
LIF = {k: LEAKS[k][:, None] if k == "alpha_syn" else LEAKS[k] for k in LEAKS}
LIF |= LEVELS | {"bias": spread(-0.1, 0.1)}
EXPONENTIAL = CUBA | {
    "tau_adapt": spread(20e-3, 40e-3),
    "a": spread(0.1, 0.3),
    "b": spread(0.2, 0.4),
}
EXPONENTIAL |= {"v_rheo": spread(0.3, 0.5), "delta_t": spread(0.2, 0.3)}
EXPONENTIAL = {k: EXPONENTIAL[k] for k in adex.AdExParams._fields}
QUADRATIC = {"a": spread(0.02, 0.1), "b": spread(0.2, 0.25), "d": spread(2, 8), "r": spread(5, 9)}
QUADRATIC |= {"threshold": spread(-55, -50), "v_reset": spread(-66, -62)}

ZERO = {"reset": "zero"}
KERNELS = {
    "iaf": (iaf, iaf.IAFParams, LEVELS | BOUND, {"reset": "subtract"}),
    "iaf_zero": (iaf, iaf.IAFParams, LEVELS | BOUND, {"reset": "zero"}),
    "lif": (lif, lif.LIFParams, LIF, {}),
    "lif_zero": (lif, lif.LIFParams, LIF, {"reset": "zero"}),
    "lif_euler": (lif_euler, lif_euler.LIFEulerParams, EULER | {"tau": spread(4e-3, 9e-3)}, ZERO),
    "cubalif": (cubalif, cubalif.CubaLIFParams, CUBA, ZERO),
    "cubalif_subtract": (cubalif, cubalif.CubaLIFParams, CUBA, {"reset": "subtract"}),
    "leaky": (leaky, leaky.LeakyParams, LEAKS | LEVELS | BOUND, {"reset_delay": False}),
    "alif": (alif, alif.ALIFParams, ADAPTIVE, {}),
    "alif_zero": (alif, alif.ALIFParams, ADAPTIVE, {"reset": "zero", "norm_input": False}),
    "plif": (plif, plif.PLIFParams, LEVELS | {"w": spread(-1, 1)}, ZERO),
    "plif_undecayed": (
        plif,
        plif.PLIFParams,
        LEVELS | {"w": spread(-1, 1)},
        {"decay_input": False, **ZERO},
    ),
    "li": (li, li.LIParams, LEAKS | BOUND, {"norm_input": True}),
    "adex": (adex, adex.AdExParams, EXPONENTIAL, ZERO),
    "izhikevich": (izhikevich, izhikevich.IzhikevichParams, QUADRATIC, ZERO),
}
each_kernel = pytest.mark.parametrize("name", KERNELS)


def rest(module, params):
    if module is adex:
        return adex.init(params.v_leak, N)
    if module is izhikevich:
        return izhikevich.init(params.b, N)
    return module.init(N, synapse=True) if module in (leaky, alif, li) else module.init(N)


def kernel(name, surrogate=smooth, max_spikes=1):
    """The parameters, resting state, input and step of a kernel."""
    module, kind, numbers, settings = KERNELS[name]
    firing = Firing(surrogate, max_spikes, settings.get("reset", "subtract"))
    settings = {name: value for name, value in settings.items() if name != "reset"}
    if module is not li:
        settings = settings | {"fire": firing}
    if module in (lif_euler, cubalif, adex, izhikevich):
        settings = settings | {"dt": 1e-3}
    params = kind(**{k: jnp.asarray(v, float) for k, v in numbers.items()})
    state = rest(module, params)
    shape = (STEPS, N, 1) if module is lif else (STEPS, N)
    x = jnp.asarray(np.random.default_rng(0).uniform(-0.6, 1.6, shape), float)
    return SimpleNamespace(
        params=params,
        state=state,
        x=x,
        step=functools.partial(module.step, **settings),
        run=lambda params, state, x, **more: jax.lax.scan(
            functools.partial(module.step, params, **settings, **more), state, x
        ),
    )


def total(k, params, state, x):
    """A smooth function of everything that goes in, through everything that comes out."""
    final, y = k.run(params, state, x)
    weights = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
    return (y * weights).sum() + sum(jnp.sin(s).sum() for s in jax.tree.leaves(final))


@pytest.mark.few(3)
@each_kernel
def test_gradients_are_those_of_finite_differences(name):
    with jax.enable_x64(True):
        k = kernel(name, max_spikes=0.9)
        given = (k.params, jax.tree.map(lambda s: s + 0.1, k.state), k.x)
        graded = jax.jit(jax.value_and_grad(lambda given: total(k, *given)))
        gradients = graded(given)[1]
        rng = np.random.default_rng(1)
        for part in range(3):  # parameters, state and input, each in a random direction
            flat, tree = jax.tree.flatten(given[part])
            steps = [jnp.asarray(1e-6 * rng.normal(size=a.shape) * np.abs(a).max()) for a in flat]
            up, down = (
                graded((*given[:part], jax.tree.unflatten(tree, moved), *given[part + 1 :]))[0]
                for moved in (
                    [a + s for a, s in zip(flat, steps, strict=True)],
                    [a - s for a, s in zip(flat, steps, strict=True)],
                )
            )
            parts = zip(jax.tree.leaves(gradients[part]), steps, strict=True)
            slope = sum((g * s).sum() for g, s in parts) / 1e-6
            assert abs(slope) > 1e-3
            np.testing.assert_allclose((up - down) / 2e-6, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.few(1)
@pytest.mark.parametrize("shape", [(2,), (2, 3, 4)], ids=["dense", "convolution"])
def test_gradients_through_recurrence_are_those_of_finite_differences(shape):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        w_rec, bias, x = (
            jnp.asarray(rng.normal(scale=scale, size=size))
            for scale, size in (
                (0.5, (2, 2) if len(shape) == 1 else (2, 2, 3, 2)),
                (0.1, (2,) + (1,) * (len(shape) - 1)),
                (1.0, (STEPS, *shape)),
            )
        )
        connect = recurrent.dense if len(shape) == 1 else recurrent.convolution
        params = iaf.IAFParams(jnp.full(shape, 0.8))
        kernel = functools.partial(iaf.step, params, fire=Firing(smooth, 0.9))

        @jax.jit
        @jax.value_and_grad
        def loss(given):
            w_rec, bias, x = given
            step = functools.partial(recurrent.step, kernel, connect(w_rec, bias))
            final, y = jax.lax.scan(step, recurrent.init(iaf.init(shape), shape), x)
            return jnp.sin(y).sum() + (final.inner.vmem**2).sum()

        _, gradients = loss((w_rec, bias, x))
        for part in range(3):
            direction = [jnp.zeros_like(a) for a in (w_rec, bias, x)]
            direction[part] = jnp.asarray(1e-6 * rng.normal(size=direction[part].shape))
            up, down = (
                loss(jax.tree.map(lambda a, d: a + sign * d, (w_rec, bias, x), tuple(direction)))[0]  # noqa: B023
                for sign in (1, -1)
            )
            slope = (gradients[part] * direction[part]).sum() / 1e-6
            assert abs(slope) > 1e-3
            np.testing.assert_allclose((up - down) / 2e-6, slope, rtol=1e-6)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", {module: name for name, (module, *_) in KERNELS.items()}.values())
def test_a_batch_by_vmap_equals_a_loop(name):
    k = kernel(name, PiecewiseLinear())
    batch = jnp.stack([k.x, 2 * k.x, -k.x])
    graded = jax.value_and_grad(functools.partial(total, k), (0, 2))
    together = jax.jit(jax.vmap(graded, in_axes=(None, None, 0)))(k.params, k.state, batch)
    alone = jax.jit(graded)
    for i, x in enumerate(batch):
        found = jax.tree.map(lambda a: a[i], together)  # noqa: B023
        for a, b in zip(*map(jax.tree.leaves, (found, alone(k.params, k.state, x))), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.few(14)
@each_kernel
def test_a_hook_sees_each_state_once_in_a_step_and_changes_it(name):
    k, seen = kernel(name, PiecewiseLinear()), []

    def hook(state, value):
        seen.append(state)
        return jnp.full_like(value, 5.3) if state == "vmem" else value

    after, y = k.step(k.params, k.state, k.x[0], hook=hook)
    states = [s for s in ("isyn", "vmem", "adaptation", "recovery") if s in after._fields]
    assert seen == states
    if name == "li":
        np.testing.assert_allclose(y, 5.3)
    else:
        assert (y == 1).all()


@pytest.mark.parametrize(
    "name", [n for n in KERNELS if KERNELS[n][0] not in (lif, adex, izhikevich)]
)
@pytest.mark.parametrize("dtype", [None, jnp.float16])
def test_the_resting_state_is_zero_and_each_array_its_own(name, dtype):
    module = KERNELS[name][0]
    state = module.init((2, 4), dtype)
    leaves = jax.tree.leaves(state)
    assert all(a.shape == (2, 4) and a.dtype == (dtype or jnp.float32) for a in leaves)
    assert not any(a.any() for a in leaves)
    # Two names of one buffer could not be donated.
    jax.jit(lambda s: jax.tree.map(lambda a: a + 1, s), donate_argnums=0)(state)


@pytest.mark.parametrize("name", ["iaf", "lif_euler", "cubalif", "leaky", "alif", "plif"])
def test_an_unknown_reset_is_an_error(name):
    k = kernel(name)
    with pytest.raises(ValueError, match=r"`reset` must be one of .*; got 'hard'"):
        k.step(k.params, k.state, k.x[0], fire=Firing(smooth, reset="hard"))


@pytest.mark.parametrize("name", ["leaky", "alif", "li"])
def test_a_synapse_needs_both_a_decay_and_a_current(name):
    k = kernel(name)
    with pytest.raises(ValueError, match="synapse=True"):
        k.step(k.params, k.state._replace(isyn=None), k.x[0])
    with pytest.raises(ValueError, match="synapse=False"):
        k.step(k.params._replace(alpha_syn=None), k.state, k.x[0])


# ----- the order of things, where the peers' vectors leave it open


def test_the_membrane_of_a_cubalif_sees_the_new_current():
    one = jnp.ones(())
    params = cubalif.CubaLIFParams(2 * one, 4 * one, one, 0 * one, 9 * one, w_in=one)
    fire = Firing(smooth, max_spikes=0)
    state, _ = cubalif.step(params, cubalif.init(1), jnp.array([8.0]), dt=1.0, fire=fire)
    assert (state.isyn, state.vmem) == (2.0, 1.0)


def test_a_delayed_reset_comes_one_step_later():
    params = leaky.LeakyParams(jnp.float32(0.5), jnp.ones(()))
    for reset, wipe, wanted in (
        ("subtract", False, 0.5 * 1.5 + 0.25 - 1),
        ("zero", False, 0.25),
        ("zero", True, 0.0),
        ("none", False, 0.5 * 1.5 + 0.25),
    ):
        fire = Firing(reset=reset)
        step = functools.partial(leaky.step, params, fire=fire, wipe_input=wipe)
        state, spikes = step(leaky.init(()), jnp.float32(1.5))
        assert (state.vmem, spikes) == (1.5, 1)
        state, _ = step(state, jnp.float32(0.25))
        assert state.vmem == wanted


def test_no_gradient_passes_a_delayed_or_a_detached_reset():
    params = leaky.LeakyParams(jnp.ones(()), jnp.ones(()))

    def slope(reset_delay=True, detach_reset=False):
        def vmem(x):
            fire = Firing(detach_reset=detach_reset)
            step = functools.partial(leaky.step, params, fire=fire, reset_delay=reset_delay)
            state, _ = step(leaky.init(()), x)
            return step(state, jnp.zeros(()))[0].vmem

        return jax.grad(vmem)(jnp.float32(1.5))

    assert slope() == 1
    assert slope(reset_delay=False, detach_reset=True) == 1
    assert slope(reset_delay=False) == 0


# ----- recurrence and refractoriness around any kernel


def test_recurrence_feeds_back_what_came_out_a_step_before():
    kernel = functools.partial(iaf.step, iaf.IAFParams(jnp.ones(2)), fire=Firing(max_spikes=9))
    w_rec = jnp.array([[0.0, 0.25], [0.0, 0.0]])  # from neuron 0 to neuron 1
    step = functools.partial(recurrent.step, kernel, recurrent.dense(w_rec, jnp.array([0.0, 0.5])))
    state = recurrent.init(iaf.init(2), 2)
    state, y = step(state, jnp.array([3.0, 0.0]))
    np.testing.assert_array_equal(y, [3, 0])
    np.testing.assert_array_equal(state.inner.vmem, [0, 0.5])
    state, y = step(state, jnp.zeros(2))
    np.testing.assert_array_equal(y, [0, 1])
    np.testing.assert_array_equal(state.inner.vmem, [0, 0.75])


@pytest.mark.parametrize("size", [(3, 3), (1, 3), (2, 4)])
def test_a_recurrent_convolution_keeps_the_size_and_reaches_its_neighbours(size):
    w_rec = np.random.default_rng(0).normal(size=(2, 2, *size)).astype(np.float32)
    y = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    wanted = np.zeros_like(y)
    up, left = size[0] // 2, size[1] // 2
    for o, i, dy, dx in np.ndindex(*w_rec.shape):
        for row, column in np.ndindex(5, 4):
            r, c = row + dy - up, column + dx - left
            if 0 <= r < 5 and 0 <= c < 4:
                wanted[o, row, column] += w_rec[o, i, dy, dx] * y[i, r, c]
    np.testing.assert_allclose(recurrent.convolution(jnp.array(w_rec))(y), wanted, atol=1e-5)


@pytest.mark.parametrize(("hold", "wanted"), [(True, 0.25), (False, 0.25 + 2 * 0.75)])
def test_a_refractory_neuron_waits(hold, wanted):
    kernel = functools.partial(iaf.step, iaf.IAFParams(jnp.ones(())))
    step = functools.partial(refractory.step, kernel, fire=Firing(), steps=2, hold=hold)
    state, spikes = step(refractory.init(iaf.init(()), ()), jnp.float32(1.25))
    assert (spikes, state.remaining) == (1, 2)
    for left in (1, 0):
        state, spikes = step(state, jnp.float32(0.75))
        assert (spikes, state.remaining) == (0, left)
    assert state.inner.vmem == wanted
    state, spikes = step(state, jnp.float32(0.75))
    assert spikes == 1


@pytest.mark.parametrize(("reset", "wanted"), [("subtract", 0.5), ("zero", -0.25)])
@pytest.mark.parametrize("delay", [True, False])
def test_a_refractory_neuron_is_held_after_its_reset_also_if_that_is_delayed(reset, wanted, delay):
    v_reset = jnp.float32(-0.25) if reset == "zero" else None
    params = leaky.LeakyParams(jnp.float32(0.5), jnp.ones(()), v_reset=v_reset)
    kernel = functools.partial(leaky.step, params, reset_delay=delay)
    fire = Firing(reset=reset)

    def step(state, x):
        held = leaky.settled(params, state.inner, fire=fire) if delay else None
        after, y = refractory.step(kernel, state, x, fire=fire, steps=2, held=held)
        return after, (y, after.inner.vmem)

    _, (spikes, vmem) = jax.lax.scan(
        step,
        refractory.init(leaky.init(()), ()),
        jnp.float32([1.5, 9.0, 9.0, 0.25, 0.0]),
    )
    np.testing.assert_array_equal(spikes, [1, 0, 0, 0, 0])
    after = wanted / 2 + 0.25
    shown = 1.5 if delay else wanted
    np.testing.assert_array_equal(vmem, [shown, wanted, wanted, after, after / 2])


def test_a_refractory_neuron_does_not_adapt_to_spikes_it_did_not_fire():
    one = jnp.ones(())
    params = alif.ALIFParams(0.5 * one, 0.5 * one, one, one)
    kernel = functools.partial(alif.step, params, norm_input=False)
    state = refractory.init(alif.init(())._replace(adaptation=one), ())
    state = state._replace(remaining=jnp.ones((), jnp.int32))
    state, spikes = refractory.step(kernel, state, 9 * one, fire=Firing(), steps=3, hold=False)
    assert (spikes, state.inner.adaptation, state.inner.vmem) == (0, 0.5, 9)


def test_a_lif_with_several_synapses_may_be_refractory_too():
    params = lif.LIFParams(jnp.full(2, 0.9), jnp.full((2, 3), 0.8), jnp.ones(2))
    kernel = functools.partial(lif.step, params)
    step = functools.partial(refractory.step, kernel, fire=Firing(max_spikes=5), steps=3)
    x = jnp.full((STEPS, 2, 3), 2.0)
    _, spikes = jax.lax.scan(step, refractory.init(lif.init(2, 3), 2), x)
    np.testing.assert_array_equal(np.flatnonzero(spikes[:, 0]), [0, 4, 8])
    assert spikes.max() > 1
