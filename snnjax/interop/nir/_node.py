"""A NIR graph as plain data, checked: the one form that the rest of the room reads."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "Input": (),
    "Output": (),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "Conv2d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("start_dim", "end_dim"),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    "I": ("r",),
    "LI": ("tau", "r", "v_leak"),
    "IF": ("r", "v_threshold"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold"),
}
"""The primitives of NIR 1.0, and the parameters that each must have."""

SPIKING = frozenset({"IF", "LIF", "CubaLIF"})
NEURONS = SPIKING | {"I", "LI", "CubaLI"}
DENSE = frozenset({"Affine", "Linear"})

MAX_DEPTH = 32
"""Graphs within graphs."""

MAX_NODES = 100_000


@dataclasses.dataclass(frozen=True)
class Node:
    """A primitive.

    Attributes:
        kind: name of the primitive.
        parameters: its arrays and settings by name, as NIR calls them.
        metadata: notes that NIR has no field for.
    """

    kind: str
    parameters: Mapping[str, Any]
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def array(self, name: str) -> np.ndarray:
        """A parameter as an array of its own precision; integers become float32."""
        value = np.asarray(self.parameters[name])
        return value if value.dtype.kind == "f" else value.astype(np.float32)

    def get(self, name: str, default: float) -> np.ndarray:
        """A parameter that a file may leave out."""
        if self.parameters.get(name) is not None:
            return self.array(name)
        return np.asarray(default, np.float32)

    def shape(self) -> tuple[int, ...] | None:
        """The shape that an Input or an Output declares."""
        shape = self.parameters.get("shape")
        return None if shape is None else tuple(int(n) for n in np.ravel(shape))


@dataclasses.dataclass(frozen=True)
class Tree:
    """A graph whose nodes may be graphs.

    Attributes:
        nodes: primitives and graphs by name.
        edges: names of source and target.
        metadata: notes that NIR has no field for.
    """

    nodes: Mapping[str, "Node | Tree"]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any]


def tree(content: Any) -> Tree:
    """A graph from nested dictionaries, as NIR's own `to_dict` gives them and its files hold them.

    Raises:
        ValueError: if something is missing, unknown or has no meaning; the message names the node.
    """
    found = _parse(content, "", [0])
    if isinstance(found, Tree):
        return found
    wrapped = {"input": Node("Input", {}), "node": found, "output": Node("Output", {})}
    return Tree(wrapped, (("input", "node"), ("node", "output")), {})


def _parse(content: Any, place: str, count: list[int]) -> "Node | Tree":
    named = f"node {place!r}" if place else "the graph"
    count[0] += 1
    if count[0] > MAX_NODES or place.count("/") >= MAX_DEPTH:
        raise ValueError(f"{named} is one too many: at most {MAX_NODES} nodes, {MAX_DEPTH} deep")
    if not isinstance(content, Mapping) or not isinstance(content.get("type"), str):
        raise ValueError(f"{named} has no type")
    kind = content["type"]
    metadata = content.get("metadata") or {}
    if kind == "NIRGraph":
        return _parse_graph(content, place, metadata, count)
    if kind not in PARAMETERS:
        raise ValueError(f"{named} is a {kind!r}, which is no primitive of NIR 1.0")
    missing = [name for name in PARAMETERS[kind] if content.get(name) is None]
    if missing:
        raise ValueError(f"{named}, a {kind}, has no {missing[0]!r}")
    parameters = {k: v for k, v in content.items() if k not in ("type", "metadata")}
    for name, value in parameters.items():
        _check_value(named, kind, name, value)
    return Node(kind, parameters, metadata)


def _parse_graph(content: Mapping[str, Any], place: str, metadata: Any, count: list[int]) -> Tree:
    inside = f"{place}/" if place else ""
    nodes = content.get("nodes")
    if not isinstance(nodes, Mapping) or "edges" not in content:
        raise ValueError(f"{place or 'the graph'}: there are no nodes and edges in it")
    parsed = {str(k): _parse(v, f"{inside}{k}", count) for k, v in nodes.items()}
    edges = tuple(_edge(pair, place) for pair in content["edges"])
    for edge in edges:
        for name in edge:
            if name not in parsed:
                raise ValueError(f"edge {edge} of {place or 'the graph'}: there is no {name!r}")
    return Tree(parsed, edges, metadata)


def _edge(pair: Any, place: str) -> tuple[str, str]:
    names = [end.decode() if isinstance(end, bytes) else end for end in pair]
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise ValueError(f"an edge of {place or 'the graph'} is no pair of names; got {pair!r}")
    return names[0], names[1]


def _check_value(named: str, kind: str, name: str, value: Any) -> None:
    if name in ("shape", "input_shape", "input_type") or value is None:
        return
    if isinstance(value, str):
        if name != "padding" or value not in ("same", "valid"):
            raise ValueError(f"{named}, a {kind}, has the {name} {value!r}")
        return
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{named}, a {kind}, has a {name} of the type {array.dtype}")
    if np.isnan(array).any():
        raise ValueError(f"{named}, a {kind}, has a {name} that is not a number")
    if name.startswith("tau") and (array <= 0).any():
        raise ValueError(f"{named}, a {kind}, has a {name} that is not above 0: {array.min()}")
