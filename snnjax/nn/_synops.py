"""Synaptic operations: how many times a spike arrives at a synapse."""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import FloatArray
from ._branches import Branches
from ._layer import Layer, Records, as_float
from ._lif import LIF
from ._network import Network
from ._recurrent import Recurrent
from ._spiking import SpikingNeuron


def synops(model: Layer, x: FloatArray, records: Records) -> Records:
    """Synaptic operations of every layer with weights, over a whole sequence.

    A spike counts once for each synapse that it reaches, whether its weight is zero or not: in a
    linear layer, one for each output; in a convolution, one for each output position and channel
    that the spike's position is part of, given stride, padding, dilation and groups, so fewer at
    the borders. What reaches a layer otherwise than as a whole number counts with its value.
    Differentiable, for a regulariser. Source: sinabs, `SNNAnalyzer`.

    Args:
        model: a network.
        x: its input, time first.
        records: what `snnjax.record(model, x)` gave.

    Returns:
        The operations of the sequence by path, `layers[0]`, and `layers[1].w_rec` for recurrent
        weights. Divide by the length of the sequence in seconds for operations per second.
    """
    return {
        path: (spikes.sum(0) * fan_out(layer, spikes.shape[1:])).sum()
        for path, layer, spikes in _inputs(model, "", as_float(x), records)
    }


def fan_out(layer: Any, shape: tuple[int, ...]) -> FloatArray:
    """How many synapses each input of a layer has.

    Args:
        layer: `eqx.nn.Linear`, `eqx.nn.Conv` or `eqx.nn.ConvTranspose`; or neurons with `w_rec`,
            whose inputs are then their own spikes.
        shape: shape of one time step of the input.

    Returns:
        An array of that shape.
    """
    if isinstance(layer, eqx.nn.Linear):
        return jnp.full(shape, float(layer.weight.shape[0]))
    if isinstance(layer, LIF | SpikingNeuron):
        connected = _feed_back(layer)
    else:
        ones = jnp.ones_like(layer.weight)
        connected = eqx.tree_at(lambda product: product.weight, layer, ones)
    # With weights of 1, an input's gradient counts the outputs that it is part of.
    y, transposed = jax.vjp(connected, jnp.zeros(shape))
    return transposed(jnp.ones_like(y))[0]


def _feed_back(layer: LIF | SpikingNeuron) -> Any:
    assert layer.w_rec is not None
    ones = jnp.ones_like(layer.w_rec)
    return (lambda y: y @ ones) if isinstance(layer, LIF) else layer._connect(ones)


def _inputs(
    layer: Any, path: str, x: FloatArray, records: Records
) -> Iterator[tuple[str, Any, FloatArray]]:
    """Every layer with weights inside `layer`, with its path and what reached it over time."""
    if isinstance(layer, eqx.nn.Linear | eqx.nn.Conv | eqx.nn.ConvTranspose):
        yield path, layer, x
    elif isinstance(layer, LIF | SpikingNeuron) and layer.w_rec is not None:
        prefix = f"{path}." if path else ""
        yield f"{prefix}w_rec", layer, _delayed(records[f"{prefix}spikes"])
    elif isinstance(layer, Network):
        paths = [f"{path}.layers[{i}]".removeprefix(".") for i in range(len(layer.layers))]
        outputs = [records[f"{inner}.output"] for inner in paths]
        for inner, i, at in zip(layer.layers, range(len(paths)), paths, strict=True):
            yield from _inputs(inner, at, _input_of(layer, i, x, outputs), records)


def _input_of(network: Network, i: int, x: FloatArray, outputs: list[FloatArray]) -> FloatArray:
    match network:
        case Branches():
            return x
        case Recurrent():
            return x + outputs[1] if i == 0 else _delayed(outputs[0])
    return x if i == 0 else outputs[i - 1]


def _delayed(x: FloatArray) -> FloatArray:
    """What a step sees of the one before; nothing at first."""
    return jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])
