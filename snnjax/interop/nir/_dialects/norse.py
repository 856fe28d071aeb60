"""Norse 1.1: forward Euler, its time constants multiplied by dt once too often in its files."""

from typing import Any

import numpy as np

from ..._neuron import neuron
from .._dialect import Dialect, Given
from .._node import Node
from .._wiring import Wiring
from .literal import euler_layer

DT = 1e-3
"""The step that Norse has by default."""

LONGEST = 1.0
"""No membrane is slower, in seconds: a file with shorter ones than DT*LONGEST may be Norse's."""


def marks(wiring: Wiring) -> bool:
    """Whether all time constants are far below a step, and r and w_in are 1."""
    taus = []
    for node in wiring.neurons().values():
        if (node.array("r") != 1).any() or (node.get("w_in", 1.0) != 1).any():
            return False
        taus += [node.array(name) for name in node.parameters if name.startswith("tau")]
    return bool(taus) and all((tau < DT * LONGEST).all() for tau in taus) and _slow_enough(taus)


def _slow_enough(taus: list[np.ndarray]) -> bool:
    """Whether none would be shorter than a step once mended, so that Euler's steps are stable."""
    return all((tau / DT > DT / 2).all() for tau in taus)


def _mended(wiring: Wiring) -> Wiring:
    """The graph with the time constants that Norse had."""

    def mend(node: Node) -> Node:
        taus = {k: np.asarray(v) / DT for k, v in node.parameters.items() if k.startswith("tau")}
        return Node(node.kind, {**node.parameters, **taus}, node.metadata)

    mended = wiring.replace({name: mend(node) for name, node in wiring.neurons().items()})
    return mended.without_zero_biases()


def _neuron(given: Given) -> Any:
    settings = {**given.rates, **given.levels, **given.settings}
    if given.node.kind == "IF":
        return neuron(given.shape, dt=given.dt, **{**settings, "r": 1 / given.dt})
    if given.node.kind == "CubaLIF":
        settings["w_in"] = settings["tau_syn"] / given.dt
    if given.node.kind == "LI" or settings["v_leak"].any():
        return neuron(given.shape, dt=given.dt, start="v_leak", **settings)
    return euler_layer(given, settings)


_NEURON = {"v_reset": 0.0}

NORSE = Dialect(
    name="norse",
    about="i += x; v += dt/tau_mem*(v_leak - v + i); i *= 1 - dt/tau_syn; fires where v > "
    "v_threshold, then v = v_reset",
    neuron=_neuron,
    lost={"IF": _NEURON, "LIF": _NEURON, "CubaLIF": _NEURON},
    recognises=marks,
    dt=lambda wiring: DT,
    repair=_mended,
)
