"""Synaptic operations: the arrivals of spikes at synapses."""

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import explained
from .._tree import modules_with_path
from .._typing import FloatArray
from ..neurons import later, recurrent
from ._combine import Branches, Recurrent
from ._layer import Layer, Records, as_float
from ._network import Network
from ._neuron import Neuron

_PRODUCT = eqx.nn.Linear | eqx.nn.Conv | eqx.nn.ConvTranspose


@explained
def synops(model: Layer, x: FloatArray, records: Records) -> Records:
    """Synaptic operations of every layer with weights, over a whole sequence.

    A spike counts once for each synapse that it reaches, whether its weight is zero or not: in a
    linear layer, one for each output; in a convolution, one for each output position and channel
    that the spike's position is part of, given stride, padding, dilation and groups, so fewer at
    the borders. What reaches a layer otherwise than as a whole number counts with its value.
    Counts are exact up to 2^24 for each layer, as float32 is. Differentiable, for a regulariser.
    Source: sinabs, `SNNAnalyzer`.

    Args:
        model: a network.
        x: its input, time first.
        records: records of `snnjax.record(model, x)`.

    Returns:
        The operations of the sequence by path, `layers[0]`, and `layers[1].w_rec` for recurrent
        weights. Divide by the length of the sequence in seconds for operations per second.

    Raises:
        ValueError: if `records` are not those of this network, or a layer that is not ours has
            weights inside it, whose inputs are not recorded; the message names it.
    """
    return {
        path: (spikes.sum(0, dtype=float) * fan_out(layer, spikes.shape[1:])).sum()
        for path, layer, spikes in inputs_of(model, "", as_float(x, model), records)
    }


@explained
def fan_out(layer: Any, shape: tuple[int, ...], *, zeros: bool = True) -> FloatArray:
    """The number of synapses of each input of a layer.

    Args:
        layer: `eqx.nn.Linear`, `eqx.nn.Conv` or `eqx.nn.ConvTranspose`; or neurons with `w_rec`,
            whose inputs are then their own spikes.
        shape: shape of one time step of the input.
        zeros: count synapses whose weight is zero as well.

    Returns:
        An array of that shape.

    Raises:
        TypeError: if `layer` is something else.
    """
    # With weights of 1, an input's gradient counts the outputs that it is part of.
    y, transposed = jax.vjp(_of_ones(layer, zeros), jnp.zeros(shape))
    return transposed(jnp.ones_like(y))[0]


def _of_ones(layer: Any, zeros: bool) -> Callable[[FloatArray], FloatArray]:
    """The product that `layer` applies, with weights of 1, or of 0 where they are that."""

    def ones(weight: FloatArray) -> FloatArray:
        return jnp.ones(weight.shape) if zeros else (weight != 0).astype(float)

    if isinstance(layer, _PRODUCT):
        return jax.tree.map(ones, layer)
    w_rec = getattr(layer, "w_rec", None)
    if w_rec is None:
        raise TypeError(
            "`layer` must be an eqx.nn.Linear, Conv or ConvTranspose, or neurons with `w_rec`; "
            f"got {type(layer).__name__}"
        )
    inputs = (*layer.shape, getattr(layer, "synapses", 1))
    return lambda y: recurrent.fed_back(ones(w_rec), y, inputs)


def inputs_of(
    layer: Any, path: str, x: FloatArray, records: Records
) -> Iterator[tuple[str, Any, FloatArray]]:
    """The layers with weights inside `layer`: path, layer, input over time."""
    prefix = f"{path}." if path else ""
    if isinstance(layer, _PRODUCT):
        yield path, layer, x
    elif isinstance(layer, Neuron):
        if layer.w_rec is not None:
            yield f"{prefix}w_rec", layer, later(_recorded(records, f"{prefix}spikes"))
    elif isinstance(layer, Network):
        paths = [f"{prefix}layers[{i}]" for i in range(len(layer.layers))]
        outputs = [_recorded(records, f"{inner}.output") for inner in paths]
        for i, (inner, at) in enumerate(zip(layer.layers, paths, strict=True)):
            yield from inputs_of(inner, at, _input_of(layer, i, x, outputs), records)
    elif any(isinstance(module, _PRODUCT) for _, module in modules_with_path(layer)):
        raise ValueError(
            f"`{path or 'model'}`: {type(layer).__name__} has weights inside, whose inputs "
            "`record` does not see; make it a snnjax.Sequential of its layers"
        )


def _recorded(records: Records, name: str) -> FloatArray:
    if name not in records:
        raise ValueError(
            f"`records` must be those of `snnjax.record(model, x)`; there is no {name!r}"
        )
    return records[name]


def _input_of(network: Network, i: int, x: FloatArray, outputs: list[FloatArray]) -> FloatArray:
    match network:
        case Branches():
            return x
        case Recurrent():
            return x + outputs[1] if i == 0 else later(outputs[0])
    return x if i == 0 else outputs[i - 1]
