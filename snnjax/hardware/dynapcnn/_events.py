"""Single events: lists of them, from rasters and back."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Int

from ..._checks import explained
from .._inputs import as_counts, require_counts
from ._chips import whole, wholes
from ._simulate import MAX_EVENTS
from ._spec import Spec

_MAX_TIME = int(np.iinfo(np.int64).max // 2)


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


@explained
def to_events(
    spec: Spec, raster: ArrayLike, *, step: int = 1000, seed: int | None = None
) -> Events:
    """A raster as single events, spread evenly over their time steps.

    Args:
        spec: the network that they are for.
        raster: numbers of events, `(time, channels, height, width)`.
        step: length of a time step, in the unit of the events' times.
        seed: of the order of the events of a step, which is random; None for the order of the
            raster, in which all of one pixel come one after another.

    Raises:
        ValueError: if `raster` is not one that `simulate` takes, or `step` is no integer above 0.
    """
    step = whole("step", step, 1)
    counts = np.asarray(as_counts(raster, spec.input_shape, most=MAX_EVENTS))
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


@explained
def to_raster(
    events: Events, shape: tuple[int, int, int], *, step: int, steps: int, start: int = 0
) -> Int[np.ndarray, "steps channels height width"]:
    """Numbers of events in time steps.

    Args:
        events: single events.
        shape: (channels, height, width).
        step: length of a time step, in the unit of the events' times.
        steps: number of steps.
        start: time at which the first step begins; the first event's for a camera's own clock.

    Raises:
        ValueError: if an event is before `start` or after the last step, or its place is not one of
            `shape`; or if a number is no integer or too low.
    """
    step, steps = whole("step", step, 1), whole("steps", steps, 0)
    channels, height, width = wholes("shape", shape, 3, 1)
    time, *places = as_int64(events, (channels, height, width))
    index = (time - whole("start", start, -_MAX_TIME)) // step
    for wrong, where in ((index < 0, "before `start`"), (index >= steps, "after the last step")):
        if wrong.any():
            first = int(wrong.argmax())
            raise ValueError(
                f"`events.time[{first}]` is {time[first]}, {where}: {steps} steps of {step} from "
                f"{start} on end at {start + steps * step}; give `steps` or `start` for it"
            )
    return count((steps, channels, height, width), index, *places)


def count(shape: tuple[int, ...], *places: np.ndarray) -> np.ndarray:
    """How often each place of an array of that shape is named."""
    flat = np.ravel_multi_index(places, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


def as_int64(events: Events, shape: tuple[int, int, int]) -> Events:
    """The events as 64-bit integers.

    Raises:
        ValueError: if they are none, of different lengths, negative or not whole, outside of maps
            of that shape, or not in the order of time.
    """
    if not isinstance(events, Events) or len({np.shape(a) for a in events}) > 1:
        raise ValueError(
            "`events` must be Events(time, channel, y, x) of the same length; make them with "
            "`to_events`"
        )
    limits = (_MAX_TIME, *(size - 1 for size in shape))
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
