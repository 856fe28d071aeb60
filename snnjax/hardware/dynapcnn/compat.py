"""Discretisation of single layers, under sinabs' names.

`quantize` does whole networks. These functions take a layer and return one of integers, with its
scale.
"""

from typing import TypeVar

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ..._checks import explained
from ..._typing import FloatArray
from ...nn import IAF
from ._chips import SPECK_2F, Chip
from ._discretize import Compat, Discretized, discretize_core
from ._layers import level_of, require_mappable, with_levels

Product = TypeVar("Product", eqx.nn.Conv2d, eqx.nn.Linear)
Scale = Float[Array, ""]
"""The factor by which the weights of a core were multiplied."""


@explained
def discretize_conv_spike(
    conv: Product,
    neuron: IAF,
    *,
    vmem: FloatArray | None = None,
    chip: Chip = SPECK_2F,
    percentile: float = 100.0,
    to_int: bool = True,
    compat: Compat = None,
) -> tuple[Product, IAF, Scale]:
    """A convolution or linear layer and its neurons, with one scale.

    Args:
        conv: the layer.
        neuron: the neurons that it feeds.
        vmem: their membrane potentials, which then take part in the scale; None for rest.
        chip: its bits.
        percentile: see `discretize_core`.
        to_int: give int32; otherwise rounded floating-point numbers, which layers can run.
        compat: "sinabs" for the numbers of the peer.

    Returns:
        The layer, the neurons, and their scale. Neurons without a lower bound get
        that of 16 bits, unless they are `parallel`, which cannot have one.

    Raises:
        ValueError: if `neuron` has a setting that neurons of a core lack.
    """
    found = _core(conv.weight, conv.bias, neuron, vmem, chip, percentile, to_int, compat)
    return _filled(conv, found), _levelled(neuron, found), found.scale


@explained
def discretize_conv(
    conv: Product,
    threshold: ArrayLike,
    min_vmem: ArrayLike | None,
    *,
    vmem: FloatArray | None = None,
    chip: Chip = SPECK_2F,
    percentile: float = 100.0,
    to_int: bool = True,
    compat: Compat = None,
) -> tuple[Product, Scale]:
    """A convolution or linear layer, for neurons with that threshold and lower bound.

    Args:
        conv: the layer.
        threshold: firing threshold of the neurons that it feeds.
        min_vmem: their lower bound; None for that of 16 bits.
        vmem: see `discretize_conv_spike`, as for the rest.
        chip: its bits.
        percentile: see `discretize_core`.
        to_int: give int32.
        compat: "sinabs" for the numbers of the peer.

    Returns:
        The layer and its scale.
    """
    found = discretize_core(
        conv.weight,
        conv.bias,
        jnp.asarray(threshold, float),
        None if min_vmem is None else jnp.asarray(min_vmem, float),
        vmem,
        chip=chip,
        percentile=percentile,
        to_int=to_int,
        compat=compat,
    )
    return _filled(conv, found), found.scale


@explained
def discretize_spike(
    neuron: IAF,
    weight: FloatArray,
    bias: FloatArray | None = None,
    *,
    vmem: FloatArray | None = None,
    chip: Chip = SPECK_2F,
    percentile: float = 100.0,
    to_int: bool = True,
    compat: Compat = None,
) -> tuple[IAF, Scale]:
    """Neurons, for a layer with those weights and biases.

    Args:
        neuron: the neurons.
        weight: weights of the layer that feeds them, of any shape.
        bias: its biases; None for none.
        vmem: see `discretize_conv_spike`, as for the rest.
        chip: its bits.
        percentile: see `discretize_core`.
        to_int: give int32.
        compat: "sinabs" for the numbers of the peer.

    Returns:
        The neurons and their scale.

    Raises:
        ValueError: if `neuron` has a setting that neurons of a core lack.
    """
    found = _core(weight, bias, neuron, vmem, chip, percentile, to_int, compat)
    return _levelled(neuron, found), found.scale


def _core(
    weight: FloatArray,
    bias: FloatArray | None,
    neuron: IAF,
    vmem: FloatArray | None,
    chip: Chip,
    percentile: float,
    to_int: bool,
    compat: Compat,
) -> Discretized:
    try:
        require_mappable(neuron, neuron.shape)
    except ValueError as error:
        raise ValueError(f"`neuron` (IAF) {error}") from None
    return discretize_core(
        weight,
        bias,
        level_of(neuron.threshold),
        None if neuron.min_vmem is None else level_of(neuron.min_vmem),
        vmem,
        chip=chip,
        percentile=percentile,
        to_int=to_int,
        compat=compat,
    )


def _filled(conv: Product, found: Discretized) -> Product:
    values = [x for x in (found.weight, found.bias) if x is not None]
    return eqx.tree_at(lambda m: [x for x in (m.weight, m.bias) if x is not None], conv, values)


def _levelled(neuron: IAF, found: Discretized) -> IAF:
    return with_levels(neuron, found.threshold, found.min_vmem)
