"""The loop that goes back in blocks, against `lax.scan` differentiated by jax alone."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax._time_loop import _blocks, _primitives
from snnjax.nn import LIF, Leaky
from snnjax.scan import scan

from .test_scan import BATCH, STEPS, N, batch_of, close, equal, gradients, layer_of, plain


@pytest.fixture
def blocks(monkeypatch):
    """Blocks, whatever the size. The last one has a step, the others have 4."""
    monkeypatch.setattr(_primitives, "MANY_BYTES", 0)
    monkeypatch.setattr(_primitives, "SOME_BYTES", 0)
    monkeypatch.setattr(_blocks, "LENGTH", 4)


CASES = [
    {},
    {"synapses": 2, "output": "vmem"},
    {"leak": "decays", "noise_std": 1.0, "max_spikes": 1},
    {"frozen": ("tau_mem", "tau_syn", "threshold", "bias")},
]


@pytest.mark.few(1)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_batch_through_a_layer(case, blocks, key, monkeypatch):
    layer = layer_of(key, **case)
    x, state, weighting = batch_of(key, layer)
    (_, made), grads = gradients(layer, x, state, weighting, key)
    monkeypatch.setattr("snnjax.nn._neuron.scan", plain)
    (_, wanted), plain_grads = gradients(layer, x, state, weighting, key)
    assert made[0].any()
    equal(made, wanted)
    close(grads, plain_grads, 2e-6)


def of_batch(run, axis=0, smooth=jax.nn.softplus):
    """A smooth function of parameters, states and inputs of a batch: all of its derivatives are.

    The axis of the batch among that of the inputs and outputs is 0, or 1 after the time.
    """

    def one(decays, threshold, state, x):
        def step(before, x):
            v, trace = before
            v = decays * v + jnp.tanh(x["drive"]) * trace
            y = smooth(v - threshold)
            return (v - 0.3 * y, 0.8 * trace + x["leak"]), (y, jnp.sin(v) * trace)

        final, outputs, _ = run(step, state, x)
        return final, outputs

    return jax.vmap(one, (None, None, 0, axis), (0, axis))


def arguments(key):
    draw = functools.partial(jax.random.uniform, minval=0.2, maxval=0.9)
    keys = jax.random.split(key, 6)
    state = (draw(keys[2], (BATCH, 3)), draw(keys[3], (BATCH, 3)))
    x = {"drive": draw(keys[4], (BATCH, 9, 3)), "leak": draw(keys[5], (BATCH, 9, 3))}
    return draw(keys[0], (3,)), draw(keys[1], ()), state, x


def loss_of(run, smooth=jax.nn.softplus):
    def loss(args, axis=0):
        *others, x = args
        x = jax.tree.map(lambda x: jnp.moveaxis(x, 0, axis), x)
        final, outputs = of_batch(run, axis, smooth)(*others, x)
        weights = [jnp.cos(jnp.arange(y.size)).reshape(y.shape) for y in jax.tree.leaves(outputs)]
        parts = zip(jax.tree.leaves(outputs), weights, strict=True)
        return sum(jnp.sum(y * w) for y, w in parts) + jnp.sum(final[0] ** 2)

    return loss


def directions(args):
    return jax.tree.map(lambda a: jnp.cos(3 * a), args)


MODES = {
    "grad": lambda loss: jax.grad(loss),
    "jvp": lambda loss: lambda args: jax.jvp(loss, (args,), (directions(args),)),
    "linearize": lambda loss: lambda args: jax.linearize(loss, args)[1](directions(args)),
    "forward over reverse": lambda loss: (
        lambda args: jax.jvp(jax.grad(loss), (args,), (directions(args),))
    ),
    "reverse over forward": lambda loss: jax.grad(
        lambda args: jax.jvp(loss, (args,), (directions(args),))[1]
    ),
    "reverse over reverse": lambda loss: jax.grad(
        lambda args: sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss)(args)))
    ),
    "forward Jacobian": lambda loss: (
        lambda args: jax.jacfwd(lambda d: loss((d, *args[1:])))(args[0])
    ),
    "Hessian": lambda loss: lambda args: jax.hessian(lambda d: loss((d, *args[1:])))(args[0]),
    "within checkpoint": lambda loss: jax.grad(jax.checkpoint(loss)),
    "of mapped parameters": lambda loss: (
        lambda args: jax.vmap(lambda decays: jax.grad(loss)((decays, *args[1:])))(
            jnp.stack([args[0], args[0] / 2])
        )
    ),
    "time first": lambda loss: jax.grad(lambda args: loss(args, axis=1)),
    "by inputs alone": lambda loss: lambda args: jax.grad(lambda x: loss((*args[:3], x)))(args[3]),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_differentiation(mode, blocks, key):
    found, wanted = (jax.jit(MODES[mode](loss_of(run)))(arguments(key)) for run in (scan, plain))
    close(found, wanted, 5e-6)


@pytest.mark.slow
def test_parameters_and_inputs_may_be_mapped_or_shared(blocks, key):
    decays, threshold, state, x = arguments(key)
    many = jnp.linspace(0.5, 1.5, 4)[:, None] * decays

    def loss(run, many, threshold, state, x):
        axes = ((0, None, None, None), (None, 0, None, None))
        of_one = of_batch(run)
        for each in axes:  # twice: an axis of parameters within one of thresholds
            of_one = jax.vmap(of_one, each)
        final, outputs = of_one(many, jnp.stack([threshold, 2 * threshold]), state, x)
        return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves((final, outputs)))

    found, wanted = (
        jax.jit(jax.grad(functools.partial(loss, run), (0, 1, 2, 3)))(many, threshold, state, x)
        for run in (scan, plain)
    )
    close(found, wanted, 5e-6)


def test_the_size_of_the_whole_batch_decides(monkeypatch):
    """A second `jax.vmap` within one that is too small included."""
    layer = Leaky(4, 0.9)
    x = jnp.zeros((2, 3, 20, 4))

    def in_blocks(x, axis=0):
        run = layer
        for _ in x.shape[:-2]:
            run = jax.vmap(run, axis, (axis, 0))
        program = jax.make_jaxpr(jax.grad(lambda x: run(x)[0].sum()))(x)
        return "time_loop_pull" in str(program)

    size = 6 * 20 * 4 * (1 + 2 + 1) * 4  # inputs, two states, and outputs, of four bytes each
    for limit, expected in ((size, True), (size + 1, False)):
        monkeypatch.setattr(_primitives, "MANY_BYTES", limit)
        assert in_blocks(x) == in_blocks(x.reshape(6, 20, 4)) == expected
        assert not in_blocks(x[0])
        # Where the batch lies after the time, one loop makes no copies.
        assert not in_blocks(jnp.moveaxis(x.reshape(6, 20, 4), 0, 1), axis=1)


@pytest.mark.slow
def test_less_is_kept_than_by_one_loop(monkeypatch):
    """Of states only those before blocks."""
    layer = LIF(64, key=jax.random.key(0))
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    def memory():
        def loss(arrays, x):
            return jnp.sum(jax.vmap(lambda x: eqx.combine(arrays, static)(x)[0])(x) ** 2)

        compiled = jax.jit(jax.grad(loss, (0, 1))).lower(arrays, jnp.zeros((8, 500, 64))).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    one_loop = memory()
    monkeypatch.setattr(_primitives, "MANY_BYTES", 0)
    assert memory() < 0.7 * one_loop


def test_what_cannot_be_cut_is_not(blocks, key):
    """A state of whole numbers, and a parameter that is larger than the state."""
    matrix = jax.random.normal(key, (N, 2 * N))

    def step(before, x):
        count, v = before
        v = 0.9 * v + matrix @ jnp.concatenate([x, x])
        return (count + 1, v), v

    start = (jnp.zeros((), jnp.int32), jnp.zeros(N))
    xs = jax.random.normal(key, (STEPS, N))
    (count, v), vs, _ = scan(step, start, xs)
    assert count == STEPS
    np.testing.assert_array_equal(v, vs[-1])
    text = str(jax.make_jaxpr(lambda xs: scan(step, start, xs)[1])(xs))
    assert "time_loop" not in text


def test_one_sequence_and_whole_blocks(blocks, key):
    layer = layer_of(key)
    x = jax.random.normal(key, (8, N))
    weighting = jnp.cos(jnp.arange(8.0))[:, None]

    def by_step(x):
        outputs, state = [], layer.initial_state()
        for row in x:
            y, state = layer.step(row, state)
            outputs.append(y)
        return jnp.stack(outputs)

    def gradient(run):
        return jax.grad(lambda x: jnp.sum(run(x) * weighting))(x)

    close(gradient(lambda x: layer(x)[0]), gradient(by_step), 1e-5)
