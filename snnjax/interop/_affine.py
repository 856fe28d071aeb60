r"""A neuron whose step between spikes is affine: all of NIR's neurons, in all dialects.

One step is, in this order:

    isyn' <- synapse.alpha*isyn + synapse.gain*x                  if there is a synapse
    vmem  <- alpha*vmem + gain*x + synapse.passed*isyn + offset   with isyn before the step
    spikes = as `fire` has it
    vmem  <- max(vmem, min_vmem)                              if there is a lower bound

The dialects differ in the coefficients, which come from NIR's parameters:

    tau_mem dv/dt = v_leak - v + r*i        tau_syn di/dt = -i + w_in*x

`membrane` says how the first becomes a step: "euler", "exact", or "sum", which adds r*i to the
decayed membrane as it is. `synapse` says it of the second, and which current the membrane sees:

    euler     isyn + dt/tau_syn*(w_in*x - isyn); the new one
    exact     the exact solution of both, x held over the step
    decayed   exp(-dt/tau_syn)*(isyn + w_in*x); the new one: Rockpool, sinabs

Without a time constant, an integrator, alpha = 1 and the gain is r*dt.
"""

from typing import Literal, NamedTuple, TypeAlias

import jax.numpy as jnp

from .._typing import FloatArray

Membrane: TypeAlias = Literal["euler", "exact", "sum"]
Synapse: TypeAlias = Literal["euler", "exact", "decayed"]


class Synaptic(NamedTuple):
    """The coefficients of a synapse: of the current before the step, of x, into the membrane."""

    alpha: FloatArray
    gain: FloatArray
    passed: FloatArray


class Coefficients(NamedTuple):
    """The coefficients of a step."""

    alpha: FloatArray
    gain: FloatArray
    offset: FloatArray
    synapse: Synaptic | None = None


class State(NamedTuple):
    """Membrane potential after the reset, and synaptic current if there is one."""

    vmem: FloatArray
    isyn: FloatArray | None


def advance(
    c: Coefficients, vmem: FloatArray, isyn: FloatArray | None, x: FloatArray
) -> tuple[FloatArray, FloatArray | None]:
    """The potential and the current after one step, without spikes."""
    vmem = c.alpha * vmem + c.gain * x + c.offset
    if c.synapse is None or isyn is None:
        return vmem, None
    return vmem + c.synapse.passed * isyn, c.synapse.alpha * isyn + c.synapse.gain * x


def without_synapse(
    dt: float, membrane: Membrane, r: FloatArray, v_leak: FloatArray, tau_mem: FloatArray | None
) -> Coefficients:
    """The coefficients of a step of `dt` seconds; see the module for the equations."""
    alpha, gain, leak = _membrane(dt, r, tau_mem, membrane)
    return Coefficients(alpha, gain, leak * v_leak)


def with_synapse(
    dt: float,
    membrane: Membrane,
    synapse: Synapse,
    r: FloatArray,
    v_leak: FloatArray,
    tau_mem: FloatArray,
    tau_syn: FloatArray,
    w_in: FloatArray,
) -> Coefficients:
    """The coefficients of a step of `dt` seconds; see the module for the equations."""
    alpha, gain, leak = _membrane(dt, r, tau_mem, membrane)
    offset = leak * v_leak
    if synapse == "exact":
        decay, enters = jnp.exp(-dt / tau_syn), -jnp.expm1(-dt / tau_syn) * w_in
        passed = _through_both(dt, alpha, tau_mem, tau_syn)
        held = r * w_in * (leak - passed)
        return Coefficients(alpha, held, offset, Synaptic(decay, enters, r * passed))
    if synapse == "euler":
        decay, enters = 1 - dt / tau_syn, dt / tau_syn * w_in
    else:
        decay = jnp.exp(-dt / tau_syn)
        enters = decay * w_in
    return Coefficients(alpha, gain * enters, offset, Synaptic(decay, enters, gain * decay))


def _membrane(
    dt: float, r: FloatArray, tau: FloatArray | None, membrane: Membrane
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The decay of the membrane, the gain of the current, the share of v_leak."""
    if tau is None:
        return jnp.ones_like(r), r * dt, jnp.zeros_like(r)
    if membrane == "euler":
        rate = dt / tau
        return 1 - rate, r * rate, rate
    leak = -jnp.expm1(-dt / tau)
    return 1 - leak, r if membrane == "sum" else r * leak, leak


def _through_both(
    dt: float, alpha: FloatArray, tau_mem: FloatArray, tau_syn: FloatArray
) -> FloatArray:
    """The share of a current that has decayed to exp(-dt/tau_syn) by now in the membrane.

    tau_syn/(tau_syn - tau_mem) * (exp(-dt/tau_syn) - exp(-dt/tau_mem)), and its limit
    dt/tau_mem*exp(-dt/tau_mem) for equal time constants.
    """
    apart = dt / tau_mem - dt / tau_syn
    near = jnp.abs(apart) < 1e-6
    safe = jnp.where(near, 1.0, apart)
    return alpha * dt / tau_mem * jnp.where(near, 1 + apart / 2, jnp.expm1(safe) / safe)
