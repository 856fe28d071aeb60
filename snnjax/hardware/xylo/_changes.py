"""Changes of a network on its chip that are none of rounding its weights: spike caps, decays."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...decay import dash_to_tau
from ...nn import Bitshifts, Chain
from .._changes import Change, caps_in_words, with_cap
from ._map_network import caps_of, spans
from ._nodes import Node, layer_at, read
from ._spec import Spec

_EQUAL = 1e-3
"""Relative change of a time constant that is none."""


def changes(model: Chain, spec: Spec) -> list[Change]:
    """The spike caps and the decays that the integers have otherwise than the network.

    Args:
        model: the network.
        spec: its integers.
    """
    nodes = read(model)
    return [*_caps(nodes, spec), *_decays(nodes, spec)]


def _caps(nodes: Sequence[Node], spec: Spec) -> list[Change]:
    found = [
        (node, cap)
        for node, cap in caps_of(nodes, spec.chip)
        if node.neurons.settings.max_spikes != cap
    ]
    if not found:
        return []

    def make(model: Any) -> Any:
        layers = [with_cap(layer_at(model, node.places[1]), cap) for node, cap in found]
        return _with_layers(model, [node for node, _ in found], layers)

    words = [(node.path, node.neurons.settings.max_spikes, cap) for node, cap in found]
    return [Change("spike caps", caps_in_words(words), make)]


def _decays(nodes: Sequence[Node], spec: Spec) -> list[Change]:
    whole = _dashes(nodes, spec)
    worst: tuple[float, str] = 0.0, ""
    for node, dashes in zip(nodes, whole, strict=True):
        for name, tau, dash in zip(("mem", "syn"), node.neurons.taus(), dashes, strict=True):
            before = np.asarray(tau, float)
            after = np.asarray(dash_to_tau(dash, spec.dt), float)
            largest = np.maximum(np.maximum(before, after), np.finfo(float).tiny)
            off = np.abs(after - before) / largest
            at = np.unravel_index(np.argmax(off), off.shape)
            words = f"{node.path}.tau_{name} {_ms(before[at])} becomes {_ms(after[at])}"
            worst = max(worst, (float(off[at]), words))
    if worst[0] < _EQUAL:
        return []

    def make(model: Any) -> Any:
        layers = [
            eqx.tree_at(lambda m: m.leak, layer_at(model, node.places[1]), Bitshifts(*dashes))
            for node, dashes in zip(nodes, whole, strict=True)
        ]
        return _with_layers(model, nodes, layers)

    cure = "train through the plan or with `leak='bitshifts'`; `report` shows what each became"
    return [Change("decays", f"the chip has bit shifts, where {worst[1]}; {cure}", make)]


def _dashes(nodes: Sequence[Node], spec: Spec) -> list[tuple[Any, Any]]:
    """The bit shifts of the integers for each node, in the shapes and type of its own."""
    hidden = [(spec.dash_mem[own], spec.dash_syn[own]) for own in spans(nodes[:-1])]
    out = spec.dash_mem_out, spec.dash_syn_out[:, None]
    return [
        (
            jnp.asarray(mem, node.neurons.threshold.dtype),
            jnp.asarray(syn[:, : node.neurons.synapses], node.neurons.threshold.dtype),
        )
        for node, (mem, syn) in zip(nodes, [*hidden, out], strict=True)
    ]


def _with_layers(model: Any, nodes: Sequence[Node], layers: Sequence[Any]) -> Any:
    """The model with other layers of neurons in the places of nodes."""
    return eqx.tree_at(
        lambda m: [layer_at(m, node.places[1]) for node in nodes], model, list(layers)
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
