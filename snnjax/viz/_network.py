"""The layers of a network as boxes, with their shapes and the part of a chip that they take."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import explained
from ..hardware import Spec, Usage, family
from ..nn import (
    Branches,
    Concatenate,
    Graph,
    Network,
    Neuron,
    Recurrent,
    Residual,
    layer_words,
    record,
)
from ._style import axes, colors_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDE, _HIGH, _GAP = 2.5, 0.62, 0.5
_LETTERS = 34
"""So many letters of full size fit into a box; longer words are smaller."""


class _Node(NamedTuple):
    """A box: its text, the path of its layer, and the kind that gives it its colour."""

    text: str
    path: str
    kind: str


class _Drawing:
    """Boxes and arrows between them; late arrows bring the output of the step before."""

    def __init__(self) -> None:
        self.nodes: list[_Node] = []
        self.edges: list[tuple[int, int, bool]] = []

    def add(self, text: str, path: str, kind: str, sources: Sequence[int]) -> list[int]:
        """A new box after others."""
        self.nodes.append(_Node(text, path, kind))
        at = len(self.nodes) - 1
        self.edges += [(source, at, False) for source in sources]
        return [at]

    def layer(self, layer: Any, path: str, sources: Sequence[int]) -> list[int]:
        """The boxes of a layer; those that its output comes from."""
        inner = f"{path}." if path else ""
        if isinstance(layer, Graph):
            return self.graph(layer, inner, sources)
        if not isinstance(layer, Network):
            kind = "neurons" if isinstance(layer, Neuron) else "static"
            return self.add(layer_words(layer), path, kind, sources)
        if isinstance(layer, Branches):
            paths = [f"{inner}layers[{i}]" for i in range(len(layer.layers))]
            each = [self.layer(x, p, sources) for x, p in zip(layer.layers, paths, strict=True)]
            sign = "joined" if isinstance(layer, Concatenate) else "+"
            return self.add(sign, path, "join", [end for own in each for end in own])
        if isinstance(layer, Recurrent):
            first = len(self.nodes)
            ends = self.layer(layer.layers[0], f"{inner}layers[0]", sources)
            back = self.layer(layer.layers[1], f"{inner}layers[1]", ends)
            self.edges += [(at, first, True) for at in back]
            return ends
        found = list(sources)
        for i, one in enumerate(layer.layers):
            found = self.layer(one, f"{inner}layers[{i}]", found)
        if isinstance(layer, Residual):
            return self.add("+", path, "join", [*sources, *found])
        return found

    def graph(self, graph: Graph, inner: str, sources: Sequence[int]) -> list[int]:
        """The boxes of a network of any wiring; its inputs all come from `sources`."""
        ends: dict[str, list[int]] = {}
        firsts: dict[str, int] = {}
        inputs = (graph.inputs,) if isinstance(graph.inputs, str) else graph.inputs
        outputs = (graph.outputs,) if isinstance(graph.outputs, str) else graph.outputs
        for i in (i for stage in graph.stages for i in stage):
            name = str(graph.names[i])
            firsts[name] = len(self.nodes)
            ends[name] = self.layer(graph.layers[i], f"{inner}layers[{i}]", [])
        for source, target in graph.edges:
            if target in firsts:
                given = sources if source in inputs else ends[source]
                late = (source, target) in graph.late
                self.edges += [(at, firsts[target], late) for at in given]
        found = [at for a, b in graph.edges if b in outputs for at in ends.get(a, sources)]
        return list(dict.fromkeys(found))

    def depths(self) -> list[int]:
        """How many boxes lie before each, along the longest way."""
        depth = [int(node.kind != "end") for node in self.nodes]
        for _ in self.nodes:
            for source, target, late in self.edges:
                if not late:
                    depth[target] = max(depth[target], depth[source] + 1)
        return depth


@explained
def network(
    model: Network,
    shape: int | Sequence[int],
    *,
    spec: Spec | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """The layers of a network, from the top: shapes, parameters and what they take of a chip.

    Neurons are in the first colour. Dashed arrows bring the output of the step before.

    Args:
        model: a network with one input.
        shape: shape of one time step of its input.
        spec: the network on a chip, for its resources; None for none.
        title: of the axes.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: if an input of that shape does not fit.
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    size = (shape,) if isinstance(shape, int) else tuple(shape)
    shapes = _shapes(model, size)
    drawing = _Drawing()
    (start,) = drawing.add("input", "", "end", [])
    ends = drawing.layer(model, "", [start])
    drawing.add("output", "", "end", ends)
    depth = drawing.depths()
    slots: dict[int, list[int]] = {}
    for at, d in enumerate(depth):
        slots.setdefault(d, []).append(at)
    widest = max(map(len, slots.values()))
    rows = () if spec is None else family(spec).usage(spec)
    ax = axes(ax, (1.3 + 2.9 * widest, 0.5 + 0.75 * len(slots)))
    places: dict[int, tuple[float, float]] = {
        at: ((i - (len(own) - 1) / 2) * (_WIDE + _GAP), -d)
        for d, own in slots.items()
        for i, at in enumerate(own)
    }
    for at, node in enumerate(drawing.nodes):
        found = size if at == start else shapes.get(node.path)
        _box(ax, node, places[at], _below(node, found, model, rows))
    for edge in drawing.edges:
        _arrow(ax, drawing, places, edge)
    _finish(ax, title, widest, len(slots), [row for row in rows if row.layer is None and row.used])
    return ax


def _shapes(model: Network, size: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shape of one step of the output of each layer by its path."""
    quiet = eqx.nn.inference_mode(model)
    one = jax.ShapeDtypeStruct((1, *size), jnp.float32)
    records = eqx.filter_eval_shape(lambda m, x: record(m, x)[2], quiet, one)
    return {
        k.removesuffix(".output"): v.shape[1:] for k, v in records.items() if k.endswith(".output")
    }


def _below(node: _Node, shape: Any, model: Network, rows: Sequence[Usage]) -> str:
    """The second line of a box."""
    if node.kind == "join" or shape is None:
        return ""
    words = " x ".join(map(str, shape))
    words = "" if node.text.split(", ")[0].endswith(words) else words
    owned = [row for row in rows if row.layer is not None and f"`{node.path}`" in row.layer]
    taken = [
        f"{row.resource.split(' memory')[0]} {row.used:,}"
        if row.has is None
        else f"{row.resource.split(' memory')[0]} {row.used / row.has:.0%}"
        for row in owned
    ]
    where = owned[0].resource.rpartition(" of ")[2] if owned else ""
    return ", ".join(filter(None, [words, ": ".join(filter(None, [where, ", ".join(taken)]))]))


def _box(ax: "Axes", node: _Node, at: tuple[float, float], below: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    colors = colors_of(ax)
    x, y = at
    wide = 0.3 if node.kind == "join" and len(node.text) == 1 else _WIDE
    neurons = node.kind == "neurons"
    face = {"end": "none", "neurons": colors.series[0]}.get(node.kind, colors.fill)
    box = FancyBboxPatch(
        (x - wide / 2, y - _HIGH / 2),
        wide,
        _HIGH,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=face,
        edgecolor="none" if node.kind == "end" else colors.faint,
        lw=0.7,
    )
    ax.add_patch(box)
    ink = ax.get_facecolor() if neurons else colors.ink
    text: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    size = min(9.0, 9 * _LETTERS / max(len(node.text), 1))
    ax.text(x, y + (0.12 if below else 0), node.text, fontsize=size, **text)
    ax.text(x, y - 0.15, below, fontsize=7, **text)


def _arrow(
    ax: "Axes",
    drawing: _Drawing,
    places: dict[int, tuple[float, float]],
    edge: tuple[int, int, bool],
) -> None:
    source, target, late = edge
    colors = colors_of(ax)
    (x0, y0), (x1, y1) = places[source], places[target]
    line: dict[str, Any] = {
        "arrowstyle": "-|>",
        "color": colors.ink,
        "lw": 0.8,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    if late or (x0 == x1 and y0 - y1 > 1):  # around what lies between
        side = x0 + (_WIDE / 2 if drawing.nodes[source].kind != "join" else 0.15)
        end = x1 + (_WIDE / 2 if drawing.nodes[target].kind != "join" else 0.15)
        bend = -0.35 if not late else 0.35
        line |= {"connectionstyle": f"arc3,rad={bend}", "ls": "--" if late else "-"}
        ax.annotate("", (end, y1), (side, y0), arrowprops=line)
        return
    ax.annotate("", (x1, y1 + _HIGH / 2), (x0, y0 - _HIGH / 2), arrowprops=line)


def _finish(ax: "Axes", title: str | None, widest: int, deep: int, rows: Sequence[Usage]) -> None:
    half = widest * (_WIDE + _GAP) / 2 + 0.3
    ax.set_xlim(-half, half)
    ax.set_ylim(-deep + 0.4 - 0.32 * bool(rows), 0.5)
    ax.set_axis_off()
    if title is not None:
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
    if rows:
        listed = "\n".join(map(str, rows))
        where: dict[str, Any] = {
            "transform": ax.transAxes,
            "va": "top",
            "color": colors_of(ax).ink,
            "fontsize": 7,
        }
        ax.text(1.0, 1.0, listed, ha="left", **where)
