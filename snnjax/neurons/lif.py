r"""Leaky integrate-and-fire neuron with exponential synapses, stepped exactly (not by Euler).

For N neurons with S synapses each, one step of length dt is, in this order:

    isyn  <- isyn + x + spikes_before @ w_rec          new input, from outside and from recurrence
    vmem  <- vmem * alpha_mem
    isyn  <- isyn * alpha_syn                          so the new input is decayed too
    vmem  <- vmem + sum over synapses of isyn + bias + noise
    spikes = min(floor(vmem/threshold), max_spikes)    where vmem >= threshold, else 0
    vmem  <- vmem - spikes * threshold                 reset by subtraction

The order and the multiple spikes per step are those of Rockpool's LIF modules, which the Xylo chips
were made to match.
"""

import functools
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from ..surrogate import Surrogate
from ._hook import Hook, unchanged


class LIFParams(NamedTuple):
    """What a step needs to know. Decays are factors per step; see `snnjax.decay`."""

    alpha_mem: Float[Array, " neurons"]
    alpha_syn: Float[Array, "neurons synapses"]
    threshold: Float[Array, " neurons"]
    bias: Float[Array, " neurons"] | None = None
    w_rec: Float[Array, "neurons neurons*synapses"] | None = None


class LIFState(NamedTuple):
    """Membrane potential after reset, synaptic current after decay, spikes of the last step."""

    vmem: Float[Array, " neurons"]
    isyn: Float[Array, "neurons synapses"]
    spikes: Float[Array, " neurons"]


def init(neurons: int, synapses: int = 1, dtype: jnp.dtype | None = None) -> LIFState:
    """The resting state: everything zero."""
    # An array of its own for each, so that the state can be donated to a jitted step.
    return LIFState(
        vmem=jnp.zeros(neurons, dtype),
        isyn=jnp.zeros((neurons, synapses), dtype),
        spikes=jnp.zeros(neurons, dtype),
    )


def step(
    params: LIFParams,
    state: LIFState,
    x: Float[Array, "neurons synapses"],
    noise: Float[Array, " neurons"] | None = None,
    *,
    surrogate: Surrogate,
    max_spikes: int,
    hook: Hook = unchanged,
) -> tuple[LIFState, Float[Array, " neurons"]]:
    """One time step.

    Args:
        params: decays, thresholds, biases and recurrent weights.
        state: the state before the step.
        x: input to each synapse, weights already applied.
        noise: what is added to each membrane potential at this step.
        surrogate: spike function.
        max_spikes: most spikes that a neuron emits in a step.
        hook: what becomes of "isyn" after its decay, and of "vmem" before the neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    isyn = state.isyn + x
    if params.w_rec is not None:
        isyn = isyn + feedback(params.w_rec, state)
    isyn = hook("isyn", checkpoint_name(isyn, "isyn") * params.alpha_syn)
    vmem = state.vmem * params.alpha_mem + _sum_synapses(isyn)
    if params.bias is not None:
        vmem = vmem + params.bias
    if noise is not None:
        vmem = vmem + noise
    vmem = checkpoint_name(hook("vmem", vmem), "vmem")
    spikes = surrogate(vmem, params.threshold, max_spikes)
    vmem = vmem - spikes * params.threshold
    return LIFState(vmem, isyn, spikes), spikes


def feedback(
    w_rec: Float[Array, "neurons neurons*synapses"], state: LIFState
) -> Float[Array, "neurons synapses"]:
    """What the spikes of the last step add to the synaptic currents."""
    return (state.spikes @ w_rec).reshape(state.isyn.shape)


@jax.custom_jvp
def _sum_synapses(isyn: Float[Array, "neurons synapses"]) -> Float[Array, " neurons"]:
    # On CPU the reduction of so short an axis costs several times as much as adding up its slices.
    # The transpose of slicing is slow in turn, hence the rule.
    return functools.reduce(operator.add, [isyn[..., s] for s in range(isyn.shape[-1])])


@_sum_synapses.defjvp
def _sum_synapses_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    return _sum_synapses(*primals), tangents[0].sum(-1)
