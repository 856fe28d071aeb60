"""Conversion of networks of ReLUs to networks of integrate-and-fire neurons."""

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._checks import explained
from .._typing import FloatArray, PyTree
from ..nn import IAF, Sequential, TimeStepDropout
from ._fold_batch_norm import folded

_WEIGHTED = eqx.nn.Linear | eqx.nn.Conv | eqx.nn.ConvTranspose
_DROPOUT = eqx.nn.Dropout | TimeStepDropout | eqx.nn.Identity


@explained
def from_ann(
    model: Callable[..., Any],
    data: ArrayLike,
    *,
    percentile: float = 99.9,
    max_spikes: int | None = None,
    min_vmem: float | None = None,
    spiking_readout: bool = False,
    statistics: PyTree = None,
) -> Sequential:
    """Convert a network of ReLUs to a spiking network with the activations as its rates.

    Every ReLU becomes `IAF` neurons with threshold 1. Let scale_l be the `percentile` of the
    activations above 0 that `data` causes in layer l, and scale_0 = 1. A neuron fires once per step
    at an activation of scale_l:

        weight_l <- weight_l * scale_(l-1)/scale_l        bias_l <- bias_l / scale_l

    A bias is divided by the accumulated factor; sinabs divides it by that of its own layer. A layer
    that is never active keeps scale_l = scale_(l-1). A last layer without a ReLU gives the output
    of `model` as the mean over time. For a constant input, the rates approach the activations with
    an error of 1/time. Activations above the percentile need several spikes per step. Batch norms
    are folded into the products before them. Dropout is left out. Sources: Diehl et al., IJCNN
    2015; Rueckauer et al., Frontiers in Neuroscience 2017.

    Args:
        model: an `eqx.nn.Sequential`, `snnjax.Sequential` or `eqx.nn.MLP`, which may be nested, of
            `eqx.nn.Linear`, `eqx.nn.Conv`, `jax.nn.relu` and layers that are linear without a bias,
            such as average pooling and flattening, with `eqx.nn.BatchNorm` directly after products.
            Functions may be wrapped in `eqx.nn.Lambda`.
        data: inputs for the activations, samples first.
        percentile: of the activations above 0, in per cent.
        max_spikes: most spikes of a neuron in one step; None for no cap.
        min_vmem: lower bound of membrane potentials, in thresholds; None for none. The chips of
            `hardware.dynapcnn` run best with -1.
        spiking_readout: append neurons to a last layer without a ReLU, whose rates are its outputs
            above 0. Chips need it.
        statistics: the running statistics of batch norms: the `eqx.nn.State` of an equinox network,
            or the state of a `snnjax.Sequential`.

    Raises:
        ValueError: if `percentile` is out of range, `data` is empty or not finite, a batch norm has
            no `statistics`, or a layer does not accept its input or has no spiking counterpart,
            such as maximum pooling; the message names the layer.

    >>> import jax, equinox as eqx
    >>> from snnjax import from_ann
    >>> ann = eqx.nn.MLP(3, 2, width_size=4, depth=1, key=jax.random.key(0))
    >>> network = from_ann(ann, jax.random.normal(jax.random.key(1), (10, 3)))
    >>> [type(layer).__name__ for layer in network.layers[:3]]
    ['Linear', 'IAF', 'Linear']
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"`percentile` must be above 0 and at most 100; got {percentile!r}")
    x = jnp.asarray(data, float)
    if len(x) == 0 or not bool(jnp.isfinite(x).all()):
        raise ValueError("`data` must hold at least one sample, and finite numbers only")
    layers: list[Callable[..., Any]] = []
    scale, weighted = 1.0, None

    def fire(scale: float, weighted: int | None) -> float:
        """Append neurons for the activations `x`; return their scale."""
        after = scale if weighted is None else _highest(x, percentile, scale)
        _rescale(layers, weighted, scale, after)
        layers.append(IAF(x.shape[1:], max_spikes=max_spikes, min_vmem=min_vmem))
        return after

    for path, layer in _folded(_flat(model, statistics)):
        if isinstance(layer, _DROPOUT):
            continue
        if _is_relu(layer):
            x = jax.nn.relu(x)
            scale, weighted = fire(scale, weighted), None
            continue
        if isinstance(layer, _WEIGHTED):
            # Two products in a row: the numbers between them are not rescaled.
            _rescale(layers, weighted, scale, 1.0)
            scale, weighted = 1.0 if weighted is not None else scale, len(layers)
        else:
            _check_linear(path, layer, x.shape[1:])
        layers.append(layer)
        x = _apply(path, layer, x)
    if spiking_readout and weighted is not None:
        fire(scale, weighted)
    else:
        _rescale(layers, weighted, scale, 1.0)
    return Sequential(*layers)


def _folded(layers: Iterator[tuple[str, Any, PyTree]]) -> Iterator[tuple[str, Any]]:
    """The layers with batch norms folded into those before them."""
    path, layer, _ = next(layers)
    for name, following, statistics in layers:
        if isinstance(following, eqx.nn.BatchNorm):
            try:
                layer = folded(layer, following, statistics)
            except ValueError as error:
                raise ValueError(f"`{name}`: BatchNorm {error}") from None
            continue
        yield path, layer
        path, layer = name, following
    yield path, layer


def _flat(model: Any, statistics: PyTree, path: str = "") -> Iterator[tuple[str, Any, PyTree]]:
    """The layers of nested networks in order, with their paths and states."""
    prefix = f"{path}." if path else ""
    if isinstance(model, eqx.nn.MLP):
        for i, layer in enumerate(model.layers):
            yield f"{prefix}layers[{i}]", layer, None
            name = "activation" if i < model.depth else "final_activation"
            yield f"{prefix}{name}", getattr(model, name), None
    elif isinstance(model, eqx.nn.Sequential | Sequential):
        own = type(statistics) is tuple and len(statistics) == len(model.layers)
        for i, layer in enumerate(model.layers):
            yield from _flat(layer, statistics[i] if own else statistics, f"{prefix}layers[{i}]")
    else:
        yield path or "model", model, statistics


def _is_relu(layer: Any) -> bool:
    return (layer.fn if isinstance(layer, eqx.nn.Lambda) else layer) is jax.nn.relu


def _highest(x: FloatArray, percentile: float, before: float) -> float:
    """The percentile of the activations above 0; `before` if there are none."""
    active = np.asarray(x)[np.asarray(x) > 0]
    return float(np.percentile(active, percentile)) if active.size else before


def _rescale(
    layers: list[Callable[..., Any]], index: int | None, before: float, after: float
) -> None:
    """Rescale the product at `index`, if any: inputs divided by `before`, outputs by `after`."""
    if index is None:
        return
    layer: Any = layers[index]
    bias = None if layer.bias is None else layer.bias / after
    layers[index] = eqx.tree_at(
        lambda product: (product.weight, product.bias),
        layer,
        (layer.weight * (before / after), bias),
        is_leaf=lambda node: node is None,
    )


def _apply(path: str, layer: Any, x: FloatArray) -> FloatArray:
    """Apply `layer` to samples. Its exceptions become errors that name it."""
    try:
        return jax.vmap(layer)(x)
    except Exception as error:
        raise ValueError(
            f"`{path}`: {_name(layer)} does not take samples of the shape {x.shape[1:]}: {error}"
        ) from error


def _check_linear(path: str, layer: Any, shape: tuple[int, ...]) -> None:
    """Refuse layers that are not linear, which do not commute with the mean over time.

    A test with random samples covers every layer, where a list of classes would not. On the user's
    data, a maximum may be linear by chance.
    """
    if isinstance(layer, eqx.nn.StatefulLayer):
        raise ValueError(
            f"`{path}`: {_name(layer)} holds statistics; fold them into the product before it"
        )
    a, b = jax.random.normal(jax.random.key(0), (2, *shape))
    of_a, of_b, of_both = _apply(path, layer, jnp.stack([a, b, a + b]))
    if not np.allclose(of_a + of_b, of_both, rtol=1e-4, atol=1e-5):
        raise ValueError(
            f"`{path}`: {_name(layer)} has no counterpart in spikes, as it is neither a ReLU nor "
            "linear; for maximum pooling, take eqx.nn.AvgPool2d"
        )


def _name(layer: Any) -> str:
    function = layer.fn if isinstance(layer, eqx.nn.Lambda) else layer
    return getattr(function, "__name__", type(function).__name__)
