"""snnTorch 1.0: decays without a unit, written for a step of 0.1 ms."""

from typing import Any

import numpy as np

from ..._firing import Strict
from ..._snntorch import snntorch_neuron
from .._dialect import Dialect, Given
from .._wiring import Wiring

DT = 1e-4
"""The step that snnTorch writes time constants for."""


def marks(wiring: Wiring, r_of_tau: str = "tau") -> bool:
    """Whether every neuron has r = tau/dt and w_in = tau_syn/dt for snnTorch's dt."""
    for node in wiring.neurons().values():
        if node.kind not in ("LIF", "CubaLIF") or (node.array("v_leak") != 0).any():
            return False
        tau = node.array("tau" if node.kind == "LIF" else "tau_mem")
        if not np.allclose(node.array("r") * DT, tau, rtol=1e-3):
            return False
        if node.kind == "CubaLIF" and not np.allclose(
            node.get("w_in", 1.0) * DT, node.array("tau_syn"), rtol=1e-3
        ):
            return False
    return bool(wiring.neurons())


def _neuron(given: Given) -> Any:
    settings = dict(given.settings)
    inner = settings.pop("surrogate", None)
    if given.node.kind == "CubaLIF":
        settings["alpha_syn"] = 1 - DT / given.array("tau_syn")
        tau = given.array("tau_mem")
    else:
        tau = given.array("tau")
    return snntorch_neuron(
        given.shape,
        1 - DT / tau,
        threshold=given.array("v_threshold"),
        surrogate=Strict() if inner is None else Strict(inner),
        **settings,
    )


_NEURON = {"reset": "subtract"}
_DEFAULTS = {"reset_delay": True}

SNNTORCH = Dialect(
    name="snntorch",
    about="v = beta*v + x, or + i with i = alpha*i + x; fires where v > threshold; reset a step "
    "later",
    neuron=_neuron,
    lost={"LIF": _NEURON, "CubaLIF": _NEURON},
    assumed={"LIF": _DEFAULTS, "CubaLIF": _DEFAULTS, "AvgPool2d": {"padding": 0}},
    recognises=marks,
    dt=lambda wiring: DT,
)
