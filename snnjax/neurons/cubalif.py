r"""Current-based leaky integrate-and-fire neuron, stepped by forward Euler.

One step of length dt is, in this order:

    isyn  <- isyn + dt/tau_syn * (w_in*x - isyn)
    vmem  <- vmem + dt/tau_mem * (v_leak - vmem + r*isyn)      with the new isyn
    spikes = min(floor(vmem/threshold), max_spikes)            where vmem >= threshold, else 0
    vmem  <- v_reset where there are spikes                    or vmem - spikes * threshold

Time constants and dt are in seconds. In NIR a neuron fires where vmem > threshold; here where
vmem >= threshold, as everywhere in snnjax. Norse's `lif_step` adds its input to the current without
the factor dt/tau_syn: that is w_in = tau_syn/dt here, and what Norse calls i after a step is
(1 - dt/tau_syn) * isyn. Sources: NIR, `CubaLIF`, arXiv 2311.14641; Norse, `LIF`.
"""

from typing import NamedTuple

import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import Firing, Hook, Shape, relax, unchanged


class CubaLIFParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons; taus are in seconds."""

    tau_mem: FloatArray
    tau_syn: FloatArray
    r: FloatArray
    v_leak: FloatArray
    threshold: FloatArray
    w_in: FloatArray
    v_reset: FloatArray | None = None


class CubaLIFState(NamedTuple):
    """Membrane potential after the reset, and synaptic current."""

    vmem: FloatArray
    isyn: FloatArray


@explained
def init(shape: Shape, dtype: jnp.dtype | None = None) -> CubaLIFState:
    """The state that NIR's reference starts from: everything zero."""
    return CubaLIFState(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))


@explained
def step(
    params: CubaLIFParams,
    state: CubaLIFState,
    x: FloatArray,
    *,
    dt: float,
    fire: Firing,
    hook: Hook = unchanged,
) -> tuple[CubaLIFState, FloatArray]:
    """One time step.

    Args:
        params: time constants, resistance, input weight, potentials.
        state: the state before the step.
        x: input of each neuron, weights but `w_in` already applied.
        dt: length of the step in seconds. Euler's steps are stable for dt < 2*tau.
        fire: spikes and reset.
        hook: transform of "isyn" once it is new, and of "vmem" before the neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    isyn = hook("isyn", relax(state.isyn, dt / params.tau_syn, params.w_in * x))
    vmem = relax(state.vmem, dt / params.tau_mem, params.v_leak + params.r * isyn)
    vmem, spikes = fire(hook("vmem", vmem), params.threshold, params.v_reset)
    return CubaLIFState(vmem, isyn), spikes
