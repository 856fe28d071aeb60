"""Files for Spyx: one chain, channels last, and neurons whose spikes come a step late."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from ...nn import Leaky
from .._delay import Delay
from ._node import Node, Tree
from ._render_neuron import fed_back, node_of
from ._writer import DENSE, SPIKING, Writer, fires_above, known, plain, require

_Part: TypeAlias = "Node | Tree"


def _node(layer: Any, dt: float) -> _Part:
    known(layer, Leaky, Delay)
    if isinstance(layer, Delay):
        require(bool((np.asarray(layer.steps) == 1).all()), "delays of one step")
        return node_of(layer, dt)
    plain(layer)
    settings = layer.settings
    require(settings.max_spikes == 1, "neurons with at most one spike in a step")
    require(settings.reset == "subtract", "neurons that reset by subtraction")
    require(layer.min_vmem is None, "neurons without a lower bound")
    synapse = layer.alpha_syn is not None
    late = "Leaky with `reset_delay`, or with a synapse and without it"
    require(layer.reset_delay != synapse, late)
    alpha = np.asarray(layer.alpha_mem)
    node = node_of(layer, dt, r=alpha, v_threshold=fires_above(layer))
    if not synapse and (alpha == 1).all():
        node = Node("IF", {k: node.parameters[k] for k in ("r", "v_threshold", "v_reset")})
    return node if layer.w_rec is None else fed_back(node, np.asarray(layer.w_rec), layer.shape)


def _chain(tree: Tree, place: str = "") -> Iterator[tuple[str, _Part]]:
    """The parts of a graph in their order, those of inner chains too, with their paths."""
    name = "input"
    while True:
        after = [b for a, b in tree.edges if a == name]
        if len(after) != 1:
            path = f"{place}{name}"
            raise ValueError(f"the tool reads only chains; node {path!r} leads to {after}")
        name = after[0]
        if name == "output":
            return
        node, path = tree.nodes[name], f"{place}{name}"
        if isinstance(node, Tree) and not _is_recurrent(node):
            yield from _chain(node, f"{path}/")
        else:
            yield path, node


def _is_recurrent(tree: Tree) -> bool:
    return any((b, a) in tree.edges for a, b in tree.edges)


def _repair(tree: Tree) -> Tree:
    """One chain with Spyx's names, without the delays, which are those of its neurons."""
    parts = list(_chain(tree))
    kept: dict[str, _Part] = {"input": tree.nodes["input"]}
    spiked, flattened = False, None
    for path, part in [*parts, ("output", tree.nodes["output"])]:
        is_delay = isinstance(part, Node) and part.kind == "Delay"
        if is_delay != spiked:
            raise ValueError(
                f"node {path!r}: the spikes of the tool's neurons come a step late, so that a "
                "delay of one step must follow each layer of neurons, and no other"
            )
        spiked = isinstance(part, Tree) or part.kind in SPIKING | {"IF"}
        if is_delay or path == "output":
            continue
        name = f"layer_{len(kept) - 1}"
        if isinstance(part, Tree):
            part = _renamed(part, name)
        elif part.kind in DENSE and flattened is not None:
            part = _channels_last(part, flattened)
        flattened = None
        if isinstance(part, Node) and part.kind == "Flatten":
            flattened = np.asarray(part.parameters["input_type"])
        kept[name] = part
    kept["output"] = tree.nodes["output"]
    return Tree(kept, tuple(pairwise(kept)), {})


def _renamed(tree: Tree, name: str) -> Tree:
    back = tree.nodes["w_rec"]
    matrix = isinstance(back, Node) and back.kind == "Linear"
    if not matrix:
        raise ValueError(f"node {name!r}: the tool reads only recurrence through a matrix")
    names = {k: f"{name}.{'lif' if k == 'neuron' else k}" for k in tree.nodes}
    edges = tuple((names[a], names[b]) for a, b in tree.edges)
    return Tree({names[k]: node for k, node in tree.nodes.items()}, edges, {})


def _channels_last(dense: Node, shape: np.ndarray) -> Node:
    """Weights for flattened (height, width, channels), from those for channels first."""
    if shape.size != 3:
        return dense
    order = np.arange(shape.prod()).reshape(shape).transpose(1, 2, 0).ravel()
    return Node(dense.kind, {**dense.parameters, "weight": dense.array("weight")[:, order]})


def _mend(node: Node) -> Node:
    if node.kind == "Conv2d":
        alone = node.parameters["groups"] == 1 and np.all(np.equal(node.parameters["dilation"], 1))
        require(bool(alone), "convolutions without groups and dilation")
    if node.kind == "SumPool2d":
        require(not np.any(node.parameters["padding"]), "pooling without padding")
    return node


SPYX = Writer(
    dt=1.0,
    node=_node,
    kinds=DENSE | SPIKING | {"IF", "Conv2d", "SumPool2d", "Flatten"},
    mend=_mend,
    repair=_repair,
)
