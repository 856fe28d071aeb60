r"""Izhikevich's neuron: many firing patterns from two variables, stepped by forward Euler.

One step of length dt is, in this order, with h = 1000*dt, the step in milliseconds:

    vmem     <- vmem + h*(0.04*vmem^2 + 5*vmem + 140 - recovery + r*x)
    recovery <- recovery + h*a*(b*vmem - recovery)             with vmem before the step
    spikes    = 1 where vmem >= threshold, else 0
    vmem     <- v_reset where there is a spike
    recovery <- recovery + d where there is a spike

vmem, recovery, threshold, v_reset and d are in millivolts, r*x in millivolts per millisecond, a in
1/ms; b has no unit. v_reset is c in the paper. The square is evaluated at most at the threshold, so
that a neuron without reset stays finite. Izhikevich's own program takes two half steps for vmem and
its new value for the recovery. Source: Izhikevich, "Simple model of spiking neurons", IEEE
Transactions on Neural Networks 14 (2003), doi 10.1109/TNN.2003.820440.
"""

from typing import NamedTuple

import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ._mechanics import Firing, Hook, Shape, unchanged


class IzhikevichParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons."""

    a: FloatArray
    b: FloatArray
    d: FloatArray
    r: FloatArray
    threshold: FloatArray
    v_reset: FloatArray


class IzhikevichState(NamedTuple):
    """Membrane potential after the reset, and recovery; both in millivolts."""

    vmem: FloatArray
    recovery: FloatArray


@explained
def init(b: FloatArray, shape: Shape, dtype: jnp.dtype | None = None) -> IzhikevichState:
    """The state that the paper starts from: vmem = -65 mV, recovery = b*vmem."""
    vmem = jnp.full(shape, -65.0, dtype)
    return IzhikevichState(vmem, b * vmem)


@explained
def step(
    params: IzhikevichParams,
    state: IzhikevichState,
    x: FloatArray,
    *,
    dt: float,
    fire: Firing,
    hook: Hook = unchanged,
) -> tuple[IzhikevichState, FloatArray]:
    """One time step.

    Args:
        params: rates, coupling, potentials.
        state: the state before the step.
        x: input of each neuron, weights already applied.
        dt: length of the step in seconds.
        fire: spikes and reset. It counts one spike at most.
        hook: transform of "vmem" and "recovery" before the neuron fires.

    Returns:
        The state after the step, and the spikes of each neuron, 0 or 1.
    """
    h = 1000 * dt
    v = jnp.minimum(state.vmem, params.threshold)
    vmem = state.vmem + h * (0.04 * v**2 + 5 * v + 140 - state.recovery + params.r * x)
    recovery = state.recovery + h * params.a * (params.b * v - state.recovery)
    vmem, recovery = hook("vmem", vmem), hook("recovery", recovery)
    vmem, spikes = fire(
        vmem, params.threshold, params.v_reset, unit=params.threshold - params.v_reset
    )
    return IzhikevichState(vmem, recovery + params.d * spikes), spikes
