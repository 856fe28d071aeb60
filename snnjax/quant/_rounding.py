"""Rounding to equally spaced levels between the ends of a range, to the nearest or at random."""

from collections.abc import Callable
from numbers import Number
from typing import Literal, NamedTuple, Self, TypeAlias, get_args

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray, Key
from ..passthrough import floor_passthrough, round_passthrough
from ._arrays import Count, Real, cast, choice, floats, like, needed_key, other_axes, whole, wide
from ._grids import Limit, endpoints_grid, zero_grid
from ._transform import Transform

Grid: TypeAlias = Literal["endpoints", "zero"]
Range: TypeAlias = tuple[Real, Real]


@explained
def deterministic_rounding(
    x: FloatArray,
    num_levels: Count = 256,
    input_range: Range | None = None,
    output_range: Range | None = None,
    maintain_zero: bool = True,
    *,
    axis: int | None = None,
    grid: Grid = "endpoints",
    clip: bool = False,
) -> FloatArray:
    """Round to the nearest of L equally spaced levels.

        y = round((x - a)/qi)*qo + c        qi = (b - a)/(L - 1)        qo = (d - c)/(L - 1)

    with the input range (a, b) and the output range (c, d). The gradient passes straight through
    the rounding. A range taken from the data depends on `x`, and the gradient includes that.

    Args:
        x: array of any shape.
        num_levels: L, at least 2; an integer array to sweep over.
        input_range: (a, b), numbers or arrays that broadcast against `x`. By default
            (-max|x|, max|x|) if `maintain_zero`, else (min x, max x).
        output_range: (c, d); by default the input range.
        maintain_zero: whether the default input range is symmetric about zero.
        axis: one default range for each index along this axis; None for one of the whole array.
        grid: position of the levels. "endpoints": both ends of the range are levels. Zero is a
            level only if L is odd; with an even L and a symmetric range zero moves by half a step.
            "zero": zero is a level and maps to zero, and at least one end of the range is a level.
            The step is the smallest for which L levels cover the range, and all levels are in it.
            A symmetric range with an even L then has L - 1 levels, like a signed integer without
            its lowest. L is at least 3.
        clip: whether numbers outside of a given `input_range` are clipped to its ends, with no
            gradient. Otherwise they map to levels beyond the output range.

    Returns:
        An array of the shape and dtype of `x`. An input range of width 0, such as that of zeros,
        gives its middle clipped to the output range; with `grid="zero"` it gives zeros.

    Raises:
        TypeError: if `x` is not of floating-point numbers.
        ValueError: if `num_levels` is too small, a range is not (low, high), there is no such
            `axis`, or an `output_range` without zero is given with `grid="zero"`.

    Source: Rockpool, `deterministic_rounding`, equal to `grid="endpoints"` without `clip` in values
        and gradients, except for an array of zeros, which gives NaN there.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.deterministic_rounding(jnp.array([-1.0, 0.1, 0.6]), num_levels=5))
    [-1.   0.   0.5]
    """
    settings = _Settings(
        num_levels, input_range, output_range, maintain_zero, axis, grid, clip
    ).checked()
    x = floats("deterministic_rounding", x)
    return _rounded(x, settings, round_passthrough)


@explained
def stochastic_rounding(
    x: FloatArray,
    num_levels: Count = 256,
    input_range: Range | None = None,
    output_range: Range | None = None,
    maintain_zero: bool = True,
    *,
    key: Key | None,
    axis: int | None = None,
    grid: Grid = "endpoints",
    clip: bool = False,
) -> FloatArray:
    """Round to one of the two neighbouring levels at random, with the number itself as the mean.

        y = (floor(v) + [v - floor(v) > u])*qo + c        v = (x - a)/qi        u uniform in [0, 1)

    with the names of `deterministic_rounding`. The probability of the upper level is the fractional
    part. The gradient passes straight through, and includes that of a range taken from the data.
    With `grid="zero"` and an asymmetric range, all numbers between the last level and the shorter
    end map to that level.

    Args:
        x: array of any shape.
        num_levels: see `deterministic_rounding`, as for all arguments except `key`.
        input_range: (a, b).
        output_range: (c, d).
        maintain_zero: whether the default input range is symmetric about zero.
        key: for the draws.
        axis: one range for each index along this axis.
        grid: "endpoints" or "zero".
        clip: whether to clip numbers outside of a given `input_range`.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        TypeError: if `x` is not of floating-point numbers.
        ValueError: as `deterministic_rounding`, and if `key` is missing.

    Source: Rockpool, `stochastic_rounding`; and with `axis=1`, `stochastic_channel_rounding`,
        which overwrites its argument.
    """
    settings = _Settings(
        num_levels, input_range, output_range, maintain_zero, axis, grid, clip
    ).checked()
    x = floats("stochastic_rounding", x)
    uniform = jax.random.uniform(needed_key("stochastic_rounding", key), x.shape, wide(x).dtype)

    def rounding(v: FloatArray) -> FloatArray:
        floor = floor_passthrough(v)
        return floor + jnp.where(v - floor > uniform, 1.0, 0.0)

    return _rounded(x, settings, rounding)


class _Settings(NamedTuple):
    num_levels: Count
    input_range: Range | None
    output_range: Range | None
    maintain_zero: bool
    axis: int | None
    grid: Grid
    clip: bool

    def checked(self) -> Self:
        """These settings, after checks of all that are not arrays."""
        choice("grid", self.grid, get_args(Grid))
        whole("num_levels", self.num_levels, 3 if self.grid == "zero" else 2)
        for name in ("input_range", "output_range"):
            _check_range(name, getattr(self, name))
        if self.grid == "zero" and self.output_range is not None:
            low, high = self.output_range
            if all(isinstance(end, Number) for end in (low, high)) and not low < 0 < high:
                raise ValueError(
                    f"`output_range` must have zero inside with `grid='zero'`; got ({low}, {high})"
                )
        return self


def _check_range(name: str, ends: Range | None) -> None:
    if ends is None:
        return
    if not isinstance(ends, tuple | list) or len(ends) != 2:
        raise ValueError(f"`{name}` must be a pair (low, high); got {ends!r}")
    if all(isinstance(end, Number) for end in ends) and not ends[0] < ends[1]:
        raise ValueError(f"`{name}` must be (low, high) with low below high; got {ends!r}")


def _rounded(
    x: FloatArray, settings: _Settings, rounding: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    if x.size == 0:
        return x
    v = wide(x)
    source, target = _ends(v, settings.input_range), _ends(v, settings.output_range)
    limit: Limit = "gradient" if settings.clip else None
    if source is None:
        # All data are in range up to rounding errors, so the gradient is not clipped.
        source, limit = _data_range(v, settings.maintain_zero, settings.axis), "value"
    place = zero_grid if settings.grid == "zero" else endpoints_grid
    return like(place(v, cast(settings.num_levels, v) - 1, source, target, rounding, limit), x)


def _ends(x: FloatArray, ends: Range | None) -> Range | None:
    return None if ends is None else (cast(ends[0], x), cast(ends[1], x))


def _data_range(x: FloatArray, maintain_zero: bool, axis: int | None) -> Range:
    others = other_axes(x, axis)
    if maintain_zero:
        largest = jnp.max(jnp.abs(x), axis=others, keepdims=True)
        return -largest, largest
    low, high = jnp.min(x, axis=others, keepdims=True), jnp.max(x, axis=others, keepdims=True)
    return low, high


class _Rounding(Transform):
    """Settings of both kinds of rounding."""

    num_levels: Count = 256
    input_range: Range | None = None
    output_range: Range | None = None
    maintain_zero: bool = eqx.field(default=True, static=True)
    axis: int | None = eqx.field(default=None, static=True)
    grid: Grid = eqx.field(default="endpoints", static=True)
    clip: bool = eqx.field(default=False, static=True)

    @explained
    def __check_init__(self) -> None:
        self._settings.checked()

    @property
    def _settings(self) -> _Settings:
        return _Settings(*(getattr(self, name) for name in _Settings._fields))


class DeterministicRounding(_Rounding):
    """Rounds to the nearest of equally spaced levels; see `deterministic_rounding`.

    Attributes:
        num_levels: how many levels; an integer array to sweep over.
        input_range: the range that they divide; None for that of the data.
        output_range: the range to map it to; None for the same.
        maintain_zero: whether the range of the data is taken symmetric about zero.
        axis: a range of its own for each index along this axis.
        grid: "endpoints", the ends of the range are levels, or "zero", zero is one.
        clip: whether to limit numbers outside of a given `input_range`.
    """

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        return deterministic_rounding(x, **self._settings._asdict())


class StochasticRounding(_Rounding):
    """Rounds to one of the two neighbouring levels at random; see `stochastic_rounding`.

    Attributes:
        num_levels: how many levels; an integer array to sweep over.
        input_range: the range that they divide; None for that of the data.
        output_range: the range to map it to; None for the same.
        maintain_zero: whether the range of the data is taken symmetric about zero.
        axis: a range of its own for each index along this axis.
        grid: "endpoints", the ends of the range are levels, or "zero", zero is one.
        clip: whether to limit numbers outside of a given `input_range`.
    """

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        own = needed_key("StochasticRounding", key)
        return stochastic_rounding(x, **self._settings._asdict(), key=own)
