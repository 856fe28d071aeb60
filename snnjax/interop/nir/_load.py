"""NIR graphs as networks."""

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._checks import explained
from ...nn import Graph, Layer, Network, Sequential
from .._delay import Delay
from .._layers import Shift
from ._dialect import Dialect, Given, Settings, rounded_delays, settle
from ._dialects import DIALECTS
from ._node import NEURONS, Node
from ._read import read
from ._save import NOTES, from_notes
from ._static import STATIC, static_layer
from ._wiring import Wiring, check_merge, flatten

OWN = "snnjax"
"""The dialect of our own files, whose notes hold all of a network."""

Shapes = dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A network from a NIR file.

    Attributes:
        network: a `Sequential` where the graph is a chain, else a `Graph`. Its layers have the
            names of the nodes; those of graphs within are called `graph/node`.
        dialect: name of the dialect that it was read in.
        dt: length of a step in seconds; 1 where the dialect counts in steps.
        losses: what the file does not hold, by node, and what was taken instead.
        input_shape: shape of one step of the input; by name where there are several inputs.
    """

    network: Network
    dialect: str
    dt: float
    losses: Mapping[str, tuple[str, ...]]
    input_shape: Any


@explained
def load(
    source: str | os.PathLike[str] | Any,
    *,
    dt: float | None = None,
    dialect: str | None = None,
    nodes: Mapping[str, Settings] | None = None,
) -> Loaded:
    """A network from a NIR file.

    NIR holds a differential equation, and each tool that writes it steps another one. So a dialect
    says how a graph is run: the tool's name, or "euler" or "exact" for NIR's equation itself. It is
    recognised by the tool's marks on the parameters where it has any. Files also lose parts of a
    network, as reset by subtraction; a loss that changes the network must be told, node by node:

        load("net.nir", nodes={"*": {"reset": "subtract"}, "3": {"reset": "zero"}})

    Args:
        source: a path, or a `nir.NIRGraph`.
        dt: length of a step in seconds, for the dialects whose files do not tell it.
        dialect: how to run the graph: see `DIALECTS`.
        nodes: settings by name of node, or by a pattern such as "*"; a later entry wins.

    Returns:
        The network, the dialect, dt, and the losses by node. A value that was assumed is also a
        warning.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, if the dialect or dt is not determined, or if it has lost what
            must be told. The message names the file and the nodes.
        ImportError: if the extra `nir` is not installed.
    """
    tree, name = read(source)
    try:
        if dialect in (None, OWN) and NOTES in tree.metadata:
            network, step, shape = from_notes(tree)
            return Loaded(network, OWN, step, {}, shape)
        wiring = flatten(tree)
        chosen = _dialect(wiring, dialect)
        step = _step(chosen, wiring, dt)
        wiring = chosen.repair(_cast(wiring))
        settings, losses = settle(chosen, wiring, nodes or {})
        losses |= rounded_delays(wiring, step)
        network, shape = _network(chosen, wiring, settings, step)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    _warn(name, chosen, losses)
    return Loaded(network, chosen.name, step, losses, shape)


def _dialect(wiring: Wiring, given: str | None) -> Dialect:
    if given is not None:
        if given not in DIALECTS:
            raise ValueError(f"`dialect` must be one of {', '.join(DIALECTS)}; got {given!r}")
        return DIALECTS[given]
    found = [dialect for dialect in DIALECTS.values() if dialect.recognises(wiring)]
    if len(found) == 1:
        return found[0]
    if not wiring.neurons():
        return DIALECTS["euler"]
    if any(dialect.name == "spikingjelly" for dialect in found):
        return DIALECTS["spikingjelly"]
    which = " and ".join(dialect.name for dialect in found)
    why = f"it bears the marks of {which}" if found else "it bears no tool's marks"
    listed = "\n  ".join(f"{dialect.name}: {dialect.about}" for dialect in DIALECTS.values())
    raise ValueError(
        f"how the graph is to be run is not in it: {why}. Say it with `dialect`:\n  {listed}"
    )


def _step(dialect: Dialect, wiring: Wiring, given: float | None) -> float:
    if given is not None:
        if not 0 < given < np.inf:
            raise ValueError(f"`dt` must be above 0 and finite; got {given!r}")
        return float(given)
    found = dialect.dt(wiring)
    if found is None:
        if not wiring.of(*NEURONS, "Delay"):
            return 1.0
        raise ValueError(f"`dt` is needed: a graph of {dialect.name} does not hold it")
    return found


def _cast(wiring: Wiring) -> Wiring:
    """The graph with all numbers in JAX's own precision: float32, or float64 where it is on."""
    dtype = jnp.zeros(()).dtype

    def cast(value: Any) -> Any:
        floating = isinstance(value, float | np.floating) or (
            isinstance(value, np.ndarray) and value.dtype.kind == "f"
        )
        return np.asarray(value, dtype) if floating else value

    return wiring.replace(
        {
            name: Node(node.kind, {k: cast(v) for k, v in node.parameters.items()}, node.metadata)
            for name, node in wiring.nodes.items()
        }
    )


def _warn(name: str, dialect: Dialect, losses: Mapping[str, tuple[str, ...]]) -> None:
    for node, lines in losses.items():
        assumed = [line for line in lines if "assumed" in line]
        if assumed:
            text = "; ".join(assumed)
            warnings.warn(f"{name}, node {node!r} of {dialect.name}: {text}", stacklevel=4)


def _network(
    dialect: Dialect, wiring: Wiring, settings: Mapping[str, Settings], dt: float
) -> tuple[Network, Any]:
    """The network, and the shape of one step of its input."""
    wiring, settings = _fold_feedback(wiring, settings)
    layers, shapes = _layers(dialect, wiring, settings, dt)
    inputs, outputs = list(wiring.of("Input")), list(wiring.of("Output"))
    for name in outputs:
        _check_output(name, wiring, shapes)
    shape = shapes[inputs[0]] if len(inputs) == 1 else {name: shapes[name] for name in inputs}
    order = _chain(wiring) if len(inputs) == len(outputs) == 1 else None
    if order:
        return Sequential(*((name, layers[name]) for name in order)), shape
    graph = Graph(
        layers,
        wiring.edges,
        inputs=inputs[0] if len(inputs) == 1 else inputs,
        outputs=outputs[0] if len(outputs) == 1 else outputs,
        shapes={name: shapes[name] for name in layers},
    )
    return graph, shape


def _chain(wiring: Wiring) -> list[str] | None:
    """The nodes from the one input to the one output, if that is all there is."""
    (name,) = wiring.of("Input")
    order: list[str] = []
    while len(after := wiring.after(name)) == 1 and after[0] not in order:
        (name,) = after
        order.append(name)
    within = order[:-1]
    whole = order and wiring.nodes[order[-1]].kind == "Output"
    return within if whole and len(within) == len(wiring.nodes) - 2 and within else None


def _fold_feedback(
    wiring: Wiring, settings: Mapping[str, Settings]
) -> tuple[Wiring, Mapping[str, Settings]]:
    """Neurons whose feedback is a matrix of their own take it as `w_rec`.

    A bias of the feedback stays as a node on the way of the other inputs.
    """
    nodes, edges, told = dict(wiring.nodes), list(wiring.edges), dict(settings)
    for name, loop in wiring.feedback().items():
        dense = nodes.pop(loop)
        edges = [edge for edge in edges if loop not in edge]
        told[name] = {**told[name], "w_rec": dense.array("weight").T}
        if dense.kind == "Affine":
            nodes[loop] = Node("Shift", {"bias": dense.array("bias")})
            edges = [(a, loop) if b == name else (a, b) for a, b in edges] + [(loop, name)]
            told[loop] = {}
    return Wiring(nodes, tuple(edges), wiring.metadata), told


def _layers(
    dialect: Dialect, wiring: Wiring, settings: Mapping[str, Settings], dt: float
) -> tuple[dict[str, Callable[..., Any]], Shapes]:
    """The layers, made in the order that shapes pass, and the shape of each output."""
    shapes: Shapes = {}
    for name, node in wiring.of("Input").items():
        shapes[name] = _input_shape(name, node, wiring)
    names = [name for name, node in wiring.nodes.items() if node.kind not in ("Input", "Output")]
    made: dict[str, Callable[..., Any]] = {}
    todo = list(names)
    while todo:
        ready = [name for name in todo if any(a in shapes for a in wiring.before(name))]
        if not ready:
            raise ValueError(f"no input reaches {todo[0]!r}")
        name = ready[0]
        todo.remove(name)
        shape = next(shapes[a] for a in wiring.before(name) if a in shapes)
        made[name] = _layer(dialect, name, wiring.nodes[name], shape, settings[name], dt)
        shapes[name] = _output_shape(name, made[name], shape)
    for name in names:
        check_merge(name, {a: shapes[a] for a in wiring.before(name)})
    return {name: made[name] for name in names}, shapes


def _input_shape(name: str, node: Node, wiring: Wiring) -> tuple[int, ...]:
    shape = node.shape()
    if shape is not None:
        return shape
    for after in wiring.after(name):
        node = wiring.nodes[after]
        if "weight" in node.parameters and node.kind in ("Affine", "Linear"):
            weight = node.array("weight")
            return (*weight.shape[:-2], weight.shape[-1])
        sizes = [np.shape(value) for value in node.parameters.values() if np.ndim(value)]
        if node.kind in NEURONS and sizes:
            return sizes[0]
    raise ValueError(f"Input {name!r} has no shape")


def _layer(
    dialect: Dialect,
    name: str,
    node: Node,
    shape: tuple[int, ...],
    settings: Settings,
    dt: float,
) -> Callable[..., Any]:
    try:
        if node.kind in STATIC:
            replaced = {k: v for k, v in settings.items() if k in node.parameters}
            changed = Node(node.kind, {**node.parameters, **replaced}, node.metadata)
            return static_layer(changed, shape)
        if node.kind == "Shift":
            return Shift(jnp.asarray(node.array("bias")))
        if node.kind == "Delay":
            steps = np.round(node.array("delay") / dt).astype(int)
            return Delay(steps, shape, jnp.asarray(node.array("delay")).dtype)
        sizes = {np.shape(v) for v in node.parameters.values() if np.size(v) > 1}
        for size in sizes - {shape}:
            raise ValueError(f"parameters of the shape {size} do not fit an input of {shape}")
        known = {k: v for k, v in settings.items() if k not in COMMON_UNUSED or v is not None}
        return dialect.neuron(Given(name, node, shape, known, dt))
    except (ValueError, TypeError) as error:
        raise ValueError(f"node {name!r}, a {node.kind}: {error}") from None


COMMON_UNUSED = ("surrogate", "w_rec")


def _output_shape(name: str, layer: Callable[..., Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layer, Layer):
        return shape
    try:
        x = jax.ShapeDtypeStruct(shape, _dtype(layer))
        return tuple(eqx.filter_eval_shape(layer, x).shape)
    except (ValueError, TypeError) as error:
        raise ValueError(f"node {name!r} does not take an input of {shape}: {error}") from None


def _dtype(layer: Any) -> Any:
    leaves = [leaf for leaf in jax.tree.leaves(layer) if eqx.is_inexact_array(leaf)]
    return leaves[0].dtype if leaves else jnp.float32


def _check_output(name: str, wiring: Wiring, shapes: Shapes) -> None:
    wanted = wiring.nodes[name].shape()
    for source in wiring.before(name):
        found = shapes[source]
        if wanted is not None and wanted != found:
            raise ValueError(f"Output {name!r} has the shape {wanted}; {source!r} gives {found}")
