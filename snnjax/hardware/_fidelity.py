"""The difference between a network and its integers, for every family."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from .._typing import PyTree
from ..nn import Network, record
from ._causes import explain
from ._family import MappingWarning
from ._inputs import require_counts, require_shape


class LayerFidelity(NamedTuple):
    """One layer of neurons in the network and in integers.

    Where spikes need steps to reach the layer on the chip, the integers are compared as many steps
    later.

    Attributes:
        path: of the neurons in the network.
        spikes: number of spikes in the network, all recordings together.
        spikes_integers: number of spikes of the integers.
        count_error: sum over recordings and neurons of the difference of their spike counts, as a
            share of the network's spikes.
        equal: share of all steps of all neurons with the same number of spikes.
        parts_at: first step at which a spike differs, in any recording; None if none does.
        sqnr: signal to quantisation noise of the membrane potentials in dB; inf if they are equal.
        saturated_states: number of synaptic currents and membrane potentials at an end of the
            chip's range.
        at_cap: number of times that a neuron emitted as many spikes as the chip allows.
        at_bound: number of membrane potentials held at the lower bound of the neurons; None for
            a chip without such bounds.
        clipped: number of weights that did not fit their bits and were clipped.
        silent: neurons that fire in the network but never in integers, and the likely cause.
        saturated: neurons with a state that reached an end of the chip's range, and the likely
            cause.
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
    at_bound: int | None
    clipped: int
    silent: dict[int, str]
    saturated: dict[int, str]
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
        """A table, below a warning of layers that fell silent."""
        lines = [
            f"SILENT IN INTEGERS: {layer.path} fires {layer.spikes:,} times in the network"
            for layer in self.layers
            if layer.spikes and not layer.spikes_integers
        ]
        width = max(len(layer.path) for layer in self.layers)
        lines.append(
            f"{'layer':{width}}     spikes   integers  count error   equal  parts at"
            "   SQNR dB  saturated  at cap  at bound  clipped  silent"
        )
        lines += [_row(layer, width) for layer in self.layers]
        for layer in self.layers:
            lines += _causes(f"silent in {layer.path}", layer.silent)
            lines += _causes(f"saturated in {layer.path}", layer.saturated)
        if self.cut_events:
            lines.append(
                f"{self.cut_events:,} events are more than an input channel takes in a step"
            )
        lines += [f"likely cause {i}: {words}" for i, words in enumerate(self.causes(), 1)]
        lines.append(f"same answer in {self.agreement:.2%} of {self.recordings} recordings")
        if self.accuracy is not None:
            lines.append(
                f"right answers: {self.accuracy:.2%} of the network, "
                f"{self.accuracy_integers:.2%} of the integers"
            )
        return "\n".join(lines)

    def causes(self) -> tuple[str, ...]:
        """The likely reasons for which the integers differ, in words, the most important first."""
        return explain(self.layers, self.cut_events)

    def to_dict(self) -> dict[str, Any]:
        """The content for `json.dumps`, without the rasters; an infinite SQNR becomes None."""
        content = {**self._asdict(), "causes": self.causes()}
        content["layers"] = [
            {
                **{k: v for k, v in layer._asdict().items() if k != "rasters"},
                "sqnr": layer.sqnr if np.isfinite(layer.sqnr) else None,
                "error_over_time": layer.error_over_time.tolist(),
            }
            for layer in self.layers
        ]
        return content


class LayerTrace(NamedTuple):
    """Spikes and membrane potentials of a layer, in the network or in integers.

    Attributes:
        spikes: number of spikes of each neuron at each step.
        vmem: its membrane potentials after each step.
        threshold: its firing threshold, in the unit of `vmem`; it broadcasts against that.
    """

    spikes: Float[np.ndarray, "batch time neurons"]
    vmem: Float[np.ndarray, "batch time neurons"]
    threshold: np.ndarray

    @property
    def charged(self) -> Float[np.ndarray, "batch time neurons"]:
        """Membrane potentials before the spikes, each of which subtracted a threshold."""
        return self.vmem + self.spikes * self.threshold


def compare_layer(
    path: str,
    network: LayerTrace,
    integers: LayerTrace,
    *,
    why_silent: Callable[[int], str],
    saturated: dict[int, str],
    saturated_states: int,
    at_cap: int,
    clipped: int,
    at_bound: int | None = None,
) -> LayerFidelity:
    """Compare a layer of the network with its integers.

    Args:
        path: of the neurons in the network.
        network: their activity there.
        integers: their activity on the chip, of as many steps.
        why_silent: the likely cause that the neuron of a number is silent in integers.
        saturated: neurons that saturate in integers, and the likely cause.
        saturated_states: see `LayerFidelity`, as all that follow.
        at_cap: see there.
        clipped: see there.
        at_bound: see there.
    """
    difference = np.abs(network.spikes - integers.spikes)
    differs = np.flatnonzero(difference.any((0, 2)))
    silent = network.spikes.any((0, 1)) & ~integers.spikes.any((0, 1))
    apart = np.abs(network.spikes.sum(1) - integers.spikes.sum(1)).sum()
    return LayerFidelity(
        path=path,
        spikes=int(network.spikes.sum()),
        spikes_integers=int(integers.spikes.sum()),
        count_error=float(apart / max(network.spikes.sum(), 1)),
        equal=float(np.mean(difference == 0)),
        parts_at=int(differs[0]) if len(differs) else None,
        sqnr=_sqnr(network, integers),
        saturated_states=saturated_states,
        at_cap=at_cap,
        at_bound=at_bound,
        clipped=clipped,
        silent={int(n): why_silent(int(n)) for n in np.flatnonzero(silent)},
        saturated=saturated,
        error_over_time=difference.mean((0, 2)),
        rasters=(network.spikes[0], integers.spikes[0]),
    )


def compare_answers(
    layers: tuple[LayerFidelity, ...],
    network: Int[np.ndarray, " batch"],
    integers: Int[np.ndarray, " batch"],
    labels: ArrayLike | None,
    *,
    cut_events: int = 0,
) -> Fidelity:
    """The report, given the answers of network and integers to each recording.

    Warns:
        MappingWarning: if events were cut.
    """
    if cut_events:
        warnings.warn(
            f"{cut_events:,} events of `raster` are beyond what an input channel of the chip takes "
            "in a step; it ignores them, the network does not",
            MappingWarning,
            stacklevel=4,
        )
    return Fidelity(
        layers=layers,
        recordings=len(network),
        cut_events=cut_events,
        agreement=float(np.mean(network == integers)),
        accuracy=None if labels is None else float(np.mean(network == labels)),
        accuracy_integers=None if labels is None else float(np.mean(integers == labels)),
    )


def as_recordings(
    raster: ArrayLike, shape: tuple[int, ...], labels: ArrayLike | None, *, classes: int
) -> Int[np.ndarray, "batch time *shape"]:
    """A batch of recordings, made of one where that is all there is.

    Args:
        raster: numbers of events.
        shape: shape of one time step.
        labels: a label for each recording, or for the only one; None for no labels.
        classes: number of classes.

    Raises:
        ValueError: if there is no recording of a step or more, or not one label from 0 to
            `classes` - 1 for each; or if the raster is none, see `as_counts`.
    """
    counts = np.asarray(raster)
    require_shape(counts, shape)
    require_counts("raster", counts)
    if counts.ndim == len(shape) + 1:
        counts = counts[None]
    require_recordings(counts.shape, labels)
    if labels is not None:
        known = np.asarray(labels)
        if known.dtype.kind not in "iu" or known.min() < 0 or known.max() >= classes:
            raise ValueError(
                f"`labels` must be whole numbers from 0 to {classes - 1}, the classes of the "
                f"readout; got {known.dtype} from {known.min()} to {known.max()}"
            )
    return counts


def require_recordings(shape: tuple[int, ...], labels: ArrayLike | None) -> None:
    """Raise ValueError unless there are recordings of some steps, and a label for each or none.

    Args:
        shape: of the raster, `(batch, time, ...)`.
        labels: the labels.
    """
    recordings, steps = shape[:2]
    if not recordings or not steps:
        raise ValueError(
            f"`raster` must hold a recording of a step or more, to compare anything; got {shape}"
        )
    shapes = ((recordings,), ()) if recordings == 1 else ((recordings,),)
    if labels is not None and np.shape(labels) not in shapes:
        raise ValueError(
            f"`labels` must be one for each of the {recordings} recordings; got the shape "
            f"{np.shape(labels)}"
        )


@eqx.filter_jit
def run_network(
    model: Network, events: Float[np.ndarray, "batch time *shape"], state: PyTree = None
) -> dict[str, Any]:
    """The recorded states and outputs of every layer, `(batch, time, ...)`, with dropout off."""
    quiet = eqx.nn.inference_mode(model)
    return jax.vmap(lambda x: record(quiet, x, state)[2])(events)


def _sqnr(network: LayerTrace, integers: LayerTrace) -> float:
    """SQNR of the potentials in units of thresholds; fitted to each other where there is none."""
    x, y = network.vmem / network.threshold, integers.vmem / integers.threshold
    if (network.threshold >= np.iinfo(np.int16).max).any():
        y = y * (x * y).sum() / max((y * y).sum(), np.finfo(float).tiny)
    noise = ((x - y) ** 2).sum()
    return float(10 * np.log10((x**2).sum() / noise)) if noise else float("inf")


def _row(layer: LayerFidelity, width: int) -> str:
    parts = "never" if layer.parts_at is None else str(layer.parts_at)
    return (
        f"{layer.path:{width}} {layer.spikes:10,} {layer.spikes_integers:10,} "
        f"{layer.count_error:12.2%} {layer.equal:7.2%} {parts:>9} {layer.sqnr:9.1f} "
        f"{layer.saturated_states:10,} {layer.at_cap:7,} {_or_dash(layer.at_bound):>9} "
        f"{layer.clipped:8,} {len(layer.silent):7,}"
    )


def _causes(what: str, neurons: dict[int, str]) -> Iterator[str]:
    """A line for each cause."""
    for cause in dict.fromkeys(neurons.values()):
        those = [n for n, other in neurons.items() if other == cause]
        shown = ", ".join(map(str, those[:8])) + (", ..." if len(those) > 8 else "")
        yield f"{what}: neurons {shown}: {cause}"


def _or_dash(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
