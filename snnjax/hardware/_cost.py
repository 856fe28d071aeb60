"""The cost of a run on a chip, counted from the trace of its integers, for every family."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._checks import explained
from ..nn import Workload


class Figure(NamedTuple):
    """A figure that others measured and published.

    Attributes:
        value: the number.
        unit: its unit.
        measured: the device, its setting and the task.
        source: the publication.
    """

    value: float
    unit: str
    measured: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Device:
    """Figures of a device that turn counts into power. They are the user's, measured or published.

    Attributes:
        idle: power at rest, in watts.
        per_spike: energy of a spike, in joules.
        per_synop: energy of a synaptic operation, in joules.
        per_read: energy of a read of memory, in joules.
        per_cycle: energy of a clock cycle in which the chip works, in joules.
    """

    idle: float = 0.0
    per_spike: float = 0.0
    per_synop: float = 0.0
    per_read: float = 0.0
    per_cycle: float = 0.0

    @explained
    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"`{name}` must be at least 0; got {value}")


class LayerCost(NamedTuple):
    """The work of one layer in a recording, the mean of all recordings.

    Attributes:
        layer: the layer, as messages call it.
        neurons: number of its neurons.
        events: events that reach it: inputs, and spikes of those that feed it.
        spikes: spikes of its neurons.
        synops: synaptic operations at its neurons; the family says how they are counted.
        reads: words of memory that are read.
        limit: most synaptic operations per second; None if it is not known.
    """

    layer: str
    neurons: int
    events: float
    spikes: float
    synops: float
    reads: float
    limit: float | None = None


class Cycles(NamedTuple):
    """Clock cycles that a step takes, and the clock that keeps up.

    Attributes:
        mean: at the share of inputs and neurons that are active on average in the recordings.
        most: at the step of the recordings with most.
        worst: if every input and every neuron is active.
        parallel: operations of the second synapses on average, which run beside the first and take
            no cycles of their own.
        dt: length of a step, in seconds.
    """

    mean: float
    most: float
    worst: float
    parallel: float
    dt: float

    @property
    def clock(self) -> float:
        """Lowest clock that keeps up with `dt` whatever comes, in Hz."""
        return self.worst / self.dt

    @property
    def clock_of_recordings(self) -> float:
        """Lowest clock that keeps up with `dt` in every step of the recordings, in Hz."""
        return self.most / self.dt


class Cost(NamedTuple):
    """The cost of recordings on a chip.

    Attributes:
        chip: name of the chip.
        recordings: how many there were.
        steps: steps of each.
        seconds: length of each; None where `dt` is not known.
        layers: the work of each layer.
        workload: the metrics of NeuroBench, of the integers and a recording on average.
        cycles: clock cycles; None for a chip without a clock, or without a published formula.
    """

    chip: str
    recordings: int
    steps: int
    seconds: float | None
    layers: tuple[LayerCost, ...]
    workload: Workload
    cycles: Cycles | None = None

    def total(self, name: str) -> float:
        """The sum over layers of a field of `LayerCost`: "spikes", "synops", "reads"."""
        return float(sum(getattr(layer, name) for layer in self.layers))

    @property
    def rate(self) -> float:
        """Spikes per neuron and step."""
        return self.total("spikes") / (self.total("neurons") * max(self.steps, 1))

    def load(self, layer: LayerCost) -> float | None:
        """Share of a layer's limit of operations per second; above 1 the chip stalls."""
        if layer.limit is None or self.seconds is None:
            return None
        return layer.synops / self.seconds / layer.limit

    def power(self, device: Device) -> float:
        """Mean power on a device, in watts.

        Raises:
            ValueError: if the length of a recording is not known, or a figure is given for cycles
                of a chip without any.
        """
        if self.seconds is None:
            raise ValueError("`dt` must be given to `cost`: power needs the length of a step")
        if device.per_cycle and self.cycles is None:
            raise ValueError(f"`device.per_cycle` has no use: no formula of {self.chip}'s cycles")
        cycles = 0.0 if self.cycles is None else self.cycles.mean * self.steps
        work = device.per_cycle * cycles
        for name in ("spike", "synop", "read"):
            work += getattr(device, f"per_{name}") * self.total(f"{name}s")
        return device.idle + work / self.seconds

    def energy(self, device: Device) -> float:
        """Energy of a recording on a device, in joules; raises as `power` does."""
        power = self.power(device)
        return power * (self.seconds or 0.0)

    def __str__(self) -> str:
        """A table of the layers, then cycles and the metrics of NeuroBench."""
        per = "" if self.seconds is None else f" of {self.seconds:.4g} s"
        width = max(5, *(len(layer.layer) for layer in self.layers))
        heads = ("neurons", "events", "spikes", "synops", "synops/s", "reads", "load")
        lines = [
            f"{self.chip}: a recording{per}, {self.steps} steps, mean of {self.recordings}",
            f"{'layer':{width}}" + "".join(f"{head:>12}" for head in heads),
        ]
        lines += [f"{row.layer:{width}}{self._row(row)}" for row in self.layers]
        lines.append(f"{self.rate:.4g} spikes per neuron and step")
        if self.cycles is not None:
            c = self.cycles
            lines.append(
                f"cycles of a step: {c.mean:,.0f} on average, {c.most:,.0f} at most, "
                f"{c.worst:,.0f} if all fire; a clock of {c.clock / 1e6:.3g} MHz keeps up"
            )
        w = self.workload
        lines.append(
            f"NeuroBench: {w.footprint:,} bytes, {w.connection_sparsity:.1%} of weights and "
            f"{w.activation_sparsity:.1%} of activations 0, {w.dense:,.0f} operations if dense, of "
            f"them effective {w.effective_acs:,.0f} additions and {w.effective_macs:,.0f} "
            "multiplications"
        )
        return "\n".join(lines)

    def _row(self, row: LayerCost) -> str:
        load = self.load(row)
        second = "-" if self.seconds is None else f"{row.synops / self.seconds:,.0f}"
        shown = (
            f"{row.neurons:,}",
            *(f"{n:,.1f}" for n in (row.events, row.spikes, row.synops)),
            second,
            f"{row.reads:,.1f}",
            "-" if load is None else f"{load:.1%}",
        )
        return "".join(f"{text:>12}" for text in shown)

    def to_dict(self) -> dict[str, Any]:
        """The content for `json.dumps`."""
        content = self._asdict()
        content["layers"] = [layer._asdict() for layer in self.layers]
        content["workload"] = self.workload._asdict()
        content["cycles"] = None if self.cycles is None else self.cycles._asdict()
        return content


def as_batch(array: Any, axes: int) -> np.ndarray:
    """An array with a batch axis, made of one recording where that is all there is.

    Args:
        array: numbers.
        axes: how many axes one recording has.
    """
    x = np.asarray(array)
    return x if x.ndim > axes else x[None]


def per_recording(metrics: Workload, recordings: int) -> Workload:
    """The metrics of one recording on average, given those of all in a row."""
    names = "dense", "effective_macs", "effective_acs"
    return metrics._replace(**{name: getattr(metrics, name) / recordings for name in names})
