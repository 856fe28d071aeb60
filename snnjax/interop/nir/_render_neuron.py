"""Layers of neurons as NIR's nodes, with the constants that give their steps by forward Euler.

A step of a layer that counts in steps is one of forward Euler for r = tau/dt, w_in = tau_syn/dt and
tau = dt/(1 - alpha): NIR's equation then says what the layer does between spikes. What happens at a
spike, and what NIR has no parameter for, is in the notes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...nn import IAF, LI, LIF, PLIF, CubaLIF, Leaky, LIFEuler
from .._delay import Delay
from .._neuron import NIRNeuron
from ._node import Node, Tree

Shape = tuple[int, ...]


def neuron_node(layer: Any, dt: float) -> "Node | Tree":
    """The node of a layer of neurons, or the graph of one whose spikes come back to it.

    Args:
        layer: a layer of neurons.
        dt: length of a step in seconds, for the layers that have none.

    Raises:
        ValueError: if NIR cannot say what it does; the message says what that is.
    """
    if getattr(layer, "on_state", None) is not None:
        raise ValueError("its states have transforms, which NIR does not have; apply no plan first")
    node = node_of(layer, getattr(layer, "dt", dt))
    w_rec = getattr(layer, "w_rec", None)
    return node if w_rec is None else fed_back(node, np.asarray(w_rec), layer.shape)


def node_of(layer: Any, dt: float, kind: str | None = None, **instead: Any) -> Node:
    """The node of a layer without its recurrence, with some parameters or the kind replaced."""
    for cls, render in _NODES.items():
        if isinstance(layer, cls):
            node = render(layer, dt)
            replaced = {name: _full(value, layer.shape) for name, value in instead.items()}
            dtypes = {k: np.asarray(v).dtype for k, v in node.parameters.items()}
            cast = {k: v.astype(dtypes.get(k, v.dtype)) for k, v in replaced.items()}
            return Node(kind or node.kind, {**node.parameters, **cast})
    raise ValueError(_CANNOT.get(type(layer).__name__, f"NIR has no {type(layer).__name__}"))


_CANNOT = {
    "ALIF": "NIR has no threshold that adapts",
    "DSRIF": "a DSR layer is none of neurons with a step; `fold_dsr` makes it one",
    "DSRLIF": "a DSR layer is none of neurons with a step; `fold_dsr` makes it one",
}


def _full(value: Any, shape: Shape) -> np.ndarray:
    return np.array(np.broadcast_to(np.asarray(value), shape))


def _node(kind: str, shape: Shape, **parameters: Any) -> Node:
    return Node(kind, {name: _full(value, shape) for name, value in parameters.items()})


def _levels(layer: Any) -> dict[str, Any]:
    v_reset = getattr(layer, "v_reset", None)
    zero = np.zeros((), np.asarray(layer.threshold).dtype)
    return {"v_threshold": layer.threshold, "v_reset": zero if v_reset is None else v_reset}


def _tau(alpha: Any, dt: float) -> np.ndarray:
    alpha = np.asarray(alpha)
    if (alpha > 1).any():
        raise ValueError(f"NIR has no membrane that grows by itself; alpha is {alpha.max()}")
    # A membrane that never decays: 1 - dt/tau still rounds to 1, and r = tau/dt is finite.
    return dt / np.maximum(1 - alpha, np.finfo(alpha.dtype).eps / 4)


def _iaf(layer: IAF, dt: float) -> Node:
    return _node("IF", layer.shape, r=np.asarray(1 / dt, np.float32), **_levels(layer))


def _leaky(layer: Leaky, dt: float) -> Node:
    tau = _tau(layer.alpha_mem, dt)
    rates = {"r": tau / dt, "v_leak": np.zeros_like(tau)}
    if layer.alpha_syn is None:
        return _node("LIF", layer.shape, tau=tau, **rates, **_levels(layer))
    tau_syn = _tau(layer.alpha_syn, dt)
    return _node(
        "CubaLIF",
        layer.shape,
        tau_mem=tau,
        tau_syn=tau_syn,
        w_in=tau_syn / dt,
        **rates,
        **_levels(layer),
    )


def _lif(layer: LIF, dt: float) -> Node:
    tau_mem, tau_syn = (np.asarray(tau) for tau in layer.taus())
    if tau_syn.shape[-1:] != (1,) and tau_syn.ndim > len(layer.shape):
        raise ValueError(
            f"NIR's neurons have one synapse; this layer has {tau_syn.shape[-1]} for each"
        )
    tau_syn = tau_syn.reshape(tau_syn.shape[: len(layer.shape)])
    bias = np.zeros((), tau_mem.dtype) if layer.bias is None else np.asarray(layer.bias)
    return _node(
        "CubaLIF",
        layer.shape,
        tau_mem=tau_mem,
        tau_syn=tau_syn,
        r=tau_mem / dt,
        w_in=tau_syn / dt,
        v_leak=bias * tau_mem / dt,
        **_levels(layer),
    )


def _lif_euler(layer: LIFEuler, dt: float) -> Node:
    rates = {"tau": layer.tau_mem, "r": layer.r, "v_leak": layer.v_leak}
    return _node("LIF", layer.shape, **rates, **_levels(layer))


def _cubalif(layer: CubaLIF, dt: float) -> Node:
    taus = {"tau_mem": layer.tau_mem, "tau_syn": layer.tau_syn, "w_in": layer.w_in}
    return _node("CubaLIF", layer.shape, r=layer.r, v_leak=layer.v_leak, **taus, **_levels(layer))


def _plif(layer: PLIF, dt: float) -> Node:
    tau = np.asarray(layer.tau)
    levels = _levels(layer)
    rates = {"tau": tau * dt, "r": np.ones_like(tau) if layer.decay_input else tau}
    return _node("LIF", layer.shape, v_leak=levels["v_reset"], **rates, **levels)


def _li(layer: LI, dt: float) -> Node:
    tau_mem, tau_syn = (None if tau is None else np.asarray(tau) for tau in layer.taus())
    r = np.ones_like(tau_mem) if layer.norm_input else tau_mem / dt
    rates = {"r": r, "v_leak": np.zeros_like(tau_mem)}
    if tau_syn is None:
        return _node("LI", layer.shape, tau=tau_mem, **rates)
    return _node(
        "CubaLI", layer.shape, tau_mem=tau_mem, tau_syn=tau_syn, w_in=tau_syn / dt, **rates
    )


def _own(layer: NIRNeuron, dt: float) -> Node:
    parameters: dict[str, Any] = {"r": layer.r}
    synapse = layer.tau_syn is not None
    if layer.tau_mem is not None:
        parameters |= {"tau_mem" if synapse else "tau": layer.tau_mem, "v_leak": layer.v_leak}
    if synapse:
        parameters |= {"tau_syn": layer.tau_syn, "w_in": layer.w_in}
    if layer.threshold is not None:
        parameters |= _levels(layer)
    kind = "I" if layer.tau_mem is None else "LI"
    kind += "F" * (layer.threshold is not None)
    return _node(f"Cuba{kind}" if synapse else kind, layer.shape, **parameters)


def _delay(layer: Delay, dt: float) -> Node:
    return Node("Delay", {"delay": np.asarray(layer.steps) * dt})


def fed_back(node: Node, w_rec: np.ndarray, shape: Shape) -> Tree:
    """A graph of a neuron and the matrix or convolution from its spikes to its input."""
    if w_rec.ndim == 2:
        if len(shape) > 1:
            raise ValueError(f"NIR has no matrix between neurons in the shape {shape}")
        back = Node("Linear", {"weight": np.array(w_rec.T)})
    elif w_rec.ndim in (3, 4):
        zeros = np.zeros(len(w_rec), w_rec.dtype)
        one, spatial = (1, shape[1]) if w_rec.ndim == 3 else ((1, 1), tuple(shape[1:]))
        sizes = {"stride": one, "dilation": one, "groups": 1, "padding": "same"}
        parameters = {"weight": w_rec, "bias": zeros, "input_shape": spatial, **sizes}
        back = Node(f"Conv{w_rec.ndim - 2}d", parameters)
    else:
        raise ValueError(f"NIR has no convolution over {w_rec.ndim - 2} axes")
    door = {"shape": np.asarray(shape)}
    nodes = {
        "input": Node("Input", door),
        "neuron": node,
        "w_rec": back,
        "output": Node("Output", door),
    }
    edges = [("input", "neuron"), ("neuron", "w_rec"), ("w_rec", "neuron"), ("neuron", "output")]
    return Tree(nodes, tuple(edges), {})


_NODES: Mapping[type[Any], Callable[[Any, float], Node]] = {
    IAF: _iaf,
    Leaky: _leaky,
    LIF: _lif,
    LIFEuler: _lif_euler,
    CubaLIF: _cubalif,
    PLIF: _plif,
    LI: _li,
    NIRNeuron: _own,
    Delay: _delay,
}
