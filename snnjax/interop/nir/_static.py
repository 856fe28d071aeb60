"""Primitives without a state, as layers of equinox or of this file."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...nn import Flatten, SumPool2d
from .._layers import Dense, FlattenAxes, Scale, Threshold
from ._node import Node

Shape = tuple[int, ...]


def static_layer(node: Node, shape: Shape) -> Callable[..., Any]:
    """The layer of a primitive without a state.

    Args:
        node: the primitive.
        shape: shape of one step of its input.

    Raises:
        ValueError: if the two do not fit.
    """
    return _LAYERS[node.kind](node, shape)


def _dense(node: Node, shape: Shape) -> Callable[..., Any]:
    weight = node.array("weight")
    bias = node.array("bias") if node.kind == "Affine" else None
    wanted = (*weight.shape[:-2], weight.shape[-1])
    if weight.ndim < 2 or shape != wanted:
        raise ValueError(f"weights of the shape {weight.shape} take {wanted}; got {shape}")
    if weight.ndim > 2:
        return Dense(jnp.asarray(weight), None if bias is None else jnp.asarray(bias))
    layer = _blank(eqx.nn.Linear, shape[0], len(weight), use_bias=bias is not None)
    return _filled(layer, weight, bias)


def _conv(node: Node, shape: Shape) -> Callable[..., Any]:
    weight, bias = node.array("weight"), node.array("bias")
    axes = weight.ndim - 2
    if axes != {"Conv1d": 1, "Conv2d": 2}[node.kind] or len(shape) != axes + 1:
        raise ValueError(f"weights of the shape {weight.shape} do not fit an input of {shape}")
    groups = int(np.ravel(node.parameters["groups"])[0])
    if groups * weight.shape[1] != shape[0]:
        raise ValueError(f"{groups} groups of {weight.shape[1]} channels; the input has {shape[0]}")
    padding = node.parameters["padding"]
    layer = _blank(
        {1: eqx.nn.Conv1d, 2: eqx.nn.Conv2d}[axes],
        shape[0],
        weight.shape[0],
        kernel_size=weight.shape[2:],
        stride=_sizes(node.parameters["stride"], axes),
        padding=padding.upper() if isinstance(padding, str) else _sizes(padding, axes),
        dilation=_sizes(node.parameters["dilation"], axes),
        groups=groups,
    )
    return _filled(layer, weight, bias.reshape(-1, *(1,) * axes))


def _pool(node: Node, shape: Shape) -> Callable[..., Any]:
    if len(shape) != 3:
        raise ValueError(f"pooling takes (channels, height, width); got {shape}")
    make = SumPool2d if node.kind == "SumPool2d" else eqx.nn.AvgPool2d
    kernel, stride, padding = (
        _sizes(node.parameters[name], 2) for name in ("kernel_size", "stride", "padding")
    )
    return make(kernel, stride, padding)


def _flatten(node: Node, shape: Shape) -> Callable[..., Any]:
    start, end = (int(node.parameters[name]) for name in ("start_dim", "end_dim"))
    start, end = start % len(shape), end % len(shape)
    if (start, end) == (0, len(shape) - 1):
        return Flatten()
    if start > end:
        raise ValueError(f"axes {start} to {end} of {shape} cannot be flattened")
    return FlattenAxes(start, end)


def _sizes(value: Any, axes: int) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in np.ravel(value))
    if len(sizes) not in (1, axes):
        raise ValueError(f"{len(sizes)} sizes are given for {axes} axes")
    return sizes * axes if len(sizes) == 1 else sizes


def _blank(make: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """A layer whose parameters are shapes only, to be filled."""
    return eqx.filter_eval_shape(make, *args, **settings, key=jax.random.key(0))


def _filled(layer: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
    if bias is not None and bias.size != math.prod(layer.bias.shape):
        raise ValueError(f"{bias.size} biases are given for {layer.bias.shape[0]} outputs")
    layer = eqx.tree_at(lambda m: m.weight, layer, jnp.asarray(weight))
    return layer if bias is None else eqx.tree_at(lambda m: m.bias, layer, jnp.asarray(bias))


_LAYERS: Mapping[str, Callable[[Node, Shape], Callable[..., Any]]] = {
    "Affine": _dense,
    "Linear": _dense,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
    "Scale": lambda node, shape: Scale(jnp.asarray(node.array("scale"), float)),
    "Threshold": lambda node, shape: Threshold(jnp.asarray(node.array("threshold"), float)),
}
STATIC = frozenset(_LAYERS)
