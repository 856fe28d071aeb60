"""The integrate-and-fire kernel, and its closed form in time against the loop."""

import dataclasses
import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.neurons import Firing, iaf
from snnjax.surrogate import Atan, PeriodicExponential, PiecewiseLinear, SingleExponential

FIRE = Firing(max_spikes=math.inf)


def loop(threshold, state, x, *, surrogate):
    """What `closed_form` gives, step by step."""
    fire = Firing(surrogate, math.inf)
    kernel = functools.partial(iaf.step, iaf.IAFParams(threshold), fire=fire)

    def body(before, x_t):
        after, spikes = kernel(before, x_t)
        return after, (spikes, after.vmem)

    final, (spikes, vmem) = jax.lax.scan(body, state, x)
    return final, spikes, vmem


def test_the_closed_form_has_the_spikes_of_the_loop_in_10000_cases():
    # Multiples of 1/64 add up without rounding, so the two must be equal, not close.
    cases, steps = 10_000, 40
    rng = np.random.default_rng(0)
    mean = rng.uniform(-0.4, 1.5, (cases, 1))
    x = np.round((mean + rng.normal(size=(cases, steps))) * 64) / 64
    x *= rng.random((cases, 1)) > rng.random((cases, steps))
    start = np.round(rng.uniform(-2, 2, cases) * 64) / 64
    threshold = rng.integers(16, 128, cases) / 64
    arguments = [jnp.float32(value) for value in (threshold, start, x)]

    def run(form):
        surrogate = PiecewiseLinear()
        return jax.jit(jax.vmap(lambda t, v, x: form(t, iaf.IAFState(v), x, surrogate=surrogate)))(
            *arguments
        )

    wanted, found = run(loop), run(iaf.closed_form)
    assert np.max(wanted[1]) > 5
    assert 0.1 < np.mean(wanted[1] > 0) < 0.6
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "surrogate",
    [
        PeriodicExponential(),
        Atan(jnp.array(2.0)),
        SingleExponential(jnp.array([0.3, 0.5, 0.7]), periodic=True),
    ],
    ids=lambda surrogate: type(surrogate).__name__,
)
def test_the_closed_form_has_the_gradients_of_the_loop(surrogate):
    rng = np.random.default_rng(1)
    x = jnp.float32(rng.normal(0.3, 0.8, (24, 3)))
    threshold, start = jnp.array([0.5, 1.0, 1.5]), jnp.array([0.3, -0.2, 0.0])
    weights = jnp.float32(rng.normal(size=(2, 24, 3)))

    def gradients(form):
        @eqx.filter_jit
        @eqx.filter_grad
        def loss(arguments):
            threshold, start, x, surrogate = arguments
            final, spikes, vmem = form(threshold, iaf.IAFState(start), x, surrogate=surrogate)
            return (spikes * weights[0] + vmem * weights[1]).sum() + final.vmem.sum()

        return loss((threshold, start, x, surrogate))

    wanted, found = (jax.tree.leaves(gradients(form)) for form in (loop, iaf.closed_form))
    assert len(wanted) == 3 + len(jax.tree.leaves(eqx.filter(surrogate, eqx.is_array)))
    for a, b in zip(found, wanted, strict=True):
        # Products of up to 24 factors 1 - threshold*slope, taken in another order.
        assert np.abs(a - b).max() < 2e-5 * np.abs(b).max()


def test_the_closed_form_works_forward_and_for_one_argument_alone():
    x, surrogate = jnp.float32([[0.6], [0.7], [-0.2], [2.0]]), SingleExponential()

    @functools.partial(jax.jit, static_argnums=0)
    def tangents(form):
        def vmem(threshold, x):
            return form(threshold, iaf.init(1), x, surrogate=surrogate)[2]

        one = jnp.ones(())
        by_x = jax.jvp(lambda x: vmem(one, x), (x,), (jnp.ones((4, 1)),))[1]
        by_threshold = jax.jvp(lambda t: vmem(t, x), (one,), (one,))[1]
        return by_x, by_threshold

    for a, b in zip(tangents(iaf.closed_form), tangents(loop), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_closed_form_goes_on_from_a_state():
    x = jnp.float32(np.random.default_rng(2).normal(0.3, 1, (20, 4)))
    run = jax.jit(functools.partial(iaf.closed_form, jnp.ones(4), surrogate=PiecewiseLinear()))
    whole = run(iaf.init(4), x)
    state, first, _ = run(iaf.init(4), x[:10])
    state, second, _ = run(state, x[10:])
    np.testing.assert_array_equal(whole[1], np.concatenate([first, second]))
    np.testing.assert_allclose(state.vmem, whole[0].vmem, atol=1e-5)


def vmem_after(vmem, x, params=None, **changed):
    params = params or iaf.IAFParams(jnp.ones(()))
    fire = dataclasses.replace(FIRE, **changed)
    state, spikes = iaf.step(params, iaf.IAFState(jnp.float32(vmem)), jnp.float32(x), fire=fire)
    return float(state.vmem), float(spikes)


def test_nothing_leaks():
    assert vmem_after(0.25, 0.5) == (0.75, 0)


def test_a_neuron_fires_as_often_as_its_threshold_fits():
    assert vmem_after(0.25, 3.5) == (0.75, 3)


def test_what_a_cap_holds_back_stays():
    assert vmem_after(0.25, 3.5, max_spikes=2) == (1.75, 2)


def test_a_reset_to_a_potential_forgets_what_was_left():
    params = iaf.IAFParams(jnp.ones(()), v_reset=jnp.float32(-0.5))
    assert vmem_after(0.25, 3.5, params, reset="zero") == (-0.5, 3)
    assert vmem_after(0.25, 0.5, params, reset="zero") == (0.75, 0)


def test_the_lower_bound_comes_after_the_reset():
    params = iaf.IAFParams(jnp.ones(()), v_reset=jnp.float32(-2.0), min_vmem=jnp.float32(-1.0))
    assert vmem_after(0.25, 1.0, params, reset="zero") == (-1.0, 1)
    assert vmem_after(0.25, -9.0, params) == (-1.0, 0)


def test_a_neuron_at_its_lower_bound_passes_no_gradient():
    params = iaf.IAFParams(jnp.ones(()), min_vmem=jnp.float32(-1.0))
    start = iaf.IAFState(jnp.float32(-0.5))
    slope = jax.grad(lambda x: iaf.step(params, start, x, fire=FIRE)[0].vmem)
    assert [slope(jnp.float32(x)) for x in (-0.6, -0.5, -0.4)] == [0, 0, 1]
