"""Surrogates of straight lines, and user-defined ones."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ._base import Setting, StepSurrogate


class StraightThrough(StepSurrogate):
    """The gradient of a linear neuron.

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

    With a slope of 0 it is snnTorch's `heaviside`. Source: snnTorch, `LeakySpikeOperator`. Its
    function `LSO` calls another operator and fails.

    Attributes:
        slope: the derivative below the threshold.
    """

    slope: Setting = 0.1

    def primitive(self, x: FloatArray) -> FloatArray:
        return jnp.where(x >= 0, x, self.slope * x)

    def derivative(self, x: FloatArray) -> FloatArray:
        return jnp.where(x >= 0, 1, self.slope * jnp.ones_like(x))


class FromFunction(StepSurrogate):
    """A user-defined surrogate, made by `from_function`."""

    function: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray] | None = None

    def primitive(self, x: FloatArray) -> FloatArray:
        return self.function(x)

    def derivative(self, x: FloatArray) -> FloatArray:
        if self.slope is not None:
            return self.slope(x)
        return jax.jvp(self.function, (x,), (jnp.ones_like(x),))[1]


@explained
def from_function(
    function: Callable[[FloatArray], FloatArray],
    derivative: Callable[[FloatArray], FloatArray] | None = None,
    *,
    relative: bool = False,
    periodic: bool = False,
) -> FromFunction:
    """A surrogate from a smooth step.

    Args:
        function: the smooth step, element by element on x, the distance of vmem from the threshold:
            `jnp.tanh`, `lambda x: jax.nn.sigmoid(4 * x)`. Arrays of an `eqx.Module` are trained.
        derivative: its derivative; None for automatic differentiation.
        relative: see `StepSurrogate`.
        periodic: see `StepSurrogate`.

    Raises:
        TypeError: if `function` cannot be called.

    >>> import jax, jax.numpy as jnp
    >>> from snnjax.surrogate import from_function
    >>> surrogate = from_function(jnp.tanh)
    >>> spikes, gradient = jax.value_and_grad(surrogate)(jnp.array(1.5), 1.0, max_spikes=1)
    >>> print(f"{spikes:.0f} {gradient:.3f}")
    1 0.786
    """
    if not callable(function):
        raise TypeError(f"`function` must be callable; got {function!r}")
    return FromFunction(function, derivative, relative=relative, periodic=periodic)
