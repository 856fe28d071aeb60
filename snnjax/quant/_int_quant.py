"""Mapping of numbers to integers without keeping the scale."""

import equinox as eqx
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray, Key
from ..passthrough import round_passthrough
from ._arrays import Count, cast, floats, like, other_axes, peak, usable, whole, wide
from ._scale import highest_integer
from ._transform import Transform


@explained
def int_quant(
    x: FloatArray,
    bits: Count = 8,
    maintain_zero: bool = True,
    map_to_max: bool = False,
    max_bits: Count = 8,
    *,
    axis: int | None = None,
) -> FloatArray:
    """Map numbers to integers of `bits` bits.

        y = round(v*q/max|v|)       q = 2^(bits-1) - 1
        v = x, or x - (min x + max x)/2 without `maintain_zero`

    With `map_to_max` the 2q + 1 integers are spread over the range of `max_bits`:
    y*(2^(max_bits-1) - 1)/q, rounded. The gradient passes straight through the rounding, and
    includes the derivative of max|v|.

    Args:
        x: array of any shape.
        bits: bits of the integer, sign included, at least 2; an integer array to sweep over.
        maintain_zero: whether zero maps to zero; if not, the middle of the range does.
        map_to_max: whether the largest integer is that of `max_bits`.
        max_bits: with `map_to_max`, at least `bits`.
        axis: max|v| for each index along this axis; None for that of the whole array.

    Returns:
        Whole numbers from -q to q, in the shape and dtype of `x`; zeros for zeros.

    Raises:
        TypeError: if `x` is not of floating-point numbers.
        ValueError: if `bits` or `max_bits` does not fit, or there is no such `axis`.

    Source: Rockpool, `int_quant`, without two of its defects. Its `map_to_max` rounds to the levels
        of `max_bits` for any `bits`. Without `maintain_zero` it subtracts half the width of the
        range, which centres only ranges that begin at zero.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.int_quant(jnp.array([-1.0, 0.2, 0.5]), bits=4))
    [-7.  1.  4.]
    """
    _check(bits, max_bits, map_to_max)
    x = floats("int_quant", x)
    if x.size == 0:
        return x
    v = wide(x)
    if not maintain_zero:
        others = other_axes(v, axis)
        low, high = (f(v, axis=others, keepdims=True) for f in (jnp.min, jnp.max))
        v = v - (low + high) / 2
    highest = cast(highest_integer(bits), v)
    y = round_passthrough(highest / usable(peak(v, axis)) * v)
    if map_to_max:
        y = round_passthrough(y * (cast(highest_integer(max_bits), v) / highest))
    return like(y, x)


def _check(bits: Count, max_bits: Count, map_to_max: bool) -> None:
    whole("bits", bits, 2, 31)
    whole("max_bits", max_bits, bits if map_to_max and isinstance(bits, int) else 2, 31)


class IntQuant(Transform):
    """Maps numbers to integers; see `int_quant`. `Int` keeps the scale of the numbers instead.

    Attributes:
        bits: bits of the integer, sign included; an integer array to sweep over.
        maintain_zero: whether zero maps to zero; if not, the middle of the range does.
        map_to_max: whether the largest integer is that of `max_bits`.
        max_bits: with `map_to_max`, at least `bits`.
        axis: max|v| for each index along this axis; None for that of the whole array.
    """

    bits: Count = 8
    maintain_zero: bool = eqx.field(default=True, static=True)
    map_to_max: bool = eqx.field(default=False, static=True)
    max_bits: int = eqx.field(default=8, static=True)
    axis: int | None = eqx.field(default=None, static=True)

    @explained
    def __check_init__(self) -> None:
        _check(self.bits, self.max_bits, self.map_to_max)

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        return int_quant(
            x, self.bits, self.maintain_zero, self.map_to_max, self.max_bits, axis=self.axis
        )
