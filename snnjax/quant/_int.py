"""Integers of a given number of bits, simulated in floating point."""

from typing import Any, Self, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32

from .._checks import explained
from .._typing import FloatArray, Key
from ._arrays import (
    Count,
    between,
    cast,
    choice,
    floats,
    like,
    share,
    smallest,
    usable,
    whole,
    wide,
)
from ._scale import (
    Scale,
    data_limits,
    highest_integer,
    int_scale,
    lsq_scale,
    next_power_of_two,
    percentile_limits,
)
from ._transform import Transform


class Int(Transform):
    """Rounds to integers of `bits` bits times a scale, with zero exact.

        y = clip(round(x/scale), low, high)*scale

    `Int(bits)` uses the symmetric integers from -(2^(bits-1) - 1) to 2^(bits-1) - 1. Its scale is
    max|x| divided by the highest integer, so nothing is clipped. The gradient passes straight
    through, and is 0 for numbers more than half a step beyond the last integer. The scale has no
    gradient unless it is learned.

    A learned scale is an array leaf of the transform, trained with the model. Let v = x/scale, and
    let n numbers share the scale. The gradient of the scale is sum(g*dv)/sqrt(n*high), with dv =
    round(v) - v for v in (low, high), and dv = low or high outside. The gradient of `x` is 0
    outside. The initial scale is 2*mean|x|/sqrt(high). `Int.learned(x, bits)` makes one.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> int4 = quant.Int(4)
    >>> print(int4.integers(jnp.array([-0.7, 0.04, 0.32])))
    [-7  0  3]

    Attributes:
        bits: bits of the integer, sign included, from 2 to 31; an integer array to sweep over.
        axis: one scale for each index along this axis; None for one of the whole array.
            Along axis 0 of the weights of an `eqx.nn.Linear` each target neuron has its own.
        symmetric: whether the integer 0 represents zero. If not, the integers are those from 0 to
            2^bits - 1, and `zero_point_of` gives the one that represents zero, so an asymmetric
            range uses all of them. With a learned scale the zero point is 0 and negative numbers
            are clipped, as suits activations.
        scale: "absmax", from the largest magnitude; "percentile", from a percentile, with numbers
            beyond it clipped; "power_of_two", that of "absmax" rounded up to a power of two,
            which a chip applies as a shift; "learned".
        narrow: whether a symmetric integer leaves out -2^(bits-1), which has no positive partner.
        percentile: of the magnitudes; if not `symmetric`, of the numbers, at both ends.
        value: the learned scale; `init` sets it.

    Source: LSQ, arXiv 1902.08153, for the learned scale and both its gradients.
    """

    bits: Count
    axis: int | None = eqx.field(default=None, static=True)
    symmetric: bool = eqx.field(default=True, static=True)
    scale: Scale = eqx.field(default="absmax", static=True)
    narrow: bool = eqx.field(default=True, static=True)
    percentile: float = eqx.field(default=99.9, static=True)
    value: FloatArray | None = None

    @explained
    def __check_init__(self) -> None:
        whole("bits", self.bits, 2, 31)
        choice("scale", self.scale, get_args(Scale))
        between("percentile", self.percentile, 50, 100, "from 50 to 100")
        if self.value is not None and self.scale != "learned":
            raise ValueError(f"`value` is a learned scale, but `scale` is {self.scale!r}")

    @classmethod
    def learned(
        cls,
        x: FloatArray,
        bits: Count,
        *,
        axis: int | None = None,
        symmetric: bool = True,
        narrow: bool = True,
    ) -> Self:
        """An `Int` with a learned scale, initialised for `x`.

        Args:
            x: the parameter, or a typical activation.
            bits: bits of the integer.
            axis: one scale for each index along this axis; None for one of the whole array.
            symmetric: whether there are negative integers.
            narrow: whether -2^(bits-1) is left out.
        """
        return cls(bits, axis, symmetric, "learned", narrow).init(x)

    def init(self, x: FloatArray) -> Self:
        """This transform with its learned scale initialised for `x`; unchanged without one."""
        if self.scale != "learned":
            return self
        start = lsq_scale(floats("Int", x), self.levels[1], self.axis)
        start = start if self.axis is not None else start.reshape(())
        return eqx.tree_at(lambda t: t.value, self, start, is_leaf=lambda leaf: leaf is None)

    @property
    def levels(self) -> tuple[Count, Count]:
        """The lowest and the highest integer."""
        highest = highest_integer(self.bits)
        if not self.symmetric:
            return 0 * highest, 2 * highest + 1
        return (-highest if self.narrow else -highest - 1), highest

    def scale_of(self, x: FloatArray) -> FloatArray:
        """The scale that `__call__` uses for `x`.

        Args:
            x: array of any shape.

        Returns:
            An array that broadcasts against `x`, of 32 bits at least; 1 where `x` is zero.

        Raises:
            TypeError: if `x` is not of floating-point numbers.
            ValueError: if there is no such `axis`, or the scale is learned but was not initialised.
        """
        x = wide(floats("Int", x))
        if self.scale == "learned":
            value = cast(self._learned_scale(), x)
            value = value if value.ndim else value.reshape((1,) * x.ndim)
            return jnp.maximum(jnp.abs(value), smallest(x))
        if self.symmetric and self.narrow and self.scale != "percentile":
            scale = int_scale(x, self.bits, self.axis)  # equals the scale below, at one reduction
        else:
            below, above = self._limits(x)
            lowest, highest = (cast(level, x) for level in self.levels)
            if self.symmetric:
                scale = usable(jnp.maximum(above / highest, below / lowest))
            else:
                scale = usable((above - below) / highest)
        return next_power_of_two(scale) if self.scale == "power_of_two" else scale

    def zero_point_of(self, x: FloatArray) -> Int32[Array, "..."]:
        """The integer that stands for zero, in the shape of `scale_of(x)`; 0 if `symmetric`."""
        x = wide(floats("Int", x))
        return self._zero_point(x, self.scale_of(x)).astype(jnp.int32)

    def integers(self, x: FloatArray) -> Int32[Array, "..."]:
        """The integers themselves: `(integers - zero_point_of(x))*scale_of(x)` is the transform.

        Args:
            x: array of any shape.
        """
        x = wide(floats("Int", x))
        scale = self.scale_of(x)
        zero_point = self._zero_point(x, scale)
        return (_nearest(x / scale, *self._span(x, zero_point)) + zero_point).astype(jnp.int32)

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        x = floats("Int", x)
        v = wide(x)
        # Only a learned scale has a gradient, and not by way of the array.
        held = jax.lax.stop_gradient(v)
        scale = self.scale_of(held)
        lowest, highest = self._span(held, self._zero_point(held, jax.lax.stop_gradient(scale)))
        if self.scale == "learned":
            rate = 1 / jnp.sqrt(share(v, self.axis) * highest)
            return like(_lsq(v, scale, lowest, highest, rate), x)
        return like(_snap(v, scale, lowest, highest), x)

    def _learned_scale(self) -> FloatArray:
        if self.value is None:
            raise ValueError(
                "`Int(scale='learned')` has no scale yet; make it with `Int.learned(x, bits)` or "
                "`.init(x)`, where `x` is the array that it is for"
            )
        return self.value

    def _limits(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        if self.scale == "percentile":
            return percentile_limits(x, self.axis, self.percentile, self.symmetric)
        return data_limits(x, self.axis)

    def _zero_point(self, x: FloatArray, scale: FloatArray) -> FloatArray:
        if self.symmetric or self.scale == "learned":
            return jnp.zeros_like(scale)
        return jnp.round(-jax.lax.stop_gradient(self._limits(x)[0]) / scale)

    def _span(self, x: FloatArray, zero_point: FloatArray) -> tuple[Any, Any]:
        lowest, highest = self.levels
        return cast(lowest, x) - zero_point, cast(highest, x) - zero_point


def _nearest(v: FloatArray, lowest: FloatArray, highest: FloatArray) -> FloatArray:
    return jnp.clip(jnp.round(v), lowest, highest)


@jax.custom_jvp
def _snap(x: FloatArray, scale: FloatArray, lowest: FloatArray, highest: FloatArray) -> FloatArray:
    return _nearest(x / scale, lowest, highest) * scale


@_snap.defjvp
def _snap_jvp(primals: Any, tangents: Any) -> tuple[FloatArray, FloatArray]:
    x, scale, lowest, highest = primals
    level = jnp.round(x / scale)
    inside = (level >= lowest) & (level <= highest)
    return _snap(*primals), jnp.where(inside, tangents[0], 0)


@jax.custom_jvp
def _lsq(
    x: FloatArray, scale: FloatArray, lowest: FloatArray, highest: FloatArray, rate: FloatArray
) -> FloatArray:
    return _nearest(x / scale, lowest, highest) * scale


@_lsq.defjvp
def _lsq_jvp(primals: Any, tangents: Any) -> tuple[FloatArray, FloatArray]:
    x, scale, lowest, highest, rate = primals
    v = x / scale
    inside = (v > lowest) & (v < highest)
    by_scale = jnp.where(inside, jnp.round(v) - v, jnp.clip(v, lowest, highest))
    return _lsq(*primals), jnp.where(inside, tangents[0], 0) + by_scale * rate * tangents[1]
