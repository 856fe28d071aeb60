"""How far a chip's integers are from the network that they came from, layer by layer."""

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from ...nn import Chain
from .._causes import why_saturated
from .._fidelity import (
    Fidelity as Fidelity,
    LayerFidelity as LayerFidelity,
    LayerTrace,
    compare_answers,
    compare_layer,
    require_recordings,
    run_network,
)
from ._causes import why_silent
from ._populations import Population, populations
from .check import require_integers
from .map import MappingWarning, hops, latency, map_network, spans
from .simulate import simulate
from .spec import Spec

_TOO_MUCH = "its synaptic current is cut: too many events come in at once for its weights and decay"


def fidelity(
    model: Chain, spec: Spec, raster: ArrayLike, labels: ArrayLike | None = None
) -> Fidelity:
    """LayerTrace recordings through a network and through its integers, and compare.

    An answer is the readout neuron that spikes most, or has the highest membrane potential on
    average if the network gives potentials.

    Args:
        model: the network, as it was mapped. Dropout is off.
        spec: its integers.
        raster: numbers of events, `(batch, time, inputs)`.
        labels: the right answer of each recording, to compare accuracies as well.

    Raises:
        ValueError: if `spec` does not have the neurons of `model`, if `raster` is not of this shape
            or `simulate` refuses it, or if there is no recording of a step or more, or not one
            label for each.
    """
    found = populations(model)
    require_integers(spec)
    _require_the_same_neurons(found, spec)
    events = np.asarray(raster)
    if events.ndim != 3:
        raise ValueError(f"`raster` must have the shape (batch, time, inputs); got {events.shape}")
    require_recordings(events.shape, labels)
    padded = np.pad(events, ((0, 0), (0, latency(model)), (0, 0)))
    trace = jax.tree.map(np.asarray, simulate(spec, padded))
    records = jax.tree.map(np.asarray, run_network(model, events.astype(np.float32)))
    clipped = _clipped(model, spec)
    layers = _layers(found, spec, trace, records, clipped, events.shape[1])
    readout, late = found[-1], latency(model)
    kind = "output" if readout.neurons.settings.output == "spikes" else "vmem"
    answers = records[f"{readout.path}.{kind}"].sum(1).argmax(-1)
    theirs = trace.spikes_out if kind == "output" else trace.vmem_out
    answers_integers = theirs[:, late:].sum(1).argmax(-1)
    cut_events = int(np.maximum(events - spec.chip.max_spikes_in, 0).sum())
    return compare_answers(layers, answers, answers_integers, labels, cut_events=cut_events)


def _require_the_same_neurons(found: tuple[Population, ...], spec: Spec) -> None:
    *hidden, readout = (p.neurons.shape[0] for p in found)
    if (sum(hidden), readout) != (spec.n_hidden, spec.n_outputs):
        raise ValueError(
            f"`spec` has {spec.n_hidden} hidden and {spec.n_outputs} output neurons, but `model` "
            f"{sum(hidden)} and {readout}; give the integers of this network"
        )


def _layers(
    found: tuple[Population, ...],
    spec: Spec,
    trace: Any,
    records: dict[str, Any],
    clipped: tuple[np.ndarray, np.ndarray],
    steps: int,
) -> tuple[LayerFidelity, ...]:
    parts = spans(found[:-1])
    layers = []
    for population, delay, own in zip(found, hops(found), [*parts, None], strict=True):
        at = slice(delay, delay + steps)
        if own is None:
            spikes, vmem = trace.spikes_out[:, at], trace.vmem_out[:, at]
            isyn, dash = trace.isyn_out[:, at, :, None], spec.dash_syn_out[:, None]
            threshold, cap = spec.threshold_out, spec.chip.max_spikes_out
        else:
            handed = sum(trace.spikes[:, at, parts[i]] for i in population.skips)
            cap = spec.chip.max_spikes_hidden
            spikes = trace.spikes[:, at, own] - np.minimum(handed, cap)
            vmem, isyn = trace.vmem[:, at, own], trace.isyn[:, at, own]
            threshold, dash = spec.threshold[own], spec.dash_syn[own]
        limits = -1 - spec.chip.max_state, spec.chip.max_state
        currents = _saturated_currents(isyn, np.asarray(dash), limits)
        network = records[f"{population.path}.output"], records[f"{population.path}.vmem"]
        if population.neurons.settings.output != "spikes":
            network = np.zeros_like(network[1]), network[1]
        integers = LayerTrace(spikes, vmem, np.asarray(threshold))
        layers.append(
            compare_layer(
                population.path,
                LayerTrace(*network, np.asarray(population.neurons.threshold)),
                integers,
                why_silent=functools.partial(why_silent, spec, own),
                saturated=why_saturated(integers.charged, limits, cap)
                | dict.fromkeys(np.flatnonzero(currents.any((0, 1, 3))).tolist(), _TOO_MUCH),
                saturated_states=int(currents.sum() + np.isin(integers.charged, limits).sum()),
                at_cap=int((spikes == cap).sum()) if cap > 1 else 0,
                at_bound=None,
                clipped=int((clipped[1] if own is None else clipped[0][own]).sum()),
            )
        )
    return tuple(layers)


def _saturated_currents(isyn: np.ndarray, dash: np.ndarray, limits: tuple[int, int]) -> np.ndarray:
    """Where synaptic currents were at an end of what the chip holds, ahead of their decay.

    They are recorded after it, so what is looked for is what it leaves of an end.
    """
    left = [limit - (limit >> dash) for limit in limits]
    return np.isin(dash, 0, invert=True) & ((isyn == left[0]) | (isyn == left[1]))


def _clipped(model: Chain, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """How many weights of each hidden and output neuron are beyond what their bits hold.

    The scale of a neuron is that of its threshold, as exactly as rounding left that: only weights
    that are beyond at every scale it may be count. Without a threshold none do.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MappingWarning)
        mapped = map_network(model, spec.chip)

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
