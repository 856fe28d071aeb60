"""Surrogates that are straight lines, and those of one's own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._typing import FloatArray
from ._base import Setting, StepSurrogate


class StraightThrough(StepSurrogate):
    """The gradient passes as if the neuron were linear.

        primitive:  slope*x
        derivative: slope

    Source: Bengio et al., arXiv 1308.3432; snnTorch, `straight_through_estimator`.

    Attributes:
        slope: factor on the gradient.
    """

    slope: Setting = 1.0

    def primitive(self, x: FloatArray) -> FloatArray:
        return self.slope * x

    def derivative(self, x: FloatArray) -> FloatArray:
        return self.slope * jnp.ones_like(x)


class LeakySpike(StepSurrogate):
    """A leaky rectifier whose kink is at the threshold.

        primitive:  x where x >= 0, else slope*x
        derivative: 1 where x >= 0, else slope

    With a slope of 0 it is snnTorch's `heaviside`. Source: snnTorch, `LeakySpikeOperator`, which
    its own function `LSO` cannot reach: that one calls another operator and fails.

    Attributes:
        slope: the derivative below the threshold.
    """

    slope: Setting = 0.1

    def primitive(self, x: FloatArray) -> FloatArray:
        return jnp.where(x >= 0, x, self.slope * x)

    def derivative(self, x: FloatArray) -> FloatArray:
        return jnp.where(x >= 0, 1, self.slope * jnp.ones_like(x))


class FromFunction(StepSurrogate):
    """A surrogate of one's own; `from_function` makes it."""

    function: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray] | None = None

    def primitive(self, x: FloatArray) -> FloatArray:
        return self.function(x)

    def derivative(self, x: FloatArray) -> FloatArray:
        if self.slope is not None:
            return self.slope(x)
        return jax.jvp(self.function, (x,), (jnp.ones_like(x),))[1]


def from_function(
    function: Callable[[FloatArray], FloatArray],
    derivative: Callable[[FloatArray], FloatArray] | None = None,
    *,
    relative: bool = False,
    periodic: bool = False,
) -> FromFunction:
    """A surrogate from a smooth step of one's own.

    Args:
        function: the smooth step, element by element on x, how far vmem lies above the threshold:
            `jnp.tanh`, `lambda x: jax.nn.sigmoid(4 * x)`. If it is an `eqx.Module`, the arrays in
            it are trained.
        derivative: its derivative, where the one that automatic differentiation gives will not do.
        relative: see `StepSurrogate`.
        periodic: see `StepSurrogate`.

    Raises:
        TypeError: if `function` cannot be called.
    """
    if not callable(function):
        raise TypeError(f"`function` must be callable; got {function!r}")
    return FromFunction(function, derivative, relative=relative, periodic=periodic)
