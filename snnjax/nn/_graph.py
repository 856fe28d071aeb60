"""A network of any wiring."""

import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import InputError, explained, shape_of
from .._typing import FloatArray, Key, PyTree
from ..scan import scan
from ._combine import output_shape
from ._layer import Layer, Records, float_dtype, or_at_rest
from ._network import Block, Network
from ._schedule import Edge, Stage, schedule


class Graph(Network):
    """Nodes joined by edges in any way: branches, merges, cycles, several inputs and outputs.

    A node adds up what its edges bring. Edges without a cycle pass whole sequences, so that a
    product of matrices stays outside of the loop over time. In a cycle the network goes step by
    step, and an edge that closes the cycle brings the output of the step before, 0 at first:

        Graph(
            {"w": Linear(2, 3), "lif": LIF(3), "rec": Linear(3, 3), "skip": Linear(2, 3)},
            [("input", "w"), ("w", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output"),
             ("input", "skip"), ("skip", "output")],
        )

    A cycle is cut where the output of a layer with a state leaves for a node of the cycle, if there
    is such a place, and as late after the inputs as there is; `late` lists the edges that are cut.

    With one input and one output, given by their names alone, both are arrays. With a sequence of
    names, they are dictionaries of arrays by name, even for one name.

    The state is a pair: the states of the nodes, and the outputs that wait in cut edges.

    Attributes:
        edges: pairs of names, source and target.
        inputs: the name of the input, or the names.
        outputs: the name of the output, or the names.
        late: the edges that bring the output of the step before.
        stages: the nodes in the order they run, by number; the nodes of a cycle together.
        sizes: the shape of one step of each waiting output.
    """

    edges: tuple[Edge, ...] = eqx.field(static=True)
    inputs: str | tuple[str, ...] = eqx.field(static=True)
    outputs: str | tuple[str, ...] = eqx.field(static=True)
    late: tuple[Edge, ...] = eqx.field(static=True)
    stages: tuple[Stage, ...] = eqx.field(static=True)
    sizes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @explained
    def __init__(
        self,
        nodes: Mapping[str, Block],
        edges: Iterable[tuple[str, str]],
        *,
        inputs: str | Sequence[str] = "input",
        outputs: str | Sequence[str] = "output",
        shapes: Mapping[str, int | Sequence[int]] | None = None,
    ):
        """Make a network.

        Args:
            nodes: layers by name, in any order.
            edges: pairs of names: source, a node or an input; target, a node or an output.
            inputs: the name of the input; a sequence of names for several.
            outputs: the name of the output, likewise.
            shapes: shapes of one step of the outputs of nodes, by name. Needed only for a node
                whose output closes a cycle and which is no layer of neurons and ends with none.

        Raises:
            ValueError: if an edge is given twice or joins what is not there, if a node or an output
                gets nothing, if a node or an input leads nowhere, if a name has two meanings, or if
                a shape is missing.
            TypeError: if a node cannot be called.
        """
        super().__init__(dict(nodes))
        self.inputs, self.outputs = _names(inputs), _names(outputs)
        self.edges = tuple((str(a), str(b)) for a, b in edges)
        _check(list(nodes), self.edges, _several(self.inputs), _several(self.outputs))
        stateful = {name for name, layer in nodes.items() if isinstance(layer, Layer)}
        self.stages, self.late = schedule(
            list(nodes), self.edges, _several(self.inputs), frozenset(stateful)
        )
        self.sizes = tuple(_size(name, nodes[name], shapes or {}) for name in self._sources())

    def _sources(self) -> list[str]:
        """The nodes whose outputs wait for the next step, each once."""
        return list(dict.fromkeys(source for source, _ in self.late))

    def initial_state(self) -> PyTree:
        """The states of all nodes, and zeros for what waits."""
        dtype = float_dtype(self, float)
        waiting = tuple(jnp.zeros(size, dtype) for size in self.sizes)
        return super().initial_state(), waiting

    def evolve(
        self, x: PyTree, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[PyTree, PyTree, Records]:
        """A run over time. Records what every node records, and its `output`."""
        values = self._given(x)
        inner, waiting = self._halves(state)
        states = super().initial_state() if inner is None else self._states(inner)
        after, records = list(states), {}
        fed = dict(zip(self._sources(), waiting, strict=True))
        for stage in self.stages:
            run = self._cycle if self._is_cycle(stage) else self._single
            found = run(stage, values, after, fed, key, record)
            records.update(found)
        gathered = {name: self._sum(name, values) for name in _several(self.outputs)}
        y = gathered[self.outputs] if isinstance(self.outputs, str) else gathered
        return y, (tuple(after), tuple(fed.values())), records

    def _is_cycle(self, stage: Stage) -> bool:
        inside = {self.names[i] for i in stage}
        return any(source in inside and target in inside for source, target in self.late)

    def _single(
        self,
        stage: Stage,
        values: dict[str, FloatArray],
        after: list[PyTree],
        fed: dict[str, FloatArray],
        key: Key | None,
        record: bool,
    ) -> Records:
        (i,) = stage
        name = str(self.names[i])
        x: Any = self._sum(name, values)
        values[name], after[i], found = self._evolve_layer(i, x, after[i], key, record)
        return found

    def _cycle(
        self,
        stage: Stage,
        values: dict[str, FloatArray],
        after: list[PyTree],
        fed: dict[str, FloatArray],
        key: Key | None,
        record: bool,
    ) -> Records:
        """The nodes of a cycle, step by step. What comes from outside is summed before."""
        names = [str(self.names[i]) for i in stage]
        outside = {name: self._sum(name, values, of=values) for name in names}
        steps = len(next(iter(values.values())))
        keys = None if key is None else jax.random.split(key, steps)
        waiting = {name: fed[name] for name in self._sources() if name in names}
        leaving = {a for a, b in self.edges if a in names and b not in names}
        rest = tuple(
            layer.initial_state() if isinstance(layer := self.layers[i], Layer) else None
            for i in stage
        )

        def step(before: PyTree, now: PyTree) -> tuple[PyTree, tuple[PyTree, Records]]:
            states, waiting = before
            x_t, key_t = now
            made: dict[str, FloatArray] = {}
            new, records = [], {}
            for i, name, own in zip(stage, names, states, strict=True):
                brought = [] if x_t[name] is None else [x_t[name]]
                for source, target in self.edges:
                    if target == name and source in names:
                        cut = (source, target) in self.late
                        brought.append(waiting[source] if cut else made[source])
                x = _add(brought, f"layers[{i}]")[None]
                y, own, found = self._evolve_layer(i, x, own, key_t, record)
                made[name] = y[0]
                new.append(own)
                records.update({path: values[0] for path, values in found.items()})
            for name, size in zip(self._sources(), self.sizes, strict=True):
                if name in waiting and made[name].shape != size:
                    raise InputError(
                        f"`shapes`: a step of {name!r} is {made[name].shape}; got {size}"
                    )
            kept = {name: made[name] for name in leaving}
            return (tuple(new), {name: made[name] for name in waiting}), (kept, records)

        first = or_at_rest(tuple(after[i] for i in stage), rest)
        (states, waiting), (kept, records), _ = scan(step, (first, waiting), (outside, keys))
        for i, own in zip(stage, states, strict=True):
            after[i] = own
        values.update(kept)
        fed.update(waiting)
        return records

    def _sum(
        self, name: str, values: Mapping[str, FloatArray], of: Iterable[str] | None = None
    ) -> FloatArray | None:
        """The sum of what the edges bring to `name`; with `of`, of those sources, None if none."""
        sources = [source for source, target in self.edges if target == name]
        found = [values[source] for source in sources if of is None or source in of]
        if not found:
            return None
        return _add(found, self.path(name) if name in self.names else name)

    def _given(self, x: PyTree) -> dict[str, FloatArray]:
        """The inputs by name, once they are known to be all of them."""
        names = _several(self.inputs)
        given = {self.inputs: x} if isinstance(self.inputs, str) else x
        if not isinstance(given, Mapping) or set(given) != set(names):
            found = sorted(given) if isinstance(given, Mapping) else type(x).__name__
            raise InputError(f"`x` must be a dictionary with {', '.join(names)}; got {found}")
        lengths = {name: np.shape(value)[:1] for name, value in given.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"`x`: all inputs must have the same number of steps; got {lengths}")
        return dict(given)

    def _halves(self, state: PyTree) -> tuple[PyTree, tuple[FloatArray, ...]]:
        """The states of the nodes, and what waits; zeros where that is None."""
        if state is None:
            state = (None, None)
        if type(state) is not tuple or len(state) != 2:
            raise InputError(
                "`state` must be a pair, as `initial_state()` gives it: the states of the nodes "
                "and what waits in cycles"
            )
        inner, waiting = state
        if waiting is None or all(value is None for value in waiting):
            waiting = tuple(jnp.zeros(size, float_dtype(self, float)) for size in self.sizes)
        found = tuple(np.shape(value) for value in waiting)
        if found != self.sizes:
            raise InputError(
                f"`state` must hold outputs of the shapes {self.sizes} that wait; got {found}"
            )
        return inner, tuple(waiting)


def _names(given: str | Sequence[str]) -> str | tuple[str, ...]:
    return given if isinstance(given, str) else tuple(given)


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _add(values: list[FloatArray], path: str) -> FloatArray:
    shapes = [value.shape for value in values]
    if len(set(shapes)) > 1:
        raise InputError(f"all that comes together must have one shape; got {shapes}", path)
    return functools.reduce(operator.add, values)


def _size(name: str, layer: Block, shapes: Mapping[str, int | Sequence[int]]) -> tuple[int, ...]:
    found = shape_of(shapes[name]) if name in shapes else output_shape(layer)
    if found is None:
        raise ValueError(
            f"`shapes`: the shape of the output of {name!r} is needed, since it closes a cycle and "
            "does not end with neurons"
        )
    return found


def _check(
    nodes: list[str], edges: tuple[Edge, ...], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    names = [*nodes, *inputs, *outputs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"`nodes`, `inputs` and `outputs` must not share a name; got {name!r}")
    for edge in edges:
        if edges.count(edge) > 1:
            raise ValueError(f"`edges`: {edge} is given twice; scale by 2 if that is meant")
        _check_end(edge, edge[0], [*nodes, *inputs], "source")
        _check_end(edge, edge[1], [*nodes, *outputs], "target")
    for name in (*nodes, *outputs):
        if all(target != name for _, target in edges):
            raise ValueError(f"`edges`: nothing leads to {name!r}")
    for name in (*nodes, *inputs):
        if all(source != name for source, _ in edges):
            raise ValueError(f"`edges`: {name!r} leads nowhere; leave it out")


def _check_end(edge: Edge, end: str, known: list[str], kind: str) -> None:
    if end not in known:
        raise ValueError(f"`edges`: {edge} has a {kind} that is none of: {', '.join(known)}")
