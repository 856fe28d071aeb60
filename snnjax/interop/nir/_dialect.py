"""A dialect: how one tool steps NIR's neurons, and what its files do not hold."""

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ._node import Node
from ._wiring import Wiring

Settings = Mapping[str, Any]
"""Attributes of a node other than its parameters, by name."""


@dataclasses.dataclass(frozen=True)
class Given:
    """A neuron and all that is known of it.

    Attributes:
        name: the name of the node.
        node: the primitive.
        shape: shape of the population.
        settings: what the caller told, and what is assumed.
        dt: length of a step in seconds.
    """

    name: str
    node: Node
    shape: tuple[int, ...]
    settings: Settings
    dt: float

    def array(self, name: str) -> np.ndarray:
        """A parameter of the shape of the population, where it is not one number."""
        return self.fitted(self.node.array(name))

    def get(self, name: str, default: float) -> np.ndarray:
        """A parameter that a file may leave out."""
        return self.fitted(self.node.get(name, default))

    def fitted(self, value: np.ndarray) -> np.ndarray:
        """`value`, one number as such."""
        value = np.asarray(value)
        return value.reshape(()) if value.size == 1 else np.broadcast_to(value, self.shape)

    @property
    def rates(self) -> dict[str, Any]:
        """The time constants and the terms of NIR's equations, by the names of the zoo."""
        found = {"r": self.get("r", 1.0), "v_leak": self.get("v_leak", 0.0)}
        for ours, theirs in {"tau_mem": ("tau", "tau_mem"), "tau_syn": ("tau_syn",)}.items():
            for name in theirs:
                if name in self.node.parameters:
                    found[ours] = self.array(name)
        if self.node.kind.startswith("Cuba"):
            found["w_in"] = self.get("w_in", 1.0)
        return found

    @property
    def levels(self) -> dict[str, Any]:
        """The threshold and the reset potential, of neurons that fire."""
        if "v_threshold" not in self.node.parameters:
            return {}
        return {"threshold": self.array("v_threshold"), "v_reset": self.get("v_reset", 0.0)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one tool steps NIR's neurons.

    Attributes:
        name: the tool, or the rule.
        about: one step of a neuron, in a line.
        neuron: the layer of a neuron.
        lost: settings that the tool's files do not hold and that the caller must tell, by kind of
            node; with each, an example of a value.
        assumed: settings that the files do not hold and that have a value unless told otherwise.
        recognises: whether a graph bears the tool's marks.
        dt: length of a step in seconds as the graph tells it; None if it does not.
        repair: undoes what the tool distorts.
    """

    name: str
    about: str
    neuron: Callable[[Given], Any]
    lost: Mapping[str, Settings] = dataclasses.field(default_factory=dict)
    assumed: Mapping[str, Settings] = dataclasses.field(default_factory=dict)
    recognises: Callable[[Wiring], bool] = lambda wiring: False
    dt: Callable[[Wiring], float | None] = lambda wiring: None
    repair: Callable[[Wiring], Wiring] = lambda wiring: wiring


def settle(
    dialect: Dialect, wiring: Wiring, nodes: Mapping[str, Settings]
) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[str, ...]]]:
    """The settings of every node, and what its file has lost.

    Args:
        dialect: how to read the graph.
        wiring: the graph.
        nodes: settings by name of node, or by a pattern such as "*"; a later one wins.

    Raises:
        ValueError: if a name matches no node, a setting is unknown, or one is missing.
    """
    told: dict[str, dict[str, Any]] = {name: {} for name in wiring.nodes}
    for pattern, settings in nodes.items():
        found = [name for name in wiring.nodes if name == pattern]
        found = found or fnmatch.filter(list(wiring.nodes), pattern)
        if not found:
            known = ", ".join(wiring.nodes)
            raise ValueError(f"`nodes`: {pattern!r} matches none of: {known}")
        for name in found:
            told[name].update(_known(dialect, pattern, name, wiring.nodes[name].kind, settings))
    missing, losses = {}, {}
    for name, node in wiring.nodes.items():
        lost, assumed = dialect.lost.get(node.kind, {}), dialect.assumed.get(node.kind, {})
        absent = {key: value for key, value in lost.items() if key not in told[name]}
        if absent:
            missing[name] = absent
        losses[name] = tuple(
            f"{key} is not in the file; {'told' if key in told[name] else 'assumed'}: "
            f"{told[name].get(key, assumed.get(key))}"
            for key in (*lost, *assumed)
        )
        told[name] = {**assumed, **told[name]}
    if missing:
        raise ValueError(_refusal(dialect, missing))
    return told, {name: lines for name, lines in losses.items() if lines}


COMMON = ("surrogate",)
"""Settings of every neuron that fires, in every dialect."""


def _known(
    dialect: Dialect, pattern: str, name: str, kind: str, settings: Settings
) -> dict[str, Any]:
    """Those of `settings` that a node has; a pattern may tell more than some of its nodes have."""
    known = (*dialect.lost.get(kind, {}), *dialect.assumed.get(kind, {}), *COMMON)
    every = {
        key
        for table in (dialect.lost, dialect.assumed)
        for found in table.values()
        for key in found
    }
    for key in settings:
        if key not in (known if name == pattern else {*every, *COMMON}):
            raise ValueError(
                f"`nodes`: {name!r}, a {kind}, has no setting {key!r} in the dialect "
                f"{dialect.name}; it has: {', '.join(known)}"
            )
    return {key: value for key, value in settings.items() if key in known}


def _refusal(dialect: Dialect, missing: Mapping[str, Settings]) -> str:
    lines = [f"{name!r}: {', '.join(settings)}" for name, settings in missing.items()]
    example = {"*": {k: v for settings in missing.values() for k, v in settings.items()}}
    return (
        f"a file of {dialect.name} does not hold the whole network. It has lost, of node\n  "
        + "\n  ".join(lines)
        + f"\nTell them, node by node or for all, for instance: nodes={example}"
    )


def rounded_delays(wiring: Wiring, dt: float) -> dict[str, tuple[str, ...]]:
    """The delays that are no whole numbers of steps, as losses."""
    found: dict[str, tuple[str, ...]] = {}
    for name, node in wiring.of("Delay").items():
        steps = node.array("delay") / dt
        off = np.abs(steps - np.round(steps)) > _OFF
        if off.any():
            first = float(np.ravel(node.array("delay"))[np.ravel(off)][0])
            words = f"a delay of {first:g} s is no whole number of steps of {dt:g} s; assumed: "
            found[name] = (f"{words}{round(first / dt)} steps",)
    return found


_OFF = 1e-3
"""A delay that is off a whole number of steps by less is one, but for rounding."""
