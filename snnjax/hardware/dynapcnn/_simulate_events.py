"""Simulation of a quantised network event by event, as the asynchronous chip computes."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ..._checks import explained
from ...datasets.events import Events, EventsLike, as_int64
from .._describe import describe_trace
from .._inputs import require_state
from . import _kernel, _visit
from ._check import require_integers
from ._chips import whole
from ._sensor import Sensor
from ._simulate import SimState, registers
from ._spec import Core, Shape, Spec


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


class _Sequence(NamedTuple):
    """Events of a map.

    Attributes:
        cause: number of the input event or tick that caused each, ascending.
        place: its place in the map, in the order of channel, y and x.
    """

    cause: Int[np.ndarray, " n"]
    place: Int[np.ndarray, " n"]


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
    require_integers(spec)
    events = as_int64(events, spec.input_shape)
    if state is not None:
        require_state(state, registers(spec), ())
    ticks = _ticks(spec, events, bias_period, start, duration)
    times, fed, tick_causes = _merged(spec, events, ticks)
    sent: list[_Sequence] = []
    vmem, arrived, saturated, waiting = [], [], [], []
    for i, core in enumerate(spec.layers):
        arriving = _arriving(spec, i, fed, sent)
        before = _kernel.rest(core) if state is None else jnp.asarray(state.vmem[i])
        run = _visit.run(core, spec.chip, before, *arriving, tick_causes)
        sent.append(_Sequence(run.cause, run.neuron))
        vmem.append(jnp.asarray(run.vmem))
        saturated.append(run.saturated)
        waiting.append(int(np.sum(run.vmem >= int(core.threshold))))
        arrived.append(_numbers(core.input_shape, arriving).sum(axis=0))
    shapes = [core.output_shape for core in spec.layers]
    return EventTrace(
        events=tuple(_events(times, *of) for of in zip(shapes, sent, strict=True)),
        counts=tuple(_numbers(*of) for of in zip(shapes, sent, strict=True)),
        arrived=tuple(arrived),
        saturated=tuple(saturated),
        waiting=tuple(waiting),
        state=SimState(tuple(vmem)),
    )


def _events(times: np.ndarray, shape: Shape, sequence: _Sequence) -> Events:
    at = (index.ravel()[sequence.place] for index in np.indices(shape))
    return Events(times[sequence.cause], *at)


def _numbers(shape: Shape, sequence: _Sequence) -> Int[np.ndarray, "channels y x"]:
    return np.bincount(sequence.place, minlength=int(np.prod(shape))).reshape(shape)


def _ticks(
    spec: Spec, events: Events, period: int | None, start: int | None, duration: int | None
) -> Int[np.ndarray, " ticks"]:
    """The times of the ticks; none if no core has biases."""
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
    biased = [i for i, core in enumerate(spec.layers) if _has_bias(core)]
    if not biased:
        return np.zeros(0, np.int64)
    if period is None:
        raise ValueError(
            f"`bias_period` must be given, since `{spec.name(biased[0])}` has biases; got None"
        )
    return np.arange(start + period, end + 1, period, dtype=np.int64)


def _has_bias(core: Core) -> bool:
    return core.bias is not None and bool(np.any(np.asarray(core.bias)))


def _merged(
    spec: Spec, events: Events, ticks: np.ndarray
) -> tuple[np.ndarray, _Sequence, np.ndarray]:
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
    fed = _Sequence(cause, np.ravel_multi_index(at, spec.fed_shape))
    return times[order], fed, number[: len(ticks)]


def _sensed(sensor: Sensor, cause: np.ndarray, *at: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cause, channel, y and x as they leave the sensor's layer, without its filters."""
    channel = np.zeros_like(at[0]) if sensor.merge else at[0]
    y, x, kept = sensor.place(*at[1:])
    return tuple(array[kept] for array in (cause, channel, y, x))


def _arriving(spec: Spec, layer: int, fed: _Sequence, sent: list[_Sequence]) -> _Sequence:
    """The events that arrive at a layer, in order."""
    shape = spec.layers[layer].input_shape
    parts = [
        _moved(fed, spec.fed_shape, 1, shape, shift)
        if source is None
        else _moved(sent[source], spec.layers[source].output_shape, pool, shape, shift)
        for source, pool, shift in spec.sources(layer)
    ]
    if len(parts) == 1:
        return parts[0]
    joined = _Sequence(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    order = np.argsort(joined.cause, kind="stable")
    return _Sequence(*(array[order] for array in joined))


def _moved(events: _Sequence, before: Shape, pool: int, after: Shape, shift: int) -> _Sequence:
    """Events of one map in another: pooled, and at later channels."""
    _, height, width = after
    channel, y, x = np.indices(before)
    y, x = y // pool, x // pool
    inside = (y < before[1] // pool) & (x < before[2] // pool)
    place = ((channel + shift) * height + y) * width + x
    to = np.where(inside, place, -1).ravel()[events.place]
    kept = to >= 0
    return _Sequence(events.cause[kept], to[kept])
