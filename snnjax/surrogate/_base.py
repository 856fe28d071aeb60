"""What every surrogate is: a spike function, and the derivatives that stand in for its own."""

import abc
import dataclasses
from numbers import Real
from typing import ClassVar, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import FloatArray

Derivatives: TypeAlias = tuple[FloatArray, FloatArray]

Cap: TypeAlias = float | FloatArray
"""The most spikes in one step. An array broadcasts against vmem."""

Setting: TypeAlias = float | FloatArray
"""A number that is fixed, or an array that is trained. It broadcasts against vmem."""


class Surrogate(eqx.Module):
    """A spike function. Subclasses say what its derivatives are.

    A field given as a Python float is fixed. Given as an array it is trained like any parameter,
    with the derivative of `relaxation`.

    Attributes:
        above_zero: names of the fields that must be above 0.
    """

    above_zero: ClassVar[tuple[str, ...]] = ()

    def __check_init__(self) -> None:
        settings = [field.name for field in dataclasses.fields(self) if field.type == Setting]
        for name in settings:
            value = getattr(self, name)
            if hasattr(value, "shape"):  # An array, whose values may be traced.
                continue
            above = name in self.above_zero
            if not isinstance(value, Real) or (above and not float(value) > 0):
                expected = "a number above 0" if above else "a number"
                raise ValueError(f"`{name}` must be {expected}, or an array; got {value!r}")

    @abc.abstractmethod
    def derivatives(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> Derivatives:
        """d spikes/d vmem and d spikes/d threshold, each of the shape of `vmem`.

        Args:
            vmem: membrane potentials.
            threshold: what broadcasts against them, above 0.
            max_spikes: most spikes of a neuron in one step; `math.inf` for no cap.
        """

    def relaxation(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> FloatArray:
        """The smooth stand-in for the number of spikes whose derivatives by our fields are passed.

        0 where there is none: the fields then get no gradient.
        """
        return jnp.zeros_like(vmem)

    def __call__(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> FloatArray:
        """The number of spikes of each neuron.

        Args:
            vmem: membrane potentials, floating-point.
            threshold: what broadcasts against them, above 0. Where training has driven it to 0 or
                below, a neuron does not fire.
            max_spikes: most spikes of a neuron in one step; `math.inf` for no cap.

        Returns:
            Whole numbers from 0 to `max_spikes`, of the dtype of `vmem`; NaN where `vmem` is.
        """
        return _fire(vmem, threshold, max_spikes, self)


@eqx.filter_custom_jvp
def _fire(
    vmem: FloatArray, threshold: FloatArray, max_spikes: Cap, surrogate: Surrogate
) -> FloatArray:
    spikes = jnp.minimum(whole_thresholds(vmem, threshold), max_spikes)
    # Not where vmem >= threshold: a NaN is to be seen, not to be silent.
    return jnp.where(vmem < threshold, 0, spikes).astype(vmem.dtype)


def whole_thresholds(vmem: FloatArray, threshold: FloatArray) -> FloatArray:
    """The largest whole n for which n*threshold <= vmem; 0 where threshold is not above 0.

    The floor of vmem/threshold is not enough: compilers divide by a threshold that many neurons
    share by multiplying with its reciprocal, and 49 * (1/49) is less than 1 in float32.
    """
    nearest = jnp.round(vmem / threshold)
    whole = nearest - (nearest * threshold > vmem).astype(nearest.dtype)
    return jnp.where(threshold <= 0, 0, whole)


@_fire.def_jvp
def _fire_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    vmem, threshold, max_spikes, surrogate = primals
    vmem_dot, threshold_dot, _, surrogate_dot = tangents
    spikes = _fire(vmem, threshold, max_spikes, surrogate)
    d_vmem, d_threshold = surrogate.derivatives(vmem, threshold, max_spikes)
    spikes_dot = jnp.zeros_like(spikes)
    if vmem_dot is not None:
        spikes_dot = spikes_dot + d_vmem * vmem_dot
    if threshold_dot is not None:
        spikes_dot = spikes_dot + d_threshold * threshold_dot
    if jax.tree.leaves(surrogate_dot):
        _, own = eqx.filter_jvp(
            lambda s: s.relaxation(vmem, threshold, max_spikes), (surrogate,), (surrogate_dot,)
        )
        spikes_dot = spikes_dot if own is None else spikes_dot + own
    return spikes, spikes_dot


class StepSurrogate(Surrogate):
    """A surrogate given by a smooth step in x, how far vmem lies above the threshold.

        x = vmem - threshold
        d spikes/d vmem = derivative(x)        d spikes/d threshold = -derivative(x)

    `primitive` is the step and `derivative` its derivative, both given in closed form: what
    automatic differentiation makes of the steps cancels in their tails, where gradients are small
    but are most of what a silent neuron gets. A trained field gets d primitive(x)/d field.

    The two settings below are the same for every such surrogate.

    Attributes:
        relative: measure x in thresholds, (vmem - threshold)/threshold, so that a network whose
            potentials are scaled, to integers for instance, keeps its gradients. Then
            d spikes/d vmem = derivative(x)/threshold, and d spikes/d threshold is that times
            -vmem/threshold.
        periodic: repeat the step at every multiple of the threshold up to `max_spikes`: x is
            measured from the nearest, n*threshold, and d spikes/d threshold gets the factor n.
            Otherwise, a neuron that fires several spikes in a step has the slope of its first one
            only, which is what the peers with such surrogates do. The same where `max_spikes` is 1.
    """

    relative: bool = eqx.field(default=False, static=True, kw_only=True)
    periodic: bool = eqx.field(default=False, static=True, kw_only=True)

    @abc.abstractmethod
    def primitive(self, x: FloatArray) -> FloatArray:
        """The smooth step, up to a constant."""

    @abc.abstractmethod
    def derivative(self, x: FloatArray) -> FloatArray:
        """The derivative of the smooth step."""

    def derivatives(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> Derivatives:
        x, n = self._distance(vmem, threshold, max_spikes)
        slope = self.derivative(x)
        if self.relative:
            slope = slope / threshold
            return slope, -slope * vmem / threshold
        return slope, -slope * n

    def relaxation(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> FloatArray:
        x, n = self._distance(vmem, threshold, max_spikes)
        return self.primitive(x) + n - 1

    def _distance(
        self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap
    ) -> tuple[FloatArray, FloatArray | float]:
        n: FloatArray | float = 1.0
        if self.periodic:
            n = jnp.clip(jnp.round(vmem / threshold), 1, max_spikes)
        x = vmem - n * threshold
        return (x / threshold if self.relative else x), n
