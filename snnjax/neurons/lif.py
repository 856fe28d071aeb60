r"""Leaky integrate-and-fire neuron with exponential synapses, stepped exactly (not by Euler).

For neurons with S synapses each, one step of length dt is, in this order:

    isyn  <- (isyn + x) * alpha_syn                    so the new input is decayed too
    vmem  <- vmem*alpha_mem + sum over synapses of isyn + bias
    spikes = min(floor(vmem/threshold), max_spikes)    where vmem >= threshold, else 0
    vmem  <- vmem - spikes * threshold                 or v_reset where there are spikes

Decays are factors per step; see `snnjax.decay`. Membrane noise is a bias that differs from step to
step. The order and the multiple spikes per step are those of Rockpool's LIF modules, which the Xylo
chips were made to match. Source: Rockpool, `LIFTorch`.
"""

import functools
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import Firing, Hook, Shape, unchanged


class LIFParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons, alpha_syn against the synapses."""

    alpha_mem: FloatArray
    alpha_syn: Float[Array, "*shape synapses"]
    threshold: FloatArray
    bias: FloatArray | None = None
    v_reset: FloatArray | None = None


class LIFState(NamedTuple):
    """Membrane potential after the reset, synaptic currents after their decay, last spikes."""

    vmem: Float[Array, "*shape"]
    isyn: Float[Array, "*shape synapses"]
    spikes: Float[Array, "*shape"]


@explained
def init(shape: Shape, synapses: int = 1, dtype: jnp.dtype | None = None) -> LIFState:
    """The resting state: everything zero."""
    sizes = (shape,) if isinstance(shape, int) else shape
    return LIFState(
        jnp.zeros(sizes, dtype), jnp.zeros((*sizes, synapses), dtype), jnp.zeros(sizes, dtype)
    )


@explained
def step(
    params: LIFParams,
    state: LIFState,
    x: Float[Array, "*shape synapses"],
    *,
    fire: Firing,
    hook: Hook = unchanged,
) -> tuple[LIFState, Float[Array, "*shape"]]:
    """One time step.

    Args:
        params: decays, thresholds, biases, reset potentials.
        state: the state before the step.
        x: input to each synapse, weights already applied.
        fire: spikes and reset.
        hook: transform of "isyn" after its decay, and of "vmem" before the neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    isyn = checkpoint_name(state.isyn + x, "isyn")
    isyn = hook("isyn", isyn * params.alpha_syn)
    vmem = state.vmem * params.alpha_mem + _sum_synapses(isyn)
    if params.bias is not None:
        vmem = vmem + params.bias
    vmem = checkpoint_name(hook("vmem", vmem), "vmem")
    vmem, spikes = fire(vmem, params.threshold, params.v_reset)
    return LIFState(vmem, isyn, spikes), spikes


@jax.custom_jvp
def _sum_synapses(isyn: Float[Array, "*shape synapses"]) -> Float[Array, "*shape"]:
    # On CPU the reduction of so short an axis costs several times as much as adding up its slices.
    # The transpose of slicing is slow in turn, hence the rule.
    return functools.reduce(operator.add, [isyn[..., s] for s in range(isyn.shape[-1])])


@_sum_synapses.defjvp
def _sum_synapses_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    return _sum_synapses(*primals), tangents[0].sum(-1)
