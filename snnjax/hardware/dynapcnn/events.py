"""Runs a quantised network event by event, as the asynchronous chip does."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Int

from . import _kernel, _visit
from ._raster import as_counts, require_counts
from .check import require_integers
from .simulate import SimState, require_state
from .spec import Core, Spec

_MOST_TIME = int(np.iinfo(np.int64).max // 2)


class Events(NamedTuple):
    """Events in the order of time; each is one spike. Arrays of NumPy, of whole numbers.

    Attributes:
        time: in any unit, microseconds for instance, ascending.
        channel: polarity of a pixel, or channel of a neuron.
        y: row.
        x: column.
    """

    time: Int[np.ndarray, " n"]
    channel: Int[np.ndarray, " n"]
    y: Int[np.ndarray, " n"]
    x: Int[np.ndarray, " n"]


class EventTrace(NamedTuple):
    """What a network did. Tuples have an entry for each layer.

    Attributes:
        events: spikes of each layer, before any pooling.
        counts: how often each neuron fired.
        arrived: how many events came to each place of a layer's input map, over all channels.
        saturated: how often a membrane potential was cut to 16 bits.
        waiting: how many neurons are left at or above their threshold, for want of an event.
        state: the state at the end.
    """

    events: tuple[Events, ...]
    counts: tuple[Int[np.ndarray, "out y x"], ...]
    arrived: tuple[Int[np.ndarray, "height width"], ...]
    saturated: tuple[int, ...]
    waiting: tuple[int, ...]
    state: SimState


class _Sequence(NamedTuple):
    """Events of one layer, each with the number of the input event or tick that caused it."""

    cause: Int[np.ndarray, " n"]
    channel: Int[np.ndarray, " n"]
    y: Int[np.ndarray, " n"]
    x: Int[np.ndarray, " n"]


def simulate_events(
    spec: Spec,
    events: Events,
    *,
    bias_period: int | None = None,
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
    visited as by an event, with the bias for a weight, before anything else of that time.
    `max_spikes` has no meaning here.

    Args:
        spec: a quantised network.
        events: the input. With a sensor layer they are those of the pixels, with two polarities.
        bias_period: time between two ticks, in the unit of `events`; the first is at that time.
            Needed if a core has biases that are not 0.
        duration: time of the last tick at most; that of the last event if None.
        state: membrane potentials to begin with; those of `spec` if None.

    Returns:
        Spikes, counts and the state at the end.

    Raises:
        ValueError: if `spec` is not quantised or has values that the chip cannot hold; if `events`
            are not in order, or outside of the input map; if `bias_period` is missing; or if
            `state` does not fit.
    """
    require_integers(spec)
    _require_events(spec, events)
    if state is not None:
        require_state(state, spec)
    ticks = _ticks(spec, events, bias_period, duration)
    times, fed, tick_causes = _merged(spec, events, ticks)
    sent: list[_Sequence] = []
    vmem, arrived, saturated, waiting = [], [], [], []
    for i, core in enumerate(spec.layers):
        arriving = _arriving(spec, i, fed, sent)
        start = _kernel.rest(core) if state is None else state.vmem[i]
        run = _visit.run(core, spec.chip, start, arriving, tick_causes)
        sent.append(_Sequence(*run.spikes))
        vmem.append(jnp.asarray(run.vmem))
        saturated.append(run.saturated)
        waiting.append(int(np.sum(run.vmem >= int(core.threshold))))
        arrived.append(_count(core.input_shape[1:], arriving.y, arriving.x))
    return EventTrace(
        events=tuple(Events(times[s.cause], s.channel, s.y, s.x) for s in sent),
        counts=tuple(
            _count(core.output_shape, s.channel, s.y, s.x)
            for core, s in zip(spec.layers, sent, strict=True)
        ),
        arrived=tuple(arrived),
        saturated=tuple(saturated),
        waiting=tuple(waiting),
        state=SimState(tuple(vmem)),
    )


def to_events(
    spec: Spec, raster: ArrayLike, step: int = 1000, *, seed: int | None = None
) -> Events:
    """A raster as single events, spread evenly over their time steps.

    Args:
        spec: the network that they are for.
        raster: numbers of events, `(time, channels, height, width)`.
        step: length of a time step, in the unit of the events' times.
        seed: of the order of the events of a step, which is random; None for the order of the
            raster, in which all of one pixel come one after another.

    Raises:
        ValueError: if `raster` is none that `simulate` takes, or `step` is below 1.
    """
    if step < 1:
        raise ValueError(f"`step` must be at least 1; got {step}")
    counts = np.asarray(as_counts(raster, spec))
    if counts.ndim != 4:
        raise ValueError(f"`raster` must be one recording, without a batch; got {counts.shape}")
    places = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(places))
        places = places[order[np.argsort(places[order, 0], kind="stable")]]
    steps = places[:, 0]
    per_step = np.bincount(steps, minlength=len(counts))
    rank = np.arange(len(steps)) - (np.cumsum(per_step) - per_step)[steps]
    return Events(steps * step + rank * step // per_step[steps], *places[:, 1:].T)


def to_raster(events: Events, shape: tuple[int, int, int], step: int, steps: int) -> np.ndarray:
    """Numbers of events in time steps, `(steps, channels, height, width)`.

    Args:
        events: single events.
        shape: (channels, height, width).
        step: length of a time step, in the unit of the events' times.
        steps: number of steps; later events are an error.

    Raises:
        ValueError: if an event is later than the last step.
    """
    index = events.time // step
    if len(index) and index.max() >= steps:
        raise ValueError(
            f"`steps` must be at least {index.max() + 1} for the event at {events.time.max()}; "
            f"got {steps}"
        )
    return _count((steps, *shape), index, events.channel, events.y, events.x)


def _count(shape: tuple[int, ...], *places: np.ndarray) -> np.ndarray:
    flat = np.ravel_multi_index(places, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


def _require_events(spec: Spec, events: Events) -> None:
    if not isinstance(events, Events) or len({np.shape(a) for a in events}) > 1:
        raise ValueError(
            "`events` must be Events(time, channel, y, x) of the same length; make them with "
            "`to_events`"
        )
    limits = (_MOST_TIME, *(size - 1 for size in spec.input_shape))
    for name, array, limit in zip(Events._fields, events, limits, strict=True):
        require_counts(f"events.{name}", np.asarray(array), limit)
    if np.any(np.diff(events.time) < 0):
        late = int(np.argmax(np.diff(events.time) < 0)) + 1
        raise ValueError(
            f"`events.time` must ascend; entry {late} is before the one before it. Sort them with "
            "`np.argsort(time, kind='stable')`"
        )


def _ticks(
    spec: Spec, events: Events, period: int | None, duration: int | None
) -> Int[np.ndarray, " ticks"]:
    biased = [i for i, core in enumerate(spec.layers) if _has_bias(core)]
    if not biased:
        return np.zeros(0, np.int64)
    if period is None or period < 1:
        raise ValueError(
            f"`bias_period` must be a time of at least 1, since `{spec.name(biased[0])}` has "
            f"biases; got {period}"
        )
    if duration is None:
        duration = int(events.time[-1]) if len(events.time) else 0
    return np.arange(period, duration + 1, period, dtype=np.int64)


def _has_bias(core: Core) -> bool:
    return core.bias is not None and bool(np.any(np.asarray(core.bias)))


def _merged(
    spec: Spec, events: Events, ticks: np.ndarray
) -> tuple[np.ndarray, _Sequence, np.ndarray]:
    """The times of all causes; the events as they reach the first cores; the causes of ticks."""
    times = np.concatenate([ticks, np.asarray(events.time, np.int64)])
    order = np.argsort(times, kind="stable")  # a tick comes first, since ticks are listed first
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    fed = _Sequence(number[len(ticks) :], *(np.asarray(a, np.int64) for a in events[1:]))
    return (
        times[order],
        fed if spec.sensor is None else _sensed(spec.sensor, fed),
        number[: len(ticks)],
    )


def _sensed(sensor: Any, events: _Sequence) -> _Sequence:
    """The events as they leave the sensor's layer."""
    channel = np.zeros_like(events.channel) if sensor.merge else events.channel
    y, x, kept = sensor.place(events.y, events.x)
    return _Sequence(*(array[kept] for array in (events.cause, channel, y, x)))


def _arriving(spec: Spec, layer: int, fed: _Sequence, sent: list[_Sequence]) -> _Sequence:
    """What comes to a layer, in its order."""
    parts = [
        fed if source is None else _pooled(spec.layers[source], sent[source], pool)
        for source, pool in spec.sources(layer)
    ]
    joined = _Sequence(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    order = np.argsort(joined.cause, kind="stable")
    return _Sequence(*(array[order] for array in joined))


def _pooled(core: Core, spikes: _Sequence, pool: int) -> _Sequence:
    _, height, width = core.pooled(pool)
    y, x = spikes.y // pool, spikes.x // pool
    kept = (y < height) & (x < width)
    return _Sequence(*(array[kept] for array in (spikes.cause, spikes.channel, y, x)))
