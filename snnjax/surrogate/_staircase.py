"""Surrogates of the whole staircase of spike counts, not of one step."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._typing import FloatArray
from ._base import Cap, Derivatives, Setting, Surrogate


class PiecewiseLinear(Surrogate):
    """A constant slope above threshold - window.

        d spikes/d vmem      =  1/threshold           where vmem >= threshold - window, else 0
        d spikes/d threshold = -vmem/threshold^2      under the same condition

    sinabs' `Heaviside` has the same slope, with a window of 1. Source: Rockpool, `StepPWL`.

    Attributes:
        window: distance below the threshold at which the slope begins, in units of vmem, or of the
            threshold if `relative`. It has no derivative.
        relative: measure the window in thresholds, so that a network with scaled potentials, such
            as integers, keeps its gradients.
    """

    window: Setting = 0.5
    relative: bool = eqx.field(default=False, static=True)

    def derivatives(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> Derivatives:
        window = _window(self.window, threshold, self.relative)
        slope = jnp.where(vmem >= threshold - window, 1 / threshold, 0)
        return slope, -slope * vmem / threshold


class PeriodicExponential(Surrogate):
    """A two-sided exponential pulse at every multiple of the threshold.

    With u = vmem - threshold/2 and n = min(floor(u/threshold), max_spikes - 1),
    v' = u - n*threshold where vmem >= threshold, else u, and

        p = exp(-|v' - threshold/2| / window) / threshold
        d spikes/d vmem = p          d spikes/d threshold = -p*vmem/threshold

    Sources: Shrestha and Orchard, "SLAYER", arXiv 1810.08646; Rockpool, `PeriodicExponential`.

    Attributes:
        window: width of a pulse, in units of vmem, or of the threshold if `relative`. It has no
            derivative.
        relative: measure the window in thresholds, so that a network with scaled potentials, such
            as integers, keeps its gradients.
    """

    above_zero: ClassVar = ("window",)

    window: Setting = 0.5
    relative: bool = eqx.field(default=False, static=True)

    def derivatives(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> Derivatives:
        window = _window(self.window, threshold, self.relative)
        shifted = vmem - threshold / 2
        periods = jnp.minimum(jnp.floor(shifted / threshold), max_spikes - 1)
        periodic = jnp.where(vmem >= threshold, shifted - periods * threshold, shifted)
        pulse = jnp.exp(-jnp.abs(periodic - threshold / 2) / window) / threshold
        return pulse, -pulse * vmem / threshold


class WaveSenseExponential(Surrogate):
    """A pulse at every multiple of the threshold, twice as steep from the threshold upward.

    With n the multiple of the threshold nearest to vmem,

        p = scale * exp(-|vmem - threshold| / window)        where vmem < threshold
        p = scale * exp(-2*|vmem - n*threshold| / window)    elsewhere
        d spikes/d vmem = p          d spikes/d threshold = -p*vmem/threshold

    The derivative by the threshold treats p as a function of vmem/threshold; sinabs has none.
    Sources: Weidel and Sheik, "WaveSense", arXiv 2111.01456; sinabs, `PeriodicExponential`.

    Attributes:
        window: width of the pulse, in units of vmem. It has no derivative.
        scale: height of the pulse. It has no derivative.
    """

    above_zero: ClassVar = ("window",)

    window: Setting = 0.5
    scale: Setting = 1.0

    def derivatives(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> Derivatives:
        above = jnp.abs(vmem - jnp.round(vmem / threshold) * threshold)
        far = jnp.where(vmem < threshold, threshold - vmem, 2 * above)
        pulse = self.scale * jnp.exp(-far / self.window)
        return pulse, -pulse * vmem / threshold


def _window(window: Setting, threshold: FloatArray, relative: bool) -> FloatArray | float:
    return window * threshold if relative else window
