"""What a network costs on the chip, and what rounding did to it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _kernel
from ._discretize import Compat
from .events import EventTrace
from .quantize import discretize_layers, sqnr, zeroed
from .simulate import Trace
from .spec import Memory, Spec


class CoreLoss(NamedTuple):
    """What `quantize` makes of one core.

    Attributes:
        layer: what messages call it.
        scale: what its real numbers are multiplied by.
        sqnr: signal to quantisation noise of its weights, in dB.
        largest: the largest magnitude of its integer weights, of 128.
        zeroed: share of its weights that round to 0, among those that were not 0.
        clipped: how many numbers did not fit their bits and were clipped, by array.
    """

    layer: str
    scale: float
    sqnr: float
    largest: int
    zeroed: float
    clipped: Mapping[str, int]

    def __str__(self) -> str:
        lost = ", ".join(f"{n} of {name} clipped" for name, n in self.clipped.items() if n)
        return (
            f"{self.layer}: scale {self.scale:.4g}, SQNR {self.sqnr:.1f} dB, weights up to "
            f"{self.largest}, {self.zeroed:.1%} rounded to 0" + (f", {lost}" if lost else "")
        )


def quantization_report(
    spec: Spec, *, percentile: float | Sequence[float] = 100.0, compat: Compat = None
) -> tuple[CoreLoss, ...]:
    """What `quantize` with the same settings makes of each core.

    Args:
        spec: what `map_network` gave.
        percentile: see `quantize`.
        compat: see `quantize`.

    Raises:
        ValueError: as `quantize` does.
    """
    found = discretize_layers(spec, percentile, compat)
    losses = []
    for i, (layer, values) in enumerate(zip(spec.layers, found, strict=True)):
        losses.append(
            CoreLoss(
                layer=spec.name(i),
                scale=float(values.scale),
                sqnr=sqnr(layer.weight, values.weight, values.scale),
                largest=int(np.abs(np.asarray(values.weight)).max()),
                zeroed=zeroed(layer.weight, values.weight),
                clipped={name: int(n) for name, n in values.clipped.items()},
            )
        )
    return tuple(losses)


class CoreUse(NamedTuple):
    """How full a core is.

    Attributes:
        core: its number.
        layer: what messages call the layer on it; None for an idle core.
        used: words of memory that the layer takes.
        has: words of memory that the core has.
    """

    core: int
    layer: str | None
    used: Memory
    has: Memory


def usage(spec: Spec) -> tuple[CoreUse, ...]:
    """How full each core of the chip is; those without a layer are idle."""
    on = {layer.core: i for i, layer in enumerate(spec.layers)}
    return tuple(
        CoreUse(
            core=core,
            layer=spec.name(on[core]) if core in on else None,
            used=spec.layers[on[core]].memory if core in on else Memory(0, 0, 0),
            has=has,
        )
        for core, has in enumerate(spec.chip.cores)
    )


class CoreActivity(NamedTuple):
    """What a core had to do, the mean of all recordings.

    Attributes:
        layer: what messages call it.
        core: its number; None for not yet assigned.
        events_in: events that came to it.
        events_out: spikes of its neurons.
        synops: synaptic operations: updates of a neuron by an event, padding not counted.
        events_per_second: those that came to it.
        synops_per_second: synaptic operations.
        limit: what it can do of those per second; None if it is not known.
    """

    layer: str
    core: int | None
    events_in: float
    events_out: float
    synops: float
    events_per_second: float
    synops_per_second: float
    limit: float | None

    @property
    def load(self) -> float | None:
        """Share of the limit; above 1 the chip stalls. None if there is no limit."""
        return None if self.limit is None else self.synops_per_second / self.limit


def activity(
    spec: Spec, trace: Trace | EventTrace, seconds: float, *, max_synops: float | None = None
) -> tuple[CoreActivity, ...]:
    """Events and synaptic operations of each core, against what a core can do.

    If a core gets more synaptic operations than it can do, the whole chip stalls. The vendor says
    so but publishes no number, which is why `Chip.max_synops` is None; pass what you measured.

    Args:
        spec: the network.
        trace: what `simulate` or `simulate_events` gave for it.
        seconds: length of one recording.
        max_synops: synaptic operations per second that a core can do; that of the chip if None.

    Raises:
        ValueError: if `seconds` is not above 0.
    """
    if not seconds > 0:
        raise ValueError(f"`seconds` must be above 0; got {seconds}")
    limit = spec.chip.max_synops if max_synops is None else max_synops
    found = []
    for i, core in enumerate(spec.layers):
        arrived, counts = (_mean(x[i], n) for x, n in ((trace.arrived, 2), (trace.counts, 3)))
        synops = float((arrived * np.asarray(_kernel.fan_out(core))).sum())
        events = float(arrived.sum())
        found.append(
            CoreActivity(
                layer=spec.name(i),
                core=core.core,
                events_in=events,
                events_out=float(counts.sum()),
                synops=synops,
                events_per_second=events / seconds,
                synops_per_second=synops / seconds,
                limit=limit,
            )
        )
    return tuple(found)


def _mean(x: Any, axes: int) -> np.ndarray:
    """The mean over a batch, if there is one, in double precision; its last axes are kept."""
    array = np.asarray(x, np.float64)
    return array.mean(axis=0) if array.ndim > axes else array
