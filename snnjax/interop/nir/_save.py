"""Networks as NIR files."""

import io
import json
import os
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

from ..._checks import explained
from ..._extras import extra
from ..._files import write_whole
from ...nn import DSR, Graph, Layer, Network, Neuron
from ._node import Node, Tree
from ._record import describe, rebuild
from ._render import parameters, render
from ._render_neuron import neuron_node
from ._writers import WRITERS

NOTES = "snnjax"
"""The key of our notes in a graph's metadata."""

VERSION = 1


@explained
def to_graph(
    network: Layer,
    *,
    dt: float | None = None,
    dialect: str | None = None,
    input_shape: Any = None,
) -> Any:
    """A network as a `nir.NIRGraph`; the arguments are those of `save`."""
    return _to_nir(_tree(network, dt, dialect, input_shape))


@explained
def save(
    network: Layer,
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    dialect: str | None = None,
    input_shape: Any = None,
) -> None:
    """Write a network as a NIR file.

    NIR's equations say how the network goes between spikes, by forward Euler with `dt`. The rest,
    as reset by subtraction, several spikes in a step, surrogates and the order of a step, is in the
    file's metadata, so that `load` gives the same network, bit for bit. Other tools do not read
    that; with `dialect`, the file is one that a tool reads as the same network, or the error says
    what the tool cannot do.

    Args:
        network: a network or a layer of neurons.
        path: the file.
        dt: length of a step in seconds; that of the layers if they have one, or the dialect's.
        dialect: the tool that is to read the file: see `WRITERS`. None keeps everything.
        input_shape: shape of one step of the input; by name where there are several inputs. Needed
            where the first layer does not tell.

    Raises:
        ValueError: if NIR, or the dialect, cannot say a part of the network, or if dt or the shape
            of the input is not known; the message has the path of the part.
        ImportError: if the extra `nir` is not installed.
    """
    with extra("nir"):
        import nir
    graph = to_graph(network, dt=dt, dialect=dialect, input_shape=input_shape)
    buffer = io.BytesIO()
    nir.write(buffer, graph)
    write_whole(path, buffer.getvalue())


def _tree(network: Layer, dt: float | None, dialect: str | None, input_shape: Any) -> Tree:
    model = network if isinstance(network, Network) else _alone(network)
    shape = _shape(model) if input_shape is None else input_shape
    if dialect is not None:
        if dialect not in WRITERS:
            raise ValueError(f"`dialect` must be one of {', '.join(WRITERS)}; got {dialect!r}")
        writer = WRITERS[dialect]
        step = writer.dt if dt is None else dt
        tree = render(model, shape, lambda layer: writer.node(layer, step))
        return writer.finish(writer.repair(tree))
    step = _step(model, dt)
    tree = render(model, shape, lambda layer: neuron_node(layer, step))
    return Tree(tree.nodes, tree.edges, {NOTES: _notes(model, tree, step, shape)})


def _alone(layer: Any) -> Network:
    if not isinstance(layer, Layer):
        raise TypeError(f"`network` must be a network; got {type(layer).__name__}")
    return Graph({"layer": layer}, [("input", "layer"), ("layer", "output")])


def _shape(model: Network) -> Any:
    """The shape of one step of the input, where the first layer tells it."""
    if isinstance(model, Graph):
        return _shapes_of_graph(model)
    found = _first_shape(model)
    if found is None:
        raise ValueError("`input_shape` is needed: the first layer does not tell it")
    return found


def _shapes_of_graph(model: Graph) -> Any:
    one = isinstance(model.inputs, str)
    names: list[str] = [str(model.inputs)] if one else list(model.inputs)
    found = {}
    for name in names:
        targets = [model[b] for a, b in model.edges if a == name and b in model.names]
        shapes = [shape for target in targets if (shape := _first_shape(target)) is not None]
        if not shapes:
            raise ValueError(f"`input_shape` is needed: no layer tells the shape of {name!r}")
        found[name] = shapes[0]
    return found[names[0]] if one else found


def _first_shape(layer: Any) -> tuple[int, ...] | None:
    if isinstance(layer, Graph):
        shape = _shapes_of_graph(layer)
        return None if isinstance(shape, dict) else shape
    if isinstance(layer, Network):
        return _first_shape(layer.layers[0])
    if isinstance(layer, eqx.nn.Linear):
        return (int(layer.in_features),)
    return tuple(layer.shape) if isinstance(layer, Neuron | DSR) else None


def _step(model: Network, given: float | None) -> float:
    found = {m.dt for m in _layers(model) if isinstance(getattr(m, "dt", None), float)}
    if given is not None:
        found.add(float(given))
    if len(found) > 1:
        raise ValueError(f"`dt` must be that of all layers; got {sorted(found)}")
    if not found:
        if not any(isinstance(layer, Layer) for layer in _layers(model)):
            return 1.0
        raise ValueError("`dt` is needed, the length of a step in seconds: no layer has it")
    return found.pop()


def _layers(model: Network) -> list[Any]:
    found: list[Any] = []
    for layer in model.layers:
        found += _layers(layer) if isinstance(layer, Network) else [layer]
    return found


# ----- notes


def _notes(model: Network, tree: Tree, dt: float, shape: Any) -> dict[str, Any]:
    """Notes to rebuild the network: its structure, and the arrays that no node holds."""
    arrays: list[np.ndarray] = []
    content = {"version": VERSION, "dt": dt, "network": describe(model, arrays)}
    content["input_shape"] = shape if isinstance(shape, dict) else list(shape)
    held = {_key(value): place for place, value in parameters(tree).items()}
    places = [held.get(_key(array)) for array in arrays]
    content["arrays"] = [
        {"place": place, "shape": list(array.shape)}
        for place, array in zip(places, arrays, strict=True)
    ]
    # HDF5 compresses no single numbers.
    rest = {str(i): arrays[i].reshape(-1) for i, place in enumerate(places) if place is None}
    notes: dict[str, Any] = {"network": json.dumps(content)}
    return {**notes, "arrays": rest} if rest else notes


def _key(array: np.ndarray) -> tuple[str, int, bytes]:
    return array.dtype.str, array.size, array.tobytes()


def from_notes(tree: Tree) -> tuple[Network, float, Any]:
    """The network that was saved as `tree`, its dt, and the shape of one step of its input.

    Raises:
        ValueError: if the notes are damaged, of a later version, or no longer those of the graph.
    """
    try:
        notes = tree.metadata[NOTES]
        content = json.loads(notes["network"])
        if content["version"] > VERSION:
            raise ValueError("its notes are of a later version of snnjax")
        held, rest, places = parameters(tree), notes.get("arrays", {}), content["arrays"]

        def array(number: int) -> np.ndarray:
            place, shape = places[number]["place"], places[number]["shape"]
            return np.reshape(rest[str(number)] if place is None else held[place], shape)

        model = rebuild(content["network"], array)
        dt, shape = float(content["dt"]), content["input_shape"]
    except (KeyError, IndexError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"its notes are damaged ({type(error).__name__}: {error})") from None
    if not isinstance(model, Network):
        raise ValueError(f"its notes are of a {type(model).__name__}, not of a network")
    again = parameters(render(model, shape, lambda layer: neuron_node(layer, dt)))
    _compare(held, again)
    several = isinstance(shape, dict)
    return model, dt, {k: tuple(v) for k, v in shape.items()} if several else tuple(shape)


def _compare(held: Mapping[str, np.ndarray], again: Mapping[str, np.ndarray]) -> None:
    for place in [*held, *again]:
        same = place in held and place in again
        if not same or not np.array_equal(np.ravel(held[place]), np.ravel(again[place])):
            node, _, name = place.rpartition(":")
            raise ValueError(
                f"{name} of node {node!r} was changed after snnjax wrote the file, so that its "
                "notes no longer hold; load it with `dialect`"
            )


# ----- to NIR's own classes


def _to_nir(tree: "Tree | Node") -> Any:
    with extra("nir"):
        import nir
    if isinstance(tree, Tree):
        nodes = {name: _to_nir(node) for name, node in tree.nodes.items()}
        metadata = dict(tree.metadata)
        return nir.NIRGraph(nodes, list(tree.edges), metadata=metadata, type_check=False)
    parameters = dict(tree.parameters)
    match tree.kind:
        case "Input":
            return nir.Input(parameters["shape"])
        case "Output":
            return nir.Output(parameters["shape"])
        case "Flatten":
            parameters["input_type"] = {"input": parameters["input_type"]}
    return getattr(nir, tree.kind)(**parameters, metadata=dict(tree.metadata))
