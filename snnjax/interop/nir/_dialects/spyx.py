"""Spyx 1.0: spikes of the membrane before the step, channels last."""

import re
from typing import Any

import numpy as np

from ....nn import Leaky, Sequential
from ..._delay import Delay
from ..._firing import Strict
from ..._neuron import neuron
from .._dialect import Dialect, Given
from .._node import DENSE, SPIKING, Node
from .._wiring import Wiring

_NAME = re.compile(r"layer_\d+(_threshold|/layer_\d+\.(lif|w_rec|input|output))?|input|output")


def marks(wiring: Wiring) -> bool:
    """Whether the nodes are called as Spyx calls them, and r is the decay of a step."""
    if not wiring.neurons() or not all(_NAME.fullmatch(name) for name in wiring.nodes):
        return False
    return all(
        (node.array("r") == 1).all() if node.kind in ("IF", "LI") else (node.array("r") < 1).all()
        for node in wiring.neurons().values()
    )


def step_of(wiring: Wiring) -> float:
    """The dt of tau = dt/(1 - r); the exporter's own, 1, where no neuron tells."""
    for node in wiring.of("LIF", "CubaLIF").values():
        tau = node.array("tau" if node.kind == "LIF" else "tau_mem").astype(np.float64)
        dt = np.median(tau * (1 - node.array("r").astype(np.float64)))
        return float(f"{dt:.5g}")
    return 1.0


def _mended(wiring: Wiring) -> Wiring:
    """Recurrent layers that the input reaches directly, and columns with channels first."""
    edges = list(wiring.edges)
    for name, node in wiring.nodes.items():
        for loop in wiring.after(name) if node.kind in SPIKING else ():
            if wiring.nodes[loop].kind in DENSE and wiring.after(loop) == [name]:
                edges = [(a, name) if b == loop and a != name else (a, b) for a, b in edges]
    columns = {
        target: _channels_first(wiring.nodes[target], node)
        for name, node in wiring.of("Flatten").items()
        for target in wiring.after(name)
        if wiring.nodes[target].kind in DENSE
    }
    return Wiring({**wiring.nodes, **columns}, tuple(edges), wiring.metadata)


def _channels_first(dense: Node, flatten: Node) -> Node:
    """Weights for flattened (channels, height, width), from those for channels last."""
    shape = flatten.parameters.get("input_type")
    if shape is None or np.size(shape) != 3:
        return dense
    channels, height, width = (int(n) for n in shape)
    order = np.arange(height * width * channels).reshape(height, width, channels)
    weight = dense.array("weight")[:, order.transpose(2, 0, 1).ravel()]
    return Node(dense.kind, {**dense.parameters, "weight": weight}, dense.metadata)


def _neuron(given: Given) -> Any:
    settings = dict(given.settings)
    if given.node.kind == "LI":
        # PSU_LIF, whose Threshold follows: v = beta*v + x.
        tau = given.array("tau")
        return neuron(given.shape, dt=given.dt, tau_mem=tau, r=tau / given.dt)
    inner = settings.pop("surrogate", None)
    synapse = given.node.kind == "CubaLIF"
    if synapse:
        settings["alpha_syn"] = 1 - given.dt / given.array("tau_syn")
    one = np.ones(())
    leaky = Leaky(
        given.shape,
        one if given.node.kind == "IF" else given.array("r"),
        threshold=given.array("v_threshold"),
        reset_delay=not synapse,
        surrogate=Strict() if inner is None else Strict(inner),
        **settings,
    )
    return Sequential(leaky, Delay(1, given.shape, leaky.threshold.dtype))


SPYX = Dialect(
    name="spyx",
    about="v = beta*v + x - s*threshold with s of v before the step: one step late; fires where v "
    "> threshold",
    neuron=_neuron,
    recognises=marks,
    dt=step_of,
    repair=_mended,
)
