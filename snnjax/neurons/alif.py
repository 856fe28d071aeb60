r"""Adaptive leaky integrate-and-fire neuron: each spike raises the threshold for a while.

One step is, in this order:

    isyn       <- alpha_syn * (isyn + x)               or isyn = x without a synapse
    vmem       <- alpha_mem*vmem + (1 - alpha_mem)*isyn    or + isyn without `norm_input`
    level       = threshold + adapt_scale*adaptation
    spikes      = min(floor(vmem/level), max_spikes)   where vmem >= level, else 0
    vmem       <- vmem - spikes * level                or v_reset where there are spikes
    adaptation <- alpha_adapt*adaptation + (1 - alpha_adapt)*spikes
    vmem       <- max(vmem, min_vmem)                  if there is a lower bound

Decays are factors per step; see `snnjax.decay`. vmem, isyn, x, threshold and adapt_scale are in one
unit; the adaptation is a filtered spike count. sinabs keeps the normalised current
(1 - alpha_mem)*isyn as the synapse's state, so that its current decays by a factor 1 - alpha_mem
too fast; here isyn is what the equations say. Sources: Bellec et al., "LSNN", arXiv 1803.09574;
sinabs, `ALIF`.
"""

from typing import NamedTuple

import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import Firing, Hook, Shape, bounded, leak, synapse as current, unchanged


class ALIFParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons."""

    alpha_mem: FloatArray
    alpha_adapt: FloatArray
    adapt_scale: FloatArray
    threshold: FloatArray
    alpha_syn: FloatArray | None = None
    v_reset: FloatArray | None = None
    min_vmem: FloatArray | None = None


class ALIFState(NamedTuple):
    """Membrane potential, synaptic current after its decay if there is one, adaptation."""

    vmem: FloatArray
    isyn: FloatArray | None
    adaptation: FloatArray


@explained
def init(shape: Shape, dtype: jnp.dtype | None = None, *, synapse: bool = False) -> ALIFState:
    """The resting state: everything zero; with a current if there is a `synapse`."""
    isyn = jnp.zeros(shape, dtype) if synapse else None
    return ALIFState(jnp.zeros(shape, dtype), isyn, jnp.zeros(shape, dtype))


@explained
def step(
    params: ALIFParams,
    state: ALIFState,
    x: FloatArray,
    *,
    fire: Firing,
    norm_input: bool = True,
    hook: Hook = unchanged,
) -> tuple[ALIFState, FloatArray]:
    """One time step.

    Args:
        params: decays, thresholds, reset potential and lower bound.
        state: the state before the step.
        x: input to each neuron, weights already applied.
        fire: spikes and reset.
        norm_input: scale the current by 1 - alpha_mem, so that vmem settles at the current.
        hook: transform of "isyn" and "adaptation" after their decay, and of "vmem" before the
            neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    isyn, drive = current(state.isyn, x, params.alpha_syn, decay_input=True, hook=hook)
    vmem = hook("vmem", leak(state.vmem, params.alpha_mem, drive, norm=norm_input))
    level = params.threshold + params.adapt_scale * state.adaptation
    vmem, spikes = fire(vmem, level, params.v_reset)
    adaptation = leak(state.adaptation, params.alpha_adapt, spikes, norm=True)
    adaptation = hook("adaptation", adaptation)
    return ALIFState(bounded(vmem, params.min_vmem), isyn, adaptation), spikes
