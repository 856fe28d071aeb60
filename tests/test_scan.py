"""The scan's own derivatives against those that `lax.scan` gets from automatic differentiation."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import nn
from snnjax.neurons import Firing, lif, recurrent
from snnjax.nn import LIF, run_chunked
from snnjax.passthrough import round_passthrough
from snnjax.scan import scan
from snnjax.surrogate import PeriodicExponential

BATCH, STEPS, N = 3, 25, 6


def plain(step, state, inputs, *, record=False, weights=None, feedback=None):
    """What `scan` computes, differentiated by jax alone."""
    held = () if weights is None else (weights,)

    def body(before, x):
        after, y = step(before, x, *held)
        return after, (y, after if record else None)

    final, (outputs, states) = jax.lax.scan(body, state, inputs)
    return final, outputs, states


def close(got, expected, tolerance=1e-6):
    """Equal but for `tolerance`, relative to the largest value of each array."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(initial=1e-30))


def equal(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def layer_of(key, *, synapses=1, recurrent=False, **kwargs):
    keys = jax.random.split(key, 5)
    draw = jax.random.uniform
    return LIF(
        N,
        synapses=synapses,
        tau_mem=draw(keys[0], (N,), minval=3e-3, maxval=2e-2),
        tau_syn=draw(keys[1], (N, synapses), minval=2e-3, maxval=1e-2),
        threshold=draw(keys[2], (N,), minval=0.5, maxval=1.5),
        bias=0.05 * jax.random.normal(keys[3], (N,)),
        w_rec=0.3 * jax.random.normal(keys[4], (N, N * synapses)) if recurrent else None,
        **kwargs,
    )


def batch_of(key, layer):
    x_key, state_key, y_key = jax.random.split(key, 3)
    x = 0.4 * jax.random.normal(x_key, (BATCH, STEPS, N * layer.synapses))
    at_rest = layer.initial_state()
    state = jax.tree.map(
        lambda s: 0.3 * jax.random.uniform(state_key, (BATCH, *s.shape), s.dtype), at_rest
    )
    return x, state, jax.random.normal(y_key, (BATCH, STEPS, N))


def gradients(layer, x, state, weighting, key, *, record=False):
    """Of a loss that looks at the outputs, the last state and, if `record`, at all states."""

    def loss(layer, x, state):
        keys = jax.random.split(key, BATCH)
        run = functools.partial(nn.record if record else lambda *a, **k: (*layer(*a[1:], **k), {}))
        y, final, records = jax.vmap(lambda x, s, k: run(layer, x, s, key=k))(x, state, keys)
        value = jnp.sum(y * weighting) + sum(jnp.sum(s**2) for s in jax.tree.leaves(final))
        value += sum(jnp.sum(jnp.sin(r)) for r in records.values())
        return value, (y, final, records)

    arrays, static = eqx.partition(layer, eqx.is_inexact_array)
    f = jax.value_and_grad(
        lambda arrays, x, state: loss(eqx.combine(arrays, static), x, state), (0, 1, 2), True
    )
    return jax.jit(f)(arrays, x, state)


CASES = [
    {},
    {"synapses": 2},
    {"recurrent": True},
    {"recurrent": True, "synapses": 3, "output": "vmem", "record": True},
    {"recurrent": True, "surrogate": PeriodicExponential(), "max_spikes": 3, "noise_std": 2.0},
    {"synapses": 2, "leak": "decays", "surrogate": PeriodicExponential(relative=True)},
    {"leak": "bitshifts", "noise_std": 1.0, "record": True},
    {"recurrent": True, "frozen": ("w_rec", "threshold", "tau_mem")},
    {"frozen": ("tau_mem", "tau_syn", "threshold", "bias")},
]


@pytest.mark.few(0, slow=5)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_batch_through_a_layer(case, key, monkeypatch):
    record = case.get("record", False)
    layer = layer_of(key, **{name: value for name, value in case.items() if name != "record"})
    x, state, weighting = batch_of(key, layer)
    (loss, aux), grads = gradients(layer, x, state, weighting, key, record=record)
    monkeypatch.setattr("snnjax.nn._neuron.scan", plain)
    (plain_loss, plain_aux), plain_grads = gradients(layer, x, state, weighting, key, record=record)
    assert loss == plain_loss
    assert plain_aux[0].any()
    equal(aux, plain_aux)
    close(grads, plain_grads)


@pytest.mark.slow
@pytest.mark.parametrize("recurrent", [False, True])
def test_a_sequence_in_chunks(recurrent, key):
    layer = layer_of(key, recurrent=recurrent)
    x, state, weighting = jax.tree.map(lambda a: a[0], batch_of(key, layer))

    def loss(layer, x, state, ends):
        y, start = [], 0
        for end in ends:
            part, state = layer(x[start:end], state)
            y.append(part)
            start = end
        return jnp.sum(jnp.concatenate(y) * weighting)

    grad = eqx.filter_jit(eqx.filter_grad(lambda args, ends: loss(*args, ends)))
    # Parts of no step and of one step included.
    close(grad((layer, x, state), (0, 1, 7, STEPS)), grad((layer, x, state), (STEPS,)))


@pytest.mark.slow
@pytest.mark.parametrize("recurrent", [False, True])
def test_models_mapped_over(recurrent, key):
    keys = jax.random.split(key, 4)
    layers = eqx.filter_vmap(lambda k: layer_of(k, recurrent=recurrent))(keys)
    x, _, weighting = batch_of(key, layer_of(key))

    def loss(layer, x):
        return jnp.sum(jax.vmap(lambda x: layer(x)[0])(x) * weighting)

    grad = eqx.filter_grad(loss)
    mapped = eqx.filter_jit(eqx.filter_vmap(grad, in_axes=(eqx.if_array(0), None)))(layers, x)
    for i in range(4):
        one, got = (
            jax.tree.map(lambda a, i=i: a[i] if eqx.is_array(a) else a, tree)
            for tree in (layers, mapped)
        )
        close(got, eqx.filter_jit(grad)(one, x), 1e-5)


def smooth(vmem, threshold, max_spikes):
    return jax.nn.softplus(4 * (vmem / threshold - 1))


def as_function(run, key):
    """A loss of a recurrent kernel's parameters, input and initial state, run by `run`.

    Its spike function is smooth, so that there is only one answer to what its derivatives are: of
    surrogate gradients there is no second derivative.
    """
    layer = layer_of(key, recurrent=True)
    params = lif.LIFParams(*layer.alphas(), layer.threshold, layer.bias)
    x, state, weighting = jax.tree.map(lambda a: a[0], batch_of(key, layer))
    fire = Firing(smooth, max_spikes=31)

    def feedback(w_rec, before):
        return recurrent.fed_back(w_rec, before.output, (N, 1))

    def loss(args):
        params, w_rec, x, state = args

        def step(before, x, w_rec):
            kernel = functools.partial(lif.step, params, fire=fire)
            return recurrent.step(kernel, lambda y: feedback(w_rec, before), before, x)

        x = x.reshape(STEPS, N, 1)
        _, y, _ = run(step, state, x, weights=w_rec, feedback=feedback)
        return jnp.sum(jnp.tanh(y * weighting))

    return loss, (params, layer.w_rec, x, state)


def test_forward_mode(key):
    loss, args = as_function(scan, key)
    direction = jax.tree.map(jnp.cos, args)
    _, forward = jax.jit(lambda a: jax.jvp(loss, (a,), (direction,)))(args)
    reverse = jax.jit(jax.grad(loss))(args)
    parts = jax.tree.map(lambda g, d: jnp.sum(g * d), reverse, direction)
    np.testing.assert_allclose(forward, sum(jax.tree.leaves(parts)), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("outer", [jax.jvp, "grad"], ids=["jvp", "grad"])
def test_second_derivatives(outer, key):
    def product(run):
        loss, args = as_function(run, key)
        direction = jax.tree.map(jnp.cos, args)
        if outer is jax.jvp:
            return jax.jit(lambda a: jax.jvp(jax.grad(loss), (a,), (direction,))[1])(args)

        def slope(a):
            parts = jax.tree.map(lambda g, d: jnp.sum(g * d), jax.grad(loss)(a), direction)
            return sum(jax.tree.leaves(parts))

        return jax.jit(jax.grad(slope))(args)

    close(product(scan), product(plain), 1e-5)


@jax.custom_vjp
def rounded(x):
    return jnp.round(x)


rounded.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "nonlinearity",
    [
        jnp.tanh,
        round_passthrough,
        rounded,
        jax.jit(rounded),
        lambda x: jax.lax.cond(x.sum() > 0, rounded, jnp.tanh, x),
    ],
    ids=["tanh", "custom_jvp", "custom_vjp", "custom_vjp in jit", "custom_vjp in cond"],
)
def test_what_a_step_closes_over_is_differentiated(nonlinearity, key):
    """A parameter larger than the state included."""
    matrix, scale = 0.05 * jax.random.normal(key, (5, 40)), jnp.full(5, 0.3)
    xs = jax.random.normal(key, (BATCH, STEPS, 40))

    def loss(run, matrix, scale):
        def step(before, x):
            after = nonlinearity((0.9 * before + matrix @ x) / scale) * scale
            return after, after**2

        return jnp.sum(jax.vmap(lambda xs: run(step, jnp.zeros(5), xs)[1])(xs))

    got, expected = (
        jax.jit(jax.grad(functools.partial(loss, run), (0, 1)))(matrix, scale)
        for run in (scan, plain)
    )
    close(got, expected, 1e-5)


def test_a_state_may_hold_what_has_no_derivative(key):
    def step(before, x):
        count, random, v = before
        random, own = jax.random.split(random)
        v = 0.9 * v + x * jax.random.uniform(own)
        return (count + 1, random, v), (v, count)

    def loss(run, x):
        start = (jnp.zeros((), jnp.int32), key, jnp.zeros(N))
        (count, _, v), (vs, counts), _ = run(step, start, x, record=run is scan)
        return jnp.sum(jnp.sin(vs)) + jnp.sum(v), (count, counts)

    x = jax.random.normal(key, (STEPS, N))
    got, (count, counts) = jax.grad(functools.partial(loss, scan), has_aux=True)(x)
    close(got, jax.grad(functools.partial(loss, plain), has_aux=True)(x)[0])
    assert count == STEPS
    equal(counts, jnp.arange(STEPS, dtype=jnp.int32))


@pytest.mark.slow
@pytest.mark.parametrize("case", [{}, {"recurrent": True}, {"synapses": 2}], ids=str)
def test_less_is_kept_for_the_backward_pass(case, key, monkeypatch):
    layer = LIF(128, key=key, **case)
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    def memory():
        def loss(arrays, x):
            return jnp.sum(jax.vmap(lambda x: eqx.combine(arrays, static)(x)[0])(x) ** 2)

        x = jnp.zeros((4, 100, 128 * layer.synapses))
        compiled = jax.jit(jax.grad(loss, (0, 1))).lower(arrays, x).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    kept = memory()
    monkeypatch.setattr("snnjax.nn._neuron.scan", plain)
    assert kept < 0.9 * memory()


@pytest.mark.slow
def test_the_leak_that_jax_reports_in_gradients_is_of_equinox_checkpoints_without_us():
    """Gradients through neurons under `jax.checking_leaks` end in "Leaked trace" for this reason.

    `eqx.filter_checkpoint` of a function that closes over a parameter is enough; the scan has one.
    """

    def gradient(checkpoint):
        return jax.jit(jax.grad(lambda w: checkpoint(lambda s: s * w)(jnp.ones(3)).sum()))

    with jax.checking_leaks():
        gradient(jax.checkpoint)(jnp.ones(3))
        with pytest.raises(Exception, match="Leaked trace"):
            gradient(eqx.filter_checkpoint)(jnp.ones(3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap",
    [
        eqx.filter_jit,
        eqx.filter_checkpoint,
        lambda run: lambda x: jax.lax.map(run, x[None])[0],
        lambda run: lambda x: run_chunked(run.layer, x, chunk=2)[0],
    ],
    ids=["jit", "checkpoint", "map", "run_chunked"],
)
def test_a_program_within_vmap_is_differentiated_later(wrap, key):
    layer = LIF(3, recurrent=True, key=key)
    x = jax.random.uniform(key, (2, 5, 3), maxval=2.0)

    class Run(eqx.Module):
        layer: LIF

        def __call__(self, x):
            return self.layer(x)[0]

    def loss(layer, wrap):
        return jnp.square(jax.vmap(wrap(Run(layer)))(x)).sum()

    found, wanted = (eqx.filter_grad(loss)(layer, w) for w in (wrap, lambda run: run))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
