"""A graph without graphs inside, and what can be done to it."""

import dataclasses
from collections.abc import Mapping

from ._node import DENSE, NEURONS, SPIKING, Node, Tree


@dataclasses.dataclass(frozen=True)
class Wiring:
    """Primitives and the edges between them. Nodes of inner graphs are called `graph/node`.

    Attributes:
        nodes: primitives by name, inputs and outputs included.
        edges: names of source and target.
        metadata: notes of the outermost graph.
    """

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, object]

    def of(self, *kinds: str) -> dict[str, Node]:
        """The nodes of some kinds, by name."""
        return {name: node for name, node in self.nodes.items() if node.kind in kinds}

    def neurons(self) -> dict[str, Node]:
        """The nodes with a membrane."""
        return self.of(*NEURONS)

    def before(self, name: str) -> list[str]:
        """The sources of the edges to a node."""
        return [a for a, b in self.edges if b == name]

    def after(self, name: str) -> list[str]:
        """The targets of the edges from a node."""
        return [b for a, b in self.edges if a == name]

    def replace(self, nodes: Mapping[str, Node]) -> "Wiring":
        """The same wiring with some nodes replaced."""
        return dataclasses.replace(self, nodes={**self.nodes, **nodes})

    def without_zero_biases(self) -> "Wiring":
        """The same wiring with a Linear for each Affine whose biases are all 0."""
        plain = {
            name: Node("Linear", {"weight": node.parameters["weight"]}, node.metadata)
            for name, node in self.of("Affine").items()
            if not node.array("bias").any()
        }
        return self.replace(plain)

    def feedback(self) -> dict[str, str]:
        """Neurons that fire and the dense node that feeds back to them alone, by name."""
        found = {}
        for name, node in self.nodes.items():
            loops = [
                b
                for b in self.after(name)
                if self.nodes[b].kind in DENSE
                and self.after(b) == [name]
                and self.before(b) == [name]
            ]
            if node.kind in SPIKING and len(loops) == 1:
                found[name] = loops[0]
        return found


def flatten(tree: Tree) -> Wiring:
    """The wiring of a graph, its inner graphs opened.

    Raises:
        ValueError: if an inner graph has several inputs or outputs, which an edge cannot tell
            apart, if two nodes then have one name, or if the graph has no input or output.
    """
    nodes, edges = _open(tree, "")
    doors = [name for name, node in nodes.items() if node.kind in ("Input", "Output")]
    passing = [name for name in doors if name not in tree.nodes]
    for name in passing:
        before = [a for a, b in edges if b == name]
        after = [b for a, b in edges if a == name]
        joined = [(a, b) for a in before for b in after]
        if set(joined) & set(edges) or len(set(joined)) < len(joined):
            nodes[name] = Node("Scale", {"scale": 1.0})
            continue
        edges = [edge for edge in edges if name not in edge] + joined
        del nodes[name]
    for kind in ("Input", "Output"):
        if all(node.kind != kind for node in nodes.values()):
            raise ValueError(f"the graph has no {kind}")
    for edge in edges:
        if edges.count(edge) > 1:
            raise ValueError(f"edge {edge} is there twice")
    return Wiring(nodes, tuple(edges), tree.metadata)


def _open(tree: Tree, inside: str) -> tuple[dict[str, Node], list[tuple[str, str]]]:
    """All primitives of a graph, and their edges, those through graphs led to what they reach."""
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    doors: dict[str, tuple[str, str]] = {}
    for name, node in tree.nodes.items():
        path = f"{inside}{name}"
        if isinstance(node, Node):
            within, doors[name] = {path: node}, (path, path)
        else:
            within, joins = _open(node, f"{path}/")
            edges += joins
            doors[name] = _door(node, path, "Input"), _door(node, path, "Output")
        for twice in nodes.keys() & within.keys():
            raise ValueError(
                f"two nodes are called {twice!r} once inner graphs are opened; rename one"
            )
        nodes.update(within)
    edges += [(doors[a][1], doors[b][0]) for a, b in tree.edges]
    return nodes, edges


def _door(tree: Tree, path: str, kind: str) -> str:
    names = [
        name for name, node in tree.nodes.items() if isinstance(node, Node) and node.kind == kind
    ]
    if len(names) != 1:
        raise ValueError(f"graph {path!r} has {len(names)} nodes of the kind {kind}; one is needed")
    return f"{path}/{names[0]}"


def check_merge(name: str, found: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless all that comes together at a node has one shape."""
    if len(set(found.values())) > 1:
        given = ", ".join(f"{shape} of {a!r}" for a, shape in found.items())
        raise ValueError(f"node {name!r} adds what has different shapes: {given}")
