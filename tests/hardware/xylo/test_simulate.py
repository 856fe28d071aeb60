"""The simulator computes what the vendor's does, bit for bit, however it is called."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware.xylo import XYLO_1, XYLO_AUDIO_2, XYLO_IMU, Spec, _arithmetic, _kernel
from snnjax.hardware.xylo._simulate import Trace, _run, _scan, simulate
from snnjax.hardware.xylo._spec import Part

from .reference import evolve

CHIPS = {1: XYLO_1, 2: XYLO_AUDIO_2}
INPUTS, HIDDEN, OUTPUTS, STEPS = 5, 12, 3, 24
FEATURES = [
    pytest.param(core, synapses, aliases, biases, id=f"v{core}-{synapses}syn{tags}")
    for core, synapses, aliases, biases in itertools.product((1, 2), (1, 2), (0, 1), (0, 1))
    for tags in ["-aliases" * aliases + "-biases" * biases]
    if core == 2 or not biases
]
SHIFTS = [(3, 1, 8), (9, 5, 12)]  # the latter wrap most weights
NETWORKS = 30  # for each of FEATURES


def random_spec(rng, core, synapses, aliases, biases, shifts):
    """Anything from a few small weights to a full matrix of the largest."""

    def weight(*shape):
        drawn = rng.integers(-128, 128, shape) * rng.choice([10, 60, 128]) // 128
        return np.where(rng.random(shape) < rng.choice([0.2, 0.6, 1.0]), drawn, 0)

    def dash(*shape):
        return rng.integers(rng.choice([0, 1, 6]), 16, shape)

    def threshold(n):
        return rng.integers(1, rng.choice([50, 500, 5000, 32767]), n)

    def bias(n):
        return rng.integers(-300, 300, n) * rng.choice([1, 100])

    n = np.arange(HIDDEN)
    target = np.where(rng.random(HIDDEN) < 0.6, rng.integers(0, HIDDEN, HIDDEN), -1)
    return Spec(
        w_in=weight(INPUTS, HIDDEN, synapses),
        w_rec=weight(HIDDEN, HIDDEN, synapses),
        w_out=weight(HIDDEN, OUTPUTS),
        dash_mem=dash(HIDDEN),
        dash_syn=dash(HIDDEN, synapses),
        dash_mem_out=dash(OUTPUTS),
        dash_syn_out=dash(OUTPUTS),
        threshold=threshold(HIDDEN),
        threshold_out=threshold(OUTPUTS),
        bias=bias(HIDDEN) if biases else None,
        bias_out=bias(OUTPUTS) if biases else None,
        aliases=np.where(target == n, -1, target) if aliases else None,
        weight_shift_in=shifts[0],
        weight_shift_rec=shifts[1],
        weight_shift_out=shifts[2],
        dt=1e-3,
        chip=CHIPS[core],
    )


def random_raster(rng, *shape):
    return rng.integers(0, rng.choice([2, 5, 22]), (*shape, INPUTS))


def assert_same(trace, expected):
    for name, values in expected.items():
        np.testing.assert_array_equal(getattr(trace, name), values, err_msg=name)


def assert_trees_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.slow
@pytest.mark.parametrize(("core", "synapses", "aliases", "biases"), FEATURES)
def test_random_networks_match_the_vendors_simulator(core, synapses, aliases, biases):
    for seed in range(NETWORKS):
        rng = np.random.default_rng([core, synapses, aliases, biases, seed])
        # Shifts are static: two of them for each combination of features bound the compilations.
        shifts = (0, 0, 0) if seed % 2 else SHIFTS[(core + synapses + aliases) % 2]
        spec = random_spec(rng, core, synapses, aliases, biases, shifts)
        raster = random_raster(rng, STEPS)
        assert_same(simulate(spec, raster), evolve(spec, raster))


def run_with(monkeypatch, within_range):
    """Traces of random networks, each with `_arithmetic.within_range` replaced and as it is."""

    @jax.jit
    def replaced(spec, events):
        return Trace(cut_events=0, **_scan(spec, _kernel.blocks(spec), events, None))

    for seed in range(10):
        rng = np.random.default_rng(seed)
        spec = random_spec(rng, 2, 1, 0, 0, SHIFTS[0])
        events = jnp.asarray(np.minimum(random_raster(rng, 1, STEPS), 15), jnp.int32)
        with monkeypatch.context() as patch:
            patch.setattr(_arithmetic, "within_range", within_range)
            trace = replaced(spec, events)
        yield trace, simulate(spec, events)


def test_the_product_and_the_ordered_sum_are_both_taken(monkeypatch):
    taken = []

    def spy(*args, original=_arithmetic.within_range):
        fits = original(*args)
        jax.debug.callback(lambda x: taken.append(bool(x)), fits)
        return fits

    for _ in run_with(monkeypatch, spy):
        jax.effects_barrier()
    assert len(taken) == 10 * STEPS
    assert min(taken.count(True), taken.count(False)) >= STEPS


def test_the_ordered_sum_is_right_everywhere_and_the_product_is_not(monkeypatch):
    for ordered, trace in run_with(monkeypatch, lambda *_: jnp.array(False)):
        assert_trees_equal(ordered, trace)
    pairs = run_with(monkeypatch, lambda *_: jnp.array(True))
    assert sum(bool((product.isyn != trace.isyn).any()) for product, trace in pairs) >= 2


CORNERS = {
    "counts above the cap": ({}, 22),
    "a dash of 0": ({"dash_syn": np.zeros((6, 2), int), "dash_mem": np.zeros(6, int)}, 9),
    "largest dash": ({"dash_syn": np.full((6, 2), 15), "dash_mem": np.full(6, 15)}, 9),
    "lowest threshold": ({"threshold": np.ones(6, int), "threshold_out": [1, 1]}, 9),
    "highest threshold": ({"threshold": np.full(6, 32767)}, 15),
    "weights that wrap": ({"weight_shift_in": 9, "weight_shift_rec": 15}, 3),
    "lowest potential, all of it lost": (
        {
            "w_in": np.full((3, 6, 2), -128),
            "dash_syn": np.full((6, 2), 15),
            "dash_mem": np.arange(6) % 2,
            "weight_shift_in": 8,
        },
        15,
    ),
    "negative biases": ({"bias": np.full(6, -32768), "bias_out": [-1, 32767]}, 9),
    "biases of hidden neurons only": ({"bias": np.arange(6) * 50}, 9),
    "a chain of aliases": ({"aliases": [1, 2, 3, -1, -1, -1]}, 9),
    "a chain of aliases downwards": ({"aliases": [-1, 0, 1, 2, -1, -1]}, 9),
    "several sources of an alias": ({"aliases": [4, 4, -1, 4, -1, 4]}, 9),
    "a cycle of aliases": ({"aliases": [2, -1, 5, -1, -1, 0]}, 9),
}


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("core", "fields", "most"),
    [
        pytest.param(core, *case, id=f"{name} on core {core}")
        for name, case in CORNERS.items()
        for core in (1, 2)
        if core == 2 or "bias" not in case[0]
    ],
)
def test_corner_cases_match_the_vendors_simulator(make_spec, core, fields, most):
    spec = make_spec(chip=CHIPS[core], **fields)
    raster = np.random.default_rng(0).integers(0, most + 1, (30, 3))
    assert_same(simulate(spec, raster), evolve(spec, raster))


def test_an_alias_of_itself_matches_the_vendors_simulator(make_spec):
    """Nothing that `check` lets pass, but values are not known under jit."""
    spec = make_spec(aliases=[0, 1, 3, -1, 3, 5])
    raster = np.random.default_rng(0).integers(0, 9, (30, 3))
    assert_same(jax.jit(simulate)(spec, raster), evolve(spec, raster))


@pytest.mark.slow
def test_a_network_of_the_size_of_a_chip_matches_the_vendors_simulator(make_spec):
    spec = make_spec(
        n_inputs=16, n_hidden=XYLO_IMU.n_hidden, n_outputs=16, n_synapses=1, chip=XYLO_IMU
    )
    raster = np.random.default_rng(0).integers(0, 3, (8, 16))
    assert_same(simulate(spec, raster), evolve(spec, raster))


@pytest.mark.slow
@pytest.mark.parametrize("parts", [(1, 23), (10, 7, 7), (24, 0)])
def test_a_sequence_in_chunks_is_the_sequence(make_spec, parts):
    spec = make_spec(aliases=[3, 0, -1, 5, -1, -1], bias=np.arange(6))
    raster = np.random.default_rng(0).integers(0, 9, (2, 24, 3))
    whole = simulate(spec, raster)
    state, traces = None, []
    for chunk in np.split(raster, np.cumsum(parts)[:-1], axis=1):
        traces.append(simulate(spec, chunk, state=state))
        state = traces[-1].state
    cut = sum(trace.cut_events for trace in traces)
    joined = [jnp.concatenate(x, axis=1) for x in zip(*(t[:-2] for t in traces), strict=True)]
    assert_trees_equal(Trace(*joined, cut_events=cut, state=state), whole)


@pytest.mark.slow
def test_batch_vmap_jit_and_single_calls_agree(make_spec):
    spec = make_spec()
    raster = jnp.asarray(np.random.default_rng(0).integers(0, 9, (2, 3, 10, 3)))
    flat = raster.reshape(6, 10, 3)
    batched = simulate(spec, flat)
    singles = [simulate(spec, x) for x in flat]
    assert_trees_equal(jax.tree.map(lambda *x: jnp.stack(x), *singles), batched)
    nested = jax.vmap(jax.vmap(lambda x: simulate(spec, x)))(raster)
    assert_trees_equal(jax.tree.map(lambda x: x.reshape(6, *x.shape[2:]), nested), batched)
    assert_trees_equal(jax.jit(simulate)(spec, flat), batched)
    again = jax.jit(jax.vmap(lambda x, s: simulate(spec, x, state=s)))(flat, batched.state)
    assert_trees_equal(again, simulate(spec, flat, state=batched.state))


def test_a_layer_is_multiplied_with_the_layers_that_feed_it():
    """Two layers in a row, and then the second feeds itself too."""
    rng = np.random.default_rng(0)
    spec = random_spec(rng, 2, 1, 0, 0, SHIFTS[0])
    w_in, w_rec, w_out = (np.zeros_like(w) for w in (spec.w_in, spec.w_rec, spec.w_out))
    n, half = spec.n_inputs, HIDDEN // 2
    w_in[1, 0], w_rec[0, HIDDEN - 1], w_out[HIDDEN - 1, 0] = 90, 90, 90
    parts = Part("a", half), Part("b", HIDDEN - half), Part("out", OUTPUTS)
    spec = dataclasses.replace(spec, w_in=w_in, w_rec=w_rec, w_out=w_out, layers=parts)
    chain = [(0, n), (n, n + half), (n + half, n + HIDDEN)]
    assert [block.sources for block in _kernel.blocks(spec)] == chain
    w_rec[HIDDEN - 1, HIDDEN - 1] = 1
    looped = dataclasses.replace(spec, w_rec=w_rec)
    assert _kernel.blocks(looped)[1].sources == (n, n + HIDDEN)
    assert jax.jit(lambda spec: len(_kernel.blocks(spec)))(spec) == 1
    for same in (spec, looped):
        raster = random_raster(rng, STEPS)
        assert_same(simulate(same, raster), evolve(same, raster))


def test_vmap_over_networks(make_spec):
    specs = [make_spec(seed) for seed in range(3)]
    raster = np.random.default_rng(0).integers(0, 9, (10, 3))
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *specs)
    traces = jax.vmap(lambda spec: simulate(spec, raster))(stacked)
    each = [simulate(spec, raster) for spec in specs]
    assert_trees_equal(traces, jax.tree.map(lambda *x: jnp.stack(x), *each))


def test_vmap_keeps_the_branch(make_spec):
    """Under vmap `lax.cond` becomes a selection between both branches, computed each time."""
    spec, events = make_spec(), jnp.zeros((4, 1, 10, 3), jnp.int32)
    blocks = _kernel.blocks(spec)
    for run, has_branch in (
        (lambda x: _scan(spec, blocks, x, None), False),
        (lambda x: _run(spec, blocks, x, None, True), True),
    ):
        jaxpr = jax.make_jaxpr(jax.vmap(lambda x, run=run: run(x)))(events)
        assert (" cond[" in str(jaxpr)) == has_branch


def test_simulate_within_a_differentiated_loss(make_spec):
    spec, raster = make_spec(), np.ones((10, 3), int)

    def loss(w_out):
        rounded = eqx.tree_at(lambda s: s.w_out, spec, jnp.round(w_out).astype(jnp.int32))
        return jnp.sum(w_out), simulate(rounded, raster).spikes_out

    gradient, spikes = jax.grad(loss, has_aux=True)(spec.w_out.astype(jnp.float32))
    np.testing.assert_array_equal(gradient, 1)
    np.testing.assert_array_equal(spikes, simulate(spec, raster).spikes_out)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_dtypes_of_the_raster(make_spec, dtype):
    spec, raster = make_spec(), np.random.default_rng(0).integers(0, 2, (10, 3))
    assert_trees_equal(simulate(spec, raster.astype(dtype)), simulate(spec, raster))


@pytest.mark.slow
def test_counts_that_would_wrap_are_cut(make_spec):
    spec = make_spec()
    most = simulate(spec, np.full((5, 3), 15))
    assert most.cut_events == 0
    for n, dtype in ((2**31 - 1, np.int64), (255, np.uint8)):
        for run in (simulate, jax.jit(simulate)):
            trace = run(spec, np.full((5, 3), n, dtype))
            assert trace.cut_events == min(15 * (n - 15), 2**31 - 1)
            assert_trees_equal(trace._replace(cut_events=most.cut_events), most)
    with pytest.raises(
        ValueError, match=r"from 0 to 2147483647; `raster\[0, 0\]` is 1099511627776"
    ):
        simulate(spec, np.full((5, 3), 2**40))


BAD_RASTERS = {
    "channels": (np.zeros((5, 4), int), r"\(time, 3\).*got \(5, 4\)"),
    "rank": (np.zeros(3, int), r"\(time, 3\).*got \(3,\)"),
    "NaN": (np.array([[0, np.nan, 0]]), r"raster\[0, 1\].* is nan, NaN"),
    "infinite": (np.array([[0, np.inf, 0]]), r"raster\[0, 1\].* is inf, infinite"),
    "negative": (np.array([[0, 0, -2]]), r"raster\[0, 2\].* is -2, negative"),
    "fractional": (np.array([[0.5, 0, 0]]), r"raster\[0, 0\].* is 0.5, not a whole number"),
    "text": (np.array([["a", "b", "c"]]), "must hold whole numbers; got <U1"),
}


@pytest.mark.parametrize(("raster", "message"), BAD_RASTERS.values(), ids=BAD_RASTERS)
def test_bad_rasters(make_spec, raster, message):
    with pytest.raises(ValueError, match=message):
        simulate(make_spec(), raster)


def test_bad_rasters_under_jit(make_spec):
    run = eqx.filter_jit(lambda x: simulate(make_spec(), x))
    with pytest.raises(ValueError, match="integer type within jit and vmap; got float32"):
        run(jnp.zeros((5, 3)))
    with pytest.raises(eqx.EquinoxRuntimeError, match="must hold whole numbers from 0"):
        jax.block_until_ready(run(jnp.full((5, 3), -1)))


def test_bad_networks(make_spec):
    spec, raster = make_spec(), np.zeros((5, 3), int)
    real = jax.tree.map(lambda x: x.astype(jnp.float32), spec)
    with pytest.raises(ValueError, match="real numbers; make it integers with `quantize`"):
        simulate(real, raster)
    with pytest.raises(ValueError, match=r"`w_out\[0, 1\]` is 300; must be from -128 to 127"):
        simulate(eqx.tree_at(lambda s: s.w_out, spec, spec.w_out.at[0, 1].set(300)), raster)


def test_bad_states(make_spec):
    spec, raster = make_spec(), np.zeros((5, 3), int)
    state = simulate(spec, raster).state
    with pytest.raises(ValueError, match=r"state.isyn.*\(2, 6, 2\).*got int32.*\(6, 2\)"):
        simulate(spec, np.stack([raster, raster]), state=state)
    with pytest.raises(ValueError, match=r"state.vmem_out.*\(2,\).*got float32"):
        simulate(spec, raster, state=state._replace(vmem_out=jnp.zeros(2)))
    with pytest.raises(ValueError, match=r"must be a SimState.*tuple"):
        simulate(spec, raster, state=tuple(state))
    for name, value, limits in (("vmem", 40_000, "-32768 to 32767"), ("spikes", 32, "0 to 31")):
        beyond = state._replace(**{name: jnp.full(6, value)})
        with pytest.raises(ValueError, match=f"`state.{name}` must be from {limits}; got {value}"):
            simulate(spec, raster, state=beyond)


def test_what_is_not_recorded_is_none_and_the_rest_is_the_same(make_spec):
    spec, raster = make_spec(), np.random.default_rng(0).integers(0, 9, (2, 10, 3))
    whole, short = simulate(spec, raster), simulate(spec, raster, record=False)
    assert short.spikes is short.vmem is short.isyn is short.isyn_out is None
    absent = {"spikes": None, "vmem": None, "isyn": None, "isyn_out": None}
    assert_trees_equal(short, whole._replace(**absent))


@pytest.mark.parametrize("bits", [16, 24])
def test_spikes_are_the_whole_thresholds_in_a_potential(bits):
    most = 2 ** (bits - 1) - 1
    counts = np.arange(1, 32)[:, None]
    threshold = np.maximum(np.random.default_rng(0).integers(1, most, 2000) // counts, 2)

    def assert_fires(vmem, wanted):
        fired = _arithmetic.fire(jnp.float32(vmem), jnp.float32(threshold), 31.0)
        np.testing.assert_array_equal(fired, np.broadcast_to(wanted, vmem.shape))

    assert_fires(np.minimum(counts * threshold, most), np.minimum(counts, most // threshold))
    assert_fires(counts * threshold - 1, counts - 1)
