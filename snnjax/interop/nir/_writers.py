"""Files for one tool to read: its own constants, and only what it reads right."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...nn import IAF, LI, LIF, PLIF, CubaLIF, Leaky, LIFEuler
from .._neuron import NIRNeuron
from ._node import Node, Tree
from ._render_neuron import fed_back, node_of
from ._writer import (
    DENSE,
    SPIKING,
    Writer,
    close,
    fires_above,
    fires_at,
    is_strict,
    known,
    plain,
    require,
    spikes_once,
    uniform,
    zero,
)
from ._writer_spyx import SPYX

# ----- snnTorch


def _snntorch(layer: Any, dt: float) -> "Node | Tree":
    known(layer, Leaky)
    spikes_once(layer)
    require(not layer.reset_delay, "Leaky without `reset_delay` from a file")
    require(zero(layer.v_reset) and layer.min_vmem is None, "Leaky that reset to 0, unbounded")
    threshold = uniform(fires_above(layer), "threshold")
    if layer.alpha_syn is not None:
        uniform(layer.alpha_syn, "alpha_syn")
        uniform(layer.alpha_mem, "alpha_mem")
    node = node_of(layer, dt)
    full = np.full(layer.shape, threshold, np.asarray(layer.threshold).dtype)
    node = Node(node.kind, {**node.parameters, "v_threshold": full})
    return node if layer.w_rec is None else fed_back(node, np.asarray(layer.w_rec), layer.shape)


# ----- sinabs


def _sinabs(layer: Any, dt: float) -> Node:
    known(layer, IAF, Leaky, LI)
    if not isinstance(layer, IAF):
        require(len(layer.shape) == 1, f"leaky neurons in one row; these have {layer.shape}")
    if isinstance(layer, LI):
        taus = layer.taus()
        require(taus[1] is None and layer.min_vmem is None, "LI without synapse and lower bound")
        require(not layer.norm_input, "LI without `norm_input`")
        steps = np.asarray(taus[0]) / layer.dt
        return node_of(layer, layer.dt, kind="LI", tau=steps, r=1.0, v_leak=0.0)
    several = layer.settings.max_spikes == np.inf and layer.settings.reset == "subtract"
    require(several, "neurons that subtract, without a cap on spikes")
    require(layer.w_rec is None, "neurons without recurrence from a file")
    plain(layer)
    if isinstance(layer, IAF):
        bound = layer.min_vmem is not None and close(layer.min_vmem, -np.asarray(layer.threshold))
        require(bound, "IAF with `min_vmem` = -threshold")
        return node_of(layer, dt, r=1.0)
    require(
        layer.alpha_syn is None and layer.min_vmem is None and not layer.reset_delay,
        "Leaky without synapse, lower bound and `reset_delay`",
    )
    return node_of(layer, dt, tau=-1 / np.log(np.asarray(layer.alpha_mem)), r=1.0)


def _sinabs_node(node: Node) -> Node:
    if node.kind == "Linear":
        weight = node.array("weight")
        zeros = np.zeros(len(weight), weight.dtype)
        return Node("Affine", {"weight": weight, "bias": zeros})
    if node.kind == "SumPool2d":
        require(not np.any(node.parameters["padding"]), "pooling without padding")
    return node


# ----- Norse


def _norse(layer: Any, dt: float) -> Node:
    known(layer, LIFEuler)
    require(close(layer.dt, dt), f"neurons with dt={dt}; this layer has {layer.dt}")
    require(zero(layer.v_leak) and close(layer.r, 1), "neurons with r = 1 and v_leak = 0")
    spikes_once(layer)
    require(zero(layer.v_reset) and layer.w_rec is None, "LIFEuler that reset to 0, not recurrent")
    return node_of(layer, dt, v_threshold=fires_above(layer))


# ----- Rockpool


def _rockpool(layer: Any, dt: float) -> "Node | Tree":
    known(layer, LIF)
    plain(layer)
    require(layer.settings.max_spikes == 2**16, "LIF with `max_spikes` = 65536")
    require(not is_strict(layer), "LIF that fires at its threshold")
    tau_mem, bias = np.asarray(layer.taus()[0]), layer.bias
    node = node_of(
        layer,
        layer.dt,
        r=tau_mem / layer.dt - 1,
        v_leak=0.0 if bias is None else bias,
        w_in=1.0,
    )
    return node if layer.w_rec is None else fed_back(node, np.asarray(layer.w_rec), layer.shape)


# ----- SpikingJelly


def _spikingjelly(layer: Any, dt: float) -> Node:
    known(layer, LIFEuler, CubaLIF, PLIF, Leaky, IAF, NIRNeuron)
    require(getattr(layer, "threshold", None) is not None, "neurons that fire")
    spikes_once(layer)
    require(layer.w_rec is None, "neurons without recurrence from a file")
    if isinstance(layer, NIRNeuron):
        require(layer.membrane == "euler", "neurons stepped by Euler")
    require(getattr(layer, "min_vmem", None) is None, "neurons without a lower bound")
    require(not getattr(layer, "reset_delay", False), "Leaky without `reset_delay`")
    node = node_of(layer, getattr(layer, "dt", dt), v_threshold=fires_at(layer))
    values = {name: uniform(value, name) for name, value in node.parameters.items()}
    if node.kind == "LIF":
        gain = values["r"] * dt / values["tau"]
        require(close(values["r"], 1) or close(gain, 1), "neurons with r = 1 or r = tau/dt")
        require(close(values["v_leak"], values["v_reset"]), "neurons with v_leak = v_reset")
    if node.kind == "CubaLIF":
        unscaled = close(values["r"] * dt, values["tau_mem"])
        unscaled &= close(values["w_in"] * dt, values["tau_syn"]) and values["v_leak"] == 0
        require(unscaled, "synapses with r = tau_mem/dt, w_in = tau_syn/dt and v_leak = 0")
    at_rest = getattr(layer, "start", "zero") == "v_reset" or values["v_reset"] == 0
    require(at_rest, "neurons that start at v_reset")
    return node


# ----- jaxpike


def _jaxpike(layer: Any, dt: float) -> Node:
    known(layer, NIRNeuron)
    exact = layer.membrane == "exact" and layer.tau_syn is None and layer.tau_mem is not None
    require(exact and close(layer.r, 1), "neurons solved exactly, with r = 1 and no synapse")
    require(zero(layer.v_leak), "neurons with v_leak = 0")
    uniform(layer.tau_mem, "tau")
    if layer.threshold is None:
        return node_of(layer, dt)
    spikes_once(layer)
    require(zero(layer.v_reset), "neurons that reset to 0")
    return node_of(layer, dt, v_threshold=uniform(fires_above(layer), "threshold"))


WRITERS: Mapping[str, Writer] = {
    "snntorch": Writer(dt=1e-4, node=_snntorch, kinds=DENSE | SPIKING | {"Conv2d", "AvgPool2d"}),
    "sinabs": Writer(
        dt=1.0,
        node=_sinabs,
        kinds=DENSE | {"Conv2d", "SumPool2d", "Flatten", "IF", "LIF", "LI"},
        mend=_sinabs_node,
    ),
    "norse": Writer(dt=1e-3, node=_norse, kinds=DENSE | {"Conv2d", "LIF"}),
    "rockpool": Writer(dt=1e-3, node=_rockpool, kinds=DENSE | {"CubaLIF"}),
    "spikingjelly": Writer(
        dt=1e-4,
        node=_spikingjelly,
        kinds=DENSE | SPIKING | {"Conv1d", "Conv2d", "AvgPool2d", "Flatten", "IF"},
    ),
    "jaxpike": Writer(
        dt=1e-3, node=_jaxpike, kinds=DENSE | {"Conv2d", "AvgPool2d", "Flatten", "LIF", "LI"}
    ),
    "spyx": SPYX,
}
"""The tools that read NIR files, by name."""
