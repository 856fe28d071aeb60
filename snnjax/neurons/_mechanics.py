"""Parts of several kernels: currents, membranes, firing and the reset, each written once."""

from typing import Literal, Protocol, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ..passthrough import straight_through
from ..surrogate import PiecewiseLinear

Reset: TypeAlias = Literal["subtract", "zero", "none"]
"""A spike lowers vmem by the threshold, sets it to v_reset (0 if None), or leaves it."""

Shape: TypeAlias = int | tuple[int, ...]
"""Shape of a population: its number of neurons, or for instance (channels, height, width)."""


class Hook(Protocol):
    """Maps the name and the value of a state to the value that the kernel goes on with."""

    def __call__(self, name: str, x: FloatArray, /) -> FloatArray: ...


@explained
def unchanged(name: str, x: FloatArray) -> FloatArray:
    """The hook that changes nothing."""
    return x


class SpikeFunction(Protocol):
    """A `snnjax.surrogate.Surrogate`, or any function with its arguments."""

    def __call__(
        self, vmem: FloatArray, threshold: FloatArray, max_spikes: float, /
    ) -> FloatArray: ...


class Firing(eqx.Module):
    """The spikes of a step and the reset after them: the settings that all kernels share.

    Attributes:
        surrogate: spike function.
        max_spikes: most spikes of a neuron in one step; `math.inf` for no cap.
        reset: effect of a spike on vmem.
        detach_reset: stop the gradient through the spikes that reset vmem.
    """

    surrogate: SpikeFunction = PiecewiseLinear()
    max_spikes: float = eqx.field(default=1, static=True)
    reset: Reset = eqx.field(default="subtract", static=True)
    detach_reset: bool = eqx.field(default=False, static=True)

    @explained
    def __call__(
        self,
        vmem: FloatArray,
        threshold: FloatArray,
        v_reset: FloatArray | None = None,
        *,
        unit: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Fire and reset.

        Args:
            vmem: membrane potentials.
            threshold: firing thresholds, which broadcast against vmem.
            v_reset: potentials that the reset "zero" goes to; None is 0.
            unit: potentials that one threshold stands for in the spike function. Given, the
                threshold may have either sign; with `max_spikes=1`, a neuron fires where vmem is
                at the threshold or above.

        Returns:
            The membrane potentials after the reset, and the number of spikes of each neuron.
        """
        if unit is None:
            spikes = self.surrogate(vmem, threshold, self.max_spikes)
        else:
            above = (vmem - threshold) / unit
            # Just below the threshold, 1 + above would round to 1.
            below = jnp.minimum(1 + above, 1 - jnp.finfo(above.dtype).epsneg)
            level = straight_through(1 + above, jnp.where(above < 0, below, 1 + above))
            spikes = self.surrogate(level, jnp.ones_like(level), self.max_spikes)
        resetting = jax.lax.stop_gradient(spikes) if self.detach_reset else spikes
        after = after_reset(vmem, resetting, threshold, reset=self.reset, v_reset=v_reset)
        return after, spikes


@explained
def after_reset(
    vmem: FloatArray,
    spikes: FloatArray,
    threshold: FloatArray,
    *,
    reset: Reset,
    v_reset: FloatArray | None = None,
) -> FloatArray:
    """`vmem` after the reset by `spikes`."""
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


def synapse(
    isyn: FloatArray | None,
    x: FloatArray,
    alpha_syn: FloatArray | None,
    *,
    decay_input: bool,
    hook: Hook = unchanged,
) -> tuple[FloatArray | None, FloatArray]:
    """The synaptic current, and the drive of the membrane: the current, or x without a synapse.

    The current is alpha_syn*(isyn + x) if new input decays with it, else alpha_syn*isyn + x.

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
    """One exact step of a leaky membrane under a current that is constant during the step.

    alpha*vmem + drive, or alpha*vmem + (1 - alpha)*drive if `norm`, which settles at drive.
    """
    return alpha * vmem + ((1 - alpha) * drive if norm else drive)


def relax(value: FloatArray, rate: FloatArray, target: FloatArray) -> FloatArray:
    """One step of forward Euler towards `target`, where `rate` is dt/tau."""
    return value + rate * (target - value)


@explained
def later(x: FloatArray) -> FloatArray:
    """Each step's value at the step after it, time first; 0 at the first."""
    return jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])


@explained
def bounded(vmem: FloatArray, min_vmem: FloatArray | None) -> FloatArray:
    """`vmem`, at least `min_vmem`. No gradient passes where vmem is at the bound or below it.

    NaN remains NaN.
    """
    return vmem if min_vmem is None else jnp.where(vmem <= min_vmem, min_vmem, vmem)
