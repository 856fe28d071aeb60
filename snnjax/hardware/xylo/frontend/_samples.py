"""Floating-point signals, or integers of any type, as integers of a few bits."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from ._exact import exact


def as_array(signal: ArrayLike) -> Any:
    """`signal` as an array of JAX, if it is one, or of NumPy."""
    if isinstance(signal, jax.core.Tracer):
        # `jax.vmap` passes an array of NumPy with 64 bits on as it is; a program cuts it off.
        return jnp.copy(signal)
    return signal if isinstance(signal, jax.Array) else np.asarray(signal)


def integers_of(signal: Any, scale: float, bits: int, checked: bool) -> Int[Array, "..."]:
    """trunc(scale * signal * 2^(bits - 1)), towards zero, in float64; integers as they are.

    Args:
        signal: an array of NumPy or JAX.
        scale: see above.
        bits: bits of a result, with its sign; it lies within +-(2^(bits - 1) - 1).
        checked: whether what is out of range raises where only a running program knows it.

    Raises:
        ValueError: if `signal` does not hold real numbers, or values are out of range or no
            numbers. Inside of a program it raises where it runs.
    """
    if np.issubdtype(signal.dtype, np.integer):
        return within_range(_clip(signal, bits), bits, checked)
    if not jnp.issubdtype(signal.dtype, jnp.floating):
        raise ValueError(f"`signal` must hold real numbers; got {signal.dtype}")
    convert = _compiled if isinstance(signal, jax.Array) else quantize
    return within_range(convert(signal, scale, bits), bits, checked)


def quantize(signal: Any, scale: float, bits: int) -> Any:
    """See `integers_of`. What is out of range, or no number, becomes 2^(bits - 1)."""
    xp, limit = numpy_of(signal), 1 << (bits - 1)
    scaled = apart(scale * signal.astype(np.float64)) * float(limit)
    return xp.trunc(xp.where(abs(scaled) < limit, scaled, float(limit))).astype(np.int32)


_compiled = exact(eqx.filter_jit(quantize))


@exact
def _clip(integers: Any, bits: int) -> Any:
    """Integers of any type as int32; what is far out of range stays out of range."""
    limit = 1 << (bits - 1)
    return numpy_of(integers).clip(integers.astype(np.int64), -limit, limit).astype(np.int32)


def within_range(integers: Any, bits: int, checked: bool) -> Int[Array, "..."]:
    """Raise where there are integers out of range; see `integers_of`."""
    limit = 1 << (bits - 1)
    outside = abs(integers) >= limit
    message = (
        f"`signal` must stay within full scale: integers from {1 - limit} to {limit - 1}, other "
        "numbers above -1 and below 1 after `scale`"
    )
    if isinstance(integers, jax.core.Tracer):
        return eqx.error_if(integers, outside, message) if checked else integers
    if outside.any():
        where = np.argwhere(np.asarray(outside))[0].tolist()
        raise ValueError(
            f"{message}; {int(outside.sum())} are not, the first one at {where}; lower `scale`"
        )
    return jnp.asarray(integers)


def numpy_of(array: Any) -> Any:
    """The library that an array is of."""
    return jnp if isinstance(array, jax.Array) else np


def apart(x: Any) -> Any:
    """`x`, rounded: inside of a program a compiler may make one operation of two."""
    return lax.optimization_barrier(x) if isinstance(x, jax.Array) else x
