"""States of neurons rounded to the levels of a number of bits."""

import functools
from numbers import Integral
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import explained
from .._typing import FloatArray, Key
from ._arrays import Count, Real, cast, floats, like, straight_through, whole, wide
from ._scale import highest_integer
from ._transform import Transform

_MULTIPLIERS = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.925, 0.95)
_MAX_BITS = 16
_SWEPT_BITS = 8


@explained
def state_levels(
    bits: int = 8,
    uniform: bool = True,
    thr_centered: bool = True,
    threshold: Real = 1.0,
    lower_limit: float = 0.0,
    upper_limit: float = 0.2,
    multiplier: float | None = None,
) -> Float[Array, "... levels"]:
    """The 2^bits levels of a quantised state, in ascending order.

    The levels reach from -threshold*(1 + lower_limit) to threshold*(1 + upper_limit). Both ends are
    levels, the lower one only if its side has any. Uniform levels are equally spaced. Other levels
    crowd around a centre, the threshold or zero, which is not a level. If the share s of the range
    is below the centre, floor(2^bits * s) of the levels are below it, and the rest above. On a side
    with n levels, the steps are proportional to m^0, m^1, ..., m^(n-1) from the end to the centre.

    Args:
        bits: from 1 to 16.
        uniform: whether the levels are equally spaced.
        thr_centered: whether levels that are not uniform crowd around the threshold, not zero.
        threshold: the firing threshold; a number, or an array of any shape.
        lower_limit: reach of the levels below -threshold, relative to it; at least -1.
        upper_limit: reach of the levels above the threshold, relative to it; above 0.
        multiplier: m, above 0. By default 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.925, 0.95 for 1 to 8
            bits, and 0.95 for more.

    Returns:
        An array of the shape of `threshold` with one more axis, the levels.

    Raises:
        ValueError: if an argument is outside its limits. With an `upper_limit` of 0 there is no
            level above the threshold.

    Source: snnTorch, `state_quant`, where an `upper_limit` of 0 silences the network.

    >>> from snnjax import quant
    >>> print(quant.state_levels(bits=2, lower_limit=-0.25, upper_limit=0.5))
    [-0.75  0.    0.75  1.5 ]
    """
    _check(bits, threshold, lower_limit, upper_limit, multiplier, traced=False)
    scale = jnp.asarray(threshold, float)[..., None]
    if uniform:
        number = jnp.arange(2**bits, dtype=scale.dtype)
        return _uniform(number, 2**bits - 1, -scale * (1 + lower_limit), scale * (1 + upper_limit))
    table = _table(bits, thr_centered, lower_limit, upper_limit, multiplier)
    return scale * jnp.asarray(table, scale.dtype)


@explained
def state_quant(
    x: FloatArray,
    bits: Count = 8,
    uniform: bool = True,
    thr_centered: bool = True,
    threshold: Real = 1.0,
    lower_limit: float = 0.0,
    upper_limit: float = 0.2,
    multiplier: float | None = None,
) -> FloatArray:
    """Round a state to the nearest of the levels of `state_levels`; the gradient is 1.

    Halfway between two levels, the result is the lower one. Memory does not grow with the number
    of levels: uniform levels have a closed form, others use a binary search.

    Args:
        x: a state of any shape.
        bits: from 1 to 16; an integer array to sweep over. If not `uniform`, traced bits are at
            most 8; more give NaN.
        uniform: whether the levels are equally spaced.
        thr_centered: whether levels that are not uniform crowd around the threshold, not zero.
        threshold: the firing threshold; an array must broadcast against `x`.
        lower_limit: reach of the levels below -threshold, relative to it.
        upper_limit: reach of the levels above the threshold, relative to it.
        multiplier: ratio m of neighbouring steps.

    Returns:
        An array of the shape and dtype of `x`; NaN stays NaN.

    Raises:
        TypeError: if `x` is not of floating-point numbers.
        ValueError: as `state_levels`.

    Source: snnTorch, `state_quant`, which compares each number with each level, maps NaN to the
        lowest level, and returns float32.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.state_quant(jnp.array([0.2, 0.9]), bits=2, lower_limit=-0.25, upper_limit=0.5))
    [0.   0.75]
    """
    _check(bits, threshold, lower_limit, upper_limit, multiplier, traced=True)
    x = floats("state_quant", x)
    v = wide(x)
    scale = cast(threshold, v)
    if uniform:
        value = _nearest_uniform(v, bits, -scale * (1 + lower_limit), scale * (1 + upper_limit))
    else:
        settings = (thr_centered, lower_limit, upper_limit, multiplier)
        value = _nearest_of_table(v / scale, *_search_tables(bits, settings, v)) * scale
    return like(straight_through(v, value), x)


def _nearest_uniform(x: FloatArray, bits: Count, low: Real, high: Real) -> FloatArray:
    steps = cast(2 * highest_integer(bits) + 1, x)
    # Not `round`, which at halves picks the even number instead of the lower one.
    number = jnp.ceil((x - low) / ((high - low) / steps) - 0.5)
    return _uniform(jnp.clip(number, 0, steps), steps, low, high)


def _uniform(number: FloatArray, steps: Real, low: Real, high: Real) -> FloatArray:
    """Level `number` of the `steps` + 1 levels from `low` to `high`."""
    step = (high - low) / steps
    # Counted from the nearer end, so that both ends are exact.
    return jnp.where(2 * number < steps, low + number * step, high - (steps - number) * step)


def _nearest_of_table(x: FloatArray, table: FloatArray, halfways: FloatArray) -> FloatArray:
    """The member of `table` nearest to each number, by bisection.

    XLA fuses the unrolled steps into one loop over `x`. `jnp.searchsorted` takes twice as long on a
    CPU, and longer for the small states inside a scan.
    """
    found, step = jnp.zeros(x.shape, jnp.int32), table.size // 2
    while step:
        further = halfways.at[found + (step - 1)].get(mode="promise_in_bounds") < x
        found, step = jnp.where(further, found + step, found), step // 2
    return jnp.where(jnp.isnan(x), x, table.at[found].get(mode="promise_in_bounds"))


def _search_tables(
    bits: Count, settings: tuple[Any, ...], x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The levels and their midpoints, for a threshold of 1."""
    if isinstance(bits, Integral):
        table = _table(bits, *settings)
        return jnp.asarray(table, x.dtype), jnp.asarray((table[1:] + table[:-1]) / 2, x.dtype)
    # Traced bits select a row of a table of fixed size. Infinity pads the unused levels.
    tables = np.full((_SWEPT_BITS, 2**_SWEPT_BITS), np.inf)
    for row in range(_SWEPT_BITS):
        tables[row, : 2 ** (row + 1)] = _table(row + 1, *settings)
    halfways = (tables[:, 1:] + tables[:, :-1]) / 2
    return _row(tables, bits, x), _row(halfways, bits, x)


def _row(tables: Float[np.ndarray, "bits levels"], bits: Count, x: FloatArray) -> FloatArray:
    """Row `bits - 1`; NaN for a number of bits that is not supported."""
    row = jnp.where(bits < 1, len(tables), bits - 1)  # row -1 would be the last row
    return jnp.asarray(tables, x.dtype).at[row].get(mode="fill", fill_value=jnp.nan)


@functools.lru_cache
def _table(
    bits: int,
    thr_centered: bool,
    lower_limit: float,
    upper_limit: float,
    multiplier: float | None,
) -> Float[np.ndarray, " levels"]:
    """Levels that are not uniform, for a threshold of 1, in float64."""
    count, low, high = 2**bits, -(1 + lower_limit), 1 + upper_limit
    m = _MULTIPLIERS[min(bits, len(_MULTIPLIERS)) - 1] if multiplier is None else multiplier
    centre = 1.0 if thr_centered else 0.0
    below = min(int(count * ((centre - low) / (high - low))), count - 1)
    return np.concatenate(
        [
            low + _shrinking(below, m, centre - low),
            (high - _shrinking(count - below, m, high - centre))[::-1],
        ]
    )


def _shrinking(count: int, m: float, length: float) -> Float[np.ndarray, " count"]:
    """Start of each of `count` steps that shrink by the factor m and add up to `length`."""
    steps = m ** np.arange(count)
    return (np.cumsum(steps) - steps) / np.sum(steps) * length


def _check(
    bits: Count,
    threshold: Real | None,
    lower_limit: float,
    upper_limit: float,
    multiplier: float | None,
    traced: bool,
) -> None:
    if not traced and not isinstance(bits, Integral):
        raise ValueError("`bits` must be an int here: it is the number of levels that are returned")
    whole("bits", bits, 1, _MAX_BITS)
    if isinstance(threshold, float | int) and not threshold > 0:
        raise ValueError(f"`threshold` must be above 0; got {threshold!r}")
    if not lower_limit >= -1:
        raise ValueError(
            f"`lower_limit` must be at least -1, a lowest level of 0; got {lower_limit!r}"
        )
    if not 1 + upper_limit > 1:
        raise ValueError(
            f"`upper_limit` must be above 0, or no level is above the threshold and no neuron "
            f"fires; got {upper_limit!r}"
        )
    if multiplier is not None and not multiplier > 0:
        raise ValueError(f"`multiplier` must be above 0; got {multiplier!r}")


class StateQuant(Transform):
    """Rounds a state to 2^bits levels around the firing threshold; see `state_quant`.

    Attributes:
        bits: from 1 to 16; an integer array to sweep over.
        uniform: whether the levels are equally spaced.
        thr_centered: whether levels that are not uniform crowd around the threshold, not zero.
        threshold: the threshold that the levels are relative to; None for the current threshold of
            the neurons.
        lower_limit: reach of the levels below -threshold, relative to it; at least -1.
        upper_limit: reach of the levels above the threshold, relative to it; above 0.
        multiplier: ratio of neighbouring steps towards the centre; None for the default.
    """

    bits: Count = 8
    uniform: bool = eqx.field(default=True, static=True)
    thr_centered: bool = eqx.field(default=True, static=True)
    threshold: Real | None = None
    lower_limit: float = eqx.field(default=0.0, static=True)
    upper_limit: float = eqx.field(default=0.2, static=True)
    multiplier: float | None = eqx.field(default=None, static=True)

    @explained
    def __check_init__(self) -> None:
        limits = (self.lower_limit, self.upper_limit, self.multiplier)
        _check(self.bits, self.threshold, *limits, traced=True)

    def levels(self, threshold: Real | None = None) -> Float[Array, "... levels"]:
        """The levels, in ascending order.

        Args:
            threshold: that of the neurons, for a transform without one.

        Raises:
            ValueError: if there is no threshold.
        """
        chosen = self._threshold(threshold)
        return state_levels(
            self.bits,  # type: ignore[arg-type]
            self.uniform,
            self.thr_centered,
            chosen,
            self.lower_limit,
            self.upper_limit,
            self.multiplier,
        )

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        return state_quant(
            x,
            self.bits,
            self.uniform,
            self.thr_centered,
            self._threshold(threshold),
            self.lower_limit,
            self.upper_limit,
            self.multiplier,
        )

    def _threshold(self, given: Real | None) -> Real:
        chosen = given if self.threshold is None else self.threshold
        if chosen is None:
            raise ValueError(
                "`threshold` is missing: StateQuant has none of its own, and none was passed. Give "
                "it one, StateQuant(threshold=1.0), or use it on the state of a neuron"
            )
        return chosen
