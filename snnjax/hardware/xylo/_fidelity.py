"""The difference between a network and its integers, layer by layer."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from ..._checks import explained
from ...nn import Chain
from .._causes import UNKNOWN, lost_scale, why_saturated
from .._fidelity import (
    Fidelity,
    LayerFidelity,
    LayerTrace,
    as_recordings,
    compare_answers,
    compare_layer,
    run_network,
)
from ._check import require_integers
from ._map_network import lay_out, spans
from ._nodes import Node, read
from ._simulate import simulate
from ._spec import Spec

_TOO_MUCH = "its synaptic current is cut: too many events come in at once for its weights and decay"


@explained
def fidelity(
    model: Chain, spec: Spec, raster: ArrayLike, labels: ArrayLike | None = None
) -> Fidelity:
    """Run recordings through a network and through its integers, and compare.

    An answer is the readout neuron that spikes most, or has the highest membrane potential on
    average if the network gives potentials.

    Args:
        model: the network, as it was mapped. Dropout is off.
        spec: its integers.
        raster: numbers of events, `(time, inputs)` or `(batch, time, inputs)`.
        labels: the right answer of each recording, to compare accuracies as well.

    Raises:
        TypeError, ValueError: if `map_network` or `simulate` refuses `model`, `spec` or `raster`,
            if `spec` does not have the neurons of `model`, or if there is no recording of a step or
            more, or not one label of a class for each.

    Warns:
        MappingWarning: if the raster has more events than an input channel takes in a step.
    """
    nodes = read(model)
    require_integers(spec)
    _require_the_same_neurons(nodes, spec)
    events = as_recordings(raster, (spec.n_inputs,), labels, classes=spec.n_outputs)
    late = nodes[-1].lag
    trace = jax.tree.map(np.asarray, simulate(spec, np.pad(events, ((0, 0), (0, late), (0, 0)))))
    records = jax.tree.map(np.asarray, run_network(model, events.astype(np.float32)))
    layers = _layers(nodes, spec, trace, records, events.shape[1])
    readout = nodes[-1]
    kind = "output" if readout.neurons.settings.output == "spikes" else "vmem"
    answers = records[f"{readout.path}.{kind}"].sum(1).argmax(-1)
    theirs = trace.spikes_out if kind == "output" else trace.vmem_out
    answers_integers = theirs[:, late:].sum(1).argmax(-1)
    cut_events = int(np.asarray(trace.cut_events).sum(dtype=np.int64))
    return compare_answers(layers, answers, answers_integers, labels, cut_events=cut_events)


def _require_the_same_neurons(nodes: Sequence[Node], spec: Spec) -> None:
    *hidden, readout = (node.size for node in nodes)
    if (sum(hidden), readout) != (spec.n_hidden, spec.n_outputs):
        raise ValueError(
            f"`spec` has {spec.n_hidden} hidden and {spec.n_outputs} output neurons, but `model` "
            f"{sum(hidden)} and {readout}; give the integers of this network"
        )


def _layers(
    nodes: Sequence[Node], spec: Spec, trace: Any, records: dict[str, Any], steps: int
) -> tuple[LayerFidelity, ...]:
    parts, clipped = spans(nodes[:-1]), _clipped(nodes, spec)
    layers = []
    for node, own in zip(nodes, [*parts, None], strict=True):
        at = slice(node.lag, node.lag + steps)
        integers, isyn, dash, cap = _of_integers(node, own, spec, trace, at, parts)
        limits = -1 - spec.chip.max_state, spec.chip.max_state
        currents = _saturated_currents(isyn, dash, limits)
        cut = dict.fromkeys(np.flatnonzero(currents.any((0, 1, 3))).tolist(), _TOO_MUCH)
        layers.append(
            compare_layer(
                node.path,
                _of_network(node, records),
                integers,
                why_silent=functools.partial(why_silent, spec, own),
                saturated=why_saturated(integers.charged, limits, cap) | cut,
                saturated_states=int(currents.sum() + np.isin(integers.charged, limits).sum()),
                at_cap=int((integers.spikes == cap).sum()) if cap > 1 else 0,
                clipped=int((clipped[1] if own is None else clipped[0][own]).sum()),
            )
        )
    return tuple(layers)


def _of_network(node: Node, records: dict[str, Any]) -> LayerTrace:
    """The spikes and potentials of a node in the network, whichever of them it gives."""
    spikes, vmem = (records[f"{node.path}.{name}"] for name in ("spikes", "vmem"))
    return LayerTrace(spikes, vmem, np.asarray(node.neurons.threshold))


def _of_integers(
    node: Node, own: slice | None, spec: Spec, trace: Any, at: slice, parts: Sequence[slice]
) -> tuple[LayerTrace, np.ndarray, np.ndarray, int]:
    """Spikes and potentials of a node in integers, its currents, their dashes, and its cap.

    `own` is its place among the hidden neurons, None for the readout.
    """
    if own is None:
        found = LayerTrace(
            trace.spikes_out[:, at], trace.vmem_out[:, at], np.asarray(spec.threshold_out)
        )
        isyn, dash = trace.isyn_out[:, at, :, None], np.asarray(spec.dash_syn_out)[:, None]
        return found, isyn, dash, spec.chip.max_spikes_out
    cap = spec.chip.max_spikes_hidden
    handed = sum(trace.spikes[:, at, parts[i]] for i in node.skips)
    spikes = trace.spikes[:, at, own] - np.minimum(handed, cap)
    found = LayerTrace(spikes, trace.vmem[:, at, own], np.asarray(spec.threshold[own]))
    return found, trace.isyn[:, at, own], np.asarray(spec.dash_syn[own]), cap


def _saturated_currents(isyn: np.ndarray, dash: np.ndarray, limits: tuple[int, int]) -> np.ndarray:
    """Whether each synaptic current was at a limit of the chip before its decay.

    Currents are recorded after their decay, so they are compared with the decayed limits.
    """
    left = [limit - (limit >> dash) for limit in limits]
    return np.isin(dash, 0, invert=True) & ((isyn == left[0]) | (isyn == left[1]))


def _clipped(nodes: Sequence[Node], spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """How many weights of each hidden and output neuron are beyond what their bits hold.

    The scale of a neuron is that of its threshold, as exactly as rounding left that: only weights
    that are beyond at every scale it may be count. Without a threshold none do.
    """
    mapped = lay_out(nodes, spec.chip)

    def of(names: Sequence[str], threshold: str) -> np.ndarray:
        whole, real = (np.asarray(getattr(x, threshold), float) for x in (spec, mapped))
        counts = np.zeros(len(whole), int)
        for name in names:
            shift = getattr(spec, name.replace("w_", "weight_shift_"))
            weights = np.moveaxis(np.abs(np.asarray(getattr(mapped, name))), 1, -1)
            at_least = weights * ((whole - 0.5) / real / 2**shift)
            beyond = at_least > np.abs(np.asarray(getattr(spec, name))).max() + 0.5
            counts += beyond.sum(tuple(range(weights.ndim - 1)))
        return counts

    return of(("w_in", "w_rec"), "threshold"), of(("w_out",), "threshold_out")


def why_silent(spec: Spec, layer: slice | None, neuron: int) -> str:
    """The likely cause that a neuron which fires in the network does not in integers.

    Args:
        spec: the integers.
        layer: where its layer lies among the hidden neurons; None for the readout.
        neuron: its number within the layer.
    """
    if layer is None:
        weights = np.asarray(spec.w_out)[:, neuron] << spec.weight_shift_out
        dash = np.asarray(spec.dash_syn_out)[neuron]
        threshold, bias, dash_mem = spec.threshold_out, spec.bias_out, spec.dash_mem_out
    else:
        neuron += layer.start
        w_in = np.asarray(spec.w_in)[:, neuron] << spec.weight_shift_in
        w_rec = np.asarray(spec.w_rec)[:, neuron] << spec.weight_shift_rec
        weights, dash = np.concatenate([w_in, w_rec]), np.asarray(spec.dash_syn)[neuron]
        threshold, bias, dash_mem = spec.threshold, spec.bias, spec.dash_mem
    if not np.all(dash):
        return "a dash of 0 clears its synaptic current at every step"
    lost = lost_scale(weights)
    if lost is not None:
        return lost
    # What an event of every source at every step comes to, if the rest is not inhibited.
    excited, limit = int(weights[weights > 0].sum()), int(threshold[neuron])
    push = 0 if bias is None else max(int(bias[neuron]), 0)
    if (excited * 2.0 ** np.max(dash) + push) * 2.0 ** int(dash_mem[neuron]) < limit:
        return f"its threshold of {limit} is too high for weights that add up to {excited}"
    return UNKNOWN
