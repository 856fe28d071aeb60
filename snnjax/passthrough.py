"""Rounding and clipping with straight-through gradients.

The value is rounded or clipped; the gradient is that of the identity (arXiv 1308.3432).

>>> import jax
>>> from snnjax.passthrough import round_passthrough
>>> value, gradient = jax.value_and_grad(round_passthrough)(1.7)
>>> print(value, gradient)
2.0 1.0
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ._checks import explained
from ._typing import FloatArray


def _with_gradient_of_first(function: Callable[..., FloatArray]) -> Callable[..., FloatArray]:
    """Replace the derivative of `function` by the identity on its first argument."""
    passing = jax.custom_jvp(function)

    @passing.defjvp
    def _(primals: Any, tangents: Any) -> tuple[FloatArray, FloatArray]:
        return passing(*primals), tangents[0]

    return passing


@explained
@_with_gradient_of_first
def round_passthrough(x: FloatArray) -> FloatArray:
    """Round to the nearest whole number, half to even; the gradient is 1."""
    return jnp.round(x)


@explained
@_with_gradient_of_first
def floor_passthrough(x: FloatArray) -> FloatArray:
    """Round down; the gradient is 1."""
    return jnp.floor(x)


@explained
@_with_gradient_of_first
def ceil_passthrough(x: FloatArray) -> FloatArray:
    """Round up; the gradient is 1."""
    return jnp.ceil(x)


@explained
@_with_gradient_of_first
def straight_through(x: FloatArray, value: FloatArray) -> FloatArray:
    """Return `value` with the gradient of `x`.

    Args:
        x: array of any shape. The gradient of the result passes to it unchanged.
        value: array of the shape and dtype of `x`. No gradient passes to it.
    """
    return value


@explained
@_with_gradient_of_first
def clip_passthrough(x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Limit `x` to [low, high]; the gradient with respect to `x` is 1 outside the limits too."""
    return jnp.clip(x, low, high)
