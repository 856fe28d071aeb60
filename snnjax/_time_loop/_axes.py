"""Mapped axes: those that `jax.vmap` adds to the arrays of one sequence."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from ._blocks import Arrays

Axes: TypeAlias = tuple[int | None, ...]
"""Places of axes; None where an array has none, as all share it."""

Levels: TypeAlias = tuple[Axes, ...]
"""The places in each array of the axis of each `jax.vmap`, the outermost first."""


def of_each(levels: Levels, count: int) -> list[Axes]:
    """The places of all axes in each of so many arrays."""
    return [tuple(axes[i] for axes in levels) for i in range(count)]


def over(function: Callable[..., Arrays], levels: Levels, made: Levels) -> Callable[..., Arrays]:
    """`function` over all mapped axes; what has none of them is summed over it."""
    for axes, places in zip(reversed(levels), reversed(made), strict=True):
        function = _over_one(function, axes, places)
    return function


def _over_one(function: Callable[..., Arrays], axes: Axes, places: Axes) -> Callable[..., Arrays]:
    mapped = jax.vmap(function, axes, [place or 0 for place in places])

    def summed(*operands: Any) -> Arrays:
        pairs = zip(mapped(*operands), places, strict=True)
        return [x.sum(0) if place is None else x for x, place in pairs]

    return summed


def sizes(levels: Levels, shapes: Iterable[Sequence[int]]) -> list[int]:
    """The sizes of the mapped axes, from the shapes of operands."""
    left, found = list(map(list, shapes)), []
    for axes in levels:
        pairs = zip(left, axes, strict=True)
        stripped = [shape.pop(axis) for shape, axis in pairs if axis is not None]
        found.append(stripped[0])
    return found


def batch_first(
    operands: Sequence[Any], given: Sequence[Axes]
) -> tuple[tuple[int, ...], list[Any]]:
    """The sizes of the mapped axes, and operands with one for all of them first.

    It has size 1 where all sequences share an operand.
    """
    arrays = []
    for x, axes in zip(operands, given, strict=True):
        for i, axis in enumerate(axes):
            x = jnp.expand_dims(x, i) if axis is None else jnp.moveaxis(x, i + axis, i)
        arrays.append(x)
    levels = len(given[0])
    batch = tuple(max(x.shape[i] for x in arrays) for i in range(levels))

    def joined(x: Any) -> Any:
        own = x.shape[levels:]
        if x.size != math.prod(own):
            x = jnp.broadcast_to(x, (*batch, *own))
        return x.reshape(-1, *own)

    return batch, list(map(joined, arrays))


def axes_back(x: Any, batch: tuple[int, ...], axes: Axes) -> Any:
    """An array with its mapped axes in their places, summed over those that it has not."""
    x = x.reshape(*batch, *x.shape[1:])
    for i, axis in reversed(list(enumerate(axes))):
        x = x.sum(i) if axis is None else jnp.moveaxis(x, i, i + axis)
    return x
