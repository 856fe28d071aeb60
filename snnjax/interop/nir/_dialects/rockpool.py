"""Rockpool 3.1: exact decays, several spikes in a step, inputs of the shape (1, n)."""

from typing import Any

import numpy as np

from ....nn import LIF
from ..._neuron import neuron
from .._dialect import Dialect, Given
from .._node import Node
from .._wiring import Wiring


def step_of(wiring: Wiring) -> float | None:
    """The dt that solves r = tau*exp(-dt/tau)/dt for every neuron; None if there is none."""
    found = []
    for node in wiring.neurons().values():
        if node.kind not in ("LI", "LIF", "CubaLIF"):
            return None
        tau = node.array(_tau(node)).astype(np.float64)
        found.append(_solve(np.ravel(tau), np.ravel(node.array("r")).astype(np.float64)))
    if not found:
        return None
    steps = np.concatenate(found)
    dt = float(np.median(steps))
    return _rounded(dt) if np.allclose(steps, dt, rtol=1e-4) else None


def _solve(tau: np.ndarray, r: np.ndarray) -> np.ndarray:
    """dt of each neuron, by Newton's method on log(r*dt/tau) + dt/tau = 0; NaN if r <= 0."""
    with np.errstate(all="ignore"):
        ratio = 1 / (1 + np.where(r > 0, r, np.nan))
        for _ in range(50):
            ratio = ratio * (1 - np.log(r * ratio)) / (1 + ratio)
    return ratio * tau


def _rounded(dt: float) -> float:
    """`dt` to the five digits that float32 determines it to."""
    return float(f"{dt:.5g}")


def marks(wiring: Wiring) -> bool:
    """Whether one dt explains every r, and no accident does: by the names or by several taus."""
    nodes = wiring.neurons().values()
    if step_of(wiring) is None or all((node.array("r") == 1).all() for node in nodes):
        return False
    taus = {float(tau) for node in nodes for tau in np.ravel(node.array(_tau(node)))}
    return len(taus) > 1 or any("Torch" in name for name in wiring.nodes)


def _tau(node: Node) -> str:
    return "tau_mem" if node.kind == "CubaLIF" else "tau"


def _single_rows(wiring: Wiring) -> Wiring:
    """The graph without the leading axes of length 1 that Rockpool gives inputs and outputs."""

    def mend(node: Node) -> Node:
        shape = node.shape() or ()
        while len(shape) > 1 and shape[0] == 1:
            shape = shape[1:]
        return Node(node.kind, {"shape": np.asarray(shape)} if shape else {}, node.metadata)

    doors = wiring.of("Input", "Output")
    return wiring.replace({name: mend(node) for name, node in doors.items()})


def _neuron(given: Given) -> Any:
    settings = dict(given.settings)
    if given.node.kind == "CubaLIF":
        return LIF(
            given.shape,
            tau_mem=given.array("tau_mem"),
            tau_syn=given.array("tau_syn"),
            threshold=given.array("v_threshold"),
            dt=given.dt,
            **settings,
        )
    tau = given.array("tau")
    if given.node.kind == "LI":
        # A synapse alone: i = exp(-dt/tau)*(i + x).
        return neuron(
            given.shape,
            dt=given.dt,
            tau_mem=tau,
            r=np.exp(-given.dt / tau),
            membrane="sum",
            **settings,
        )
    bias = given.fitted(np.asarray(settings.pop("bias"))) / -np.expm1(-given.dt / tau)
    return neuron(
        given.shape,
        dt=given.dt,
        tau_mem=tau,
        v_leak=bias,
        threshold=given.array("v_threshold"),
        membrane="sum",
        strict=False,
        reset="subtract",
        **settings,
    )


ROCKPOOL = Dialect(
    name="rockpool",
    about="i = (i + x + w_rec s)*exp(-dt/tau_syn); v = v*exp(-dt/tau_mem) + i + bias; "
    "floor(v/threshold) spikes where v >= threshold; subtracts",
    neuron=_neuron,
    lost={"CubaLIF": {"bias": 0.0, "w_rec": None}, "LIF": {"bias": 0.0}},
    assumed={"CubaLIF": {"max_spikes": 2**16}, "LIF": {"max_spikes": 2**16}},
    recognises=marks,
    dt=step_of,
    repair=_single_rows,
)
