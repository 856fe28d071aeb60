r"""Adaptive exponential integrate-and-fire neuron (AdEx), stepped by forward Euler.

One step of length dt is, in this order, with vmem and adaptation on the right from before the step:

    upswing    = delta_t * exp((vmem - v_rheo)/delta_t)
    vmem      <- vmem + dt/tau_mem * (v_leak - vmem + upswing + r*(x - adaptation))
    adaptation <- adaptation + dt/tau_adapt * (a*(vmem - v_leak) - adaptation)
    spikes     = 1 where vmem >= threshold, else 0
    vmem      <- v_reset where there is a spike
    adaptation <- adaptation + b where there is a spike

Potentials and delta_t are in millivolts, x, adaptation and b in picoamperes, r in gigaohms, a in
nanosiemens, time constants and dt in seconds. In the terms of the paper tau_mem = C/g_L, r = 1/g_L,
v_leak = E_L, v_rheo = V_T, and the threshold is where the upswing is cut off. The exponential is
evaluated at most at the threshold, so that a neuron without reset stays finite. Source: Brette and
Gerstner, J. Neurophysiology 94 (2005), doi 10.1152/jn.00686.2005.
"""

from typing import NamedTuple

import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import Firing, Hook, Shape, relax, unchanged


class AdExParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons."""

    tau_mem: FloatArray
    tau_adapt: FloatArray
    r: FloatArray
    a: FloatArray
    b: FloatArray
    v_leak: FloatArray
    v_rheo: FloatArray
    delta_t: FloatArray
    threshold: FloatArray
    v_reset: FloatArray


class AdExState(NamedTuple):
    """Membrane potential after the reset in millivolts, adaptation current in picoamperes."""

    vmem: FloatArray
    adaptation: FloatArray


@explained
def init(v_leak: FloatArray, shape: Shape, dtype: jnp.dtype | None = None) -> AdExState:
    """The resting state without an upswing: vmem = v_leak, no adaptation."""
    return AdExState(v_leak + jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))


@explained
def step(
    params: AdExParams,
    state: AdExState,
    x: FloatArray,
    *,
    dt: float,
    fire: Firing,
    hook: Hook = unchanged,
) -> tuple[AdExState, FloatArray]:
    """One time step.

    Args:
        params: time constants, resistance, adaptation, potentials.
        state: the state before the step.
        x: input current of each neuron, weights already applied.
        dt: length of the step in seconds.
        fire: spikes and reset. It counts one spike at most.
        hook: transform of "vmem" and "adaptation" before the neuron fires.

    Returns:
        The state after the step, and the spikes of each neuron, 0 or 1.
    """
    p, highest = params, jnp.minimum(state.vmem, params.threshold)
    upswing = p.delta_t * jnp.exp((highest - p.v_rheo) / p.delta_t)
    target = p.v_leak + upswing + p.r * (x - state.adaptation)
    vmem = hook("vmem", relax(state.vmem, dt / p.tau_mem, target))
    pull = p.a * (state.vmem - p.v_leak)
    adaptation = hook("adaptation", relax(state.adaptation, dt / p.tau_adapt, pull))
    vmem, spikes = fire(vmem, p.threshold, p.v_reset, unit=p.threshold - p.v_reset)
    return AdExState(vmem, adaptation + p.b * spikes), spikes
