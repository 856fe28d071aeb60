"""Networks of DSR neurons made into networks of ordinary ones with the same spikes."""

import copy
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._typing import FloatArray, PyTree
from ..neurons import dsr_fold
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
    it also take its factor 1 - decay and what holds the shift up against the leak. Thresholds that
    differ between channels move into the weights and biases before them too, and become 1, as a
    core of a chip has one for all; they stay where no product is directly before.

    The network of a `DSRIF` is one that `snnjax.hardware.dynapcnn.map_network` takes, with the
    state, if its other layers are.

    Args:
        model: a network of products, DSR neurons, pooling, flattening and dropout, nested if
            wanted.

    Returns:
        The network, and the state that it must start from: `folded(x, state)`. The spikes are those
        of `model`, but for rounding; those of DSR neurons that end the network are of height 1.

    Raises:
        TypeError: if `model` is no Sequential.
        ValueError: if a layer is something else, outputs are transformed, a `DSRLIF` does not
            directly follow a product, or there is none between two layers of DSR neurons; the
            message names the layer.
    """
    if not isinstance(model, Sequential):
        given, package = type(model).__name__, type(model).__module__.partition(".")[0]
        raise TypeError(f"`model` must be a snnjax.Sequential; got {given} of {package}")
    folded, state, _ = _fold(model, "", None)
    return folded, state


def _fold(
    model: Sequential, path: str, height: FloatArray | None
) -> tuple[Sequential, PyTree, FloatArray | None]:
    """The network and its state; `height` is that of the spikes that arrive, then that of its own.

    It is one number or one per channel; None where it is 1.
    """
    if model.on_output is not None:
        where = f"`{path.removesuffix('.')}`" if path else "`model`"
        raise ValueError(f"{where}: its outputs are transformed; fold it first, and then transform")
    layers: list[Any] = []
    states: list[PyTree] = []
    for i, layer in enumerate(model.layers):
        at, state = f"{path}layers[{i}]", None
        if isinstance(layer, Sequential):
            layer, state, height = _fold(layer, f"{at}.", height)
        elif isinstance(layer, _PRODUCT):
            layer, height = _with_height(layer, height), None
        elif isinstance(layer, DSR):
            if height is not None:
                raise ValueError(
                    f"`{at}`: DSR neurons need a Linear or a Conv between them and those before "
                    "them, which takes the height of their spikes"
                )
            folded = dsr_fold.fold(layer.threshold, layer.settings)
            height = folded.amplitude
            if layers and isinstance(layers[-1], _PRODUCT):
                folded = folded.in_thresholds() if folded.threshold.ndim else folded
                layers[-1] = _with_gain(layers[-1], folded)
            elif isinstance(layer, DSRLIF):
                raise ValueError(f"`{at}`: a DSRLIF must directly follow a Linear or a Conv")
            layer, state = _neurons(layer, folded)
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


def _neurons(layer: DSR, folded: dsr_fold.Folded) -> tuple[IAF | Leaky, PyTree]:
    shape, threshold = layer.shape, folded.threshold
    neurons: IAF | Leaky
    if isinstance(layer, DSRLIF):
        neurons = Leaky(shape, folded.alpha_mem, threshold=threshold, reset_delay=False)
    else:
        neurons = IAF(shape, threshold=threshold, max_spikes=1)
    rest = neurons.initial_state()
    return neurons, rest._replace(vmem=rest.vmem + _along(folded.vmem, len(shape)))


def _with_height(layer: Any, height: FloatArray | None) -> Any:
    """A product that takes unit spikes for those of a height."""
    if height is None:
        return layer
    if height.ndim == 1 and isinstance(layer, eqx.nn.Linear):
        # What was flattened has its channels first, each with all of its pixels.
        height = jnp.repeat(height, layer.weight.shape[1] // len(height))
    weight = dsr_fold.scale_inputs(layer.weight, height, getattr(layer, "groups", 1))
    return eqx.tree_at(lambda product: product.weight, layer, weight)


def _with_gain(layer: Any, folded: dsr_fold.Folded) -> Any:
    """A product with the input gain of the neurons that follow, and with their bias."""
    gain = jnp.asarray(folded.gain)
    weight = layer.weight * _along(gain, layer.weight.ndim)
    if layer.bias is None and folded.alpha_mem == 1:
        return eqx.tree_at(lambda product: product.weight, layer, weight)
    one_each = (len(weight),) + (1,) * (weight.ndim - 2)
    old = jnp.zeros(one_each) if layer.bias is None else layer.bias
    axes = len(one_each)
    # Whether there is a bias is a static field, which `eqx.tree_at` does not reach.
    with_bias = copy.copy(layer)
    object.__setattr__(with_bias, "use_bias", True)
    return eqx.tree_at(
        lambda product: (product.weight, product.bias),
        with_bias,
        (weight, old * _along(gain, axes) + _along(folded.bias, axes)),
        is_leaf=lambda node: node is None,
    )


def _along(x: FloatArray, axes: int) -> FloatArray:
    """One number as it is; one for each channel along the first of so many axes."""
    return x.reshape(-1, *(1,) * (axes - 1)) if x.ndim else x


def _keeps_height(layer: Any) -> bool:
    function = layer.fn if isinstance(layer, eqx.nn.Lambda) else layer
    return isinstance(layer, _PER_CHANNEL) or function is jnp.ravel
