"""Division to the last bit on every device, for the scales of integers."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def quotient(x: ArrayLike, y: ArrayLike) -> Float[Array, "..."]:
    """x / y, rounded to the nearest float32, without a gradient.

    XLA's own division of float32 on a GPU may be two units in the last place off, and a scale that
    differs by one can round a weight to another integer. In float64 it is exact there, and no
    quotient of two float32 lies so near to the middle between two others that rounding it twice
    would matter.
    """
    x, y = (lax.stop_gradient(jnp.asarray(value, jnp.float32)) for value in (x, y))
    with jax.enable_x64(True):
        return (x.astype(jnp.float64) / y.astype(jnp.float64)).astype(jnp.float32)
