"""Convolutions, linear layers and batch norms as the one product that a core computes."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._typing import FloatArray
from .spec import Core, Shape


@dataclasses.dataclass(frozen=True)
class Product:
    """A convolution.

    Attributes:
        weight: (out, in, ky, kx).
        bias: (out,); None for none.
        input_shape: (in, height, width).
        stride: (y, x).
        padding: (y, x).
        dense: whether it is a linear layer, whose kernel has zeros around what covers the map.
    """

    weight: Float[Array, "out in ky kx"]
    bias: Float[Array, " out"] | None
    input_shape: Shape
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dense: bool = False

    @property
    def output_shape(self) -> Shape:
        """(out, height, width).

        Raises:
            ValueError: if the kernel does not fit in the map.
        """
        return Core(
            self.weight, input_shape=self.input_shape, stride=self.stride, padding=self.padding
        ).output_shape

    def given(self, weight: Float[Array, "out in ky kx"]) -> Float[Array, "out in y x"]:
        """Of a kernel like `weight`, what the layer has: without the zeros that made it square."""
        if not self.dense:
            return weight
        (y, x), (_, height, width) = self.padding, self.input_shape
        return weight[:, :, y : y + height, x : x + width]


def convolution(layer: eqx.nn.Conv, input_shape: Shape) -> Product:
    """An `eqx.nn.Conv2d` as it is.

    Raises:
        ValueError: if it has something that cores have not; the message does not name the layer.
    """
    if layer.num_spatial_dims != 2:
        raise ValueError(f"convolves over {layer.num_spatial_dims} axes; a core, over 2")
    if layer.groups != 1:
        raise ValueError(f"has {layer.groups} groups, but cores have none: set `groups=1`")
    if any(step != 1 for step in layer.dilation):
        raise ValueError(f"has a dilation of {layer.dilation}, but cores have none")
    if layer.padding_mode != "ZEROS":
        raise ValueError(f"pads with {layer.padding_mode!r}; cores pad with zeros")
    if input_shape[0] != layer.in_channels:
        raise ValueError(f"takes {layer.in_channels} channels, but gets maps of {input_shape}")
    return Product(
        weight=layer.weight,
        bias=None if layer.bias is None else layer.bias.ravel(),
        input_shape=input_shape,
        stride=_pair(layer.stride),
        padding=_padding(layer.padding),
    )


def _padding(padding: Any) -> tuple[int, int]:
    if isinstance(padding, str):
        if padding.upper() == "VALID":
            return 0, 0
        raise ValueError(f"has a padding of {padding!r}; give the numbers of zeros")
    if any(before != after for before, after in padding):
        raise ValueError(f"pads its sides differently, {padding}; cores pad both sides alike")
    return _pair(before for before, _ in padding)


def _pair(values: Any) -> tuple[int, int]:
    y, x = values
    return int(y), int(x)


def linear(layer: eqx.nn.Linear, input_shape: Shape) -> Product:
    """An `eqx.nn.Linear` on a flattened map, as a convolution whose kernel is as large as the map.

    Kernels are square. One for a map that is not gets zeros around it, and the map padding.

    Raises:
        ValueError: if the sizes do not fit; the message does not name the layer.
    """
    channels, height, width = input_shape
    if "scalar" in (layer.in_features, layer.out_features):
        raise ValueError("takes or gives a scalar; give it a size of 1")
    if layer.in_features != channels * height * width:
        raise ValueError(f"takes {layer.in_features} numbers, but gets maps of {input_shape}")
    weight = layer.weight.reshape(-1, channels, height, width)
    short = [max(height, width) - size for size in (height, width)]
    before = _pair((n + 1) // 2 for n in short)
    around = [(pad, n - pad) for pad, n in zip(before, short, strict=True)]
    return Product(
        weight=jnp.pad(weight, [(0, 0), (0, 0), *around]) if any(short) else weight,
        bias=layer.bias,
        input_shape=input_shape,
        # Where the zeros cannot be the same on both sides, the padding has room for a second
        # neuron, which the stride leaves out.
        stride=_pair(1 + n % 2 for n in short),
        padding=before,
        dense=True,
    )


def with_norm(product: Product, norm: eqx.nn.BatchNorm, state: eqx.nn.State | None) -> Product:
    """The product with a batch norm folded in, as it is after training.

    With the running mean m and variance v, g = weight/sqrt(v + eps):

        weight <- g*weight        bias <- norm's bias + (bias - m)*g

    sinabs leaves eps out.

    Raises:
        ValueError: if there are no statistics; the message does not name the layer.
    """
    if state is None:
        raise ValueError(
            "has running statistics, which are in the network's state: pass `state`, for instance "
            "`snnjax.nn.statistics(state)`"
        )
    if norm.input_size != product.weight.shape[0]:
        channels = product.weight.shape[0]
        raise ValueError(f"takes {norm.input_size} channels, but gets {channels}")
    mean, variance = statistics(norm, state)
    root = _settled(jnp.sqrt(_settled(variance + norm.eps)))
    gain = _settled(1 / root if norm.weight is None else norm.weight / root)
    bias = -mean if product.bias is None else product.bias - mean
    bias = _settled(_settled(bias) * gain)
    bias = bias if norm.bias is None else norm.bias + bias
    weight = _settled(product.weight * gain[:, None, None, None])
    return dataclasses.replace(product, weight=weight, bias=bias)


def _settled(x: FloatArray) -> FloatArray:
    """`x`, out of a compiler's reach.

    It may take a product and a sum in one, or multiply with the inverse of a root. In training,
    which is compiled, a weight would then differ from that of the export in its last digit, and
    now and then be rounded to another integer. A bound that no number exceeds keeps it from that.
    """
    most = jnp.finfo(x.dtype).max
    return jnp.where(jnp.isfinite(x), jnp.clip(x, -most, most), x)


def statistics(norm: eqx.nn.BatchNorm, state: eqx.nn.State) -> tuple[Array, Array]:
    """The mean and the variance that an `eqx.nn.BatchNorm` uses after training."""
    if norm.mode == "ema":
        assert norm.ema_state_index is not None
        return state.get(norm.ema_state_index)
    assert norm.batch_state_index is not None
    assert norm.batch_counter is not None
    mean, variance = state.get(norm.batch_state_index)
    steps = state.get(norm.batch_counter)
    # Both averages start from 0 and are short of the rest of their weights.
    share = jnp.where(steps == 0, 1, 1 - norm.momentum ** steps.astype(mean.dtype))
    inverse = _settled(1 / _settled(share))
    return _settled(mean * inverse), _settled(variance * inverse)
