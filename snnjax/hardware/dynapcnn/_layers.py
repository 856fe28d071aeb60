"""Layers of a network as what one core computes: a product, and integrate-and-fire neurons."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._typing import FloatArray, PyTree
from ...networks import fold_into
from ...neurons.iaf import IAFState
from ...nn import IAF
from .._family import is_known
from ._spec import Core, Shape


@dataclasses.dataclass(frozen=True)
class Product:
    """The convolution of a core.

    Attributes:
        weight: (out, in, ky, kx).
        bias: (out,); None for none.
        input_shape: (in, height, width).
        stride: (y, x).
        padding: (y, x).
        groups: number of groups of the layer; the weights between them are zeros.
        dense: whether the layer is linear; its kernel covers the map, and zeros make it square.
    """

    weight: Float[Array, "out in ky kx"]
    bias: Float[Array, " out"] | None
    input_shape: Shape
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
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

    def given(self, weight: Float[Array, "out in ky kx"]) -> Float[Array, "out within y x"]:
        """The entries of a kernel like `weight` that the layer has, without the zeros around."""
        if self.groups > 1:
            return _of_groups(weight, self.groups)
        if not self.dense:
            return weight
        (y, x), (_, height, width) = self.padding, self.input_shape
        return weight[:, :, y : y + height, x : x + width]

    def with_norm(self, norm: eqx.nn.BatchNorm, statistics: eqx.nn.State | None) -> "Product":
        """The product with a batch norm folded in; see `snnjax.fold_batch_norm`.

        Raises:
            ValueError: if there are no statistics; the message does not name the layer.
        """
        weight, bias = fold_into(self.weight, self.bias, norm, statistics)
        return dataclasses.replace(self, weight=weight, bias=bias)


def convolution(layer: eqx.nn.Conv, input_shape: Shape) -> Product:
    """An `eqx.nn.Conv2d`; zeros between its groups make one kernel of several.

    Raises:
        ValueError: if it has a setting that cores lack; the message does not name the layer.
    """
    if layer.num_spatial_dims != 2:
        raise ValueError(f"convolves over {layer.num_spatial_dims} axes; a core, over 2")
    if any(step != 1 for step in layer.dilation):
        raise ValueError(f"has a dilation of {layer.dilation}, but cores have none")
    if layer.padding_mode != "ZEROS":
        raise ValueError(f"pads with {layer.padding_mode!r}; cores pad with zeros")
    if input_shape[0] != layer.in_channels:
        raise ValueError(f"takes {layer.in_channels} channels, but gets maps of {input_shape}")
    return Product(
        weight=layer.weight if layer.groups == 1 else _expanded(layer.weight, layer.groups),
        bias=None if layer.bias is None else layer.bias.ravel(),
        input_shape=input_shape,
        stride=_pair(layer.stride),
        padding=_padding(layer.padding),
        groups=layer.groups,
    )


def _expanded(
    weight: Float[Array, "out within ky kx"], groups: int
) -> Float[Array, "out in ky kx"]:
    """The kernels of groups as one, with zeros between the groups."""
    out, within, *kernel = weight.shape
    apart = jnp.zeros((groups, out // groups, groups, within, *kernel), weight.dtype)
    each = jnp.arange(groups)
    apart = apart.at[each, :, each].set(weight.reshape(groups, out // groups, within, *kernel))
    return apart.reshape(out, groups * within, *kernel)


def _of_groups(
    weight: Float[Array, "out in ky kx"], groups: int
) -> Float[Array, "out within ky kx"]:
    """The inverse of `_expanded`."""
    out, channels, *kernel = weight.shape
    apart = weight.reshape(groups, out // groups, groups, channels // groups, *kernel)
    each = jnp.arange(groups)
    return apart[each, :, each].reshape(out, channels // groups, *kernel)


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
    """An `eqx.nn.Linear` on a flattened map, as a convolution whose kernel covers the map.

    Kernels are square: if the map is not, zeros surround the kernel, and padding the map.

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


def require_mappable(layer: IAF, shape: tuple[int, ...]) -> None:
    """Raise ValueError if `layer` has a setting that neurons of a core lack; it is not named."""
    settings = layer.settings
    if layer.shape != shape:
        raise ValueError(f"has neurons of the shape {layer.shape}, but gets {shape}")
    if settings.reset not in ("subtract", "zero"):
        raise ValueError(f"has a reset of {settings.reset!r}; cores have 'subtract' and 'zero'")
    if layer.v_reset is not None and not _is_zero(layer.v_reset):
        raise ValueError("has a `v_reset`, but cores reset to 0")
    faults = {
        "is recurrent, which cores are not": layer.w_rec is not None,
        "has a refractory period, which cores have not": settings.refractory > 0,
        "gives membrane potentials, but cores send spikes only": settings.output != "spikes",
        "transforms its state; map what `transforms.burn_in` gives": layer.on_state is not None,
    }
    for fault, found in faults.items():
        if found:
            raise ValueError(fault)
    for name in ("threshold", "min_vmem"):
        _one_number(name, getattr(layer, name))


def _is_zero(x: FloatArray) -> bool:
    return is_known(x) and not np.any(np.asarray(x))


def _one_number(name: str, x: FloatArray | None) -> None:
    if x is None or np.size(x) == 1:
        return
    if not is_known(x) or np.ptp(np.asarray(x)) > 0:
        shape = np.shape(x)
        raise ValueError(f"has a `{name}` of the shape {shape}, but a core has one for all")


def level_of(x: FloatArray) -> Float[Array, ""]:
    """The number that all entries have."""
    return jnp.ravel(jnp.asarray(x, float))[0]


def cap_of(layer: IAF) -> int | None:
    """The most spikes of a neuron in a step; None for no cap."""
    cap = layer.settings.max_spikes
    return None if math.isinf(cap) else int(cap)


def start_of(layer: IAF, state: PyTree) -> FloatArray | None:
    """The membrane potentials in the layer's state; None for zeros.

    Raises:
        ValueError: if `state` is not one of this layer, or that of a batch.
    """
    if state is None:
        return None
    if not isinstance(state, IAFState) or jnp.shape(state.vmem) != layer.shape:
        raise ValueError(
            f"needs `statistics` with membrane potentials of the shape {layer.shape}, or none; "
            "`snnjax.nn.statistics(state)` of a network's state leaves them out"
        )
    return state.vmem


def with_levels(layer: IAF, threshold: Float[Array, ""], min_vmem: Float[Array, ""]) -> IAF:
    """The layer with another threshold and lower bound.

    `parallel` neurons cannot have a lower bound and stay without.
    """
    level = jnp.broadcast_to(threshold, layer.threshold.shape)
    layer = eqx.tree_at(lambda m: m.threshold, layer, level)
    if layer.parallel:
        return layer
    lowest = jnp.broadcast_to(min_vmem, () if layer.min_vmem is None else layer.min_vmem.shape)
    return eqx.tree_at(lambda m: m.min_vmem, layer, lowest, is_leaf=lambda x: x is None)
