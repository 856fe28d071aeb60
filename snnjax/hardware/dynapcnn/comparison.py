"""How far synchronous steps are from the chip's events."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._fidelity import require_recordings
from ._raster import as_counts
from .check import require_integers
from .events import EventTrace, simulate_events, to_events
from .simulate import simulate
from .spec import Spec


class LayerComparison(NamedTuple):
    """One layer in both modes, over all recordings.

    Attributes:
        layer: what messages call it.
        steps: spikes in synchronous steps.
        events: spikes event by event.
        difference: sum over recordings and neurons of the difference of their spike counts, as a
            share of the synchronous spikes; 0 if each neuron fires as often.
        waiting: neurons left at or above their threshold at the end, per recording: spikes that the
            chip has yet to emit.
    """

    layer: str
    steps: int
    events: int
    difference: float
    waiting: float


class EventComparison(NamedTuple):
    """Synchronous steps and single events compared.

    Attributes:
        layers: each layer.
        agreement: share of recordings whose class is the same in both.
        accuracy_steps: share of right answers in synchronous steps; None without labels.
        accuracy_events: share of right answers event by event; None without labels.
        recordings: how many there were.
    """

    layers: tuple[LayerComparison, ...]
    agreement: float
    accuracy_steps: float | None
    accuracy_events: float | None
    recordings: int

    def __str__(self) -> str:
        width = max(len(layer.layer) for layer in self.layers)
        lines = [f"{'layer':<{width}}      steps     events  difference    waiting"]
        lines += [
            f"{x.layer:<{width}} {x.steps:>10,} {x.events:>10,} {x.difference:>11.1%} "
            f"{x.waiting:>10.1f}"
            for x in self.layers
        ]
        lines.append(f"same class in {self.agreement:.1%} of {self.recordings} recordings")
        if self.accuracy_steps is not None:
            lines.append(
                f"right answers: {self.accuracy_steps:.1%} in steps, {self.accuracy_events:.1%} "
                "event by event"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All of it as what `json.dumps` takes."""
        return {**self._asdict(), "layers": [layer._asdict() for layer in self.layers]}


def compare_events(
    spec: Spec,
    raster: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    step: int = 1000,
    seed: int | None = 0,
) -> EventComparison:
    """Run recordings in synchronous steps and event by event, and compare.

    The events of a time step are spread evenly over it. Biases tick once a step, at its end.

    Args:
        spec: a quantised network.
        raster: numbers of events, `(time, channels, height, width)` or with a batch first.
        labels: the right class of each recording, to compare accuracies as well.
        step: length of a step, in the unit of the events' times.
        seed: of the order of the events within a step; None for that of the raster.

    Raises:
        TypeError: if `spec` is no Spec.
        ValueError: as `simulate` and `simulate_events` do; or if there is no recording of a step
            or more, or not one label for each.
    """
    require_integers(spec)
    counts = np.asarray(as_counts(raster, spec))
    counts = counts if counts.ndim == 5 else counts[None]
    require_recordings(counts.shape, labels)
    steps = [np.asarray(x) for x in simulate(spec, counts, record=False).counts]
    runs = [
        simulate_events(
            spec,
            to_events(spec, one, step, seed=None if seed is None else seed + i),
            bias_period=step,
            duration=step * len(one),
        )
        for i, one in enumerate(counts)
    ]
    layers = tuple(_layer(spec, i, steps[i], runs) for i in range(len(spec.layers)))
    ours, theirs = (
        np.asarray(spec.classes(jnp.asarray(x))).argmax(-1)
        for x in (steps[-1], np.stack([run.counts[-1] for run in runs]))
    )
    return EventComparison(
        layers=layers,
        agreement=float(np.mean(ours == theirs)),
        accuracy_steps=None if labels is None else float(np.mean(ours == labels)),
        accuracy_events=None if labels is None else float(np.mean(theirs == labels)),
        recordings=len(counts),
    )


def _layer(spec: Spec, i: int, steps: np.ndarray, runs: list[EventTrace]) -> LayerComparison:
    events = np.stack([run.counts[i] for run in runs])
    total = int(steps.sum())
    return LayerComparison(
        layer=spec.name(i),
        steps=total,
        events=int(events.sum()),
        difference=float(np.abs(steps - events).sum() / max(total, 1)),
        waiting=float(np.mean([run.waiting[i] for run in runs])),
    )
