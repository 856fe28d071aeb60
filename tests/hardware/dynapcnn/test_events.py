"""Event by event, the simulator computes what plain Python does."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.datasets import Events, to_events, to_raster
from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import (
    SPECK_2F,
    Core,
    Spec,
    _simulate_events,
    _visit,
    simulate_events,
)
from snnjax.hardware.dynapcnn._units import LANES

from .architectures import ARCHITECTURES, core as drawn_core, made
from .reference import run_events

NETWORKS = 50  # for each of ARCHITECTURES
EVENTS = 40


def drawn(name, seed):
    """A network, its input, and the period of the biases' clock."""
    spec, rng = made(name, seed)
    n = int(rng.integers(0, EVENTS))
    places = [rng.integers(0, size, n) for size in spec.input_shape]
    # Few different times, so that events and ticks meet.
    return spec, Events(np.sort(rng.integers(0, 30, n)), *places), int(rng.integers(3, 12))


def assert_same(trace, log, neurons, spec):
    for i, core in enumerate(spec.layers):
        found = np.stack(trace.events[i], axis=1)
        np.testing.assert_array_equal(found, np.array(log[i], int).reshape(-1, 4))
        shape = core.output_shape
        vmem = np.array(list(neurons[i].vmem.values())).reshape(shape)
        np.testing.assert_array_equal(trace.state.vmem[i], vmem)
        assert trace.saturated[i] == neurons[i].saturated
        assert trace.waiting[i] == (vmem >= int(core.threshold)).sum()
        np.testing.assert_array_equal(
            trace.counts[i], to_raster(trace.events[i], shape, step=999, steps=1)[0]
        )


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_random_networks_match_plain_python_event_for_event(name):
    spikes, saturated, waiting = 0, 0, 0
    for seed in range(NETWORKS):
        spec, events, period = drawn(name, seed)
        trace = simulate_events(spec, events, bias_period=period, start=0, duration=31)
        assert_same(trace, *run_events(spec, events, period, 31), spec)
        spikes += len(trace.events[-1].time)
        saturated += sum(trace.saturated)
        waiting += sum(trace.waiting)
    assert spikes > 100
    assert (saturated > 100) == (name == "saturating")
    assert waiting > 20 or name == "saturating"


def test_events_in_several_calls_of_the_kernel(monkeypatch):
    monkeypatch.setattr(_visit, "_UNITS", 7)
    monkeypatch.setattr(_visit, "_WORTH", 1)
    monkeypatch.setattr(_simulate_events, "_BLOCK", 9)
    for seed in range(4):
        spec, events, period = drawn("branched", seed)
        log = run_events(spec, events, period)
        assert_same(simulate_events(spec, events, bias_period=period), *log, spec)


def test_rows_of_neurons_that_take_several_units():
    rng = np.random.default_rng(0)
    wide = drawn_core(rng, 2, 30, 3, (5, 5), bias=True, padding=(1, 1))
    assert wide.output_shape[0] * 3 > LANES
    places = [rng.integers(0, size, EVENTS) for size in wide.input_shape]
    events = Events(np.sort(rng.integers(0, 30, EVENTS)), *places)
    spec = Spec((wide,), chip=SPECK_2F)
    trace = simulate_events(spec, events, bias_period=5, start=0)
    assert_same(trace, *run_events(spec, events, 5), spec)
    assert len(trace.events[0].time) > 100


def test_one_spike_for_each_event_and_the_rest_waits(make_spec):
    weight = jnp.full((1, 1, 1, 1), 100)
    spec = Spec((Core(weight, threshold=30, input_shape=(1, 1, 1)),), chip=SPECK_2F)
    trace = simulate_events(spec, Events(*np.array([[5, 0, 0, 0], [9, 0, 0, 0]]).T))
    assert trace.events[0].time.tolist() == [5, 9]
    assert int(trace.state.vmem[0][0, 0, 0]) == 140
    assert trace.waiting == (1,)
    # In a synchronous step the same neuron emits all that it can.
    assert dynapcnn.simulate(spec, jnp.full((1, 1, 1, 1), 2)).spikes_out.tolist() == [[[[6]]]]


def test_a_weight_of_zero_is_an_event_too():
    weight = jnp.array([100, 0]).reshape(1, 2, 1, 1)
    spec = Spec((Core(weight, threshold=30, input_shape=(2, 1, 1)),), chip=SPECK_2F)
    trace = simulate_events(spec, Events(*np.array([[0, 0, 0, 0], [1, 1, 0, 0]]).T))
    assert trace.events[0].time.tolist() == [0, 1]


def test_the_state_goes_on(make_spec):
    spec, events, _ = drawn("branched", 7)
    assert len(events.time) > 10
    whole = simulate_events(spec, events)
    state, spikes = None, []
    for part in (slice(0, 9), slice(9, None)):
        trace = simulate_events(spec, Events(*(a[part] for a in events)), state=state)
        state = trace.state
        spikes.append(trace.events[-1])
    for a, b in zip(whole.events[-1], zip(*spikes, strict=True), strict=True):
        np.testing.assert_array_equal(a, np.concatenate(b))
    jax.tree.map(np.testing.assert_array_equal, state, whole.state)


def test_what_is_kept_of_a_network_is_its_own():
    spec, events, _ = drawn("branched", 7)
    quiet = dataclasses.replace(
        spec, layers=tuple(dataclasses.replace(c, threshold=30_000) for c in spec.layers)
    )
    for _ in range(2):
        assert len(simulate_events(spec, events).events[0].time) > 0
        assert len(simulate_events(quiet, events).events[0].time) == 0
    # Arrays of NumPy may change in place.
    writable = jax.tree.map(np.array, spec)
    assert len(simulate_events(writable, events).events[0].time) > 0
    writable.layers[0].threshold[...] = 30_000
    assert len(simulate_events(writable, events).events[0].time) == 0


def test_what_arrives_is_counted():
    spec, events, _ = drawn("pooled", 3)
    trace = simulate_events(spec, events)
    assert trace.arrived[0].sum() == len(events.time)
    kept = (trace.events[0].y < 4) & (trace.events[0].x < 4)
    assert trace.arrived[1].sum() == kept.sum()
    assert 0 < kept.sum() < len(kept)


def test_no_events():
    spec, _, _ = drawn("chain", 0)
    none = Events(*(np.zeros(0, int),) * 4)
    trace = simulate_events(spec, none)
    assert all(len(events.time) == 0 for events in trace.events)
    assert to_events(np.zeros((0, 2, 5, 4), int)).time.shape == (0,)


@pytest.mark.parametrize("seed", [None, 3])
def test_a_raster_becomes_events_and_back(make_spec, seed):
    spec = make_spec()
    raster = np.random.default_rng(0).poisson(0.3, (6, *spec.input_shape))
    raster[2] = 0
    events = to_events(raster, step=100, seed=seed)
    assert (np.diff(events.time) >= 0).all()
    np.testing.assert_array_equal(to_raster(events, spec.input_shape, step=100, steps=6), raster)
    # Spread over the step, not piled up at its start.
    first = events.time[events.time < 100]
    assert len(first) == raster[0].sum()
    assert np.ptp(first) > 80
    in_order = np.lexsort((events.x, events.y, events.channel, events.time // 100))
    assert (in_order == np.arange(len(in_order))).all() == (seed is None)


# --- the clock ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["biased", "half_biased", "saturating"])
def test_long_silences_are_skipped_and_change_nothing(name):
    """Few events far apart, with up to 900 ticks between two of them."""
    skipped = 0
    for seed in range(8):
        spec, rng = made(name, seed)
        n = int(rng.integers(0, 5))
        places = [rng.integers(0, size, n) for size in spec.input_shape]
        events = Events(np.sort(rng.integers(0, 900, n)), *places)
        trace = simulate_events(spec, events, bias_period=1, start=0, duration=900)
        assert_same(trace, *run_events(spec, events, 1, 900), spec)
        skipped += 900
    assert skipped


def test_the_clock_starts_at_the_first_event_or_at_start(make_spec):
    spec = make_spec(first={"bias": [3, -2, 0]})
    raster = np.random.default_rng(0).poisson(0.05, (5, *spec.input_shape))
    events = to_events(raster, step=100)
    early = int(events.time[0])
    from_zero = simulate_events(spec, events, bias_period=10, start=early, duration=500)
    camera = 1_700_000_000_000_000  # microseconds since 1970
    later = events._replace(time=events.time + camera)
    found = simulate_events(spec, later, bias_period=10, duration=500)
    jax.tree.map(np.testing.assert_array_equal, found.state, from_zero.state)
    for a, b in zip(found.events, from_zero.events, strict=True):
        np.testing.assert_array_equal(a.time - camera, b.time)
        assert a.time.dtype == np.int64
    assert (found.events[0].time >= camera + early).all()
    before = simulate_events(spec, later, bias_period=10, start=camera - 30_000)
    assert before.events[0].time[0] < camera
    with pytest.raises(ValueError, match=f"`start` must be at most {camera + early}"):
        simulate_events(spec, later, bias_period=10, start=camera + early + 1)


def test_ticks_end_with_the_duration(make_spec):
    spec = make_spec(first={"bias": [127, 127, 127], "threshold": 1})
    none = Events(*(np.zeros(0, int),) * 4)
    trace = simulate_events(spec, none, bias_period=7, start=3, duration=30)
    assert sorted(set(trace.events[0].time.tolist())) == [10, 17, 24, 31]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bias_period": 1.5}, "`bias_period` must be an integer of at least 1; got 1.5"),
        ({"bias_period": 0}, "`bias_period` must be an integer of at least 1; got 0"),
        ({"bias_period": True}, "`bias_period` must be an integer of at least 1; got True"),
        ({"bias_period": 5, "duration": -1}, "`duration` must be an integer of at least 0; got -1"),
        ({"bias_period": 5, "start": 0.5}, "`start` must be an integer"),
    ],
)
def test_a_clock_that_is_none(make_spec, settings, message):
    none = Events(*(np.zeros(0, int),) * 4)
    for spec in (make_spec(first={"bias": [1, 0, 0]}), make_spec()):
        with pytest.raises(ValueError, match=re.escape(message)):
            simulate_events(spec, none, **settings)


def test_unsigned_times_out_of_order_are_refused(make_spec):
    times = np.array([5, 3], np.uint64)
    zeros = np.zeros(2, np.uint8)
    with pytest.raises(ValueError, match=r"`events.time` must ascend; entry 1 is before"):
        simulate_events(make_spec(), Events(times, zeros, zeros, zeros))
    trace = simulate_events(make_spec(), Events(times[::-1], zeros, zeros, zeros))
    assert trace.arrived[0].sum() == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 0}, "`step` must be an integer of at least 1; got 0"),
        ({"step": 1.5}, "`step` must be an integer of at least 1; got 1.5"),
        ({"steps": -1}, "`steps` must be an integer of at least 0; got -1"),
        ({"shape": (1, 2)}, "`shape` must be (channels, height, width) or a number; got (1, 2)"),
        ({"steps": 1}, "`events.time[2]` is 12, after the last step"),
        ({"start": 5}, "`events.time[0]` is 2, before `start`"),
        ({"shape": (1, 2, 2)}, "`events.channel[1]` is 1, above 0"),
        ({"shape": (2, 2, 1)}, "`events.x[2]` is 1, above 0"),
    ],
)
def test_events_that_are_no_raster(changes, message):
    events = Events(*np.array([[2, 0, 0, 0], [7, 1, 1, 0], [12, 0, 1, 1]]).T)
    arguments = {"shape": (2, 2, 2), "step": 10, "steps": 2} | changes
    with pytest.raises(ValueError, match=re.escape(message)):
        to_raster(events, **arguments)
    assert to_raster(events, (2, 2, 2), step=10, steps=2).sum() == 3
    moved = events._replace(time=events.time + 10**15)
    found = to_raster(moved, (2, 2, 2), step=10, steps=2, start=10**15)
    np.testing.assert_array_equal(found, to_raster(events, (2, 2, 2), step=10, steps=2))
    with pytest.raises(ValueError, match=r"`start`: the first event is at 1000000000000002"):
        to_raster(moved, (2, 2, 2), step=10)


def bad(field, index, value):
    arrays = {name: np.arange(4) % 2 for name in Events._fields} | {"time": np.arange(4)}
    arrays[field] = arrays[field].astype(np.asarray(value).dtype)
    arrays[field][index] = value
    return Events(**arrays)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (bad("channel", 2, 2), "`events.channel[2]` is 2, above 1"),
        (bad("y", 1, 10), "`events.y[1]` is 10, above 9"),
        (bad("x", 0, -1), "`events.x[0]` is -1, negative"),
        (bad("time", 3, -5), "`events.time[3]` is -5, negative"),
        (bad("time", 1, 0.5), "`events.time[1]` is 0.5, not a whole number"),
        (bad("x", 1, np.nan), "`events.x[1]` is nan, NaN"),
        (bad("time", 3, 1), "`events.time` must ascend; entry 3 is before the one before it"),
        (Events(*(np.arange(n) for n in (3, 3, 3, 2))), "`events` must be Events("),
        (np.zeros((3, 4)), "`events` must be Events("),
    ],
)
def test_bad_events(make_spec, events, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        simulate_events(make_spec(), events)


def test_other_bad_input(make_spec):
    spec = make_spec(first={"bias": [1, 0, 0]})
    events = to_events(np.ones((2, *spec.input_shape), int))
    with pytest.raises(
        ValueError, match=r"`bias_period` must be given, since `layers\[0\] .* None"
    ):
        simulate_events(spec, events)
    with pytest.raises(ValueError, match="`step` must be an integer of at least 1; got 0"):
        to_events(np.ones((2, *spec.input_shape), int), step=0)
    with pytest.raises(ValueError, match="must be one recording, without a batch"):
        to_events(np.ones((3, 2, *spec.input_shape), int))
    with pytest.raises(ValueError, match="after the last step"):
        to_raster(events, spec.input_shape, step=1000, steps=1)
