r"""Leaky integrate-and-fire neuron without synapses, stepped by forward Euler.

One step of length dt is, in this order:

    vmem  <- vmem + dt/tau * (v_leak - vmem + r*x)
    spikes = min(floor(vmem/threshold), max_spikes)    where vmem >= threshold, else 0
    vmem  <- v_reset where there are spikes            or vmem - spikes * threshold

tau and dt are in seconds, x in amperes or any unit that r, in ohms, turns into the unit of vmem. In
NIR a neuron fires where vmem > threshold; here where vmem >= threshold, as everywhere in snnjax.
SpikingJelly's `LIFNode` has a dimensionless tau: dt = 1, v_leak = v_reset, and r = 1, or r = tau
for `decay_input=False`. Source: NIR, `LIF`, arXiv 2311.14641.
"""

from typing import NamedTuple

import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import Firing, Hook, Shape, relax, unchanged


class LIFEulerParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons; tau is in seconds."""

    tau: FloatArray
    r: FloatArray
    v_leak: FloatArray
    threshold: FloatArray
    v_reset: FloatArray | None = None


class LIFEulerState(NamedTuple):
    """Membrane potential after the reset."""

    vmem: FloatArray


@explained
def init(shape: Shape, dtype: jnp.dtype | None = None) -> LIFEulerState:
    """The state that NIR's reference starts from: everything zero."""
    return LIFEulerState(jnp.zeros(shape, dtype))


@explained
def step(
    params: LIFEulerParams,
    state: LIFEulerState,
    x: FloatArray,
    *,
    dt: float,
    fire: Firing,
    hook: Hook = unchanged,
) -> tuple[LIFEulerState, FloatArray]:
    """One time step.

    Args:
        params: time constant, resistance, potentials.
        state: the state before the step.
        x: input current of each neuron, weights already applied.
        dt: length of the step in seconds. Euler's steps are stable for dt < 2*tau.
        fire: spikes and reset.
        hook: transform of "vmem" before the neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    vmem = relax(state.vmem, dt / params.tau, params.v_leak + params.r * x)
    vmem, spikes = fire(hook("vmem", vmem), params.threshold, params.v_reset)
    return LIFEulerState(vmem), spikes
