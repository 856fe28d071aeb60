"""Surrogates with a sigmoid as their primitive."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import FloatArray
from ._base import Setting, StepSurrogate


class Atan(StepSurrogate):
    """Arc tangent.

        primitive:  1/2 + arctan(pi/2 * slope * x)/pi
        derivative: slope/2 / (1 + (pi/2 * slope * x)^2)

    Source: Fang et al., arXiv 2007.05785; snnTorch, `atan`; SpikingJelly, `ATan`.

    Attributes:
        slope: twice the derivative at the threshold.
    """

    above_zero: ClassVar = ("slope",)

    slope: Setting = 2.0

    def primitive(self, x: FloatArray) -> FloatArray:
        return 0.5 + jnp.arctan(math.pi / 2 * self.slope * x) / math.pi

    def derivative(self, x: FloatArray) -> FloatArray:
        return self.slope / 2 / (1 + (math.pi / 2 * self.slope * x) ** 2)


class FastSigmoid(StepSurrogate):
    """Fast sigmoid.

        primitive:  x / (1 + slope*|x|)
        derivative: 1 / (1 + slope*|x|)^2

    Source: Zenke and Ganguli, "SuperSpike", arXiv 1705.11146; snnTorch, `fast_sigmoid`.

    Attributes:
        slope: rate at which the derivative falls on both sides; at the threshold it is 1.
    """

    above_zero: ClassVar = ("slope",)

    slope: Setting = 25.0

    def primitive(self, x: FloatArray) -> FloatArray:
        return x / (1 + self.slope * jnp.abs(x))

    def derivative(self, x: FloatArray) -> FloatArray:
        return 1 / (1 + self.slope * jnp.abs(x)) ** 2


class SuperSpike(FastSigmoid):
    """The fast sigmoid with the slope of 1 that libraries use under this name.

    Norse's `super` takes a slope, 100 by default, and ignores it.

    Source: Zenke and Ganguli, "SuperSpike", arXiv 1705.11146; Norse; SpikingJelly, `SuperSpike`.

    Attributes:
        slope: rate at which the derivative falls on both sides; at the threshold it is 1.
    """

    slope: Setting = 1.0


class SparseFastSigmoid(FastSigmoid):
    """Fast sigmoid with a cutoff, so that most neurons pass no gradient.

        derivative: 1 / (1 + slope*|x|)^2     where x > cutoff, or |x| < cutoff if `near`, else 0
        primitive:  that of the fast sigmoid, constant where the derivative is 0

    Sources: snnTorch, `SFS`, for the default, which keeps neurons above the cutoff; Perez-Nieves
    and Goodman, arXiv 2105.08810, for `near`, which keeps neurons near the threshold.

    Attributes:
        slope: rate at which the derivative falls on both sides; at the threshold it is 1.
        cutoff: distance from the threshold at which the derivative is cut, in the units of x.
        near: keep the neurons near the threshold instead of those above the cutoff.
    """

    cutoff: Setting = 1.0
    near: bool = eqx.field(default=False, static=True)

    def primitive(self, x: FloatArray) -> FloatArray:
        # No derivative by the cutoff: it does not move the step.
        cutoff = jax.lax.stop_gradient(self.cutoff)
        kept = jnp.clip(x, -cutoff, cutoff) if self.near else jnp.maximum(x, cutoff)
        return super().primitive(kept)

    def derivative(self, x: FloatArray) -> FloatArray:
        kept = jnp.abs(x) < self.cutoff if self.near else x > self.cutoff
        return jnp.where(kept, super().derivative(x), 0)


class Sigmoid(StepSurrogate):
    """Logistic sigmoid.

        primitive:  1 / (1 + exp(-slope*x))
        derivative: slope * primitive * (1 - primitive)

    snnTorch's is NaN for slope*x < -88; this one is not. Source: Zenke and Ganguli, arXiv
    1705.11146; snnTorch, `sigmoid`. SpikingJelly's `Sigmoid` has a slope of 4.

    Attributes:
        slope: four times the derivative at the threshold.
    """

    above_zero: ClassVar = ("slope",)

    slope: Setting = 25.0

    def primitive(self, x: FloatArray) -> FloatArray:
        return jax.nn.sigmoid(self.slope * x)

    def derivative(self, x: FloatArray) -> FloatArray:
        u = self.slope * x
        return self.slope * jax.nn.sigmoid(u) * jax.nn.sigmoid(-u)
