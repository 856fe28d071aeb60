"""The layer between the event sensor and the first cores."""

from dataclasses import dataclass
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from ._pool import sum_pool

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """What becomes of the events of the sensor, in this order: merge, pool, crop, mirror.

    Sizes are (height, width). Source: sinabs, `DVSLayer`.

    Attributes:
        size: pixels of the sensor that are in use.
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
    merge: bool = False
    pool: Pair = (1, 1)
    crop: tuple[Pair, Pair] | None = None
    mirror_x: bool = False
    mirror_y: bool = False
    mirror_diagonal: bool = False
    enabled: bool = True

    def __post_init__(self) -> None:
        for name in ("size", "pool"):
            pair = getattr(self, name)
            if len(pair) != 2 or min(pair) < 1:
                raise ValueError(f"`{name}` must be two numbers of at least 1; got {pair}")
        for axis, ((start, stop), length) in enumerate(zip(self.roi, self.pooled, strict=True)):
            if not 0 <= start < stop <= length:
                raise ValueError(
                    f"`crop[{axis}]` must be within the {length} pixels of the pooled map and not "
                    f"empty; got {(start, stop)}"
                )
        if self.roi == ((0, self.pooled[0]), (0, self.pooled[1])):
            object.__setattr__(self, "crop", None)  # one way to say it

    @property
    def pooled(self) -> Pair:
        """The map after pooling; pixels that do not fill a window are left out."""
        return self.size[0] // self.pool[0], self.size[1] // self.pool[1]

    @property
    def roi(self) -> tuple[Pair, Pair]:
        """What is left of the pooled map: ((top, bottom), (left, right))."""
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

    def __call__(
        self, events: Shaped[Array, "*batch polarities height width"]
    ) -> Shaped[Array, "*batch channels y x"]:
        """Numbers of events, of any numeric type, as they leave the layer."""
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

    def place(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the events of pixels come out: y, x, and whether they are within the crop."""
        (top, bottom), (left, right) = self.roi
        y, x = y // self.pool[0], x // self.pool[1]
        kept = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        y, x = y - top, x - left
        if self.mirror_y:
            y = bottom - top - 1 - y
        if self.mirror_x:
            x = right - left - 1 - x
        return (x, y, kept) if self.mirror_diagonal else (y, x, kept)
