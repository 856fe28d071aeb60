"""What the kernels share: currents, membranes, firing and the reset, each written once."""

from typing import Literal, Protocol, TypeAlias

import jax
import jax.numpy as jnp

from .._typing import FloatArray
from ..passthrough import straight_through
from ._hook import Hook, unchanged

Reset: TypeAlias = Literal["subtract", "zero", "none"]
"""What follows a spike: a threshold is taken off, vmem becomes v_reset (0 if None), or nothing."""

Shape: TypeAlias = int | tuple[int, ...]
"""Shape of a population: its number of neurons, or for instance (channels, height, width)."""


class Fire(Protocol):
    """A spike function: a `snnjax.surrogate.Surrogate`, or what is called like one."""

    def __call__(
        self, vmem: FloatArray, threshold: FloatArray, max_spikes: float, /
    ) -> FloatArray: ...


def synapse(
    isyn: FloatArray | None,
    x: FloatArray,
    alpha_syn: FloatArray | None,
    *,
    decay_input: bool,
    hook: Hook = unchanged,
) -> tuple[FloatArray | None, FloatArray]:
    """A synaptic current, and what drives the membrane: the current, or x without a synapse.

    The current is alpha_syn * (isyn + x) if the new input decays with it, else alpha_syn*isyn + x.

    Raises:
        ValueError: if there is a decay and no current, or a current and no decay.
    """
    if alpha_syn is None and isyn is None:
        return None, x
    if alpha_syn is None or isyn is None:
        raise ValueError(
            "`alpha_syn` and the state's `isyn` must both be given or both be None; "
            f"`init(..., synapse={alpha_syn is not None})` makes the state that fits"
        )
    decayed = alpha_syn * (isyn + x) if decay_input else alpha_syn * isyn + x
    new = hook("isyn", decayed)
    return new, new


def leak(vmem: FloatArray, alpha: FloatArray, drive: FloatArray, *, norm: bool) -> FloatArray:
    """One exact step of a leaky membrane under a current that is held during the step.

    alpha*vmem + drive, or alpha*vmem + (1 - alpha)*drive if `norm`, so that vmem settles at drive.
    """
    return alpha * vmem + ((1 - alpha) * drive if norm else drive)


def relax(value: FloatArray, rate: FloatArray, target: FloatArray) -> FloatArray:
    """One step of forward Euler towards `target`, where `rate` is dt/tau."""
    return value + rate * (target - value)


def later(x: FloatArray) -> FloatArray:
    """Each step's value at the step after it, time first; 0 at the first."""
    return jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])


def bounded(vmem: FloatArray, min_vmem: FloatArray | None) -> FloatArray:
    """`vmem`, at least `min_vmem`. No gradient passes where vmem is at the bound or below it.

    NaN stays NaN.
    """
    return vmem if min_vmem is None else jnp.where(vmem <= min_vmem, min_vmem, vmem)


def fire(
    vmem: FloatArray,
    threshold: FloatArray,
    *,
    surrogate: Fire,
    max_spikes: float,
    reset: Reset = "subtract",
    v_reset: FloatArray | None = None,
    detach_reset: bool = False,
    hook: Hook = unchanged,
) -> tuple[FloatArray, FloatArray]:
    """Spikes, and the reset that follows them.

    Args:
        vmem: membrane potentials.
        threshold: what broadcasts against them.
        surrogate: spike function.
        max_spikes: most spikes that a neuron emits in a step.
        reset: what follows a spike.
        v_reset: where "zero" resets to; None is 0.
        detach_reset: let no gradient through the spikes that reset vmem.
        hook: what becomes of "vmem" before the neuron fires.

    Returns:
        The membrane potentials after the reset, and the number of spikes of each neuron.
    """
    vmem = hook("vmem", vmem)
    spikes = surrogate(vmem, threshold, max_spikes)
    resetting = jax.lax.stop_gradient(spikes) if detach_reset else spikes
    return after_reset(vmem, resetting, threshold, reset=reset, v_reset=v_reset), spikes


def after_reset(
    vmem: FloatArray,
    spikes: FloatArray,
    threshold: FloatArray,
    *,
    reset: Reset,
    v_reset: FloatArray | None = None,
) -> FloatArray:
    """`vmem` after the reset that `spikes` bring about."""
    match reset:
        case "subtract":
            return vmem - spikes * threshold
        case "zero":
            # 1 where there are spikes, however many, with the gradient of their number.
            fired = straight_through(spikes, jnp.minimum(spikes, 1))
            kept = (1 - fired) * vmem
            return kept if v_reset is None else kept + fired * v_reset
        case "none":
            return vmem
    raise ValueError(f"`reset` must be one of 'subtract', 'zero', 'none'; got {reset!r}")
