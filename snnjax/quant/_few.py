"""Weights of two or three values."""

import equinox as eqx
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray, Key
from ._arrays import Real, between, cast, floats, like, other_axes, share, straight_through, wide
from ._transform import Transform


class Binary(Transform):
    """Two values, one magnitude: y = s if x >= 0 else -s, with s = mean|x|.

    The gradient passes straight through; the scale s has none. Zeros stay zero only if all numbers
    are zero.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.Binary()(jnp.array([-3.0, 1.0, 2.0])))
    [-2.  2.  2.]

    Attributes:
        axis: one scale for each index along this axis; None for one of the whole array.

    Source: binary-weight networks, arXiv 1603.05279.
    """

    axis: int | None = eqx.field(default=None, static=True)

    def scale_of(self, x: FloatArray) -> FloatArray:
        """s, in a shape that broadcasts against `x`.

        Args:
            x: array of any shape.

        Raises:
            TypeError: if `x` is not of floating-point numbers.
            ValueError: if there is no such `axis`.
        """
        x = wide(floats("Binary", x))
        total = jnp.sum(jnp.abs(x), axis=other_axes(x, self.axis), keepdims=True)
        return total / max(share(x, self.axis), 1)

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        x = floats("Binary", x)
        v = wide(x)
        scale = self.scale_of(v)
        return like(straight_through(v, jnp.where(v < 0, -scale, scale)), x)


class Ternary(Transform):
    """Three values: y = s*sign(x) where |x| > cut*mean|x|, else 0, with s the mean |x| of those.

    The gradient passes straight through; the scale s has none.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.Ternary()(jnp.array([-3.0, 0.5, 2.5])))
    [-2.75  0.    2.75]

    Attributes:
        axis: one scale for each index along this axis; None for one of the whole array.
        cut: largest magnitude that becomes zero, in units of mean|x|, from 0 to below 1; an array
            to sweep over. The source has 0.7.

    Source: ternary weight networks, arXiv 1605.04711.
    """

    axis: int | None = eqx.field(default=None, static=True)
    cut: Real = 0.7

    @explained
    def __check_init__(self) -> None:
        between("cut", self.cut, 0, 1 - 1e-6, "from 0 to below 1")

    def scale_of(self, x: FloatArray) -> FloatArray:
        """s, in a shape that broadcasts against `x`; 0 for zeros.

        Args:
            x: array of any shape.

        Raises:
            TypeError: if `x` is not of floating-point numbers.
            ValueError: if there is no such `axis`.
        """
        x = wide(floats("Ternary", x))
        kept, others = self._kept(x), other_axes(x, self.axis)
        total = jnp.sum(jnp.where(kept, jnp.abs(x), 0), axis=others, keepdims=True)
        count = jnp.sum(jnp.where(kept, 1.0, 0.0), axis=others, keepdims=True)
        return total / jnp.maximum(count, 1)

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        x = floats("Ternary", x)
        v = wide(x)
        return like(
            straight_through(v, jnp.where(self._kept(v), jnp.sign(v), 0) * self.scale_of(v)), x
        )

    def _kept(self, x: FloatArray) -> FloatArray:
        # NaN is kept, so that it stays visible.
        return ~(jnp.abs(x) <= cast(self.cut, x) * Binary(self.axis).scale_of(x))
