"""Networks as graphs of NIR."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax
import numpy as np

from ...nn import Chain, Graph, Layer, Network, Parallel, Recurrent, Residual
from ._node import Node, Tree
from ._record import UNCHANGED
from ._render_static import static_node

Shape: TypeAlias = tuple[int, ...]
RenderNeuron: TypeAlias = Callable[[Any], "Node | Tree"]


def render(network: Layer, shape: Any, neuron: RenderNeuron, path: str = "network") -> Tree:
    """The graph of a network.

    Args:
        network: a network.
        shape: shape of one step of its input; by name where it has several.
        neuron: the node of a layer of neurons, from the layer.
        path: for errors.

    Raises:
        ValueError: if NIR cannot say a part of it; the message has the path of the part.
    """
    if getattr(network, "on_output", None) is not None:
        raise ValueError(f"`{path}`: its outputs have transforms, which NIR does not have")
    match network:
        case Graph():
            return _graph(network, shape, neuron, path)
        case Chain():
            return _chain(network, shape, neuron, path)
        case Parallel():
            return _parallel(network, shape, neuron, path)
        case Recurrent():
            return _recurrent(network, shape, neuron, path)
    raise ValueError(f"`{path}`: NIR has no {type(network).__name__}")


def _child(
    layer: Any, shape: Shape, neuron: RenderNeuron, path: str
) -> tuple["Node | Tree", Shape]:
    """The node or graph of a layer, and the shape of one step of its output."""
    if isinstance(layer, Network):
        tree = render(layer, shape, neuron, path)
        return tree, _out(layer, shape, path)
    try:
        node = neuron(layer) if isinstance(layer, Layer) else static_node(layer, shape)
    except ValueError as error:
        raise ValueError(f"`{path}`: {error}") from None
    return node, _out(layer, shape, path)


def _out(layer: Any, shape: Shape, path: str) -> Shape:
    try:
        if isinstance(layer, Layer):
            x = jax.ShapeDtypeStruct((1, *shape), _dtype(layer))
            y = eqx.filter_eval_shape(lambda m, x: m(x, key=jax.random.key(0))[0], layer, x)
            return tuple(y.shape[1:])
        x = jax.ShapeDtypeStruct(shape, _dtype(layer))
        quiet = eqx.nn.inference_mode(layer)
        return tuple(eqx.filter_eval_shape(quiet, x).shape)
    except (ValueError, TypeError, IndexError) as error:
        raise ValueError(f"`{path}` does not take an input of the shape {shape}: {error}") from None


def _dtype(layer: Any) -> Any:
    leaves = [leaf for leaf in jax.tree.leaves(layer) if eqx.is_inexact_array(leaf)]
    return leaves[0].dtype if leaves else np.float32


def _doors(shape: Shape, out: Shape) -> tuple[Node, Node]:
    return Node("Input", {"shape": np.asarray(shape)}), Node("Output", {"shape": np.asarray(out)})


def names_of(network: Network) -> list[str]:
    """The names of a network's nodes: of its layers, or their numbers, without slashes."""
    names = [
        str(i) if name is None else str(name).replace("/", ".")
        for i, name in enumerate(network.names)
    ]
    for name in names:
        if names.count(name) > 1 or name in ("input", "output"):
            return [str(i) for i in range(len(names))]
    return names


def _chain(network: Chain, shape: Shape, neuron: RenderNeuron, path: str) -> Tree:
    nodes: dict[str, Node | Tree] = {}
    edges, before, first = [], "input", shape
    for i, (name, layer) in enumerate(zip(names_of(network), network.layers, strict=True)):
        nodes[name], shape = _child(layer, shape, neuron, f"{path}.layers[{i}]")
        edges.append((before, name))
        before = name
    edges.append((before, "output"))
    if isinstance(network, Residual):
        edges.append(("input", "output"))
    door, exit_ = _doors(first, shape)
    return Tree({"input": door, **nodes, "output": exit_}, tuple(edges), {})


def _parallel(network: Parallel, shape: Shape, neuron: RenderNeuron, path: str) -> Tree:
    nodes: dict[str, Node | Tree] = {}
    edges, out = [], shape
    for i, (name, layer) in enumerate(zip(names_of(network), network.layers, strict=True)):
        nodes[name], out = _child(layer, shape, neuron, f"{path}.layers[{i}]")
        edges += [("input", name), (name, "output")]
    door, exit_ = _doors(shape, out)
    return Tree({"input": door, **nodes, "output": exit_}, tuple(edges), {})


def _recurrent(network: Recurrent, shape: Shape, neuron: RenderNeuron, path: str) -> Tree:
    layer, feedback = network.layers
    forward, out = _child(layer, shape, neuron, f"{path}.layers[0]")
    nodes: dict[str, Node | Tree] = {"layer": forward}
    edges = [("input", "layer"), ("layer", "output")]
    if feedback is UNCHANGED:
        edges.append(("layer", "layer"))
    else:
        nodes["feedback"], _ = _child(feedback, out, neuron, f"{path}.layers[1]")
        edges += [("layer", "feedback"), ("feedback", "layer")]
    door, exit_ = _doors(shape, out)
    return Tree({"input": door, **nodes, "output": exit_}, tuple(edges), {})


def _graph(network: Graph, shape: Any, neuron: RenderNeuron, path: str) -> Tree:
    given = {network.inputs: shape} if isinstance(network.inputs, str) else dict(shape)
    outputs = [network.outputs] if isinstance(network.outputs, str) else list(network.outputs)
    shapes: dict[str, Shape] = {name: tuple(size) for name, size in given.items()}
    for (source, _), size in zip(network.late, network.sizes, strict=False):
        shapes.setdefault(source, size)
    made: dict[str, Node | Tree] = {}
    for stage in network.stages:
        for i in stage:
            name = str(network.names[i])
            before = next(shapes[a] for a, b in network.edges if b == name and a in shapes)
            child = network.layers[i]
            made[name], shapes[name] = _child(child, before, neuron, f"{path}.layers[{i}]")
    nodes: dict[str, Node | Tree] = {
        name: Node("Input", {"shape": np.asarray(shapes[name])}) for name in given
    }
    nodes |= {str(name): made[str(name)] for name in network.names}
    for name in outputs:
        source = next(a for a, b in network.edges if b == name)
        nodes[name] = Node("Output", {"shape": np.asarray(shapes[source])})
    renamed = {name: name.replace("/", ".") for name in nodes}
    if len(set(renamed.values())) < len(renamed):
        raise ValueError(f"`{path}`: names that differ in slashes only; got {list(nodes)}")
    edges = tuple((renamed[a], renamed[b]) for a, b in network.edges)
    return Tree({renamed[name]: node for name, node in nodes.items()}, edges, {})


def nodes_of(tree: Tree, inside: str = "") -> dict[str, Node]:
    """All primitives of a graph, those of inner graphs as `graph/node`."""
    found: dict[str, Node] = {}
    for name, node in tree.nodes.items():
        path = f"{inside}{name}"
        found.update({path: node} if isinstance(node, Node) else nodes_of(node, f"{path}/"))
    return found


def parameters(tree: Tree) -> Mapping[str, np.ndarray]:
    """The numbers of a graph by node and name, written `node:parameter`."""
    return {
        f"{path}:{name}": np.asarray(value)
        for path, node in nodes_of(tree).items()
        for name, value in node.parameters.items()
        if not isinstance(value, str) and value is not None
    }
