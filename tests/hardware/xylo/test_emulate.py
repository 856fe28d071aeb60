"""The emulation is the simulator's arithmetic, to the bit, with gradients to train through."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Residual, Sequential, SynNet
from snnjax.hardware import xylo
from snnjax.hardware.xylo import _course
from snnjax.surrogate import PeriodicExponential

from .reference import assert_emulates

FINE = dataclasses.replace(xylo.XYLO_AUDIO_3, weight_bits=16, state_bits=24)


def linear(n_in, n_out, seed, gain):
    layer = eqx.nn.Linear(n_in, n_out, use_bias=False, key=jax.random.key(seed))
    return eqx.tree_at(lambda m: m.weight, layer, gain * layer.weight)


def network(seed, gain):
    """Two synapses, recurrence, biases and a recurrent Residual: everything that can be mapped."""
    rng = np.random.default_rng(seed)

    def neurons(n, synapses=1, **settings):
        return LIF(
            n,
            synapses=synapses,
            tau_mem=rng.uniform(1e-3, 20e-3, n),
            tau_syn=rng.uniform(1e-3, 30e-3, (n, synapses)),
            threshold=rng.uniform(0.5, 2, n),
            bias=0.1 * rng.normal(size=n),
            surrogate=PeriodicExponential(),
            key=jax.random.key(seed),
            **settings,
        )

    return Sequential(
        linear(4, 12, seed, gain),
        neurons(6, synapses=2, recurrent=True),
        Residual(linear(6, 6, seed + 1, gain), neurons(6, recurrent=True)),
        linear(6, 3, seed + 2, gain),
        neurons(3, max_spikes=1),
    )


def synnet(gain=1.7):
    taus = {"tau_mem": 2e-2, "tau_syn_base": 2e-2, "tau_syn_out": 2e-2, "dt": 1e-2}
    model = SynNet(4, 8, (12, 12), (2, 4), key=jax.random.key(0), **taus)
    return eqx.tree_at(
        lambda m: [m.layers[i].weight for i in (0, 2, 4)], model, replace_fn=lambda w: gain * w
    )


def raster(mean, channels=4, batch=3, steps=30):
    return np.random.default_rng(7).poisson(mean, (batch, steps, channels))


@eqx.filter_jit
def emulated(model, x, method, bits=None):
    return xylo.emulate(model, method=method, bits=bits)(x)


DRAWN = (3, 0.5), (10, 2.0), (20, 12.0)
"""Gains of the weights and means of the input: from little to what saturates."""


def assert_equal(model, x, method="channel", bits=None):
    """Every state and spike of the emulation is the simulator's; returns the simulator's."""
    spec = xylo.quantize(xylo.map_network(model), method=method, bits=bits)
    xylo.require(spec)
    trace = xylo.simulate(spec, x)
    run = emulated(model, jnp.asarray(x, jnp.float32), method, bits)
    assert_emulates(run, trace)
    return spec, trace


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "largest"), [(2, 1), (4, 7)])
def test_weights_of_fewer_bits_are_shifted_and_equal_the_simulator(bits, largest):
    spec, trace = assert_equal(network(0, 10), raster(2.0), bits=bits)
    assert spec.weight_shift_in == 8 - bits
    assert max(int(jnp.abs(w).max()) for w in (spec.w_in, spec.w_rec, spec.w_out)) == largest
    assert trace.spikes_out.sum() > 50


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("method", "gain", "mean"),
    [
        *((method, *drawn) for method in ("channel", "global") for drawn in DRAWN),
        ("least_squares", *DRAWN[1]),
    ],
)
def test_every_state_and_spike_equals_the_simulator(method, gain, mean):
    saturated = spikes = 0
    for seed in range(4):
        _, trace = assert_equal(network(seed, gain), raster(mean), method)
        saturated += int((np.abs(np.asarray(trace.isyn)) >= 32767 // 2).sum())
        spikes += int(trace.spikes_out.sum())
    assert spikes > 50
    assert saturated or mean < 1


@pytest.mark.few(0, slow=1)
@pytest.mark.parametrize("method", ["least_squares", "channel", "global"])
def test_bits_are_swept_over_in_one_program(method):
    model, x, bits = network(0, 10), raster(2.0, steps=12), (2, 5, 8)
    counts = jnp.asarray(x, jnp.float32)
    run = jax.jit(jax.vmap(lambda bits: xylo.emulate(model, method=method, bits=bits)(counts)))
    found = run(jnp.array(bits))
    for i, each in enumerate(bits):
        spec = xylo.quantize(xylo.map_network(model), method=method, bits=each)
        assert_emulates(jax.tree.map(lambda y, i=i: y[i], found), xylo.simulate(spec, x))


@pytest.mark.slow
def test_bits_of_an_array_are_those_of_a_number_where_they_are_known():
    model = network(0, 10)
    known = xylo.emulate(model, bits=jnp.array(4))
    assert eqx.tree_equal(known, xylo.emulate(model, bits=4))
    with pytest.raises(ValueError, match="`bits` must be from 2 to 8, those of the weights"):
        xylo.emulate(model, bits=jnp.array(9))
    spec = xylo.map_network(model)
    with pytest.raises(ValueError, match=r"`bits` must be from 2 to 8.*; got JitTracer"):
        jax.jit(lambda bits: xylo.quantize(spec, bits=bits))(4)


def test_a_current_that_saturates_for_a_while_only_equals_the_simulator():
    recurrent = network(3, 10)
    model = eqx.tree_at(
        lambda m: [m.layers[1].w_rec, m.layers[2].layers[1].w_rec],
        recurrent,
        replace_fn=jnp.zeros_like,
    )
    x = raster(0.3)
    x[:, 12:] = 0
    x[0, :12] = 15
    _, trace = assert_equal(model, x)
    highest = np.abs(np.asarray(trace.isyn))[:, :, :6].max((0, 2, 3))  # fed by the input alone
    assert highest.max() > 30_000
    assert highest[-1] < 20_000


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 1, 17, 29])
def test_a_run_is_done_again_from_where_a_current_may_saturate(monkeypatch, step):
    begins = []

    def spy(condition, body, start, original=_course.while_loop):
        begins.append(int(start[0]))
        return original(condition, body, start)

    chip = dataclasses.replace(xylo.XYLO_AUDIO_3, state_bits=13)
    model, x = synnet(), np.zeros((2, 30, 8), int)
    x[:, ::4, 0] = 1
    x[1, step] = 15
    with monkeypatch.context() as patch:
        patch.setattr(_course, "while_loop", spy)
        run = xylo.emulate(model, chip=chip)(x)
    assert begins[0] == step
    trace = xylo.simulate(xylo.quantize(xylo.map_network(model, chip=chip)), x)
    assert_emulates(run, trace)


@pytest.mark.slow
def test_a_long_residual_that_ends_in_recurrence_equals_the_simulator():
    """The neurons that are skipped are then not those that feed the one that repeats them."""
    model = Sequential(
        linear(4, 6, 0, 4),
        LIF(6),
        Residual(
            linear(6, 5, 1, 4),
            LIF(5),
            linear(5, 6, 2, 4),
            LIF(6, recurrent=True, key=jax.random.key(9)),
        ),
        linear(6, 3, 3, 4),
        LIF(3, max_spikes=1),
    )
    _, trace = assert_equal(model, raster(1.0))
    assert (trace.spikes[..., -6:] > 0).any()


@pytest.mark.slow
def test_one_recording_and_a_recording_in_parts_are_the_recording_in_a_batch():
    model, x = network(0, 10), raster(2.0)

    @eqx.filter_jit
    def run(x, state):
        return xylo.emulate(model)(x, state=state)

    whole = run(jnp.asarray(x, jnp.float32), None)
    first = run(jnp.asarray(x[0, :13], jnp.float32), None)
    last = run(jnp.asarray(x[0, 13:], jnp.float32), first.state)
    for name in whole._fields[:-1]:
        joined = jnp.concatenate([getattr(first, name), getattr(last, name)])
        np.testing.assert_array_equal(joined, getattr(whole, name)[0], err_msg=name)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[0]), last.state, whole.state)
    trace = xylo.simulate(xylo.quantize(xylo.map_network(model)), x[0, :13])
    after = run(jnp.asarray(x[0, 13:], jnp.float32), trace.state)
    np.testing.assert_array_equal(after.vmem, last.vmem)


@pytest.mark.slow
def test_what_is_not_recorded_is_none():
    emulation = xylo.emulate(synnet())(raster(0.7, 8), record=False)
    assert emulation.spikes is emulation.vmem is emulation.isyn is emulation.isyn_out is None
    assert emulation.spikes_out.shape == (3, 30, 4)


def loss_of(run):
    return eqx.filter_jit(eqx.filter_value_and_grad(lambda model, x: run(model, x).sum(1).std()))


def flat(tree):
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


@pytest.mark.slow
def test_gradient_is_that_of_the_float_network_where_the_integers_are_fine():
    model, x = synnet(), jnp.asarray(raster(0.7, 8, 8, 40), jnp.float32)
    late = xylo.latency(model)
    padded = jnp.pad(x, ((0, 0), (0, late), (0, 0)))
    value, grad = loss_of(lambda model, x: jax.vmap(model)(x)[0])(model, x)
    fine = loss_of(lambda m, x: xylo.emulate(m, chip=FINE)(x).spikes_out[:, late:])
    fine_value, fine_grad = fine(model, padded)
    a, b = flat(grad), flat(fine_grad)
    assert value == pytest.approx(float(fine_value), rel=0.02)
    assert float(a @ b / jnp.linalg.norm(a) / jnp.linalg.norm(b)) > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("mean", [0.5, 12.0])
def test_gradients_are_finite_and_reach_every_parameter_that_is_trained(mean):
    model, x = network(0, 10), jnp.asarray(raster(mean), jnp.float32)
    _, grad = loss_of(lambda m, x: xylo.emulate(m)(x).spikes_out)(model, x)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grad):
        assert np.isfinite(leaf).all(), path
    if mean < 1:
        for path, leaf in jax.tree_util.tree_leaves_with_path(grad):
            assert np.asarray(leaf).any(), jax.tree_util.keystr(path)


def test_what_is_no_raster_or_method_is_refused():
    model = synnet()
    run, x = xylo.emulate(model), raster(0.7, 8)
    for bad, message in (
        (x[0, 0], r"must have the shape \(time, 8\) or \(batch, time, 8\)"),
        (-x, "negative"),
        (x + 0.5, "not a whole number"),
        (np.where(x > 0, np.nan, 0), "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            run(bad)
    integers = jax.eval_shape(run, jnp.asarray(x, jnp.int32))
    assert integers.spikes_out.shape == (3, 30, 4)
    assert integers.spikes_out.dtype == jnp.float32
    with pytest.raises(ValueError, match=r"`method` must be one of 'global', .*; got 'both'"):
        xylo.emulate(model, method="both")
    for bits in (1, 9):
        with pytest.raises(ValueError, match=f"`bits` must be from 2 to 8, .* got {bits}"):
            xylo.emulate(model, bits=bits)


@pytest.mark.parametrize("call", [xylo.check, xylo.quantize, lambda m: xylo.simulate(m, 0)])
def test_the_model_in_place_of_its_spec_is_a_clear_error(call):
    with pytest.raises(TypeError, match=r"`spec` must be a Spec of .*xylo; got SynNet"):
        call(synnet())


@pytest.mark.slow
def test_frozen_parameters_get_no_gradient():
    model, x = synnet(), jnp.asarray(raster(0.7, 8), jnp.float32)
    _, grad = loss_of(lambda m, x: xylo.emulate(m)(x).spikes_out)(model, x)
    assert np.asarray(grad.layers[0].weight).any()
    assert not np.asarray(grad.layers[1].leak.alpha_syn).any()
    assert not np.asarray(grad.layers[1].threshold).any()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("where", "value"),
    [
        (lambda m: m.layers[1].leak.alpha_mem, 1.001),
        (lambda m: m.layers[1].leak.alpha_syn, -0.1),
        (lambda m: m.layers[3].threshold, 0.0),
        (lambda m: m.layers[2].weight, np.nan),
        (lambda m: m.layers[2].weight, np.inf),
    ],
)
def test_what_training_must_not_do_to_a_parameter_is_an_error_in_a_compiled_program(where, value):
    model, x = synnet(), jnp.asarray(raster(0.7, 8), jnp.float32)
    emulated(model, x, "channel")
    broken = eqx.tree_at(where, model, replace_fn=lambda p: p.at[0].set(value))
    with pytest.raises(RuntimeError, match="`model` has a weight or bias that is not fin"):
        jax.block_until_ready(emulated(broken, x, "channel"))
    with pytest.raises(ValueError, match="must be"):
        xylo.emulate(broken)


@pytest.mark.slow
def test_a_bias_that_is_no_number_is_an_error_in_a_compiled_program():
    model, x = network(0, 1.0), jnp.asarray(raster(0.7), jnp.float32)
    broken = eqx.tree_at(lambda m: m.layers[1].bias, model, replace_fn=lambda b: b * np.nan)
    with pytest.raises(RuntimeError, match="`model` has a weight or bias that is not finite"):
        jax.block_until_ready(emulated(broken, x, "channel"))
