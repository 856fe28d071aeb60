"""Networks of DSR neurons made into networks of ordinary ones with the same spikes."""

import copy
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._typing import FloatArray, PyTree
from ..neurons import dsr
from ..nn import DSR, DSRLIF, IAF, Flatten, Leaky, Sequential, TimeStepDropout

_PRODUCT = eqx.nn.Linear | eqx.nn.Conv
_PER_CHANNEL = (
    eqx.nn.Pool | eqx.nn.AdaptivePool | eqx.nn.Dropout | eqx.nn.Identity | Flatten | TimeStepDropout
)


def fold_dsr(model: Sequential) -> tuple[Sequential, PyTree]:
    """The network whose neurons fire spikes of 1 when the DSR neurons of `model` fire theirs.

    `DSRIF` becomes `IAF`, and `DSRLIF` becomes `Leaky` without reset delay, of the same thresholds.
    The height of a spike moves into the weights of the next `eqx.nn.Linear` or `eqx.nn.Conv`. The
    neurons fire at a fraction of the threshold: their potentials are shifted up, so that they fire
    at the threshold itself, and start from that shift; of a `DSRLIF`, the weights and biases before
    it also take its factor 1 - decay and what holds the shift up against the leak. Chips run such
    neurons.

    Args:
        model: a network of products, DSR neurons, pooling, flattening and dropout, nested if
            wanted.

    Returns:
        The network, and the state that it must start from: `folded(x, state)`. The spikes are those
        of `model`, but for rounding; those of DSR neurons that end the network are of height 1.

    Raises:
        ValueError: if a layer is something else, or a `DSRLIF` does not directly follow a product;
            the message names the layer.
    """
    folded, state, _ = _fold(model, "", None)
    return folded, state


def _fold(
    model: Sequential, path: str, height: FloatArray | None
) -> tuple[Sequential, PyTree, FloatArray | None]:
    """The network and its state; `height` is that of the spikes that arrive, then that of its own.

    It is one number or one per channel; None where it is 1.
    """
    layers: list[Any] = []
    states: list[PyTree] = []
    for i, layer in enumerate(model.layers):
        at, state = f"{path}layers[{i}]", None
        if isinstance(layer, Sequential):
            layer, state, height = _fold(layer, f"{at}.", height)
        elif isinstance(layer, _PRODUCT):
            layer, height = _with_height(layer, height), None
        elif isinstance(layer, DSR):
            folded = dsr.fold(layer.threshold, layer.settings)
            if isinstance(layer, DSRLIF):
                if not layers or not isinstance(layers[-1], _PRODUCT):
                    raise ValueError(f"`{at}`: a DSRLIF must directly follow a Linear or a Conv")
                layers[-1] = _with_gain(layers[-1], folded)
            layer, state = _neurons(layer, folded)
            height = folded.amplitude
        elif not _keeps_height(layer):
            raise ValueError(f"`{at}`: {type(layer).__name__} has no place in a folded network")
        layers.append(layer)
        states.append(state)
    named = zip(model.names, layers, strict=True)
    return (
        Sequential(*(layer if name is None else (name, layer) for name, layer in named)),
        tuple(states),
        height,
    )


def _neurons(layer: DSR, folded: dsr.Folded) -> tuple[IAF | Leaky, PyTree]:
    shape, threshold = layer.shape, folded.threshold
    neurons: IAF | Leaky
    if isinstance(layer, DSRLIF):
        neurons = Leaky(shape, folded.alpha_mem, threshold=threshold, reset_delay=False)
    else:
        neurons = IAF(shape, threshold=threshold, max_spikes=1)
    shift = folded.vmem.reshape(folded.vmem.shape + (1,) * (len(shape) - 1) * folded.vmem.ndim)
    rest = neurons.initial_state()
    return neurons, rest._replace(vmem=rest.vmem + shift)


def _with_height(layer: Any, height: FloatArray | None) -> Any:
    """A product that takes unit spikes for those of a height."""
    if height is None:
        return layer
    if height.ndim == 1 and isinstance(layer, eqx.nn.Linear):
        # What was flattened has its channels first, each with all of its pixels.
        height = jnp.repeat(height, layer.weight.shape[1] // len(height))
    groups = getattr(layer, "groups", 1)
    if groups > 1 and height.ndim == 1:
        raise ValueError("`groups` of a Conv must be 1 where the heights of spikes differ")
    weight = dsr.scale_inputs(layer.weight, height)
    return eqx.tree_at(lambda product: product.weight, layer, weight)


def _with_gain(layer: Any, folded: dsr.Folded) -> Any:
    """A product with the input gain of the neurons that follow, and with their bias."""
    bias = folded.bias
    if isinstance(layer, eqx.nn.Conv):
        bias = bias.reshape(bias.shape + (1,) * layer.num_spatial_dims * bias.ndim)
    shape = (len(layer.weight),) + (1,) * (layer.weight.ndim - 2)
    old = jnp.zeros(shape) if layer.bias is None else layer.bias
    with_bias = copy.copy(layer)
    object.__setattr__(with_bias, "use_bias", True)
    return eqx.tree_at(
        lambda product: (product.weight, product.bias),
        with_bias,
        (layer.weight * folded.gain, old * folded.gain + bias),
        is_leaf=lambda node: node is None,
    )


def _keeps_height(layer: Any) -> bool:
    function = layer.fn if isinstance(layer, eqx.nn.Lambda) else layer
    return isinstance(layer, _PER_CHANNEL) or function is jnp.ravel
