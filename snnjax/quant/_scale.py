"""Scales: the real value of one unit of an integer."""

from typing import Literal, TypeAlias

import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ._arrays import Count, cast, other_axes, peak, share, smallest, usable, wide

Scale: TypeAlias = Literal["absmax", "percentile", "learned", "power_of_two"]
Limits: TypeAlias = tuple[FloatArray, FloatArray]


def highest_integer(bits: Count) -> Count:
    """2^(bits-1) - 1, exactly, for an `int` or an integer array."""
    return (1 << (bits - 1)) - 1


@explained
def int_scale(x: FloatArray, bits: Count, axis: int | None = None) -> FloatArray:
    """The scale that maps the largest magnitude to the largest integer: max|x| / (2^(bits-1) - 1).

    Args:
        x: array of any shape.
        bits: bits of the integer, sign included; an integer array to sweep over.
        axis: one scale for each index along this axis; None for one of the whole array.

    Returns:
        An array that broadcasts against `x`, of its dtype but at least 32 bits; 1 for zeros and for
        numbers whose scale is below the smallest normal number.

    Raises:
        ValueError: if `x` has no such `axis`.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.int_scale(jnp.array([-2.54, 1.0, 0.5]), bits=8))
    [0.02]
    """
    x = wide(jnp.asarray(x))
    return usable(peak(x, axis) / cast(highest_integer(bits), x))


def lsq_scale(x: FloatArray, highest: Count, axis: int | None = None) -> FloatArray:
    """Initial value of a learned scale: 2*mean|x|/sqrt(highest).

    Args:
        x: array of any shape.
        highest: the highest integer; an array to sweep over.
        axis: one scale for each index along this axis; None for one of the whole array.

    Returns:
        An array that broadcasts against `x`; 1 for zeros.

    Source: LSQ, arXiv 1902.08153, section 2.1.
    """
    x = wide(jnp.asarray(x))
    total = jnp.sum(jnp.abs(x), axis=other_axes(x, axis), keepdims=True)
    return usable(2 * total / max(share(x, axis), 1) / jnp.sqrt(cast(highest, x)))


def data_limits(x: FloatArray, axis: int | None) -> Limits:
    """min(x, 0) and max(x, 0) for each index along `axis`."""
    others = other_axes(x, axis)
    low = jnp.min(x, axis=others, keepdims=True, initial=0)
    return low, jnp.max(x, axis=others, keepdims=True, initial=0)


def percentile_limits(
    x: FloatArray, axis: int | None, percentile: float, symmetric: bool
) -> Limits:
    """Limits at a percentile: of the magnitudes if `symmetric`, else of the numbers at both ends.

    Where both percentiles are 0, as in a sparse tensor, the limits are those of all numbers.
    """
    low, high = data_limits(x, axis)
    if x.size == 0:
        return low, high
    others = other_axes(x, axis)

    def at(percentile: float, x: FloatArray) -> FloatArray:
        # For no axes, jnp.percentile returns one axis.
        found = jnp.percentile(x, percentile, axis=others, keepdims=True)
        return found.reshape(low.shape)

    top = at(percentile, jnp.abs(x) if symmetric else x)
    bottom = -top if symmetric else at(100 - percentile, x)
    bottom, top = jnp.minimum(bottom, 0), jnp.maximum(top, 0)
    some = top - bottom >= smallest(x)
    return jnp.where(some, bottom, low), jnp.where(some, top, high)


def next_power_of_two(scale: FloatArray) -> FloatArray:
    """The smallest power of two that is at least `scale`, exactly."""
    fraction, exponent = jnp.frexp(scale)
    return jnp.ldexp(jnp.ones_like(scale), jnp.where(fraction > 0.5, exponent, exponent - 1))
