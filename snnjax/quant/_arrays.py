"""Helpers of all quantisers: number types, axes, dtypes, checks."""

from collections.abc import Hashable, Iterable
from numbers import Integral, Number
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._typing import FloatArray, Key
from ..passthrough import straight_through as straight_through

Count: TypeAlias = int | Array
"""An integer: an `int`, or an integer array to sweep over with `vmap`."""

Real: TypeAlias = float | Array
"""A number: a Python number, which takes the dtype of the other operand, or an array."""


def clip_cut(x: FloatArray, low: Real, high: Real) -> FloatArray:
    """Limit `x` to [low, high]; the gradient is 1 inside, the ends included, and 0 outside."""
    return jnp.where(x < low, low, jnp.where(x > high, high, x))


def floats(name: str, x: FloatArray) -> FloatArray:
    """`x` as a floating-point array.

    Raises:
        TypeError: if `x` has another dtype; the message says that `name` needs it.
    """
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"`x`: {name} works on floating-point numbers; got {x.dtype}")
    return x


def wide(x: FloatArray) -> FloatArray:
    """`x` in at least 32 bits, since 16 bits lack the range and precision of scales and levels."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def like(value: FloatArray, x: FloatArray) -> FloatArray:
    """`value` in the dtype of `x`, and as weakly typed."""
    if x.weak_type and not value.weak_type:
        # jax has no public cast to a weak type, but an indexed update keeps the type of `x`.
        return x.at[...].set(value)
    return value if value.dtype == x.dtype else value.astype(x.dtype)


def cast(value: Any, x: FloatArray) -> Any:
    """Cast a setting so that strict dtype promotion accepts it next to `x`.

    Raises:
        ValueError: if the setting is an array that does not broadcast against `x`.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Number):
        return value
    value = jnp.asarray(value).astype(x.dtype)
    if value.ndim > x.ndim or any(
        n not in (1, m) for n, m in zip(value.shape[::-1], x.shape[::-1], strict=False)
    ):
        raise ValueError(
            f"a setting of the shape {value.shape} does not broadcast against `x` of the shape "
            f"{x.shape}; to sweep over it use `jax.vmap`"
        )
    return value


def other_axes(x: FloatArray, axis: int | None) -> tuple[int, ...] | None:
    """All axes of `x` except `axis`, to reduce over; None, which means all, if `axis` is None.

    Raises:
        TypeError: if `axis` is neither a whole number nor None.
        ValueError: if `x` has no such axis.
    """
    if axis is None:
        return None
    if not isinstance(axis, Integral) or isinstance(axis, bool):
        raise TypeError(f"`axis` must be a whole number or None; got {axis!r}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"`axis` is {axis}, but the array has the shape {x.shape}")
    return tuple(i for i in range(x.ndim) if i != axis % x.ndim)


def share(x: FloatArray, axis: int | None) -> int:
    """Number of elements of `x` that share one scale."""
    others = range(x.ndim) if axis is None else other_axes(x, axis)
    size = 1
    for i in others or ():
        size *= x.shape[i]
    return size


def peak(x: FloatArray, axis: int | None) -> FloatArray:
    """The largest magnitude for each index along `axis`; 0 if there are no elements."""
    return jnp.max(jnp.abs(x), axis=other_axes(x, axis), keepdims=True, initial=0)


def smallest(x: FloatArray) -> float:
    """The smallest normal number of the dtype of `x`; smaller divisors lose precision."""
    return float(jnp.finfo(x.dtype).tiny)


def usable(scale: FloatArray) -> FloatArray:
    """Replace scales by 1 where they are too small to divide by. NaN stays NaN."""
    return jnp.where(scale < smallest(scale), 1, scale)


def needed_key(name: str, key: Key | None) -> Key:
    """`key`, which must not be None.

    Raises:
        ValueError: if `key` is None; the message says that `name` needs it.
    """
    if key is None:
        raise ValueError(f"`key` is needed by {name}, which is random; got None")
    return key


def whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Raise unless `value` is an `int` in [low, high] or an integer array of any values."""
    if isinstance(value, Array | np.ndarray):
        if not jnp.issubdtype(value.dtype, jnp.integer):
            raise TypeError(f"`{name}` must hold whole numbers; got an array of {value.dtype}")
        return
    fits = isinstance(value, Integral) and not isinstance(value, bool)
    if not fits or int(value) < low or (high is not None and int(value) > high):
        upper = "at least" if high is None else "from"
        span = f"{upper} {low}" + ("" if high is None else f" to {high}")
        raise ValueError(f"`{name}` must be a whole number, {span}; got {value!r}")


def between(name: str, value: Any, low: float, high: float, expected: str) -> None:
    """Check a Python number against [low, high]. The values of arrays are not checked.

    Raises:
        ValueError: if the number is out of range.
        TypeError: if `value` is neither a number nor an array.
    """
    if not isinstance(value, Number | Array | np.ndarray):
        raise TypeError(f"`{name}` must be {expected}; got {value!r}")
    if isinstance(value, Number) and not low <= float(value) <= high:  # type: ignore[arg-type]
        raise ValueError(f"`{name}` must be {expected}; got {value!r}")


def choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    choices = tuple(choices)
    if not isinstance(value, Hashable) or value not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"`{name}` must be one of {listed}; got {value!r}")
