"""Simulation of a quantised network event by event, as the asynchronous chip computes."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from ..._checks import explained
from ...datasets.events import Events, EventsLike, as_int64
from .._describe import describe_trace
from .._inputs import require_state
from ._chips import whole
from ._sensor import Sensor
from ._simulate import SimState, registers
from ._spec import Spec
from ._through import Flow, Layer, arrived, count, ready, through

_BLOCK = 2**16
"""Events and ticks that go through all layers at a time."""


class EventTrace(NamedTuple):
    """Result of an event-driven simulation. Tuples have an entry for each layer.

    Attributes:
        events: spikes of each layer, before any pooling.
        counts: number of spikes of each neuron.
        arrived: number of events that came to each place of a layer's input map, over all channels.
        saturated: number of times that a membrane potential was cut to 16 bits.
        waiting: number of neurons at or above their threshold at the end, which wait for an event.
        state: state at the end.
    """

    events: tuple[Events, ...]
    counts: tuple[Int[np.ndarray, "out y x"], ...]
    arrived: tuple[Int[np.ndarray, "height width"], ...]
    saturated: tuple[int, ...]
    waiting: tuple[int, ...]
    state: SimState

    def __repr__(self) -> str:
        return describe_trace(self)


@explained
def simulate_events(
    spec: Spec,
    events: EventsLike,
    *,
    bias_period: int | None = None,
    start: int | None = None,
    duration: int | None = None,
    state: SimState | None = None,
) -> EventTrace:
    """Run a network on events, each applied on its own, in the order of time.

    An event visits the neurons whose kernel covers its place, also where the weight is 0. Each of
    them, once:

    1. vmem = sat(vmem + weight), to 16 bits.
    2. If vmem >= threshold it emits one spike, and vmem -= threshold, or vmem = 0, as `reset` says.
       One that is still at or above its threshold waits for its next event.
    3. vmem = max(vmem, min_vmem).

    The spikes leave in the order of channel, y and x, and take no time: all that follows from one
    event has happened before the next one. Among events of one time, the earlier in `events` comes
    first. A core handles what follows from one event source by source, in the order of
    `spec.sources`. Real cores work at the same time, with delays that are not published, so the
    order within such an instant is a convention of this simulator. Pooling lets each spike through
    with its place divided by the pool; spikes that do not fill a window are lost.

    Biases have a clock of their own. At each tick, all neurons of the cores that have biases are
    visited as by an event, with the bias for a weight, before any event of that time. `max_spikes`
    has no effect here.

    Args:
        spec: a quantised network.
        events: the input, `Events` or a structured array of t, x, y and p. With a sensor layer they
            are those of the pixels, with two polarities.
        bias_period: time between two ticks, in the unit of `events`. Needed if a core has biases
            that are not 0.
        start: time at which the clock starts; the first tick is one period later. None for the
            time of the first event.
        duration: time from the start to the last tick at most; None for the last event.
        state: membrane potentials to begin with; None for those of `spec`.

    Returns:
        Spikes, counts and the state at the end.

    Raises:
        ValueError: if `spec` is not quantised or has values that the chip cannot hold; if `events`
            are not in order, before `start` or outside of the input map; if `bias_period` is
            missing or no integer; or if `state` does not fit.
    """
    cores = ready(spec)
    events = as_int64(events, spec.input_shape)
    if state is not None:
        require_state(state, registers(spec), ())
    biased = [core.name for core in cores if core.tables.bias.size]
    ticks = _ticks(biased, events, bias_period, start, duration)
    times, fed, tick_causes = _merged(spec, events, ticks)
    start_of = [core.vmem for core in cores] if state is None else map(np.asarray, state.vmem)
    layers = [Layer(vmem) for vmem in start_of]
    for first in range(0, max(len(times), 1), _BLOCK):
        now = slice(*np.searchsorted(fed.cause, (first, first + _BLOCK)))
        part = Flow((fed.cause[now] - first).astype(np.int32), fed.place[now], fed.shape)
        ticking = tick_causes[slice(*np.searchsorted(tick_causes, (first, first + _BLOCK)))]
        through(cores, layers, times[first : first + _BLOCK], part, ticking - first)
    numbers: dict[int | None, np.ndarray] = {None: count(fed.place, fed.shape)}
    numbers.update((i, layer.counts) for i, layer in enumerate(layers))
    return EventTrace(
        events=tuple(layer.events() for layer in layers),
        counts=tuple(layer.counts for layer in layers),
        arrived=tuple(arrived(numbers, core.sources) for core in cores),
        saturated=tuple(layer.saturated for layer in layers),
        waiting=tuple(
            int(np.count_nonzero(layer.vmem >= core.tables.rules.threshold))
            for layer, core in zip(layers, cores, strict=True)
        ),
        state=SimState(tuple(jax.device_put([layer.vmem for layer in layers]))),
    )


def _ticks(
    biased: Sequence[str],
    events: Events,
    period: int | None,
    start: int | None,
    duration: int | None,
) -> Int[np.ndarray, " ticks"]:
    """The times of the ticks; none if no core is biased."""
    first, last = (int(t) for t in (events.time[[0, -1]] if len(events.time) else (0, 0)))
    if start is None:
        start = first
    start = whole("start", start, -(2**62))
    if first < start and len(events.time):
        raise ValueError(
            f"`start` must be at most {first}, the time of the first event; got {start}"
        )
    end = last if duration is None else start + whole("duration", duration, 0)
    if period is not None:
        period = whole("bias_period", period, 1)
    if not biased:
        return np.zeros(0, np.int64)
    if period is None:
        raise ValueError(f"`bias_period` must be given, since `{biased[0]}` has biases; got None")
    return np.arange(start + period, end + 1, period, dtype=np.int64)


def _merged(spec: Spec, events: Events, ticks: np.ndarray) -> tuple[np.ndarray, Flow, np.ndarray]:
    """The times of all causes; the events as they reach the first cores; the causes of ticks."""
    times = np.concatenate([ticks, events.time])
    order = np.argsort(times, kind="stable")  # a tick comes first, since ticks are listed first
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    cause = number[len(ticks) :]
    _, *at = events
    if spec.sensor is not None:
        passed = spec.sensor.passed(*events)
        cause, *at = (array[passed] for array in (cause, *at))
        cause, *at = _sensed(spec.sensor, cause, *at)
    fed = Flow(cause, np.ravel_multi_index(at, spec.fed_shape), spec.fed_shape)
    return times[order], fed, number[: len(ticks)]


def _sensed(sensor: Sensor, cause: np.ndarray, *at: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cause, channel, y and x as they leave the sensor's layer, without its filters."""
    channel = np.zeros_like(at[0]) if sensor.merge else at[0]
    y, x, kept = sensor.place(*at[1:])
    return tuple(array[kept] for array in (cause, channel, y, x))
