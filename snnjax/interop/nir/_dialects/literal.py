"""NIR's equations themselves, stepped by forward Euler or exactly."""

import functools
from typing import Any

import numpy as np

from ....nn import CubaLIF, LIFEuler
from ..._firing import Strict
from ..._neuron import neuron
from .._dialect import Dialect, Given


def _neuron(given: Given, *, membrane: Any) -> Any:
    settings = {**given.rates, **given.levels, **given.settings}
    if membrane == "euler" and given.node.kind in ("LIF", "CubaLIF"):
        return euler_layer(given, settings)
    return neuron(given.shape, dt=given.dt, membrane=membrane, synapse=membrane, **settings)


def euler_layer(given: Given, settings: dict[str, Any], *, strict: bool = True) -> Any:
    """The layer of the zoo that is stepped by Euler, where it takes the thresholds."""
    if (np.asarray(settings["threshold"]) <= 0).any():
        return neuron(given.shape, dt=given.dt, strict=strict, **settings)
    layer = LIFEuler if given.node.kind == "LIF" else CubaLIF
    if strict:
        inner = settings.pop("surrogate", None)
        settings["surrogate"] = Strict() if inner is None else Strict(inner)
    return layer(given.shape, dt=given.dt, **settings)


EULER = Dialect(
    name="euler",
    about="NIR's equation by forward Euler; fires where v > v_threshold, then v = v_reset",
    neuron=functools.partial(_neuron, membrane="euler"),
)

EXACT = Dialect(
    name="exact",
    about="NIR's equation solved exactly, inputs held over a step; fires where v > v_threshold",
    neuron=functools.partial(_neuron, membrane="exact"),
)

JAXPIKE = Dialect(
    name="jaxpike",
    about="v = a*v + (1 - a)*x with a = exp(-dt/tau); fires where v > threshold, then v = 0",
    neuron=functools.partial(_neuron, membrane="exact"),
)
