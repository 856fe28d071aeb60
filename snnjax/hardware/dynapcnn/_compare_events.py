"""The difference between synchronous steps and the chip's events."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..._checks import explained
from ...datasets.events import to_events
from .._compare import as_recordings
from ._check import require_integers
from ._simulate import simulate
from ._simulate_events import EventTrace, simulate_events
from ._spec import Spec


class LayerComparison(NamedTuple):
    """One layer in both modes, over all recordings.

    Attributes:
        layer: name of the layer.
        steps: spikes in synchronous steps.
        events: spikes event by event.
        difference: sum over recordings and neurons of the difference of their spike counts, as a
            share of the synchronous spikes; 0 if each neuron fires as often.
        waiting: neurons at or above their threshold at the end, per recording: spikes that the chip
            has yet to emit.
        saturated: number of times that the sum of a step left 16 bits.
    """

    layer: str
    steps: int
    events: int
    difference: float
    waiting: float
    saturated: int


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
        lines = [f"{'layer':<{width}}      steps     events  difference    waiting  saturated"]
        lines += [
            f"{x.layer:<{width}} {x.steps:>10,} {x.events:>10,} {x.difference:>11.1%} "
            f"{x.waiting:>10.1f} {x.saturated:>10,}"
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
        """The content for `json.dumps`."""
        return {**self._asdict(), "layers": [layer._asdict() for layer in self.layers]}


@explained
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

    A step adds up all its events before neurons fire; the chip takes one event after another, with
    at most one spike of a neuron for each. So steps and events differ where events of both signs
    cancel within a step, where a potential is cut to 16 bits or held at its lower bound between two
    events, and where an event is worth several thresholds, which then wait for later events.
    `simulate` has figures for three networks. `saturated` counts the steps whose sum left 16 bits.

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
    counts = as_recordings(raster, spec.input_shape, labels, classes=spec.n_classes)
    trace = simulate(spec, counts, record=False)
    steps = [np.asarray(x) for x in trace.counts]
    runs = [
        simulate_events(
            spec,
            to_events(one, step=step, seed=None if seed is None else seed + i),
            bias_period=step,
            start=0,
            duration=step * len(one),
        )
        for i, one in enumerate(counts)
    ]
    layers = tuple(
        _layer(spec, i, steps[i], int(np.sum(trace.saturated[i])), runs)
        for i in range(len(spec.layers))
    )
    ours, theirs = (
        np.asarray(spec.classes(jnp.asarray(x))).argmax(-1)
        for x in (steps[-1], np.stack([run.counts[-1] for run in runs]))
    )
    right = None if labels is None else np.asarray(labels)
    return EventComparison(
        layers=layers,
        agreement=float(np.mean(ours == theirs)),
        accuracy_steps=None if right is None else float(np.mean(ours == right)),
        accuracy_events=None if right is None else float(np.mean(theirs == right)),
        recordings=len(counts),
    )


def _layer(
    spec: Spec, i: int, steps: np.ndarray, saturated: int, runs: list[EventTrace]
) -> LayerComparison:
    events = np.stack([run.counts[i] for run in runs])
    total = int(steps.sum())
    return LayerComparison(
        layer=spec.name(i),
        steps=total,
        events=int(events.sum()),
        difference=float(np.abs(steps - events).sum() / max(total, 1)),
        waiting=float(np.mean([run.waiting[i] for run in runs])),
        saturated=saturated,
    )
