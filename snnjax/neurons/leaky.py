r"""Leaky integrate-and-fire neuron whose input is not decayed, with snnTorch's delayed reset.

One step is, in this order:

    isyn  <- alpha_syn*isyn + x                        or isyn = x without a synapse
    vmem  <- alpha_mem*vmem + isyn
    vmem  <- vmem - spikes_before * threshold          with `reset_delay`: the last step's reset
    spikes = min(floor(vmem/threshold), max_spikes)    where vmem >= threshold, else 0
    vmem  <- vmem - spikes * threshold                 without `reset_delay`
    vmem  <- max(vmem, min_vmem)                       if there is a lower bound

With `reset_delay`, vmem after a step still shows the spike, and is reset during the next step; no
gradient passes through that reset. `reset="zero"` delayed sets vmem to v_reset before it decays and
keeps the step's input (snnTorch's `Leaky`), or, with `wipe_input`, sets it to v_reset afterwards,
input and all (its `Synaptic` and `RLeaky`).

Without a delay a neuron's reset depends on its own spikes of this step alone. snnTorch's
`reset_delay=False` lowers a neuron that its last reset left above the threshold by one threshold
more while deciding whether it fires again, and then gives that back.

Decays are factors per step; see `snnjax.decay`. They are not clipped to [0, 1] as snnTorch clips
them. vmem, isyn and x are in one unit, that of the threshold. `neurons.recurrent` with this kernel
is snnTorch's `RLeaky`. sinabs' `LIF` without a synapse is this one without delay, its input times
1 - alpha_mem for `norm_input`. Source: snnTorch, `Leaky` and `Synaptic`, arXiv 2109.12894.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._typing import FloatArray
from ._hook import Hook, unchanged
from ._mechanics import Fire, Reset, Shape, after_reset, bounded, fire, leak, synapse as current


class LeakyParams(NamedTuple):
    """What a step needs to know. Each broadcasts against the neurons."""

    alpha_mem: FloatArray
    threshold: FloatArray
    alpha_syn: FloatArray | None = None
    v_reset: FloatArray | None = None
    min_vmem: FloatArray | None = None


class LeakyState(NamedTuple):
    """Membrane potential, synaptic current if there is one, spikes of the last step."""

    vmem: FloatArray
    isyn: FloatArray | None
    spikes: FloatArray


def init(shape: Shape, dtype: jnp.dtype | None = None, *, synapse: bool = False) -> LeakyState:
    """The resting state: everything zero; with a current if there is a `synapse`."""
    isyn = jnp.zeros(shape, dtype) if synapse else None
    return LeakyState(jnp.zeros(shape, dtype), isyn, jnp.zeros(shape, dtype))


def step(
    params: LeakyParams,
    state: LeakyState,
    x: FloatArray,
    *,
    surrogate: Fire,
    max_spikes: float,
    reset: Reset = "subtract",
    reset_delay: bool = True,
    wipe_input: bool = False,
    detach_reset: bool = False,
    hook: Hook = unchanged,
) -> tuple[LeakyState, FloatArray]:
    """One time step.

    Args:
        params: decays, threshold, reset potential and lower bound.
        state: the state before the step.
        x: input to each neuron, weights already applied.
        surrogate: spike function.
        max_spikes: most spikes that a neuron emits in a step.
        reset: what follows a spike.
        reset_delay: reset vmem one step after the spike.
        wipe_input: a delayed reset to zero takes the input of its own step with it.
        detach_reset: let no gradient through the spikes that reset vmem. A delayed reset never
            lets any through.
        hook: what becomes of "isyn" once it is new, and of "vmem" before the neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    isyn, drive = current(state.isyn, x, params.alpha_syn, decay_input=False, hook=hook)
    pending = jax.lax.stop_gradient(state.spikes) if reset_delay else None
    early = reset == "zero" and not wipe_input
    vmem = _reset_now(state.vmem, pending if early else None, params, reset)
    vmem = leak(vmem, params.alpha_mem, drive, norm=False)
    vmem = _reset_now(vmem, None if early else pending, params, reset)
    vmem, spikes = fire(
        vmem,
        params.threshold,
        surrogate=surrogate,
        max_spikes=max_spikes,
        reset="none" if reset_delay else reset,
        v_reset=params.v_reset,
        detach_reset=detach_reset,
        hook=hook,
    )
    return LeakyState(bounded(vmem, params.min_vmem), isyn, spikes), spikes


def settled(params: LeakyParams, state: LeakyState, *, reset: Reset) -> FloatArray:
    """The membrane potentials after the delayed reset of the last step's spikes, and nothing else.

    A refractory neuron is held there, `neurons.refractory`, as its next step does not come.
    """
    vmem = _reset_now(state.vmem, jax.lax.stop_gradient(state.spikes), params, reset)
    return bounded(vmem, params.min_vmem)


def _reset_now(
    vmem: FloatArray, pending: FloatArray | None, params: LeakyParams, reset: Reset
) -> FloatArray:
    if pending is None:
        return vmem
    return after_reset(vmem, pending, params.threshold, reset=reset, v_reset=params.v_reset)
