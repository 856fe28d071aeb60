"""Layers without a state as primitives of NIR."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import numpy as np

from ...nn import Flatten, SumPool2d, TimeStepDropout
from .._layers import Dense, FlattenAxes, Scale, Shift, Threshold
from ._node import Node

Shape = tuple[int, ...]


def static_node(layer: Any, shape: Shape) -> Node:
    """The primitive of a layer.

    Args:
        layer: a layer without a state.
        shape: shape of one step of its input.

    Raises:
        ValueError: if NIR has no such primitive.
    """
    for cls, render in _NODES.items():
        if isinstance(layer, cls):
            return render(layer, shape)
    name = getattr(layer, "__name__", type(layer).__name__)
    raise ValueError(f"NIR has no primitive for {name}")


def _linear(layer: eqx.nn.Linear, shape: Shape) -> Node:
    if layer.in_features == "scalar" or layer.out_features == "scalar":
        raise ValueError("NIR has no product of single numbers; give it one feature instead")
    return _dense(np.asarray(layer.weight), layer.bias)


def _dense(weight: np.ndarray, bias: Any) -> Node:
    if bias is None:
        return Node("Linear", {"weight": weight})
    return Node("Affine", {"weight": weight, "bias": np.asarray(bias)})


def _conv(layer: eqx.nn.Conv, shape: Shape) -> Node:
    axes = layer.num_spatial_dims
    if axes not in (1, 2):
        raise ValueError(f"NIR has no convolution over {axes} axes")
    if layer.padding_mode != "ZEROS":
        raise ValueError(f"NIR pads convolutions with zeros; this one with {layer.padding_mode}")
    weight = np.asarray(layer.weight)
    bias = np.zeros(len(weight), weight.dtype) if layer.bias is None else np.ravel(layer.bias)
    padding = layer.padding
    return Node(
        f"Conv{axes}d",
        {
            "input_shape": shape[1] if axes == 1 else tuple(shape[1:]),
            "weight": weight,
            "bias": bias,
            "stride": _plain(layer.stride),
            "padding": padding.lower() if isinstance(padding, str) else _symmetric(padding),
            "dilation": _plain(layer.dilation),
            "groups": layer.groups,
        },
    )


def _pool(layer: eqx.nn.Pool, shape: Shape) -> Node:
    kind = "SumPool2d" if isinstance(layer, SumPool2d) else "AvgPool2d"
    if layer.use_ceil:
        raise ValueError("NIR has no pooling with `use_ceil`")
    return Node(
        kind,
        {
            "kernel_size": np.asarray(layer.kernel_size),
            "stride": np.asarray(layer.stride),
            "padding": np.asarray(_symmetric(layer.padding)),
        },
    )


def _flatten(start: int, end: int, shape: Shape) -> Node:
    input_type = np.asarray(shape)
    return Node("Flatten", {"start_dim": start, "end_dim": end, "input_type": input_type})


def _shift(layer: Shift, shape: Shape) -> Node:
    if len(shape) != 1:
        raise ValueError(f"NIR adds biases to one axis only, together with a matrix; got {shape}")
    bias = np.broadcast_to(np.asarray(layer.bias), shape)
    return Node("Affine", {"weight": np.eye(shape[0], dtype=bias.dtype), "bias": bias})


def _identity(layer: Any, shape: Shape) -> Node:
    return Node("Scale", {"scale": np.ones(shape, np.float32)})


def _plain(sizes: tuple[int, ...]) -> Any:
    return sizes[0] if len(sizes) == 1 else tuple(sizes)


def _symmetric(padding: Any) -> Any:
    if any(low != high for low, high in padding):
        raise ValueError(f"NIR pads both sides alike; got {padding}")
    return _plain(tuple(low for low, _ in padding))


_NODES: Mapping[type, Callable[[Any, Shape], Node]] = {
    eqx.nn.Linear: _linear,
    eqx.nn.Conv: _conv,
    SumPool2d: _pool,
    eqx.nn.AvgPool2d: _pool,
    eqx.nn.Identity: _identity,
    eqx.nn.Dropout: _identity,
    TimeStepDropout: _identity,
    Flatten: lambda layer, shape: _flatten(0, -1, shape),
    FlattenAxes: lambda layer, shape: _flatten(layer.start, layer.end, shape),
    Dense: lambda layer, shape: _dense(np.asarray(layer.weight), layer.bias),
    Scale: lambda layer, shape: Node("Scale", {"scale": np.broadcast_to(layer.weight, shape)}),
    Shift: _shift,
    Threshold: lambda layer, shape: Node(
        "Threshold", {"threshold": np.broadcast_to(layer.threshold, shape)}
    ),
}
