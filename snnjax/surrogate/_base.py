"""The base of all surrogates: exact spike counts with surrogate derivatives."""

import abc
import dataclasses
from numbers import Real
from typing import ClassVar, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import explained, of_kind
from .._typing import FloatArray

Derivatives: TypeAlias = tuple[FloatArray, FloatArray]
"""The derivatives with respect to vmem and to the threshold."""

Cap: TypeAlias = float | FloatArray
"""Most spikes in one step. An array broadcasts against vmem."""

Setting: TypeAlias = float | FloatArray
"""A fixed number, or a trained array. It broadcasts against vmem."""


class Surrogate(eqx.Module):
    """A spike function with surrogate derivatives, which subclasses define.

    A field given as a Python float is fixed. A field given as an array is trained like any
    parameter, with the derivative of `relaxation`. `eqx.filter_grad` and `snnjax.trainable` tell
    the two apart; plain `jax.grad` of a module takes a float for a parameter too.

    Attributes:
        above_zero: names of the fields that must be above 0.
    """

    above_zero: ClassVar[tuple[str, ...]] = ()

    def __check_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.type is bool:
                of_kind(field.name, getattr(self, field.name), bool)
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
            threshold: thresholds above 0 that broadcast against `vmem`.
            max_spikes: most spikes of a neuron in one step; `math.inf` for no cap.
        """

    def relaxation(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> FloatArray:
        """A smooth spike count. Its derivatives by the fields are those of the spikes.

        0 by default: the fields get no gradient.
        """
        return jnp.zeros_like(vmem)

    @explained
    def __call__(self, vmem: FloatArray, threshold: FloatArray, max_spikes: Cap) -> FloatArray:
        """The number of spikes of each neuron.

        Args:
            vmem: membrane potentials, floating-point.
            threshold: thresholds above 0 that broadcast against `vmem`. A neuron with a threshold
                of 0 or below, as training may give, does not fire.
            max_spikes: most spikes of a neuron in one step; `math.inf` for no cap.

        Returns:
            Whole numbers from 0 to `max_spikes`, of the dtype of `vmem`; NaN where `vmem` is.
        """
        return _fire(vmem, threshold, max_spikes, self)


@eqx.filter_custom_jvp
def _fire(
    vmem: FloatArray, threshold: FloatArray, max_spikes: Cap, surrogate: Surrogate
) -> FloatArray:
    if isinstance(max_spikes, float | int) and max_spikes == 1:
        # The same number without a division, which takes longer than the rest of a step.
        spikes = jnp.where(threshold <= 0, 0, jnp.where(jnp.isnan(vmem), vmem, 1))
    else:
        spikes = jnp.minimum(whole_thresholds(vmem, threshold), max_spikes)
    # With `vmem >= threshold` as the condition, NaN would become 0 spikes.
    return jnp.where(vmem < threshold, 0, spikes).astype(vmem.dtype)


@explained
def whole_thresholds(vmem: FloatArray, threshold: FloatArray) -> FloatArray:
    """The largest whole n with n*threshold <= vmem; 0 where the threshold is 0 or below.

    floor(vmem/threshold) is inexact: compilers replace the division by a shared threshold by a
    product with its reciprocal, and in float32 49 * (1/49) is less than 1.
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
    """A surrogate defined by a smooth step in x, the distance of vmem from the threshold.

        x = vmem - threshold
        d spikes/d vmem = derivative(x)        d spikes/d threshold = -derivative(x)

    `primitive` is the step and `derivative` its derivative, both in closed form. Automatic
    differentiation of the step would cancel in its tails, which hold most of the gradient of a
    silent neuron. A trained field gets d primitive(x)/d field.

    Attributes:
        relative: measure x in thresholds, (vmem - threshold)/threshold. A network with scaled
            potentials, such as integers, then keeps its gradients: d spikes/d vmem =
            derivative(x)/threshold, and d spikes/d threshold is that times -vmem/threshold.
        periodic: repeat the step at every multiple of the threshold up to `max_spikes`. x is the
            distance from the nearest multiple n*threshold, and d spikes/d threshold gets the factor
            n. Otherwise a neuron with several spikes in a step has the slope of its first spike, as
            in other libraries. No difference for `max_spikes=1`.
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
