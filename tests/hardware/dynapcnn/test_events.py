"""Event by event, the simulator computes what plain Python does."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import (
    SPECK_2F,
    Core,
    Events,
    Spec,
    _visit,
    simulate_events,
    to_events,
    to_raster,
)

from .architectures import ARCHITECTURES, made
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
    monkeypatch.setattr(_visit, "_ROUNDS", (3, 7))
    monkeypatch.setattr(_visit, "_VISITS", 50)
    for seed in range(4):
        spec, events, period = drawn("branched", seed)
        log = run_events(spec, events, period)
        assert_same(simulate_events(spec, events, bias_period=period), *log, spec)


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
    assert to_events(spec, np.zeros((0, 2, 5, 4), int)).time.shape == (0,)


@pytest.mark.parametrize("seed", [None, 3])
def test_a_raster_becomes_events_and_back(make_spec, seed):
    spec = make_spec()
    raster = np.random.default_rng(0).poisson(0.3, (6, *spec.input_shape))
    raster[2] = 0
    events = to_events(spec, raster, step=100, seed=seed)
    assert (np.diff(events.time) >= 0).all()
    np.testing.assert_array_equal(to_raster(events, spec.input_shape, step=100, steps=6), raster)
    # Spread over the step, not piled up at its start.
    first = events.time[events.time < 100]
    assert len(first) == raster[0].sum()
    assert np.ptp(first) > 80
    in_order = np.lexsort((events.x, events.y, events.channel, events.time // 100))
    assert (in_order == np.arange(len(in_order))).all() == (seed is None)


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
    events = to_events(spec, np.ones((2, *spec.input_shape), int))
    with pytest.raises(ValueError, match=r"`bias_period` must be .* `layers\[0\] .* got None"):
        simulate_events(spec, events)
    with pytest.raises(ValueError, match="`step` must be at least 1; got 0"):
        to_events(spec, np.ones((2, *spec.input_shape), int), step=0)
    with pytest.raises(ValueError, match="must be one recording, without a batch"):
        to_events(spec, np.ones((3, 2, *spec.input_shape), int))
    with pytest.raises(ValueError, match="`steps` must be at least 2"):
        to_raster(events, spec.input_shape, step=1000, steps=1)
