"""Lets `jax.vmap` lengthen a function's batch axis in place of adding another around it."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from ..._typing import PyTree

Shared = TypeVar("Shared")
Batched = TypeVar("Batched")
Out = TypeVar("Out")


def vmap_as_batch(f: Callable[[Shared, Batched], Out]) -> Callable[[Shared, Batched], Out]:
    """The function `f`, with the same results under `jax.vmap`, but its branches kept.

    Under `jax.vmap` both branches of a `lax.cond` are computed. A call with a longer batch has
    still one condition.

    Args:
        f: function of what a batch shares and of arrays that have the batch as their first axis,
            as all of its results have.
    """
    merged = custom_vmap(f)

    @merged.def_vmap
    def rule(size: int, mapped: Any, shared: Shared, batched: Batched) -> tuple[Out, PyTree]:
        if any(jax.tree.leaves(mapped[0])):
            axes = jax.tree.map(lambda is_mapped: 0 if is_mapped else None, tuple(mapped))
            out = jax.vmap(f, in_axes=axes)(shared, batched)
        else:
            out = _split(size, merged(shared, _merge(size, batched, mapped[1])))
        return out, jax.tree.map(lambda _: True, out)

    return merged


def _merge(size: int, tree: PyTree, mapped: PyTree) -> PyTree:
    def merge(x: jax.Array, is_mapped: bool) -> jax.Array:
        x = x if is_mapped else jnp.broadcast_to(x, (size, *x.shape))
        return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])

    return jax.tree.map(merge, tree, mapped)


def _split(size: int, tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: x.reshape(size, x.shape[0] // size, *x.shape[1:]), tree)
