"""Checks of arguments. Each error names the argument, the value and what would do."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._typing import FloatArray


class InputError(ValueError):
    """What a layer was given does not fit; the networks around the layer add the path to it."""

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
    require(value > 0, name, value, "above 0")


def count(name: str, value: Any) -> None:
    """Require a whole number above 0."""
    require(isinstance(value, Integral) and int(value) > 0, name, value, "a whole number above 0")


def shape_of(shape: int | Sequence[int]) -> tuple[int, ...]:
    """Shape of a population: a number of neurons, or the size along each of its axes."""
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    ok = len(sizes) > 0 and all(isinstance(n, Integral) and n > 0 for n in sizes)
    expected = "a whole number above 0, or several such as (channels, height, width)"
    require(ok, "shape", shape, expected)
    return tuple(int(n) for n in sizes)


def choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Require one of `choices`."""
    choices = tuple(choices)
    require(value in choices, name, value, f"one of {', '.join(map(repr, choices))}")


def array_of(
    name: str, value: ArrayLike, *shapes: tuple[int, ...], above: float | None = None
) -> FloatArray:
    """`value` as a floating-point array of one of `shapes`; a single number fills the first.

    Values are checked where they are known, that is unless they are traced.
    """
    array = jnp.asarray(value, float)
    if array.ndim == 0:
        array = jnp.full(shapes[0], array)
    wanted = " or ".join(dict.fromkeys(str(shape) for shape in shapes if shape))
    require(array.shape in shapes, name, array.shape, f"one number or an array of shape {wanted}")
    if not isinstance(array, jax.core.Tracer):
        known = np.asarray(array)
        require(bool(np.isfinite(known).all()), name, value, "finite")
        if above is not None:
            require(bool((known > above).all()), name, value, f"above {above:g}")
    return array
