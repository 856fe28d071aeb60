"""SpikingJelly 2.0: forward Euler in steps, starting at the reset potential."""

import re
from typing import Any

import numpy as np

from ..._neuron import neuron
from .._dialect import Dialect, Given
from .._wiring import Wiring

DT = 1e-4
"""The step that SpikingJelly exports with unless told otherwise."""

_NAME = re.compile(r"_\d+(_\d+)*|input_1|output")


def step_of(wiring: Wiring) -> float:
    """The dt that r or w_in tell; the exporter's own where they tell nothing."""
    for node in wiring.neurons().values():
        r = float(np.ravel(node.array("r"))[0])
        if node.kind == "IF":
            return 1 / r
        if node.kind == "CubaLIF":
            return float(np.ravel(node.array("tau_mem"))[0]) / r
        if r != 1:
            return float(np.ravel(node.array("tau"))[0]) / r
    return DT


def marks(wiring: Wiring) -> bool:
    """Whether the nodes are called as SpikingJelly's exporter calls them, and one dt fits all."""
    nodes = wiring.neurons()
    if not nodes or not all(_NAME.fullmatch(name) for name in wiring.nodes):
        return False
    dt = step_of(wiring)
    return all(_fits(node.kind, node, dt) for node in nodes.values())


def _fits(kind: str, node: Any, dt: float) -> bool:
    r = node.array("r")
    if kind == "IF":
        return bool(np.allclose(r * dt, 1))
    if kind == "LIF":
        level = np.allclose(node.array("v_leak"), node.get("v_reset", 0.0))
        return bool(level and (np.allclose(r, 1) or np.allclose(r * dt, node.array("tau"))))
    return kind == "CubaLIF" and bool(np.allclose(r * dt, node.array("tau_mem")))


def _neuron(given: Given) -> Any:
    return neuron(
        given.shape,
        dt=given.dt,
        strict=False,
        start="v_reset",
        **{**given.rates, **given.levels, **given.settings},
    )


SPIKINGJELLY = Dialect(
    name="spikingjelly",
    about="v += (v_reset - v + x)/tau, or + x undivided; fires where v >= v_threshold, then v = "
    "v_reset, where it starts too",
    neuron=_neuron,
    recognises=marks,
    dt=step_of,
)
