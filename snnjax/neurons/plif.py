r"""Parametric leaky integrate-and-fire neuron: its leak is learned, through a sigmoid.

One step is, in this order:

    rate   = sigmoid(w)                                        1/tau, in steps, always stable
    vmem  <- vmem + rate * (v_leak + x - vmem)                 if the input is decayed too
    vmem  <- vmem + rate * (v_leak - vmem) + x                 otherwise
    spikes = min(floor(vmem/threshold), max_spikes)            where vmem >= threshold, else 0
    vmem  <- v_reset where there are spikes                    or vmem - spikes * threshold

with v_leak = v_reset, or 0 if there is none. tau has no unit: it counts steps. vmem and x are in
one unit, that of the threshold. Source: Fang et al., arXiv 2007.05785; SpikingJelly,
`ParametricLIFNode`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import Firing, Hook, Shape, relax, unchanged


class PLIFParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons; `w` is often one number."""

    w: FloatArray
    threshold: FloatArray
    v_reset: FloatArray | None = None


class PLIFState(NamedTuple):
    """Membrane potential after the reset."""

    vmem: FloatArray


@explained
def tau_to_w(tau: ArrayLike) -> FloatArray:
    """The w that gives a time constant of `tau` steps, above 1: w = -ln(tau - 1)."""
    return -jnp.log(jnp.asarray(tau) - 1)


@explained
def w_to_tau(w: ArrayLike) -> FloatArray:
    """The time constant in steps: tau = 1/sigmoid(w)."""
    return 1 / jax.nn.sigmoid(jnp.asarray(w))


@explained
def init(shape: Shape, dtype: jnp.dtype | None = None) -> PLIFState:
    """The state that SpikingJelly's starts from where v_reset is 0: everything zero."""
    return PLIFState(jnp.zeros(shape, dtype))


@explained
def step(
    params: PLIFParams,
    state: PLIFState,
    x: FloatArray,
    *,
    fire: Firing,
    decay_input: bool = True,
    hook: Hook = unchanged,
) -> tuple[PLIFState, FloatArray]:
    """One time step.

    Args:
        params: the leak, the threshold, the reset potential.
        state: the state before the step.
        x: input to each neuron, weights already applied.
        fire: spikes and reset.
        decay_input: scale the input by 1/tau too.
        hook: transform of "vmem" before the neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    v_leak = jnp.zeros((), x.dtype) if params.v_reset is None else params.v_reset
    rate = jax.nn.sigmoid(params.w)
    if decay_input:
        vmem = relax(state.vmem, rate, v_leak + x)
    else:
        vmem = relax(state.vmem, rate, v_leak) + x
    vmem, spikes = fire(hook("vmem", vmem), params.threshold, params.v_reset)
    return PLIFState(vmem), spikes
