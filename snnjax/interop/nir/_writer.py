"""Writers of files for one tool: the checks that they share, and their walk over the graph."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from .._firing import Strict
from ._node import Node, Tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class Writer:
    """How a tool's files are written.

    Attributes:
        dt: the step that the tool takes by default.
        node: the node that the tool reads as a layer, from the layer and dt.
        kinds: the primitives that it reads right, neurons aside.
        mend: a primitive as the tool needs it.
        repair: the whole graph as the tool needs it, before all else.
    """

    dt: float
    node: Callable[[Any, float], "Node | Tree"]
    kinds: frozenset[str]
    mend: Callable[[Node], Node] = lambda node: node
    repair: Callable[[Tree], Tree] = lambda tree: tree

    def finish(self, tree: Tree, place: str = "") -> Tree:
        """The graph as the tool needs it.

        Raises:
            ValueError: if the tool does not read one of its nodes.
        """
        nodes: dict[str, Node | Tree] = {}
        for name, node in tree.nodes.items():
            path = f"{place}{name}"
            if isinstance(node, Tree):
                nodes[name] = self.finish(node, f"{path}/")
                continue
            if node.kind not in self.kinds:
                raise ValueError(f"node {path!r}: the tool does not read {node.kind} right")
            try:
                nodes[name] = self.mend(node)
            except ValueError as error:
                raise ValueError(f"node {path!r}: {error}") from None
        return Tree(nodes, tree.edges, {})


def require(ok: bool, what: str) -> None:
    """Raise ValueError unless `ok`: the tool reads only layers with `what`."""
    if not ok:
        raise ValueError(f"the tool reads only {what}")


def uniform(value: Any, name: str) -> float:
    """The one number that all neurons share."""
    values = np.unique(np.asarray(value))
    require(values.size == 1, f"one {name} for all neurons of a layer; this one has {values.size}")
    return float(values[0])


def close(value: Any, wanted: Any) -> bool:
    """Whether two arrays are the same but for rounding."""
    return bool(np.allclose(np.asarray(value), np.asarray(wanted), rtol=1e-6, atol=0))


def fires_above(layer: Any) -> np.ndarray:
    """The threshold above which a neuron fires, for a tool that fires above it."""
    threshold = np.asarray(layer.threshold)
    return (
        threshold if is_strict(layer) else np.nextafter(threshold, -np.inf, dtype=threshold.dtype)
    )


def fires_at(layer: Any) -> np.ndarray:
    """The threshold at which a neuron fires, for a tool that fires at it."""
    threshold = np.asarray(layer.threshold)
    return np.nextafter(threshold, np.inf, dtype=threshold.dtype) if is_strict(layer) else threshold


def is_strict(layer: Any) -> bool:
    return getattr(layer, "strict", False) or isinstance(layer.settings.surrogate, Strict)


def zero(value: Any) -> bool:
    """Whether a parameter is absent or 0."""
    return value is None or not np.asarray(value).any()


def spikes_once(layer: Any) -> None:
    """Require at most one spike in a step, and a reset to a potential."""
    require(layer.settings.max_spikes == 1, "neurons with at most one spike in a step")
    require(layer.settings.reset == "zero", "neurons with a reset to a potential: 'zero'")
    plain(layer)


def plain(layer: Any) -> None:
    """Require no refractory period, and spikes as the output."""
    for name, default in {"refractory": 0, "output": "spikes"}.items():
        value = getattr(layer.settings, name)
        require(value == default, f"neurons with {name}={default!r}; got {value!r}")


def known(layer: Any, *classes: type) -> None:
    """Require one of the layers that the tool has."""
    names = ", ".join(cls.__name__ for cls in classes)
    require(isinstance(layer, classes), f"{names} among neurons; got {type(layer).__name__}")


DENSE = frozenset({"Input", "Output", "Affine", "Linear"})
SPIKING = frozenset({"LIF", "CubaLIF"})
"""Primitives that most tools read."""
