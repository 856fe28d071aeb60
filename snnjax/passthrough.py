"""Rounding and clipping whose gradient passes straight through.

The value is that of the rounding; the gradient is that of the identity (arXiv 1308.3432).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ._typing import FloatArray


def _straight_through(rounding: Callable[[FloatArray], FloatArray]) -> Callable[..., FloatArray]:
    passthrough = jax.custom_vjp(rounding)
    passthrough.defvjp(lambda x: (rounding(x), None), lambda _, g: (g,))
    return passthrough


@_straight_through
def round_passthrough(x: FloatArray) -> FloatArray:
    """Round to the nearest whole number, half to even; the gradient is 1."""
    return jnp.round(x)


@_straight_through
def floor_passthrough(x: FloatArray) -> FloatArray:
    """Round down; the gradient is 1."""
    return jnp.floor(x)


@_straight_through
def ceil_passthrough(x: FloatArray) -> FloatArray:
    """Round up; the gradient is 1."""
    return jnp.ceil(x)


@jax.custom_vjp
def with_value(x: FloatArray, value: FloatArray) -> FloatArray:
    """`value`, with the gradient of `x`: for a rounding that is worked out elsewhere."""
    return value


with_value.defvjp(lambda x, value: (value, None), lambda _, g: (g, jnp.zeros_like(g)))


@jax.custom_vjp
def clip_passthrough(x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Limit `x` to [low, high]; the gradient with respect to `x` is 1 outside the limits too."""
    return jnp.clip(x, low, high)


def _clip_fwd(
    x: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    return jnp.clip(x, low, high), (low, high)


def _clip_bwd(
    limits: tuple[FloatArray, FloatArray], g: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    low, high = limits
    return g, jnp.zeros_like(low), jnp.zeros_like(high)


clip_passthrough.defvjp(_clip_fwd, _clip_bwd)
