"""Firing above a threshold instead of at it."""

import jax
import jax.numpy as jnp

from .._typing import FloatArray
from ..passthrough import straight_through
from ..surrogate import Cap, Derivatives, PiecewiseLinear, Surrogate


class Strict(Surrogate):
    """A spike function for neurons that fire where vmem > threshold, as NIR's do.

    It is `inner` at the next larger number: the number of spikes differs only where vmem is exactly
    the threshold.

    Attributes:
        inner: the spike function, which fires where vmem >= threshold.
    """

    inner: Surrogate = PiecewiseLinear()

    def derivatives(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> Derivatives:
        return self.inner.derivatives(vmem, above(threshold), max_spikes)

    def __call__(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> FloatArray:
        return self.inner(vmem, above(threshold), max_spikes)


def above(threshold: FloatArray) -> FloatArray:
    """The next larger number, with the gradient of `threshold`."""
    threshold = jnp.asarray(threshold)
    gap = jnp.nextafter(threshold, jnp.inf) - threshold
    return threshold + jax.lax.stop_gradient(gap)


def fire_once(
    vmem: FloatArray, threshold: FloatArray, surrogate: Surrogate, *, strict: bool
) -> FloatArray:
    """1 where vmem > threshold, or >= unless `strict`, else 0; the threshold may have any sign.

    The gradient is that of `surrogate` for a threshold of 1 at the same distance.
    """
    distance = vmem - threshold
    smooth = surrogate(1 + distance, jnp.ones_like(distance), 1)
    fires = (vmem > threshold) if strict else (vmem >= threshold)
    return straight_through(smooth, fires.astype(vmem.dtype))
