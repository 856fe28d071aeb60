"""Regularisers of a network's activity."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._checks import explained
from ..._typing import FloatArray
from ._over_time import Mask, mean


@explained
def rate_penalty(
    spikes: Float[Array, "time *neurons"],
    *,
    low: float = 0.0,
    high: float = 0.5,
    mask: Mask = None,
) -> Float[Array, ""]:
    """Mean square of how far the neurons' rates lie outside a range: 0 if all are inside.

    Args:
        spikes: spikes of a layer, such as `records["layers[1].spikes"]`.
        low: lowest rate, in spikes per step; it keeps neurons from falling silent.
        high: highest rate, in spikes per step.
        mask: the steps that count.
    """
    rates = mean(spikes, mask)
    outside = jnp.maximum(rates - high, 0) + jnp.maximum(low - rates, 0)
    return jnp.square(outside).mean()


@explained
def synops_penalty(counts: dict[str, FloatArray], target: float) -> Float[Array, ""]:
    """Square of how far the operations of all layers lie above a target, relative to it.

    Args:
        counts: what `snnjax.nn.synops` gave for the sequence.
        target: operations that are free of charge, above 0.

    Raises:
        ValueError: if `target` is not above 0.
    """
    if not target > 0:
        raise ValueError(f"`target` must be above 0; got {target!r}")
    total = sum(counts.values(), start=jnp.zeros(()))
    return jnp.square(jnp.maximum(total / target - 1, 0))
