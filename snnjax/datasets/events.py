"""Single events: from recordings and rasters, and to rasters."""

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Int

from .._checks import explained, require_counts, shape_of, whole

_MAX_TIME = int(np.iinfo(np.int64).max // 2)
_MAX_COUNT = 2**15 - 1
_MOST_CELLS = 2**31
_NAMES = {"time": ("t",), "channel": ("p", "on"), "y": ("y",), "x": ("x",)}


class Events(NamedTuple):
    """Events in the order of time; each is one spike. NumPy arrays of integers.

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


EventsLike: TypeAlias = Events | np.ndarray
"""`Events`, or a structured array with the fields t, x, y and p, in any order and integer type."""


@explained
def to_events(
    source: EventsLike | ArrayLike, *, step: int = 1000, seed: int | None = None
) -> Events:
    """Single events of a recording, or of a raster.

    Args:
        source: a structured array with the fields t, x, y and p, such as those of tonic, aedat and
            expelliarmus: time, column, row and polarity. Without y, or p, the row, or the channel,
            is 0. Or a raster, `(time, channels, height, width)`, of numbers of events, which are
            spread evenly over their time steps.
        step: length of a time step of a raster, in the unit of the events' times.
        seed: of the order of the events of a step, which is random; None for the order of the
            raster, in which all of one pixel come one after another.

    Raises:
        ValueError: if `source` is neither, a number is negative or not whole, the times do not
            ascend, or `step` is no integer above 0.

    >>> import numpy as np
    >>> from snnjax.datasets import to_events
    >>> kind = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")]
    >>> to_events(np.array([(10, 3, 1, True)], kind))
    Events(time=array([10]), channel=array([1]), y=array([1]), x=array([3]))
    """
    if isinstance(source, Events) or np.asarray(source).dtype.names is not None:
        return as_int64(source)  # type: ignore[arg-type]
    step = whole("step", step, 1)
    counts = np.asarray(source)
    if counts.ndim != 4:
        raise ValueError(
            "`source` must be one recording, without a batch: a structured array of events, or a "
            f"raster (time, channels, height, width); got {counts.dtype} of the shape "
            f"{counts.shape}"
        )
    require_counts("source", counts, most=_MAX_COUNT)
    counts = counts.astype(np.int32)
    places = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(places))
        places = places[order[np.argsort(places[order, 0], kind="stable")]]
    steps = places[:, 0]
    per_step = np.bincount(steps, minlength=len(counts))
    rank = np.arange(len(steps)) - (np.cumsum(per_step) - per_step)[steps]
    return Events(steps * step + rank * step // per_step[steps], *places[:, 1:].T)


@explained
def to_raster(
    events: EventsLike,
    shape: int | tuple[int, int, int],
    *,
    step: int,
    steps: int | None = None,
    start: int = 0,
) -> Int[np.ndarray, "steps *shape"]:
    """Numbers of events in time steps of equal length.

    Args:
        events: single events.
        shape: (channels, height, width); or a number of channels, for a raster (steps, channels)
            of events whose channel is their column, such as those of a cochlea.
        step: length of a time step, in the unit of the events' times.
        steps: number of steps; None for as many as the last event needs.
        start: time at which the first step begins; the first event's for a camera's own clock.

    Raises:
        ValueError: if an event is before `start` or after the last step, or its place is not one of
            `shape`; if a number is no integer or too low; or if there are more than 2^31 numbers.
    """
    step, sizes = whole("step", step, 1), _sizes(shape)
    time, *places = as_int64(events, sizes)
    index = (time - whole("start", start, -_MAX_TIME)) // step
    needed = int(index.max(initial=-1)) + 1
    steps = max(needed, 0) if steps is None else whole("steps", steps, 0)
    for wrong, where in ((index < 0, "before `start`"), (index >= steps, "after the last step")):
        if wrong.any():
            first = int(wrong.argmax())
            raise ValueError(
                f"`events.time[{first}]` is {time[first]}, {where}: {steps} steps of {step} from "
                f"{start} on end at {start + steps * step}; give `steps` or `start` for it, or cut "
                "the recording with `crop_time`"
            )
    if steps * math.prod(sizes) > _MOST_CELLS:
        first = int(time[0]) if len(time) else 0
        raise ValueError(
            f"`events.time` would take {steps:,} steps of {sizes}, more than memory holds; give a "
            f"longer `step`, or `start`: the first event is at {first}"
        )
    raster = _count((steps, *sizes), index, *places)
    return raster if len(np.shape(shape)) else raster[:, 0, 0]


@explained
def to_raster_by_count(
    events: EventsLike, shape: int | tuple[int, int, int], number: int
) -> Int[np.ndarray, "steps *shape"]:
    """Numbers of events in steps of equally many events, however long they take.

    Args:
        events: single events.
        shape: as for `to_raster`.
        number: events of a step; the last step has the rest.

    Raises:
        ValueError: if the place of an event is not one of `shape`, or `number` is no integer
            above 0.
    """
    number, sizes = whole("number", number, 1), _sizes(shape)
    time, *places = as_int64(events, sizes)
    index = np.arange(len(time)) // number
    raster = _count((-(-len(time) // number), *sizes), index, *places)
    return raster if len(np.shape(shape)) else raster[:, 0, 0]


def _count(shape: tuple[int, ...], *places: np.ndarray) -> np.ndarray:
    """How often each place of an array of that shape is named."""
    flat = np.ravel_multi_index(places, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


@explained
def as_int64(events: EventsLike, shape: tuple[int, int, int] | None = None) -> Events:
    """The events as 64-bit integers.

    Raises:
        ValueError: if they are none, of different lengths, negative or not whole, outside of maps
            of that shape, or not in the order of time.
    """
    events = _fields(events)
    if not isinstance(events, Events) or len({np.shape(a) for a in events}) > 1:
        raise ValueError(
            "`events` must be Events(time, channel, y, x) of the same length, or a structured "
            "array with the fields t, x, y and p; make them with `to_events`"
        )
    sizes = (_MAX_TIME,) * 3 if shape is None else shape
    limits = (_MAX_TIME, *(size - 1 for size in sizes))
    for name, array, limit in zip(Events._fields, events, limits, strict=True):
        require_counts(f"events.{name}", np.asarray(array), most=limit)
    found = Events(*(np.asarray(array).astype(np.int64) for array in events))
    late = np.diff(found.time) < 0
    if late.any():
        raise ValueError(
            f"`events.time` must ascend; entry {int(late.argmax()) + 1} is before the one before "
            "it. Sort them with `np.argsort(time, kind='stable')`"
        )
    return found


def _fields(events: Any) -> Any:
    """The fields of a structured array by their names; anything else as it is."""
    known = getattr(getattr(events, "dtype", None), "names", None)
    if known is None or events.ndim != 1:
        return events
    found = []
    for name, theirs in _NAMES.items():
        own = next((each for each in theirs if each in known), None)
        if own is None and name in ("time", "x"):
            raise ValueError(
                f"`events` has no field {theirs[0]!r}; a structured array of events has the "
                f"fields t, x, y and p, this one has {', '.join(known)}"
            )
        found.append(np.zeros(len(events), np.int64) if own is None else events[own])
    return Events(*found)


def _sizes(shape: int | tuple[int, int, int]) -> tuple[int, int, int]:
    """The sizes of a step as (channels, height, width); of channels alone, they are columns."""
    sizes = shape_of(shape)
    if len(sizes) == 3:
        return sizes
    if len(sizes) == 1 and not isinstance(shape, tuple):
        return (1, 1, *sizes)
    raise ValueError(f"`shape` must be (channels, height, width) or a number; got {shape!r}")
