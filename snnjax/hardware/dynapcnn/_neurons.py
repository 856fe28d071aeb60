"""Integrate-and-fire layers as the neurons of a core."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._typing import FloatArray, PyTree
from ...neurons.iaf import IAFState
from ...nn import IAF


def require_mappable(layer: IAF, shape: tuple[int, ...]) -> None:
    """Raise ValueError if a core's neurons cannot do what `layer` does; it is not named."""
    if layer.shape != shape:
        raise ValueError(f"has neurons of the shape {layer.shape}, but gets {shape}")
    reset = layer.settings.reset
    if reset not in ("subtract", "zero"):
        raise ValueError(f"has a reset of {reset!r}; cores have 'subtract' and 'zero'")
    if layer.v_reset is not None and not _is_zero(layer.v_reset):
        raise ValueError("has a `v_reset`, but cores reset to 0")
    faults = {
        "is recurrent, which cores are not": layer.w_rec is not None,
        "has a refractory period, which cores have not": layer.settings.refractory > 0,
        "gives membrane potentials, but cores send spikes only": layer.settings.output != "spikes",
        "transforms its state; map what `transforms.burn_in` gives": layer.on_state is not None,
    }
    for fault, found in faults.items():
        if found:
            raise ValueError(fault)
    for name in ("threshold", "min_vmem"):
        _one_number(name, getattr(layer, name))


def _is_zero(x: FloatArray) -> bool:
    return not isinstance(x, jax.core.Tracer) and not np.any(np.asarray(x))


def _one_number(name: str, x: FloatArray | None) -> None:
    if x is None or x.size == 1:
        return
    if isinstance(x, jax.core.Tracer) or np.ptp(np.asarray(x)) > 0:
        raise ValueError(f"has a `{name}` of the shape {x.shape}, but a core has one for all")


def level_of(x: FloatArray) -> Float[Array, ""]:
    """The one number that all entries are."""
    return x.ravel()[0]


def cap_of(layer: IAF) -> int | None:
    """Most spikes in a step; None for no cap."""
    return None if math.isinf(layer.settings.max_spikes) else int(layer.settings.max_spikes)


def start_of(layer: IAF, state: PyTree) -> FloatArray | None:
    """The membrane potentials to begin with; None for zeros.

    Raises:
        ValueError: if `state` is none of this layer's, or that of a batch.
    """
    if state is None:
        return None
    if not isinstance(state, IAFState) or jnp.shape(state.vmem) != layer.shape:
        raise ValueError(
            f"needs a `state` with membrane potentials of the shape {layer.shape}; for that of a "
            "batch, pass `snnjax.nn.statistics(state)`"
        )
    return state.vmem


def with_levels(layer: IAF, threshold: Float[Array, ""], min_vmem: Float[Array, ""]) -> IAF:
    """The layer with another threshold and lower bound.

    `parallel` neurons cannot have a lower bound and stay without.
    """
    level = jnp.broadcast_to(threshold, layer.threshold.shape)
    layer = eqx.tree_at(lambda m: m.threshold, layer, level)
    if layer.parallel:
        return layer
    lowest = jnp.broadcast_to(min_vmem, () if layer.min_vmem is None else layer.min_vmem.shape)
    return eqx.tree_at(lambda m: m.min_vmem, layer, lowest, is_leaf=lambda x: x is None)
