"""The layer between the event sensor and the first cores."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped

from ..._checks import explained
from ._chips import Pair, pair, whole

_POLARITIES = {"both": (True, True), "off": (True, False), "on": (False, True)}


def sum_pool(x: Shaped[Array, "*batch height width"], size: Pair) -> Shaped[Array, "*batch y x"]:
    """Sums over windows side by side; a rest that does not fill a window is left out.

    Args:
        x: maps of numbers.
        size: (height, width) of the windows.
    """
    if size == (1, 1):
        return x
    (ky, kx), (*batch, height, width) = size, x.shape
    y, x_ = height // ky, width // kx
    cut = x[..., : y * ky, : x_ * kx].reshape(*batch, y, ky, x_, kx)
    return jnp.sum(cut, axis=(-3, -1), dtype=x.dtype)


@dataclass(frozen=True, kw_only=True)
class NoiseFilter:
    """A filter that lets events through if others were close by shortly before.

    An event passes if another pixel of the window around it had an event at most `period` before,
    of any polarity, passed or not. This is the usual filter of background activity (Delbruck 2008).
    The chip's own (`dvs_filter`) is of this kind, but its unit of time is not published, so its
    threshold has to be set on the board.

    Attributes:
        size: (height, width) of the window, odd.
        period: longest time between the two events, in the unit of the events' times.
    """

    size: Pair = (3, 3)
    period: int = 5000

    @explained
    def __post_init__(self) -> None:
        object.__setattr__(self, "size", pair("size", self.size, 1))
        object.__setattr__(self, "period", whole("period", self.period, 0))
        if self.size[0] % 2 == 0 or self.size[1] % 2 == 0 or self.size == (1, 1):
            raise ValueError(f"`size` must be odd numbers, not both 1; got {self.size}")

    def passed(
        self, time: Int[np.ndarray, " n"], y: Int[np.ndarray, " n"], x: Int[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Whether each event passes; the events are in the order of time."""
        n, width = len(time), int(x.max(initial=0)) + self.size[1]
        key = (y * width + x) * n + np.arange(n)
        order = np.argsort(key)
        found = np.zeros(n, bool)
        for dy in range(-(self.size[0] // 2), self.size[0] // 2 + 1):
            for dx in range(-(self.size[1] // 2), self.size[1] // 2 + 1):
                inside = (y + dy >= 0) & (x + dx >= 0)
                if (dy, dx) == (0, 0) or not inside.any():
                    continue
                sought = key + (dy * width + dx) * n
                last = order[np.searchsorted(key, sought, sorter=order) - 1]
                there = inside & (y[last] == y + dy) & (x[last] == x + dx)
                found |= there & (last < np.arange(n)) & (time - time[last] <= self.period)
        return found


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """Settings of the layer, which applies them in this order.

    Killed pixels, noise filter, polarity, merge, pool, crop, mirror. Sizes are (height, width).
    Source: sinabs, `DVSLayer`, and the vendor's overview of the chips.

    Attributes:
        size: pixels of the sensor that are in use.
        killed: pixels that are switched off, (y, x).
        noise_filter: filter of isolated events; None for none. Only `simulate_events` has it.
        polarity: "both"; "off" passes only events of polarity 0, "on" only those of polarity 1.
        merge: add both polarities up to one channel. Otherwise there are two.
        pool: sum pooling along each axis.
        crop: ((top, bottom), (left, right)) of the pooled map, the ends not included; None for all
            of it.
        mirror_x: left becomes right.
        mirror_y: top becomes bottom.
        mirror_diagonal: x becomes y, after the other two.
        enabled: whether the pixels on the chip feed it. Otherwise events come from outside.
    """

    size: Pair = (128, 128)
    killed: tuple[Pair, ...] = ()
    noise_filter: NoiseFilter | None = None
    polarity: Literal["both", "off", "on"] = "both"
    merge: bool = False
    pool: Pair = (1, 1)
    crop: tuple[Pair, Pair] | None = None
    mirror_x: bool = False
    mirror_y: bool = False
    mirror_diagonal: bool = False
    enabled: bool = True

    @explained
    def __post_init__(self) -> None:
        self._set("size", pair("size", self.size, 1))
        self._set("pool", pair("pool", self.pool, 1))
        if self.polarity not in _POLARITIES:
            raise ValueError(
                f"`polarity` must be {', '.join(map(repr, _POLARITIES))}; got {self.polarity!r}"
            )
        killed = sorted({pair(f"killed[{i}]", p, 0) for i, p in enumerate(self.killed)})
        for y, x in killed:
            if y >= self.size[0] or x >= self.size[1]:
                raise ValueError(f"`killed` must be pixels of {self.size}; got {(y, x)}")
        self._set("killed", tuple(killed))
        if self.crop is not None:
            pairs = (pair(f"crop[{i}]", ends, 0) for i, ends in enumerate(self.crop))
            self._set("crop", tuple(pairs))
        if len(self.roi) != 2:
            raise ValueError(f"`crop` must be ((top, bottom), (left, right)); got {self.crop}")
        for axis, ((start, stop), length) in enumerate(zip(self.roi, self.pooled, strict=True)):
            if not start < stop <= length:
                raise ValueError(
                    f"`crop[{axis}]` must be within the {length} pixels of the pooled map and not "
                    f"empty; got {(start, stop)}"
                )
        if self.roi == ((0, self.pooled[0]), (0, self.pooled[1])):
            self._set("crop", None)  # one way to say it

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def pooled(self) -> Pair:
        """Size of the map after pooling; pixels that do not fill a window are left out."""
        return self.size[0] // self.pool[0], self.size[1] // self.pool[1]

    @property
    def roi(self) -> tuple[Pair, Pair]:
        """The part of the pooled map that is kept: ((top, bottom), (left, right))."""
        height, width = self.pooled
        return ((0, height), (0, width)) if self.crop is None else self.crop

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(polarities, height, width)."""
        return 2, *self.size

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        height, width = (stop - start for start, stop in self.roi)
        if self.mirror_diagonal:
            height, width = width, height
        return 1 if self.merge else 2, height, width

    def pooling(self, pool: Pair) -> "Sensor":
        """The layer with another sum pool after it, as one layer.

        Raises:
            ValueError: if a crop or mirror is between the two whose sizes are no multiples of
                `pool`.
        """
        y, x = pool[::-1] if self.mirror_diagonal else pool
        (top, bottom), (left, right) = self.roi
        plain = self.crop is None and not (self.mirror_x or self.mirror_y)
        if not plain and (top % y or bottom % y or left % x or right % x):
            raise ValueError(
                f"`sensor` is pooled by {pool} in the network, but its crop {self.roi} is no "
                "multiple of that"
            )
        crop = ((top // y, bottom // y), (left // x, right // x))
        size = (self.pool[0] * y, self.pool[1] * x)
        return replace(self, pool=size, crop=None if self.crop is None else crop)

    def without_pool(self, pool: Pair) -> "Sensor":
        """The layer whose `pooling(pool)` this is."""
        y, x = pool[::-1] if self.mirror_diagonal else pool
        (top, bottom), (left, right) = self.roi
        crop = ((top * y, bottom * y), (left * x, right * x))
        size = (max(self.pool[0] // y, 1), max(self.pool[1] // x, 1))
        return replace(self, pool=size, crop=None if self.crop is None else crop)

    @property
    def _seen(self) -> Bool[np.ndarray, "polarities height width"]:
        """The pixels and polarities that are not switched off."""
        seen = np.ones(self.input_shape, bool)
        seen &= np.array(_POLARITIES[self.polarity])[:, None, None]
        for y, x in self.killed:
            seen[:, y, x] = False
        return seen

    @explained
    def __call__(
        self, events: Shaped[Array, "*batch polarities height width"]
    ) -> Shaped[Array, "*batch channels y x"]:
        """Numbers of events, of any numeric type, as they leave the layer, without noise filter."""
        if self.killed or self.polarity != "both":
            events = jnp.where(self._seen, events, jnp.zeros((), events.dtype))
        if self.merge:
            events = jnp.sum(events, axis=-3, keepdims=True, dtype=events.dtype)
        events = sum_pool(events, self.pool)
        (top, bottom), (left, right) = self.roi
        events = events[..., top:bottom, left:right]
        if self.mirror_y:
            events = events[..., ::-1, :]
        if self.mirror_x:
            events = events[..., ::-1]
        return jnp.swapaxes(events, -1, -2) if self.mirror_diagonal else events

    def passed(
        self,
        time: Int[np.ndarray, " n"],
        polarity: Int[np.ndarray, " n"],
        y: Int[np.ndarray, " n"],
        x: Int[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:
        """Whether single events of pixels get past the switches and the noise filter."""
        alive = ~np.isin(y * self.size[1] + x, [a * self.size[1] + b for a, b in self.killed])
        if self.noise_filter is not None:
            there = np.flatnonzero(alive)
            alive[there] = self.noise_filter.passed(time[there], y[there], x[there])
        return alive & np.array(_POLARITIES[self.polarity])[polarity]

    def place(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places at which events of pixels come out: y, x, and whether the crop keeps them."""
        (top, bottom), (left, right) = self.roi
        y, x = y // self.pool[0], x // self.pool[1]
        kept = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        y, x = y - top, x - left
        if self.mirror_y:
            y = bottom - top - 1 - y
        if self.mirror_x:
            x = right - left - 1 - x
        return (x, y, kept) if self.mirror_diagonal else (y, x, kept)
