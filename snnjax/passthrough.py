"""Rounding and clipping whose gradient passes straight through.

The value is that of the rounding; the gradient is that of the identity (arXiv 1308.3432).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ._typing import FloatArray


def _with_gradient_of_first(function: Callable[..., FloatArray]) -> Callable[..., FloatArray]:
    """`function`, with the gradient of its first argument."""
    passing = jax.custom_jvp(function)

    @passing.defjvp
    def _(primals: Any, tangents: Any) -> tuple[FloatArray, FloatArray]:
        return passing(*primals), tangents[0]

    return passing


@_with_gradient_of_first
def round_passthrough(x: FloatArray) -> FloatArray:
    """Round to the nearest whole number, half to even; the gradient is 1."""
    return jnp.round(x)


@_with_gradient_of_first
def floor_passthrough(x: FloatArray) -> FloatArray:
    """Round down; the gradient is 1."""
    return jnp.floor(x)


@_with_gradient_of_first
def ceil_passthrough(x: FloatArray) -> FloatArray:
    """Round up; the gradient is 1."""
    return jnp.ceil(x)


@_with_gradient_of_first
def straight_through(x: FloatArray, value: FloatArray) -> FloatArray:
    """`value`, with the gradient of `x`; none goes into what `value` was computed from.

    Args:
        x: array of any shape.
        value: array of the shape and dtype of `x`.
    """
    return value


@_with_gradient_of_first
def clip_passthrough(x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Limit `x` to [low, high]; the gradient with respect to `x` is 1 outside the limits too."""
    return jnp.clip(x, low, high)
