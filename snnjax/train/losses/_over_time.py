"""Sums, means and largest values over the steps of a sequence that count."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from ..._typing import FloatArray

Mask = Bool[Array, " time"] | None


def total(y: FloatArray, mask: Mask) -> FloatArray:
    """Sum over the first axis."""
    return kept(y, mask, 0).sum(0)


def mean(y: FloatArray, mask: Mask) -> FloatArray:
    """Mean over the first axis."""
    return y.mean(0) if mask is None else total(y, mask) / mask.sum().astype(y.dtype)


def largest(y: FloatArray, mask: Mask) -> FloatArray:
    """Largest value along the first axis."""
    return kept(y, mask, -jnp.inf).max(0)


def kept(y: FloatArray, mask: Mask, other: float) -> FloatArray:
    """`y`, with `other` at the steps that do not count."""
    if mask is None:
        return y
    if mask.shape != y.shape[:1] or mask.dtype != bool:
        raise ValueError(
            f"`mask` must be True or False for each of the {len(y)} steps; got {mask.dtype} of the "
            f"shape {mask.shape}"
        )
    return jnp.where(mask.reshape(-1, *[1] * (y.ndim - 1)), y, jnp.asarray(other, y.dtype))
