"""Surrogates with a pulse around the threshold as their derivative."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.stats import norm

from .._typing import FloatArray
from ._base import Setting, StepSurrogate


class Rectangular(StepSurrogate):
    """A boxcar.

        primitive:  x/width + 1/2, clipped to [0, 1]
        derivative: 1/width where |x| < width/2, else 0

    Source: Wu et al., "STBP", arXiv 1706.02609; SpikingJelly, `Rect`, whose alpha is 1/width.

    Attributes:
        width: width of the boxcar, in the units of x.
    """

    above_zero: ClassVar = ("width",)

    width: Setting = 1.0

    def primitive(self, x: FloatArray) -> FloatArray:
        return jnp.clip(x / self.width + 0.5, 0, 1)

    def derivative(self, x: FloatArray) -> FloatArray:
        return jnp.where(jnp.abs(x) < self.width / 2, 1 / self.width, 0)


class Triangular(StepSurrogate):
    """A triangle.

        derivative: scale/width * max(0, 1 - |x|/width)
        primitive:  scale * (1/2 + u - u*|u|/2)   with u = x/width clipped to [-1, 1]

    snnTorch's `triangular` is no triangle: see `Tent`. Sources: Esser et al.,
    doi 10.1073/pnas.1604850113; Bellec et al., doi 10.1038/s41467-020-17236-y; Norse, `triangle`.

    Attributes:
        width: half of the triangle's base, in the units of x.
        scale: area of the triangle. Bellec et al. and Norse take 0.3.
    """

    above_zero: ClassVar = ("width",)

    width: Setting = 1.0
    scale: Setting = 1.0

    def primitive(self, x: FloatArray) -> FloatArray:
        u = jnp.clip(x / self.width, -1, 1)
        return self.scale * (0.5 + u - u * jnp.abs(u) / 2)

    def derivative(self, x: FloatArray) -> FloatArray:
        return self.scale / self.width * jnp.maximum(0, 1 - jnp.abs(x) / self.width)


class Tent(StepSurrogate):
    """The slope of a tent with its peak at the threshold: rising below, falling above.

        primitive:  -slope*|x|
        derivative: slope where x < 0, else -slope

    Above the threshold the gradient has the wrong sign. Use it for networks from snnTorch, not for
    new ones. Source: snnTorch, `triangular`.

    Attributes:
        slope: slope of the tent.
    """

    above_zero: ClassVar = ("slope",)

    slope: Setting = 1.0

    def primitive(self, x: FloatArray) -> FloatArray:
        return -self.slope * jnp.abs(x)

    def derivative(self, x: FloatArray) -> FloatArray:
        return jnp.where(x < 0, self.slope, -self.slope) * jnp.ones_like(x)


class Gaussian(StepSurrogate):
    """A normal density.

        primitive:  scale * cdf((x - mu)/sigma)
        derivative: scale * pdf((x - mu)/sigma)/sigma

    Source: sinabs, `Gaussian`.

    Attributes:
        sigma: its standard deviation, in the units of x.
        mu: its mean.
        scale: its area.
    """

    above_zero: ClassVar = ("sigma",)

    sigma: Setting = 0.5
    mu: Setting = 0.0
    scale: Setting = 1.0

    def primitive(self, x: FloatArray) -> FloatArray:
        return self.scale * norm.cdf((x - self.mu) / self.sigma)

    def derivative(self, x: FloatArray) -> FloatArray:
        return self.scale * norm.pdf((x - self.mu) / self.sigma) / self.sigma


class MultiGaussian(StepSurrogate):
    """A normal density with a wide negative density on either side.

        derivative: scale * ((1 + h)*pdf(x; mu, sigma) - h*pdf(x; sigma, s*sigma)
                             - h*pdf(x; -sigma, s*sigma))
        primitive:  the same sum of cumulative distributions

    Source: Yin, Corradi and Bohte, arXiv 2103.12593; sinabs, `MultiGaussian`.

    Attributes:
        sigma: standard deviation of the peak, in the units of x.
        mu: mean of the peak; the sides stay where they are.
        h: area of either negative side.
        s: standard deviation of the sides, in units of `sigma`.
        scale: factor on the derivative.
    """

    above_zero: ClassVar = ("sigma", "s")

    sigma: Setting = 0.5
    mu: Setting = 0.0
    h: Setting = 0.15
    s: Setting = 6.0
    scale: Setting = 1.0

    def primitive(self, x: FloatArray) -> FloatArray:
        wide = self.s * self.sigma
        sides = norm.cdf((x - self.sigma) / wide) + norm.cdf((x + self.sigma) / wide)
        return self.scale * ((1 + self.h) * norm.cdf((x - self.mu) / self.sigma) - self.h * sides)

    def derivative(self, x: FloatArray) -> FloatArray:
        wide = self.s * self.sigma
        peak = norm.pdf((x - self.mu) / self.sigma) / self.sigma
        sides = norm.pdf((x - self.sigma) / wide) + norm.pdf((x + self.sigma) / wide)
        return self.scale * ((1 + self.h) * peak - self.h * sides / wide)


class SingleExponential(StepSurrogate):
    """A two-sided exponential pulse.

        derivative: scale/width * exp(-|x|/width)
        primitive:  scale * (exp(x/width) where x < 0, else 2 - exp(-x/width))

    x is in thresholds unless `relative=False`. Source: Shrestha and Orchard, "SLAYER", arXiv
    1810.08646; sinabs, `SingleExponential`.

    Attributes:
        width: distance over which the pulse falls by the factor e.
        scale: half of the pulse's area.
    """

    above_zero: ClassVar = ("width",)

    width: Setting = 0.5
    scale: Setting = 1.0
    relative: bool = eqx.field(default=True, static=True, kw_only=True)

    def primitive(self, x: FloatArray) -> FloatArray:
        return self.scale * _two_sided(x, 1 / self.width)

    def derivative(self, x: FloatArray) -> FloatArray:
        return self.scale / self.width * jnp.exp(-jnp.abs(x) / self.width)


class SpikeRateEscape(StepSurrogate):
    """A two-sided exponential pulse around `center`.

        derivative: slope * exp(-beta*|x - center|)
        primitive:  slope/beta * (exp(beta*u) where u < 0, else 2 - exp(-beta*u)), u = x - center

    Sources: Gerstner and Kistler, "Spiking neuron models", 2002; snnTorch, `spike_rate_escape`. Its
    formula subtracts 1 from x instead of vmem, so a threshold of 1 has the peak at vmem = 2.

    Attributes:
        slope: height of the pulse.
        beta: rate of its decay on both sides.
        center: position of the peak, in the units of x.
    """

    above_zero: ClassVar = ("slope", "beta")

    slope: Setting = 25.0
    beta: Setting = 1.0
    center: Setting = 1.0

    def primitive(self, x: FloatArray) -> FloatArray:
        return self.slope / self.beta * _two_sided(x - self.center, self.beta)

    def derivative(self, x: FloatArray) -> FloatArray:
        return self.slope * jnp.exp(-self.beta * jnp.abs(x - self.center))


def _two_sided(u: FloatArray, rate: Setting) -> FloatArray:
    """The integral of rate * exp(-rate*|u|), differentiable at 0, where |u| is not."""
    fallen = jnp.exp(-rate * jnp.where(u < 0, -u, u))
    return jnp.where(u < 0, fallen, 2 - fallen)
