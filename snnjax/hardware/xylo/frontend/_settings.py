"""Checks that the front ends share, of their settings and of the states that they are given."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np


def of_channels(front_end: Any, name: str) -> tuple[int, ...]:
    """A setting for each channel; one number is that of all."""
    value = getattr(front_end, name)
    return value if isinstance(value, tuple) else (value,) * front_end.channels


def require_whole(front_end: Any, ranges: Mapping[str, tuple[int, int]]) -> None:
    """Raise ValueError unless settings are whole numbers from a lowest to a highest."""
    for name, (low, high) in ranges.items():
        values = of_channels(front_end, name)
        if len(values) != front_end.channels:
            raise ValueError(
                f"`{name}` must be one number or one for each of the {front_end.channels} filters; "
                f"got {len(values)}"
            )
        if not all(isinstance(v, int) and low <= v <= high for v in values):
            raise ValueError(f"`{name}` must be whole numbers from {low} to {high}; got {values}")


def require_among(front_end: Any, choices: Mapping[str, tuple[Any, ...]]) -> None:
    """Raise ValueError unless settings are among those that there are."""
    for name, known in choices.items():
        value = getattr(front_end, name)
        if value not in known:
            raise ValueError(f"`{name}` must be {' or '.join(map(repr, known))}; got {value!r}")


def require_above_zero(front_end: Any, *names: str) -> None:
    """Raise ValueError unless settings are finite numbers above 0."""
    for name in names:
        if not 0 < getattr(front_end, name) < np.inf:
            raise ValueError(f"`{name}` must be a number above 0; got {getattr(front_end, name)!r}")


def require_state(state: Any, wanted: Any) -> None:
    """Raise ValueError unless `state` is of the type of `wanted`, and its arrays of its shapes."""
    kind = type(wanted)
    if not isinstance(state, kind):
        raise ValueError(
            f"`state` must be one of an earlier call, {kind.__name__}; got {type(state)}"
        )
    for name, right, found in zip(kind._fields, wanted, state, strict=True):
        if right is not None and jnp.shape(right) != jnp.shape(found):
            raise ValueError(
                f"`state.{name}` must have the shape {jnp.shape(right)} for this front end and "
                f"signal; got {jnp.shape(found)}"
            )
