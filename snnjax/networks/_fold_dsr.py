"""Conversion of networks of DSR neurons to networks of IAF and Leaky neurons."""

import copy
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray, PyTree
from ..neurons import dsr_fold
from ..nn import DSR, DSRLIF, IAF, Flatten, Leaky, Sequential, TimeStepDropout

_PRODUCT = eqx.nn.Linear | eqx.nn.Conv
_PER_CHANNEL = (
    eqx.nn.Pool | eqx.nn.AdaptivePool | eqx.nn.Dropout | eqx.nn.Identity | Flatten | TimeStepDropout
)


@explained
def fold_dsr(model: Sequential) -> tuple[Sequential, PyTree]:
    """Convert a network of DSR neurons to neurons with spikes of 1 at the same steps.

    - `DSRIF` becomes `IAF`; `DSRLIF` becomes `Leaky` without reset delay. Thresholds stay.
    - The height of a spike moves into the weights of the next `eqx.nn.Linear` or `eqx.nn.Conv`.
    - DSR neurons fire at a fraction of the threshold. The new neurons fire at the threshold, and
      start from potentials shifted up by the difference.
    - The weights and biases before a `DSRLIF` take its factor 1 - decay, and the biases add the
      current that holds the shift against the leak.
    - Thresholds that differ between channels become 1, since a core of a chip has one threshold.
      They move into the weights and biases directly before the neurons. Without such weights they
      stay.

    `snnjax.hardware.dynapcnn.map_network` takes the network and state of `DSRIF` neurons, if it
    takes the other layers.

    Args:
        model: a network of products, DSR neurons, pooling, flattening and dropout; it may nest.

    Returns:
        The network and its initial state: `folded(x, state)`. The spikes equal those of `model` up
        to rounding errors. Spikes of the last layer have height 1.

    Raises:
        TypeError: if `model` is no Sequential.
        ValueError: if a layer has another type, outputs are transformed, a `DSRLIF` does not
            directly follow a product, or two layers of DSR neurons have none between them; the
            message names the layer.

    >>> import jax, equinox as eqx
    >>> from snnjax import DSRIF, Sequential, fold_dsr
    >>> keys = jax.random.split(jax.random.key(0))
    >>> model = Sequential(eqx.nn.Linear(3, 4, key=keys[0]), DSRIF(4))
    >>> folded, state = fold_dsr(model)
    >>> spikes, _ = folded(jax.random.uniform(keys[1], (5, 3)), state)
    >>> type(folded.layers[1]).__name__, spikes.shape
    ('IAF', (5, 4))
    """
    if not isinstance(model, Sequential):
        given, package = type(model).__name__, type(model).__module__.partition(".")[0]
        raise TypeError(f"`model` must be a snnjax.Sequential; got {given} of {package}")
    folded, state, _ = _fold(model, "", None)
    return folded, state


def _fold(
    model: Sequential, path: str, height: FloatArray | None
) -> tuple[Sequential, PyTree, FloatArray | None]:
    """Fold a network.

    Args:
        model: the network.
        path: prefix of its paths in errors.
        height: height of its input spikes, one number or one per channel; None for 1.

    Returns:
        The folded network, its initial state, and the height of the output spikes of `model`.
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
    """A product for spikes of 1 in place of spikes of `height`."""
    if height is None:
        return layer
    if height.ndim == 1 and isinstance(layer, eqx.nn.Linear):
        # Flattened maps have all pixels of a channel in a row.
        height = jnp.repeat(height, layer.weight.shape[1] // len(height))
    weight = dsr_fold.scale_inputs(layer.weight, height, getattr(layer, "groups", 1))
    return eqx.tree_at(lambda product: product.weight, layer, weight)


def _with_gain(layer: Any, folded: dsr_fold.Folded) -> Any:
    """A product that includes the input gain and bias of the neurons after it."""
    gain = jnp.asarray(folded.gain)
    weight = layer.weight * _along(gain, layer.weight.ndim)
    if layer.bias is None and folded.alpha_mem == 1:
        return eqx.tree_at(lambda product: product.weight, layer, weight)
    one_each = (len(weight),) + (1,) * (weight.ndim - 2)
    old = jnp.zeros(one_each) if layer.bias is None else layer.bias
    axes = len(one_each)
    # `use_bias` is a static field, which `eqx.tree_at` cannot replace.
    with_bias = copy.copy(layer)
    object.__setattr__(with_bias, "use_bias", True)
    return eqx.tree_at(
        lambda product: (product.weight, product.bias),
        with_bias,
        (weight, old * _along(gain, axes) + _along(folded.bias, axes)),
        is_leaf=lambda node: node is None,
    )


def _along(x: FloatArray, axes: int) -> FloatArray:
    """Reshape values per channel to `axes` axes, channels first; a scalar stays."""
    return x.reshape(-1, *(1,) * (axes - 1)) if x.ndim else x


def _keeps_height(layer: Any) -> bool:
    function = layer.fn if isinstance(layer, eqx.nn.Lambda) else layer
    return isinstance(layer, _PER_CHANNEL) or function is jnp.ravel
