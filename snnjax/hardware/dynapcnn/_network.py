"""Reading a network: pairs of a product and neurons, and the wiring between them."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ..._typing import PyTree
from ...nn import (
    IAF,
    Chain,
    Concatenate,
    Flatten,
    Graph,
    Network,
    Parallel,
    Residual,
    SumPool2d,
    TimeStepDropout,
)
from ._layers import convolution, linear, require_mappable, start_of
from ._nodes import Node, Place, Signal, Tap, add_up, concatenate, factor_of, path_of, unmappable
from ._spec import Shape

_IDLE = (TimeStepDropout, eqx.nn.Dropout, eqx.nn.Identity)
"""Layers that do nothing once a network is trained."""


def read(model: Network, input_shape: Shape, statistics: PyTree) -> tuple[Node, ...]:
    """The nodes of `model`, each after those that feed it; the last one is the readout.

    Args:
        model: a network of layers.
        input_shape: (channels, height, width) of a step of its input.
        statistics: state of the network, for the statistics of batch norms and the membrane
            potentials to begin with; None for the resting state.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if it holds something that the chips cannot run; the message names the layer.
    """
    if not isinstance(model, Network):
        raise TypeError(f"`model` must be a Sequential or the like; got {type(model).__name__}")
    nodes: list[Node] = []
    start = Signal((Tap(None),), input_shape)
    if isinstance(model, Graph):
        ends = _read_graph(model, (), statistics, start, nodes)
    else:
        ends = [_read(model, (), statistics, start, nodes)]
    if not all(_is_readout(end, nodes) for end in ends):
        raise unmappable(
            (), model, "must end in a layer of neurons, with no pool, sum or product after it"
        )
    return _readout_last(nodes, ends[-1])


def _is_readout(end: Signal, nodes: list[Node]) -> bool:
    return end.product is None and len(end.taps) == 1 and end.taps[0] in map(Tap, range(len(nodes)))


def _readout_last(nodes: list[Node], end: Signal) -> tuple[Node, ...]:
    """The nodes in an order in which the readout is the last."""
    readout = end.taps[0].source
    assert readout is not None
    if any(tap.source == readout for node in nodes for tap in node.taps):
        raise ValueError(
            f"`{nodes[readout].path}` is the last output, the readout, but feeds other layers; put "
            "an output that feeds none last in `outputs`"
        )
    order = [i for i in range(len(nodes)) if i != readout] + [readout]
    new = {old: i for i, old in enumerate(order)}
    moved = [
        tap if tap.source is None else tap._replace(source=new[tap.source])
        for node in nodes
        for tap in node.taps
    ]
    taps = iter(moved)
    nodes = [dataclasses.replace(node, taps=tuple(next(taps) for _ in node.taps)) for node in nodes]
    return tuple(nodes[i] for i in order)


def _read(layer: Any, place: Place, state: PyTree, signal: Signal, nodes: list[Node]) -> Signal:
    """Append the nodes of a layer; return its output."""
    if isinstance(layer, _IDLE):
        return signal
    if isinstance(layer, Network):
        return _read_network(layer, place, state, signal, nodes)
    if isinstance(layer, IAF):
        return _read_neurons(layer, place, state, signal, nodes)
    if isinstance(layer, eqx.nn.BatchNorm):
        return _read_norm(layer, place, state, signal)
    if signal.product is not None:
        raise unmappable(place, layer, "stands between a product and its neurons")
    if isinstance(layer, Flatten) or getattr(layer, "fn", layer) is jnp.ravel:
        return dataclasses.replace(signal, flat=True)
    if isinstance(layer, SumPool2d | eqx.nn.AvgPool2d):
        return _read_pool(layer, place, signal)
    return _read_product(layer, place, signal)


def _read_network(
    model: Network, place: Place, state: PyTree, signal: Signal, nodes: list[Node]
) -> Signal:
    if not isinstance(model, Chain | Parallel | Concatenate | Graph):
        raise unmappable(place, model, "has no counterpart on the chip")
    if signal.product is not None and (isinstance(model, Residual) or not isinstance(model, Chain)):
        raise unmappable(place, model, "stands between a product and its neurons")
    if isinstance(model, Graph):
        ends = _read_graph(model, place, state, signal, nodes)
        if len(ends) > 1:
            raise unmappable(place, model, "has several outputs inside of another network")
        return ends[0]
    states = _states(model, place, state)
    if isinstance(model, Parallel | Concatenate):
        ends = [
            _read(layer, (*place, i), states[i], signal, nodes)
            for i, layer in enumerate(model.layers)
        ]
        return (add_up if isinstance(model, Parallel) else concatenate)(model, place, ends)
    end = signal
    for i, layer in enumerate(model.layers):
        end = _read(layer, (*place, i), states[i], end, nodes)
    return add_up(model, place, [signal, end]) if isinstance(model, Residual) else end


def _states(model: Network, place: Place, state: PyTree) -> tuple[Any, ...]:
    if model.on_output is not None:
        raise unmappable(place, model, "transforms outputs; map what `transforms.burn_in` gives")
    states = (None,) * len(model.layers) if state is None else state
    if not isinstance(states, tuple) or len(states) != len(model.layers):
        raise ValueError(
            f"`statistics` must be a state of the network, with one entry for each of the "
            f"{len(model.layers)} layers of `{path_of(place) or 'model'}`"
        )
    return states


def _read_graph(
    model: Graph, place: Place, state: PyTree, signal: Signal, nodes: list[Node]
) -> list[Signal]:
    """The outputs of a graph, in their order."""
    if not isinstance(model.inputs, str):
        raise unmappable(place, model, "has several inputs, but a chip has one: concatenate them")
    if model.late:
        (source, target), *_ = model.late
        raise unmappable(
            place, model, f"has a cycle through ({source!r}, {target!r}), but cores keep no steps"
        )
    pair = isinstance(state, tuple) and len(state) == 2 and state[0] is not None
    states = _states(model, place, state[0] if pair else None)
    found = {model.inputs: signal}

    def gathered(name: str) -> Signal:
        sources = [found[source] for source, target in model.edges if target == name]
        return sources[0] if len(sources) == 1 else add_up(model, place, sources)

    for (i,) in model.stages:
        name = str(model.names[i])
        found[name] = _read(model.layers[i], (*place, i), states[i], gathered(name), nodes)
    outputs = (model.outputs,) if isinstance(model.outputs, str) else model.outputs
    return [gathered(name) for name in outputs]


def _read_product(layer: Any, place: Place, signal: Signal) -> Signal:
    try:
        if isinstance(layer, eqx.nn.Conv) and not signal.flat:
            product = convolution(layer, signal.shape)
        elif isinstance(layer, eqx.nn.Linear) and signal.flat:
            product = linear(layer, signal.shape)
        elif isinstance(layer, eqx.nn.Conv | eqx.nn.Linear):
            given = "a flattened map" if signal.flat else "a map that is not flattened"
            raise ValueError(f"gets {given}")
        else:
            raise ValueError("has no counterpart on the chip")
        shape = product.output_shape
    except ValueError as error:
        raise unmappable(place, layer, str(error)) from None
    return dataclasses.replace(signal, shape=shape, product=product, places=(place, None))


def _read_norm(layer: eqx.nn.BatchNorm, place: Place, state: PyTree, signal: Signal) -> Signal:
    if signal.product is None or signal.places is None or signal.places[1] is not None:
        raise unmappable(place, layer, "does not follow a convolution or linear layer")
    try:
        product = signal.product.with_norm(layer, state)
    except ValueError as error:
        raise unmappable(place, layer, str(error)) from None
    return dataclasses.replace(signal, product=product, places=(signal.places[0], place))


def _read_pool(layer: eqx.nn.Pool, place: Place, signal: Signal) -> Signal:
    (rows, columns), padding = layer.kernel_size, layer.padding
    if rows != columns and any(tap.source is not None for tap in signal.taps):
        raise unmappable(place, layer, f"has windows of {rows} by {columns}; cores pool squares")
    if tuple(layer.stride) != (rows, columns):
        raise unmappable(
            place, layer, f"has windows of {rows}, but a stride of {tuple(layer.stride)}"
        )
    if any(any(side) for side in padding) or layer.use_ceil:
        raise unmappable(place, layer, "pads its input, which the pools of cores do not")
    if signal.flat:
        raise unmappable(place, layer, "gets a flattened map")
    factor = 1 / (rows * columns) if isinstance(layer, eqx.nn.AvgPool2d) else 1.0
    taps = tuple(
        tap._replace(pool=(tap.pool[0] * rows, tap.pool[1] * columns), factor=tap.factor * factor)
        for tap in signal.taps
    )
    channels, height, width = signal.shape
    if height < rows or width < columns:
        raise unmappable(place, layer, f"has windows of {rows} on maps of {signal.shape}")
    return dataclasses.replace(
        signal, taps=taps, shape=(channels, height // rows, width // columns)
    )


def _read_neurons(
    layer: IAF, place: Place, state: PyTree, signal: Signal, nodes: list[Node]
) -> Signal:
    if signal.product is None or signal.places is None:
        raise unmappable(place, layer, "has no convolution or linear layer before it")
    shape = signal.shape[:1] if signal.flat else signal.shape
    try:
        require_mappable(layer, shape)
        vmem = start_of(layer, state)
    except ValueError as error:
        raise unmappable(place, layer, str(error)) from None
    factor = factor_of(signal, nodes)
    places = (*signal.places, place)
    vmem = None if vmem is None else vmem.reshape(signal.shape)
    nodes.append(Node(signal.product, factor, layer, vmem, signal.taps, places))
    return Signal((Tap(len(nodes) - 1),), signal.shape, signal.flat)
