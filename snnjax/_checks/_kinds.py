"""Annotations: whether a value is of one, and in words."""

import collections.abc as abc
import types
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import AbstractArray

_NUMBERS = {int: Integral, float: Real, np.number: Real}
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    type(None): "None",
    abc.Callable: "a function",
    jax.Array: "an array of real numbers",
    np.ndarray: "an array of real numbers",
}


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotation; True for those that say nothing, such as Any.

    Arrays of NumPy and numbers pass for those of JAX. A dtype and a number of axes must agree.
    Complex numbers are none of ours.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin is not None and issubclass(origin, Mapping):
        pairs = value.items() if isinstance(value, Mapping) else ()
        return isinstance(value, Mapping) and all(
            fits(k, parts[0]) and fits(v, parts[1]) for k, v in pairs
        )
    if origin is not None and issubclass(origin, tuple | Iterable):
        return _fits_sequence(value, origin, parts)
    kind = origin or kind
    if kind is None or not isinstance(kind, type):
        return kind is not None or value is None
    return _fits_class(value, kind)


def _fits_sequence(value: Any, origin: type, parts: tuple[Any, ...]) -> bool:
    if isinstance(value, str | bytes) or not isinstance(value, origin):
        return False
    if not isinstance(value, Sequence):
        return True
    if origin is tuple and parts[-1] is not ...:
        return len(value) == len(parts) and all(map(fits, value, parts))
    return all(fits(each, parts[0]) for each in value)


def _fits_class(value: Any, kind: type) -> bool:
    if issubclass(kind, AbstractArray):
        return _fits_array(value, kind)
    if kind in (jax.Array, np.ndarray):
        return isinstance(value, jax.Array | np.ndarray) and _is_real(value.dtype)
    if kind in (bool, np.bool):
        return isinstance(value, bool | np.bool)
    if kind in _NUMBERS:
        return isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool | np.bool)
    if kind is complex:
        return False
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that cannot be looked for, but most are of functions
        return callable(value) or "__call__" not in vars(kind)


def _fits_array(value: Any, kind: Any) -> bool:
    if type(value) in (int, float):  # takes the dtype of what it meets
        return kind.dim_str in ("", "...") and any(
            name.startswith(type(value).__name__) or "float" in name for name in kind.dtypes
        )
    if not isinstance(value, jax.Array | np.ndarray | np.generic | bool):
        return False
    dtype = np.dtype(bool) if isinstance(value, bool) else value.dtype
    if getattr(dtype, "kind", "") == "O":
        return False
    like = jax.ShapeDtypeStruct(np.shape(value), dtype)
    return isinstance(like, kind.dtype[jax.ShapeDtypeStruct, kind.dim_str])


def _is_real(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, of) for of in (jnp.bool_, jnp.integer, jnp.floating))


def words(kind: Any) -> str:
    """An annotation in words, as the end of "must be ..."."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        known = dict.fromkeys(words(part) for part in parts if part is not complex)
        if complex in parts:  # ArrayLike, which lists all that passes for an array
            numbers = words(bool), words(int), words(float), words(np.bool), words(np.number)
            known = {name: None for name in known if name not in numbers}
        return " or ".join(known)
    if origin is Literal:
        return " or ".join(map(repr, parts))
    kind = origin or kind
    if isinstance(kind, type) and issubclass(kind, AbstractArray):
        return _array_words(kind)
    if kind in _WORDS:
        return _WORDS[kind]
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return "a dictionary"
    if isinstance(kind, type) and issubclass(kind, tuple | Sequence):
        inside = {part for part in parts if part is not ...}
        return f"a sequence, each item {words(*inside)}" if len(inside) == 1 else "a sequence"
    return f"of the class {getattr(kind, '__name__', kind)}"


def _array_words(kind: Any) -> str:
    if "prng_key" in kind.dtypes or kind.dtype.__name__ == "UInt32":
        return "one random key, as `jax.random.key` gives it"
    of = {"Float": "floating-point numbers", "Int": "whole numbers", "Bool": "booleans"}
    dtype = of.get(kind.dtype.__name__, "real numbers")
    shape = "" if kind.dim_str == "..." else f" of the shape ({kind.dim_str.replace(' ', ', ')})"
    return f"an array of {dtype}{shape}"


def shown(value: Any) -> str:
    """A value in an error: an array by its dtype and shape, all else as it is written, but cut."""
    if isinstance(value, jax.Array | np.ndarray) and value.ndim:
        return f"an array of {value.dtype} of the shape {value.shape}"
    try:
        text = repr(value)
    except Exception:  # whatever a user's class raises
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]}..."
