r"""Leaky integrator: a membrane that never fires, for readouts.

One step is, in this order:

    isyn <- alpha_syn * (isyn + x)                     or isyn = x without a synapse
    vmem <- alpha_mem*vmem + isyn                      or + (1 - alpha_mem)*isyn with `norm_input`
    vmem <- max(vmem, min_vmem)                        if there is a lower bound

The output is vmem. Decays are factors per step; see `snnjax.decay`. vmem, isyn and x are in one
unit. NIR's `LI`, stepped by forward Euler, is this with alpha_mem = 1 - dt/tau, `norm_input`, and
the input v_leak + r*x. Sources: sinabs, `ExpLeak`, which puts vmem out before the lower bound; with
a synapse, Rockpool.
"""

from typing import NamedTuple

import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import Hook, Shape, bounded, leak, synapse as current, unchanged


class LIParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons."""

    alpha_mem: FloatArray
    alpha_syn: FloatArray | None = None
    min_vmem: FloatArray | None = None


class LIState(NamedTuple):
    """Membrane potential, and synaptic current after its decay if there is one."""

    vmem: FloatArray
    isyn: FloatArray | None


@explained
def init(shape: Shape, dtype: jnp.dtype | None = None, *, synapse: bool = False) -> LIState:
    """The resting state: everything zero; with a current if there is a `synapse`."""
    return LIState(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype) if synapse else None)


@explained
def step(
    params: LIParams,
    state: LIState,
    x: FloatArray,
    *,
    norm_input: bool = False,
    hook: Hook = unchanged,
) -> tuple[LIState, FloatArray]:
    """One time step.

    Args:
        params: decays and lower bound.
        state: the state before the step.
        x: input to each neuron, weights already applied.
        norm_input: scale the current by 1 - alpha_mem, so that vmem settles at the current.
        hook: transform of "isyn" after its decay, and of "vmem" before the lower bound.

    Returns:
        The state after the step, and the membrane potential of each neuron.
    """
    isyn, drive = current(state.isyn, x, params.alpha_syn, decay_input=True, hook=hook)
    vmem = hook("vmem", leak(state.vmem, params.alpha_mem, drive, norm=norm_input))
    vmem = bounded(vmem, params.min_vmem)
    return LIState(vmem, isyn), vmem
