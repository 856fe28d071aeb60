"""Layers without a state that equinox does not have."""

import equinox as eqx
import jax.numpy as jnp

from .._typing import FloatArray, Key
from ..params import param
from ..surrogate import PiecewiseLinear, Surrogate
from ._firing import fire_once


class Scale(eqx.Module):
    """y = weight*x, a factor for each number: NIR's Scale."""

    weight: FloatArray = param(family="weights")

    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step; `key` is not used."""
        return self.weight * x


class Shift(eqx.Module):
    """y = x + bias: the bias of a recurrent connection."""

    bias: FloatArray = param(family="biases")

    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step; `key` is not used."""
        return x + self.bias


class Dense(eqx.Module):
    """A product with a matrix for each index of the leading axes: NIR's Linear of many axes."""

    weight: FloatArray = param(family="weights")
    bias: FloatArray | None = param(family="biases")

    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step; `key` is not used."""
        y = jnp.einsum("...oi,...i->...o", self.weight, x)
        return y if self.bias is None else y + self.bias


class Threshold(eqx.Module):
    """1 where x > threshold, else 0: NIR's Threshold."""

    threshold: FloatArray = param(family="thresholds")
    surrogate: Surrogate = PiecewiseLinear()

    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step; `key` is not used."""
        return fire_once(x, self.threshold, self.surrogate, strict=True)


class FlattenAxes(eqx.Module):
    """Some neighbouring axes of a time step in one: NIR's Flatten."""

    start: int = eqx.field(static=True)
    end: int = eqx.field(static=True)

    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step; `key` is not used."""
        return x.reshape(*x.shape[: self.start], -1, *x.shape[self.end + 1 :])
