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

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import (
    Firing,
    Hook,
    Shape,
    after_reset,
    bounded,
    leak,
    synapse as current,
    unchanged,
)


class LeakyParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons."""

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


@explained
def init(shape: Shape, dtype: jnp.dtype | None = None, *, synapse: bool = False) -> LeakyState:
    """The resting state: everything zero; with a current if there is a `synapse`."""
    isyn = jnp.zeros(shape, dtype) if synapse else None
    return LeakyState(jnp.zeros(shape, dtype), isyn, jnp.zeros(shape, dtype))


@explained
def step(
    params: LeakyParams,
    state: LeakyState,
    x: FloatArray,
    *,
    fire: Firing,
    reset_delay: bool = True,
    wipe_input: bool = False,
    hook: Hook = unchanged,
) -> tuple[LeakyState, FloatArray]:
    """One time step.

    Args:
        params: decays, threshold, reset potential and lower bound.
        state: the state before the step.
        x: input to each neuron, weights already applied.
        fire: spikes and reset.
        reset_delay: reset vmem one step after the spike.
        wipe_input: a delayed reset to zero takes the input of its own step with it.
        hook: transform of "isyn" once it is new, and of "vmem" before the neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    isyn, drive = current(state.isyn, x, params.alpha_syn, decay_input=False, hook=hook)
    if not reset_delay:
        vmem = hook("vmem", leak(state.vmem, params.alpha_mem, drive, norm=False))
        vmem, spikes = fire(vmem, params.threshold, params.v_reset)
        return LeakyState(bounded(vmem, params.min_vmem), isyn, spikes), spikes
    before_input = fire.reset == "zero" and not wipe_input
    vmem = _after_reset(params, state, state.vmem, fire) if before_input else state.vmem
    vmem = leak(vmem, params.alpha_mem, drive, norm=False)
    vmem = hook("vmem", vmem if before_input else _after_reset(params, state, vmem, fire))
    _, spikes = fire(vmem, params.threshold)
    return LeakyState(bounded(vmem, params.min_vmem), isyn, spikes), spikes


@explained
def settled(params: LeakyParams, state: LeakyState, *, fire: Firing) -> FloatArray:
    """The membrane potentials after the delayed reset of the last step's spikes, and nothing else.

    `neurons.refractory` holds a neuron there, whose next step does not come.
    """
    return bounded(_after_reset(params, state, state.vmem, fire), params.min_vmem)


def _after_reset(
    params: LeakyParams, state: LeakyState, vmem: FloatArray, fire: Firing
) -> FloatArray:
    """`vmem` after the delayed reset by the spikes of the last step, which pass no gradient."""
    spikes = jax.lax.stop_gradient(state.spikes)
    level, to = params.threshold, params.v_reset
    return after_reset(vmem, spikes, level, reset=fire.reset, v_reset=to)
