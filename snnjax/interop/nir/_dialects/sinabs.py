"""sinabs 3.1: time constants in steps, several spikes in a step."""

from typing import Any

import numpy as np

from ....nn import IAF, LI
from ..._neuron import neuron
from .._dialect import Dialect, Given
from .._wiring import Wiring


def marks(wiring: Wiring) -> bool:
    """Whether time constants are of a step or more, or neurons without any sum what pools sum."""
    nodes = wiring.neurons().values()
    if not nodes or any(node.kind not in ("IF", "LIF", "LI") for node in nodes):
        return False
    if any((node.array("r") != 1).any() for node in nodes):
        return False
    if all(node.kind == "IF" for node in nodes):
        return bool(wiring.of("SumPool2d"))
    leaky = [node for node in nodes if node.kind != "IF"]
    return all((node.array("tau") >= 1).all() and not node.array("v_leak").any() for node in leaky)


def _neuron(given: Given) -> Any:
    settings = dict(given.settings)
    if given.node.kind == "IF":
        return IAF(given.shape, threshold=given.array("v_threshold"), **settings)
    tau_mem = given.array("tau") * given.dt
    tau_syn = settings.pop("tau_syn")
    tau_syn = None if tau_syn is None else given.fitted(np.asarray(tau_syn)) * given.dt
    norm = settings.pop("norm_input")
    if given.node.kind == "LI":
        return LI(
            given.shape,
            tau_mem=tau_mem,
            tau_syn=tau_syn,
            norm_input=norm,
            dt=given.dt,
            **settings,
        )
    cap = settings.pop("max_spikes")
    return neuron(
        given.shape,
        dt=given.dt,
        tau_mem=tau_mem,
        tau_syn=tau_syn,
        membrane="exact" if norm else "sum",
        synapse="decayed",
        threshold=given.array("v_threshold"),
        strict=False,
        max_spikes=float("inf") if cap is None else cap,
        **settings,
    )


_IAF = {"reset": "subtract", "max_spikes": None, "min_vmem": None}
_LEAK = {"tau_syn": None, "norm_input": True, "min_vmem": None}

SINABS = Dialect(
    name="sinabs",
    about="v = a*v + (1 - a)*i or + i; floor(v/threshold) spikes where v >= threshold; subtracts",
    neuron=_neuron,
    lost={"IF": _IAF, "LIF": {**_IAF, **_LEAK}, "LI": _LEAK},
    recognises=marks,
    repair=Wiring.without_zero_biases,
    dt=lambda wiring: 1.0,
)
