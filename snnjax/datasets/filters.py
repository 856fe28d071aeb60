"""Changes of recordings of single events in software, before a chip: pure functions of `Events`.

Each takes `Events` or a structured array of t, x, y and p, and gives `Events`.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from .._checks import choice, explained, positive, whole
from .events import Events, EventsLike, as_int64


@explained
def polarity(events: EventsLike, mode: Literal["merge", "on", "off"]) -> Events:
    """Events of one channel: those of both polarities, or of one. To separate them, leave it out.

    Args:
        events: of two channels, off (0) and on (1).
        mode: "merge" takes both, "on" those that got brighter, "off" those that got darker.

    Raises:
        ValueError: if `mode` is none of these, or a channel is neither 0 nor 1.
    """
    choice("mode", mode, ("merge", "on", "off"))
    found = as_int64(events)
    if found.channel.max(initial=0) > 1:
        raise ValueError(f"`events.channel` must be 0 (off) or 1 (on); got {found.channel.max()}")
    if mode != "merge":
        found = _kept(found, found.channel == (mode == "on"))
    return found._replace(channel=np.zeros_like(found.channel))


@explained
def crop(events: EventsLike, *, top: int, left: int, height: int, width: int) -> Events:
    """The events of a window, whose upper left corner becomes (0, 0).

    Args:
        events: single events.
        top: first row of the window.
        left: first column of the window.
        height: rows of the window.
        width: columns of the window.
    """
    found = as_int64(events)
    top, left = whole("top", top, 0), whole("left", left, 0)
    height, width = whole("height", height, 1), whole("width", width, 1)
    y, x = found.y - top, found.x - left
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return _kept(found._replace(y=y, x=x), inside)


@explained
def crop_time(events: EventsLike, start: int, end: int) -> Events:
    """The events from `start` to before `end`, at the times they have.

    Args:
        events: single events.
        start: the first time that is kept.
        end: the first time that is not, above `start`.
    """
    found = as_int64(events)
    start, end = whole("start", start, 0), whole("end", end, start + 1)
    return _kept(found, (found.time >= start) & (found.time < end))


@explained
def downsample(events: EventsLike, factor: int) -> Events:
    """Events of a sensor with `factor` times fewer rows and columns; none is lost.

    Args:
        events: single events.
        factor: rows, and columns, that become one.
    """
    found, factor = as_int64(events), whole("factor", factor, 1)
    return found._replace(y=found.y // factor, x=found.x // factor)


@explained
def offset(events: EventsLike, *, time: int | None = 0, y: int = 0, x: int = 0) -> Events:
    """Events at other times and places.

    Args:
        events: single events.
        time: added to the times; None moves the first event to 0.
        y: added to the rows.
        x: added to the columns.

    Raises:
        ValueError: if an event would have a time or a place below 0.
    """
    found = as_int64(events)
    if time is None:
        time = -int(found.time[:1].sum())
    added = {name: whole(name, by, -(2**62)) for name, by in (("time", time), ("y", y), ("x", x))}
    moved = found._replace(**{name: getattr(found, name) + by for name, by in added.items()})
    for name, by in added.items():
        least = getattr(moved, name).min(initial=0)
        if least < 0:
            raise ValueError(f"`{name}` is {by}, which moves an event to {least}; take more")
    return moved


@explained
def drop_hot_pixels(events: EventsLike, max_rate: float, *, second: int = 1_000_000) -> Events:
    """The events of all pixels but those that fire too often over the whole recording.

    It is tonic's `DropPixel` with `hot_pixel_frequency`.

    Args:
        events: single events.
        max_rate: most events of a pixel, of both polarities, in a second.
        second: a second in the unit of the events' times.
    """
    positive("max_rate", max_rate)
    found = as_int64(events)
    if not len(found.time):
        return found
    most = max_rate * (found.time[-1] - found.time[0]) / second
    pixels, which = np.unique(np.stack([found.y, found.x]), axis=1, return_inverse=True)
    number = np.bincount(which.reshape(-1), minlength=pixels.shape[1])
    return _kept(found, (number <= most)[which.reshape(-1)])


@explained
def drop_noise(events: EventsLike, window: int) -> Events:
    """Events that have company: one of the four pixels beside theirs fired shortly before.

    It is tonic's `Denoise`, which also keeps all events before `window`, since it takes every
    pixel to have fired at time 0.

    Args:
        events: single events.
        window: an event beside it must be less than this before it.
    """
    found, window = as_int64(events), whole("window", window, 1)
    accompanied = np.zeros(len(found.time), bool)
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        accompanied |= _since(found, dy, dx) < window
    return _kept(found, accompanied)


@explained
def refractory(events: EventsLike, period: int) -> Events:
    """Events of pixels that were quiet before: the pixel's last one is longer ago than `period`.

    An event that is dropped counts as the pixel's last one too, as in tonic's `RefractoryPeriod`.

    Args:
        events: single events.
        period: time for which a pixel must have been quiet.
    """
    found, period = as_int64(events), whole("period", period, 0)
    return _kept(found, _since(found, 0, 0) > period)


def _kept(events: Events, kept: Bool[np.ndarray, " n"]) -> Events:
    return Events(*(array[kept] for array in events))


def _since(events: Events, dy: int, dx: int) -> Int[np.ndarray, " n"]:
    """Time since the last event, earlier in the list, of the pixel at that distance from each."""
    n = len(events.time)
    never = np.full(n, np.iinfo(np.int64).max)
    if not n:
        return never
    width = int(events.x.max()) + 3
    pixel = (events.y + 1) * width + events.x + 1
    order = np.argsort(pixel, kind="stable")  # by pixel, then by place in the list
    codes, first = np.unique(pixel[order], return_index=True)
    asked = pixel + dy * width + dx
    at = np.searchsorted(codes, asked)
    known = (at < len(codes)) & (codes[np.minimum(at, len(codes) - 1)] == asked)
    # The number of the last event of that pixel with a lower place in the list.
    key = pixel[order] * n + order
    before = np.searchsorted(key, asked * n + np.arange(n)) - 1
    known &= before >= first[np.minimum(at, len(codes) - 1)]
    return np.where(known, events.time - events.time[order[np.maximum(before, 0)]], never)
