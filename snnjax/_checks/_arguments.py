"""Checks of arguments. Each error names the argument, the value and the fix."""

from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._typing import FloatArray


class InputError(ValueError):
    """An argument does not fit a layer; the networks around the layer add its path."""

    def __init__(self, message: str, path: str = ""):
        super().__init__(f"`{path}`: {message}" if path else message)
        self.message, self.path = message, path

    def inside(self, path: str) -> "InputError":
        """The same error, of a layer inside the one at `path`."""
        return InputError(self.message, f"{path}.{self.path}" if self.path else path)


def require(ok: bool, name: str, value: Any, expected: str) -> None:
    """Raise ValueError unless `ok`."""
    if not ok:
        raise ValueError(f"`{name}` must be {expected}; got {value!r}")


def positive(name: str, value: float) -> None:
    """Require a number above 0."""
    require(isinstance(value, Real) and value > 0, name, value, "above 0")


def above(name: str, value: ArrayLike, other: str, level: ArrayLike) -> None:
    """Require every value to be above that of another argument, unless one of them is traced."""
    if isinstance(value, jax.core.Tracer) or isinstance(level, jax.core.Tracer):
        return
    ok = bool((np.asarray(value) > np.asarray(level)).all())
    require(ok, name, value, f"above `{other}`, {level}")


def count(name: str, value: Any) -> None:
    """Require a whole number above 0."""
    require(is_count(value), name, value, "a whole number above 0")


def is_count(value: Any) -> bool:
    """Whether `value` is a whole number above 0; True, which is an int in Python, is none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0


def shape_of(shape: int | Sequence[int]) -> tuple[int, ...]:
    """Shape of a population: a number of neurons, or the size along each of its axes."""
    several = isinstance(shape, Sequence) or np.ndim(shape) == 1
    sizes: Any = tuple(shape) if several else (shape,)  # type: ignore[arg-type]
    ok = len(sizes) > 0 and all(map(is_count, sizes))
    expected = "a whole number above 0, or several such as (channels, height, width)"
    require(ok, "shape", shape, expected)
    return tuple(int(n) for n in sizes)


def choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Require one of `choices`."""
    choices = tuple(choices)
    # What cannot be hashed, such as an array, may not compare as one.
    known = isinstance(value, Hashable) and value in choices
    require(known, name, value, f"one of {', '.join(map(repr, choices))}")


def names_among(name: str, value: Sequence[str], choices: Iterable[str]) -> tuple[str, ...]:
    """Require a sequence of names, each one of `choices`."""
    some = not isinstance(value, str) and isinstance(value, Iterable)
    require(some, name, value, f"a sequence of names, such as ({value!r},)")
    choices = tuple(choices)
    for each in value:
        choice(name, each, choices)
    return tuple(value)


def array_of(
    name: str,
    value: ArrayLike,
    *shapes: tuple[int, ...],
    above: float | None = None,
    most: float | None = None,
) -> FloatArray:
    """`value` as a floating-point array of one of `shapes`; a single number fills the first.

    Values are checked where they are known, that is unless they are traced.
    """
    wanted = " or ".join(dict.fromkeys(str(shape) for shape in shapes if shape))
    expected = f"one number or an array of shape {wanted}"
    try:
        array = jnp.asarray(value, float)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be {expected}; got {value!r}") from None
    if array.ndim == 0:
        # NumPy compiles no program for each shape.
        np_or_jnp: Any = jnp if isinstance(array, jax.core.Tracer) else np
        array = jnp.asarray(np_or_jnp.full(shapes[0], array))
    require(array.shape in shapes, name, array.shape, expected)
    if not isinstance(array, jax.core.Tracer):
        known = np.asarray(array)
        require(bool(np.isfinite(known).all()), name, value, "finite")
        if above is not None:
            require(bool((known > above).all()), name, value, f"above {above:g}")
        if most is not None:
            require(bool((known <= most).all()), name, value, f"at most {most:g}")
    return array
