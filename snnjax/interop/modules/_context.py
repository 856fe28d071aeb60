"""Shared state of the builders of layers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...nn import Layer
from ...surrogate import PiecewiseLinear, Surrogate
from .._firing import Strict


@dataclasses.dataclass(frozen=True)
class Context:
    """The place of a layer in a network.

    Attributes:
        shape: shape of one step of its input, channels first.
        flattened: the shape, channels first, that was flattened before; None if none was.
        dt: length of a step in seconds.
        surrogate: spike function of the neurons.
    """

    shape: tuple[int, ...]
    flattened: tuple[int, ...] | None
    dt: float
    surrogate: Surrogate

    @property
    def strict(self) -> Strict:
        """The spike function for neurons that fire above their threshold."""
        return Strict(self.surrogate)


Build = Callable[[Any, Context], Any]
"""From a module and its place to a layer, a list of layers, or None where it does nothing."""

DEFAULT = PiecewiseLinear()


def number(value: Any) -> np.ndarray:
    """A parameter as an array of float32, whatever library holds it."""
    for name in ("detach", "cpu", "numpy"):
        value = getattr(value, name)() if hasattr(value, name) else value
    value = value.value if hasattr(value, "value") and not hasattr(value, "dtype") else value
    array = np.asarray(value, np.float32)
    return array.reshape(()) if array.size == 1 else array


def per_neuron(value: Any, shape: tuple[int, ...], *, channels_last: bool = False) -> np.ndarray:
    """A parameter of a population, in a shape that `nn` takes."""
    array = number(value)
    if channels_last and array.ndim == 3:
        array = array.transpose(2, 0, 1)
    return array if array.ndim == 0 else np.array(np.broadcast_to(array, shape))


def linear(weight: np.ndarray, bias: Any) -> eqx.nn.Linear:
    """A layer of given weights, target first."""
    sizes = weight.shape[1], weight.shape[0]
    return filled(eqx.nn.Linear, sizes, weight, bias, {})


def conv(weight: np.ndarray, bias: Any, **settings: Any) -> Any:
    """A convolution of given weights, target first."""
    axes = weight.ndim - 2
    make = {1: eqx.nn.Conv1d, 2: eqx.nn.Conv2d}[axes]
    sizes = weight.shape[1] * settings.get("groups", 1), weight.shape[0], weight.shape[2:]
    biases = None if bias is None else number(bias).reshape(-1, *(1,) * axes)
    return filled(make, sizes, weight, biases, settings)


def filled(make: Any, sizes: Any, weight: np.ndarray, bias: Any, settings: dict[str, Any]) -> Any:
    """A layer of equinox with given weights."""
    layer = eqx.filter_eval_shape(
        make, *sizes, use_bias=bias is not None, key=jax.random.key(0), **settings
    )
    layer = eqx.tree_at(lambda m: m.weight, layer, jnp.asarray(weight, float))
    if bias is None:
        return layer
    return eqx.tree_at(
        lambda m: m.bias, layer, jnp.asarray(number(bias), float).reshape(layer.bias.shape)
    )


def output_shape(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one step of a layer's output."""
    if isinstance(layer, Layer):
        return shape
    x = jax.ShapeDtypeStruct(shape, jnp.zeros(()).dtype)
    return tuple(eqx.filter_eval_shape(eqx.nn.inference_mode(layer), x).shape)


def require(ok: bool, what: str) -> None:
    """Raise ValueError unless `ok`."""
    if not ok:
        raise ValueError(what)
