"""In synchronous steps, the simulator computes what plain Python does, however it is called."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.datasets import to_events
from snnjax.hardware.dynapcnn import (
    SPECK_2F,
    Core,
    SimState,
    Spec,
    _kernel,
    simulate,
    simulate_events,
)
from snnjax.hardware.dynapcnn._simulate import MAX_EVENTS as MOST

from .architectures import ARCHITECTURES, made
from .reference import HIGH, LOW, run_steps

NETWORKS = 12  # for each of ARCHITECTURES
STEPS = 6


def drawn(name, seed):
    """A network and its input: from a few events to so many that neurons saturate."""
    spec, rng = made(name, seed)
    return spec, rng.poisson(rng.choice([0.1, 1, 30, 3000]), (STEPS, *spec.input_shape))


def assert_same(trace, spikes, neurons):
    for i, fired in enumerate(spikes):
        np.testing.assert_array_equal(trace.spikes[i], fired)
        np.testing.assert_array_equal(trace.counts[i], fired.sum(0))
        vmem = np.array(list(neurons[i].vmem.values())).reshape(fired.shape[1:])
        np.testing.assert_array_equal(trace.state.vmem[i], vmem)
        np.testing.assert_array_equal(trace.vmem[i][-1], vmem)
        assert trace.saturated[i] == neurons[i].saturated
    np.testing.assert_array_equal(trace.spikes_out, spikes[-1])


def assert_trees_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_random_networks_match_plain_python(name):
    spikes, saturated, refused = 0, 0, 0
    for seed in range(NETWORKS):
        spec, raster = drawn(name, seed)
        want, neurons = run_steps(spec, raster)
        beyond = [i for i, layer in enumerate(neurons) if layer.largest > _kernel.SUM_LIMIT]
        if beyond:
            with pytest.raises(ValueError, match=rf"16,777,216, .*; layers\[{beyond[0]}\] has"):
                simulate(spec, raster)
            refused += 1
            continue
        trace = simulate(spec, raster)
        assert_same(trace, want, neurons)
        spikes += int(trace.spikes_out.sum())
        saturated += sum(map(int, trace.saturated))
    assert spikes > 100
    assert saturated > 20


def one(weight, shape=(1, 1, 1), **fields):
    """A network of one core."""
    return Spec((Core(np.asarray(weight), input_shape=shape, **fields),), chip=SPECK_2F)


def events(*counts):
    return np.array(counts).reshape(-1, 1, 1, 1)


WEIGHT = np.full((1, 1, 1, 1), 100)

# name: fields of the neurons, events of each step; then the spikes, vmem and cuts of each
RULES = {
    "many spikes": ({}, (2, 0, 1), (6, 0, 4), (20, 20, 0), 0),
    "single spikes": ({"max_spikes": 1}, (2, 0, 1), (1, 1, 1), (170, 140, 210), 0),
    "at most so many": ({"max_spikes": 3}, (2, 0, 1), (3, 3, 3), (110, 20, 30), 0),
    "reset to zero": ({"reset": "zero"}, (2, 0, 1), (6, 0, 3), (0, 0, 0), 0),
    "one spike, then zero": (
        {"reset": "zero", "max_spikes": 1},
        (2, 0, 1),
        (1, 0, 1),
        (0, 0, 0),
        0,
    ),
    "at the threshold": ({"threshold": 100}, (1, 1, 0), (1, 1, 0), (0, 0, 0), 0),
    "just below it": ({"threshold": 101}, (1, 1, 0), (0, 1, 0), (100, 99, 99), 0),
    "biases": ({"bias": [-40]}, (1, 0, 0), (2, 0, 0), (0, -40, -80), 0),
    "the lower bound": ({"bias": [-40], "min_vmem": -50}, (0, 0, 1), (0, 0, 0), (-40, -50, 10), 0),
    "the lower bound after a reset to zero": (
        {"reset": "zero", "min_vmem": 20},
        (1, 0, 0),
        (3, 0, 0),
        (20, 20, 20),
        0,
    ),
    "the upper end of 16 bits": ({"threshold": HIGH}, (327, 1, 0), (0, 1, 0), (32700, 33, 33), 1),
    "spikes are taken off the exact sum": (
        {"threshold": 10000},
        (400, 0, 0),
        (4, 0, 0),
        (0, 0, 0),
        1,
    ),
    "the rest above a cap is cut": (
        {"threshold": 100, "max_spikes": 2},
        (400, 0, 0),
        (2, 2, 2),
        (HIGH, HIGH - 200, HIGH - 400),
        1,
    ),
    "the lower end of 16 bits": ({"weight": -WEIGHT}, (400, 1, 0), (0, 0, 0), (LOW, LOW, LOW), 2),
    "the lower end of 16 bits, by a bias": (
        {"vmem": np.full((1, 1, 1), LOW), "bias": [-128]},
        (0, 1, 0),
        (0, 0, 0),
        (LOW, LOW, LOW),
        3,
    ),
    "a first state": ({"vmem": np.full((1, 1, 1), 29)}, (0, 1, 0), (0, 4, 0), (29, 9, 9), 0),
}


@pytest.mark.few(4)
@pytest.mark.parametrize("name", RULES)
def test_rules(name):
    fields, counts, spikes, vmem, cuts = RULES[name]
    spec = one(**({"weight": WEIGHT, "threshold": 30} | fields))
    trace = simulate(spec, events(*counts))
    assert trace.spikes_out.ravel().tolist() == list(spikes)
    assert trace.vmem[0].ravel().tolist() == list(vmem)
    assert int(trace.saturated[0]) == cuts


@pytest.mark.parametrize("most", [1, 300, MOST])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 5), (40, 16, 16)])
def test_drives_are_exact_to_where_they_saturate(shape, most):
    """Up to 10,240 weights of 8 bits on numbers of 15 bits: sums of 37 bits."""
    rng = np.random.default_rng(0)
    channels, *size = shape
    weight = rng.choice([-128, -1, 127], (2, *shape))
    weight[1] = 127
    counts = rng.integers(0, most + 1, (4, *shape))
    counts[0] = most
    core = Core(weight, input_shape=(channels, *size), padding=(1, 1), stride=(2, 2))
    found = jax.jit(lambda x: _kernel.drive(core, x[None], 8)[0])(jnp.asarray(counts, jnp.int32))
    padded = np.pad(counts, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = size
    want = np.zeros(found.shape, np.int64)
    for y in range(found.shape[2]):
        for x in range(found.shape[3]):
            window = padded[:, :, 2 * y : 2 * y + height, 2 * x : 2 * x + width]
            want[:, :, y, x] = np.einsum("ncyx,fcyx->nf", window, weight)
    np.testing.assert_array_equal(found, np.clip(want, -(2**30), 2**30))
    assert (np.abs(want).max() > 2**30) == (shape[0] == 40 and most == MOST)


# --- sums beyond 16 bits --------------------------------------------------------------------


def test_spikes_are_taken_off_the_exact_sum():
    """Weight 127, threshold 100: the chip emits a spike for each of 1,000 events."""
    spec = one(np.full((1, 1, 1, 1), 127), threshold=100)
    trace = simulate(spec, events(1000))
    assert trace.counts[0].item() == 127 * 1000 // 100
    assert trace.saturated[0] == 1
    assert trace.vmem[0].item() == 0
    by_event = simulate_events(spec, to_events(events(1000)))
    assert by_event.counts[0].item() == 1000


LIMIT = _kernel.SUM_LIMIT


@pytest.mark.few(1)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_bound_of_a_sum_is_exact(sign):
    """The sum is vmem + drive + bias, of which 2^24 is the largest magnitude."""
    counts = np.full((1, 16, 1, 1), LIMIT // 64 // 16)
    counts[0, 0] -= 4  # 2^24 - 256 from events, the rest from the state and the bias

    def made(start):
        fields = {"threshold": HIGH, "bias": [sign * 127]}
        fields["vmem"] = np.full((1, 1, 1), sign * start)
        return one(np.full((1, 16, 1, 1), sign * 64), (16, 1, 1), **fields)

    trace = simulate(made(129), counts)
    assert trace.counts[0].item() == (LIMIT // HIGH if sign > 0 else 0)
    assert trace.vmem[0].item() == (LIMIT % HIGH if sign > 0 else LOW)
    message = r"must be within 16,777,216, .*; layers\[0\] has a larger"
    with pytest.raises(ValueError, match=message):
        simulate(made(130), counts)
    run = eqx.filter_jit(lambda x: simulate(made(130), x).counts)
    with pytest.raises(eqx.EquinoxRuntimeError, match="must be within 16,777,216"):
        jax.block_until_ready(run(jnp.asarray(counts)))


def test_quotients_up_to_the_bound_are_exact():
    """One neuron for each sum, around multiples of the threshold."""
    rng = np.random.default_rng(0)
    thresholds = [1, 2, 3, 100, 127, 32765, HIGH]
    totals = np.concatenate([rng.integers(-LIMIT, LIMIT + 1, 500), [0, 1, LIMIT, LIMIT - 1]])
    for threshold in thresholds:
        near = totals // threshold * threshold + np.array([[-1], [0], [1]])
        near = np.clip(near, -LIMIT, LIMIT).ravel()
        core = Core(np.ones((1, 1, 1, 1), int), input_shape=(1, 1, near.size), threshold=threshold)
        drive = jnp.asarray(near, jnp.int32).reshape(1, 1, -1)
        after = _kernel.fire(core, jnp.zeros_like(drive), drive, 16)
        want = np.maximum(near // threshold, 0)
        np.testing.assert_array_equal(after.spikes.ravel(), want)
        rest = np.clip(near - want * threshold, LOW, HIGH)
        np.testing.assert_array_equal(after.vmem.ravel(), rest)


def test_numbers_of_events_beyond_32_bits_are_refused():
    spec = one(np.zeros((1, 1024, 1, 1), int), (1024, 1, 1), threshold=1)
    raster = np.full((64, 1024, 1, 1), MOST)
    assert simulate(spec, raster[:63]).arrived[0].item() == 63 * 1024 * MOST
    with pytest.raises(ValueError, match=r"must fit in 32 bits, but layers\[0\] gets more"):
        simulate(spec, np.concatenate([raster, raster[:2]]))


def test_kernels_larger_than_any_chips_are_exact_too():
    shape = (2**10, 9, 9)  # 82,944 weights: their sum alone is beyond what float32 holds
    core = Core(np.full((1, *shape), 127), input_shape=shape)
    counts = np.ones((1, 1, *shape), int)
    counts[0, 0, 0, 0, 0] = 2
    assert _kernel.drive(core, jnp.asarray(counts, jnp.int32), 8).item() == 127 * (82944 + 1)


# --- calls ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("parts", [(2, 4), (2, 2, 2), (6, 0)])
def test_a_sequence_in_chunks_is_the_sequence(parts):
    spec, _ = made("pooled", 1)
    raster = np.random.default_rng(0).poisson(1, (2, STEPS, *spec.input_shape))
    whole = simulate(spec, raster)
    state, traces = None, []
    for chunk in np.split(raster, np.cumsum(parts)[:-1], axis=1):
        traces.append(simulate(spec, chunk, state=state))
        state = traces[-1].state
    assert_trees_equal(state, whole.state)
    for i in range(len(spec.layers)):
        for name in ("spikes", "vmem"):
            joined = np.concatenate([getattr(t, name)[i] for t in traces], axis=1)
            np.testing.assert_array_equal(joined, getattr(whole, name)[i])
        for name in ("counts", "arrived", "saturated"):
            total = sum(np.asarray(getattr(t, name)[i]) for t in traces)
            np.testing.assert_array_equal(total, getattr(whole, name)[i])


@pytest.mark.slow
def test_batch_vmap_jit_and_single_calls_agree():
    spec, rng = made("pooled", 1)
    raster = jnp.asarray(rng.poisson(1, (2, 2, STEPS, *spec.input_shape)))
    flat = raster.reshape(4, *raster.shape[2:])
    batched = simulate(spec, flat)
    singles = [simulate(spec, x) for x in flat]
    assert_trees_equal(jax.tree.map(lambda *x: jnp.stack(x), *singles), batched)
    nested = jax.vmap(lambda x: simulate(spec, x))(raster)
    assert_trees_equal(jax.tree.map(lambda x: x.reshape(4, *x.shape[2:]), nested), batched)
    again = jax.jit(jax.vmap(lambda x, s: simulate(spec, x, state=s)))(flat, batched.state)
    assert_trees_equal(again, simulate(spec, flat, state=batched.state))


def test_vmap_over_numbers_of_several_digits():
    """Under vmap a recording with small numbers goes along with one that has large ones."""
    spec = one(np.full((1, 4, 16, 16), 3), (4, 16, 16), threshold=HIGH)
    raster = np.zeros((3, 1, *spec.input_shape), int)
    raster[0], raster[1, 0, 0, 0, 0], raster[2] = 1, MOST, 0
    traces = jax.vmap(lambda x: simulate(spec, x))(jnp.asarray(raster))
    assert traces.state.vmem[0].ravel().tolist() == [3 * 1024, 0, 0]
    assert traces.saturated[0].tolist() == [0, 1, 0]
    for i, each in enumerate(raster):
        assert_trees_equal(jax.tree.map(lambda x, i=i: x[i], traces), simulate(spec, each))


@pytest.mark.slow
def test_vmap_over_networks():
    specs = [made("dense", seed)[0] for seed in range(3)]
    raster = np.random.default_rng(0).integers(0, 3, (STEPS, *specs[0].input_shape))
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *specs)
    traces = jax.vmap(lambda spec: simulate(spec, raster))(stacked)
    each = [simulate(spec, raster) for spec in specs]
    assert_trees_equal(traces, jax.tree.map(lambda *x: jnp.stack(x), *each))


def test_nothing_is_kept_that_was_not_asked_for():
    spec, raster = drawn("chain", 0)
    lean, full = simulate(spec, raster, record=False), simulate(spec, raster)
    assert lean.spikes is None
    assert lean.vmem is None
    assert_trees_equal(lean._replace(spikes=full.spikes, vmem=full.vmem), full)


def test_what_arrives_is_counted():
    spec, raster = drawn("pooled", 3)
    trace = simulate(spec, raster)
    np.testing.assert_array_equal(trace.arrived[0], raster.sum((0, 1)))
    kept = np.asarray(trace.counts[0])[:, :4, :4].sum(0)  # a row and a column are lost to the pool
    np.testing.assert_array_equal(trace.arrived[1], kept.reshape(2, 2, 2, 2).sum((1, 3)))
    assert kept.sum() > 0


@pytest.mark.few(1)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.float32])
def test_dtypes_of_the_raster(dtype):
    spec, _ = made("chain", 0)
    raster = np.random.default_rng(0).integers(0, 2, (STEPS, *spec.input_shape))
    assert_trees_equal(simulate(spec, raster.astype(dtype)), simulate(spec, raster))
    if dtype != np.float32:
        found = jax.jit(lambda x: simulate(spec, x))(raster.astype(dtype))
        assert_trees_equal(found, simulate(spec, raster))


# --- bad input ------------------------------------------------------------------------------


def bad(value, dtype=float):
    raster = np.zeros((3, 2, 5, 4), dtype)
    raster[1, 0, 2, 3] = value
    return raster


BAD_RASTERS = {
    "channels": (np.zeros((3, 1, 5, 4), int), "(time, 2, 5, 4) or (batch, time, 2, 5, 4)"),
    "rank": (np.zeros((2, 5, 4), int), "got (2, 5, 4)"),
    "NaN": (bad(np.nan), "`raster[1, 0, 2, 3]` is nan, NaN"),
    "infinite": (bad(np.inf), "`raster[1, 0, 2, 3]` is inf, infinite"),
    "negative": (bad(-2), "`raster[1, 0, 2, 3]` is -2.0, negative"),
    "fractional": (bad(0.5), "`raster[1, 0, 2, 3]` is 0.5, not a whole number"),
    "too many": (bad(2**40, int), f"`raster[1, 0, 2, 3]` is {2**40}, above {MOST}"),
    "text": (np.full((3, 2, 5, 4), "a"), "`raster` must hold whole numbers; got <U1"),
    "complex": (bad(0, complex), "`raster` must hold whole numbers; got complex128"),
}


@pytest.mark.parametrize("name", BAD_RASTERS)
def test_bad_rasters(name):
    raster, message = BAD_RASTERS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate(made("chain", 0)[0], raster)


def test_bad_rasters_within_jit():
    spec, _ = made("chain", 0)
    run = eqx.filter_jit(lambda x: simulate(spec, x, record=False).counts)
    with pytest.raises(ValueError, match="integer type within jit and vmap; got float32"):
        run(jnp.zeros((3, 2, 5, 4)))
    for value in (-1, MOST + 1):
        with pytest.raises(eqx.EquinoxRuntimeError, match=f"whole numbers from 0 to {MOST}"):
            jax.block_until_ready(run(jnp.asarray(bad(value, np.int32))))


def test_bad_networks(make_spec, replace):
    spec = make_spec()
    raster = np.zeros((3, *spec.input_shape), int)
    real = jax.tree.map(lambda x: x.astype(jnp.float32), spec)
    with pytest.raises(ValueError, match="real numbers; make it integers with `quantize`"):
        simulate(real, raster)
    weight = spec.layers[1].weight.at[0, 1, 0, 0].set(300)
    with pytest.raises(ValueError, match=r"`layers\[1\].weight\[0, 1, 0, 0\]` .* is 300; it must"):
        simulate(replace(spec, 1, weight=weight), raster)


def test_bad_states(make_spec):
    spec = make_spec()
    raster = np.zeros((3, *spec.input_shape), int)
    state = simulate(spec, raster).state
    with pytest.raises(ValueError, match=r"state.vmem\[0\].*\(2, 3, 10, 8\).*got int32.*\(3, 10"):
        simulate(spec, np.stack([raster, raster]), state=state)


@pytest.mark.few(1)
@pytest.mark.parametrize("mode", ["steps", "events"])
def test_bad_states_in_both_modes(make_spec, mode):
    spec = make_spec()
    raster = np.zeros((3, *spec.input_shape), int)
    first, second = simulate(spec, raster).state.vmem
    run = {
        "steps": lambda state: simulate(spec, raster, state=state),
        "events": lambda state: simulate_events(spec, to_events(raster), state=state),
    }[mode]
    for wrong, message in (
        (SimState((first, jnp.zeros(second.shape))), r"state.vmem\[1\].*got float32"),
        (SimState((first, second[0])), r"state.vmem\[1\].*\(4, 3, 2\).*got int32.*\(3, 2\)"),
        (SimState((first, None)), r"must be a SimState .* of vmem\[0\], vmem\[1\]; got one of"),
        (SimState((first,)), r"must be a SimState .* of vmem\[0\], vmem\[1\]; got one of"),
        ((first, second), "`state` must be a SimState .*; got tuple"),
        (SimState((first, second.at[3, 0, 1].set(2**15))), r"state.vmem\[1\].*-32768 to 32767"),
    ):
        with pytest.raises(ValueError, match=message):
            run(wrong)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_convolutions_by_products_of_matrices(name):
    """On a GPU, where libraries' convolutions may round."""
    spec, _ = drawn(name, 0)
    rng = np.random.default_rng(1)
    for core in spec.layers:
        x = jnp.asarray(rng.integers(0, 200, (3, *core.input_shape)), jnp.float32)
        weight = jnp.asarray(core.weight, jnp.float32)
        found = _kernel._by_products(core, x, weight)
        np.testing.assert_array_equal(found, _kernel.convolution(core, x, weight))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [
        ((5, 5), (2, 2), (2, 2), (28, 28)),
        ((3, 2), (1, 1), (0, 0), (5, 4)),
        ((1, 1), (4, 4), (0, 0), (7, 6)),  # most places are seen by no neuron
        ((2, 4), (4, 1), (0, 3), (9, 4)),  # nor is the last row
        ((4, 3), (2, 4), (3, 2), (3, 2)),
    ],
)
def test_convolutions_by_taps(kernel, stride, padding, size):
    rng = np.random.default_rng(0)
    weight = rng.integers(-128, 128, (3, 2, *kernel))
    core = Core(weight, input_shape=(2, *size), stride=stride, padding=padding)
    x = jnp.asarray(rng.integers(0, 200, (4, *core.input_shape)), jnp.float32)
    weight = jnp.asarray(weight, jnp.float32)
    by_taps = jax.jit(lambda x: _kernel._by_taps(core, x, weight))
    np.testing.assert_array_equal(by_taps(x), _kernel.convolution(core, x, weight))
