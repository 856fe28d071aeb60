"""How far a chip's integers are from the network that they came from, layer by layer."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from ...nn import Chain, record
from ._causes import why_silent
from ._populations import Population, populations
from .check import require_integers
from .map import hops, latency, spans
from .simulate import simulate
from .spec import Spec


class LayerFidelity(NamedTuple):
    """One layer of neurons: what the network does, and what the integers do.

    The integers are taken later by the steps that spikes need to reach the layer on the chip.

    Attributes:
        path: of the neurons in the network.
        spikes: number of spikes in the network, all recordings together.
        spikes_integers: number of spikes of the integers.
        count_error: sum over recordings and neurons of the difference of their spike counts, as a
            share of the network's spikes.
        equal: share of all steps of all neurons with the same number of spikes.
        parts_at: first step at which any spike differs, in any recording; None if none does.
        sqnr: signal to quantisation noise of the membrane potentials in dB; inf if they are equal.
        saturated_states: number of synaptic currents and membrane potentials at an end of what the
            chip holds.
        at_cap: number of times that a neuron emitted as many spikes as the chip allows.
        silent: neurons that fire in the network but never in integers, and the likely cause.
        error_over_time: mean difference of the number of spikes of a neuron, at every step.
        rasters: spikes of the first recording in the network and in integers, `(time, neurons)`.
    """

    path: str
    spikes: int
    spikes_integers: int
    count_error: float
    equal: float
    parts_at: int | None
    sqnr: float
    saturated_states: int
    at_cap: int
    silent: dict[int, str]
    error_over_time: Float[np.ndarray, " time"]
    rasters: tuple[Float[np.ndarray, "time neurons"], Int[np.ndarray, "time neurons"]]


class Fidelity(NamedTuple):
    """A network and its integers compared.

    Attributes:
        layers: each layer of neurons, the readout last.
        recordings: how many there were.
        cut_events: events beyond what an input channel of the chip takes in a step.
        agreement: share of recordings with the same answer.
        accuracy: share of right answers of the network; None without labels.
        accuracy_integers: share of right answers of the integers; None without labels.
    """

    layers: tuple[LayerFidelity, ...]
    recordings: int
    cut_events: int
    agreement: float
    accuracy: float | None
    accuracy_integers: float | None

    def __str__(self) -> str:
        """A table, below a warning of what fell silent."""
        lines = [
            f"SILENT IN INTEGERS: {layer.path} fires {layer.spikes:,} times in the network"
            for layer in self.layers
            if layer.spikes and not layer.spikes_integers
        ]
        width = max(len(layer.path) for layer in self.layers)
        lines.append(
            f"{'layer':{width}}     spikes   integers  count error   equal  parts at"
            "   SQNR dB  saturated  at cap  silent"
        )
        lines += [_row(layer, width) for layer in self.layers]
        for layer in self.layers:
            for cause in dict.fromkeys(layer.silent.values()):
                neurons = [n for n, other in layer.silent.items() if other == cause]
                shown = ", ".join(map(str, neurons[:8])) + (", ..." if len(neurons) > 8 else "")
                lines.append(f"silent in {layer.path}: neurons {shown}: {cause}")
        if self.cut_events:
            lines.append(
                f"{self.cut_events:,} events are more than an input channel takes in a step"
            )
        lines.append(f"same answer in {self.agreement:.2%} of {self.recordings} recordings")
        if self.accuracy is not None:
            lines.append(
                f"right answers: {self.accuracy:.2%} of the network, "
                f"{self.accuracy_integers:.2%} of the integers"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the rasters, as what `json.dumps` takes; an infinite SQNR is None."""
        content = self._asdict()
        content["layers"] = [
            {
                **{k: v for k, v in layer._asdict().items() if k != "rasters"},
                "sqnr": layer.sqnr if np.isfinite(layer.sqnr) else None,
                "error_over_time": layer.error_over_time.tolist(),
            }
            for layer in self.layers
        ]
        return content


def fidelity(
    model: Chain, spec: Spec, raster: ArrayLike, labels: ArrayLike | None = None
) -> Fidelity:
    """Run recordings through a network and through its integers, and compare.

    An answer is the readout neuron that spikes most, or has the highest membrane potential on
    average if the network gives potentials.

    Args:
        model: the network, as it was mapped. Dropout is off.
        spec: its integers.
        raster: numbers of events, `(batch, time, inputs)`.
        labels: the right answer of each recording, to compare accuracies as well.

    Raises:
        ValueError: if `spec` does not have the neurons of `model`, if `raster` is not of this shape
            or `simulate` refuses it, or if there is not one label for each recording.
    """
    found = populations(model)
    require_integers(spec)
    _require_the_same_neurons(found, spec)
    events = np.asarray(raster)
    if events.ndim != 3:
        raise ValueError(f"`raster` must have the shape (batch, time, inputs); got {events.shape}")
    if labels is not None and np.shape(labels) != events.shape[:1]:
        raise ValueError(
            f"`labels` must be one for each of the {len(events)} recordings; got the shape "
            f"{np.shape(labels)}"
        )
    padded = np.pad(events, ((0, 0), (0, latency(model)), (0, 0)))
    trace = jax.tree.map(np.asarray, simulate(spec, padded))
    records = jax.tree.map(np.asarray, _records(model, events.astype(np.float32)))
    layers = _layers(found, spec, trace, records, hops(found), events.shape[1])
    readout, late = found[-1], latency(model)
    kind = "output" if readout.neurons.output == "spikes" else "vmem"
    answers = records[f"{readout.path}.{kind}"].sum(1).argmax(-1)
    theirs = trace.spikes_out if kind == "output" else trace.vmem_out
    answers_integers = theirs[:, late:].sum(1).argmax(-1)
    return Fidelity(
        layers=layers,
        recordings=len(events),
        cut_events=int(np.maximum(events - spec.chip.max_spikes_in, 0).sum()),
        agreement=float(np.mean(answers == answers_integers)),
        accuracy=None if labels is None else float(np.mean(answers == labels)),
        accuracy_integers=None if labels is None else float(np.mean(answers_integers == labels)),
    )


@eqx.filter_jit
def _records(model: Chain, events: Float[np.ndarray, "batch time inputs"]) -> dict[str, Any]:
    quiet = eqx.nn.inference_mode(model)
    return jax.vmap(lambda x: record(quiet, x)[2])(events)


def _require_the_same_neurons(found: tuple[Population, ...], spec: Spec) -> None:
    *hidden, readout = (p.neurons.neurons for p in found)
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
    delays: list[int],
    steps: int,
) -> tuple[LayerFidelity, ...]:
    parts = spans(found[:-1])
    layers = []
    for population, delay, own in zip(found, delays, [*parts, None], strict=True):
        at = slice(delay, delay + steps)
        if own is None:
            spikes, vmem = trace.spikes_out[:, at], trace.vmem_out[:, at]
            isyn, cap = trace.isyn_out[:, at], spec.chip.max_spikes_out
            threshold = spec.threshold_out
        else:
            handed = sum(trace.spikes[:, at, parts[i]] for i in population.skips)
            cap = spec.chip.max_spikes_hidden
            spikes = trace.spikes[:, at, own] - np.minimum(handed, cap)
            vmem, isyn = trace.vmem[:, at, own], trace.isyn[:, at, own]
            threshold = spec.threshold[own]
        limits = spec.chip.max_state, -1 - spec.chip.max_state
        layers.append(
            _compare(
                population,
                (records[f"{population.path}.output"], records[f"{population.path}.vmem"]),
                (spikes, vmem),
                np.asarray(threshold),
                saturated=int(sum(np.isin(x, limits).sum() for x in (isyn, vmem))),
                at_cap=int((spikes == cap).sum()) if cap > 1 else 0,
                why=functools.partial(why_silent, spec, own),
            )
        )
    return tuple(layers)


def _compare(
    population: Population,
    network: tuple[np.ndarray, np.ndarray],
    integers: tuple[np.ndarray, np.ndarray],
    threshold: np.ndarray,
    *,
    saturated: int,
    at_cap: int,
    why: Callable[[int], str],
) -> LayerFidelity:
    (spikes, vmem), (theirs, their_vmem) = network, integers
    if population.neurons.output != "spikes":
        spikes = np.zeros_like(vmem)
    difference = np.abs(spikes - theirs)
    differs = np.flatnonzero(difference.any((0, 2)))
    silent = spikes.any((0, 1)) & ~theirs.any((0, 1))
    counts = np.abs(spikes.sum(1) - theirs.sum(1)).sum()
    return LayerFidelity(
        path=population.path,
        spikes=int(spikes.sum()),
        spikes_integers=int(theirs.sum()),
        count_error=float(counts / max(spikes.sum(), 1)),
        equal=float(np.mean(difference == 0)),
        parts_at=int(differs[0]) if len(differs) else None,
        sqnr=_sqnr(vmem, their_vmem, threshold, np.asarray(population.neurons.threshold)),
        saturated_states=saturated,
        at_cap=at_cap,
        silent={int(n): why(int(n)) for n in np.flatnonzero(silent)},
        error_over_time=difference.mean((0, 2)),
        rasters=(spikes[0], theirs[0]),
    )


def _sqnr(
    vmem: np.ndarray, integers: np.ndarray, threshold: np.ndarray, unscaled: np.ndarray
) -> float:
    """Both in thresholds; where the readout has none on the chip, fitted to each other."""
    x, y = vmem / unscaled, integers / threshold
    if (unscaled >= np.iinfo(np.int16).max).any():
        y = y * (x * y).sum() / max((y * y).sum(), np.finfo(float).tiny)
    noise = ((x - y) ** 2).sum()
    return float(10 * np.log10((x**2).sum() / noise)) if noise else float("inf")


def _row(layer: LayerFidelity, width: int) -> str:
    parts = "never" if layer.parts_at is None else str(layer.parts_at)
    return (
        f"{layer.path:{width}} {layer.spikes:10,} {layer.spikes_integers:10,} "
        f"{layer.count_error:12.2%} {layer.equal:7.2%} {parts:>9} {layer.sqnr:9.1f} "
        f"{layer.saturated_states:10,} {layer.at_cap:7,} {len(layer.silent):7,}"
    )
