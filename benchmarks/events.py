"""Events per second of the event-driven simulation of a Speck, with and without biases.

The network has three convolutions and a linear layer with random weights; the input is random
events over a second, and biases tick every millisecond. Counted are the events that arrive at all
layers together.

    python -m benchmarks.events
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from snnjax.datasets import Events
from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import Core, Spec

from .harness import Call, Settings, compare, main, report

SECOND = 1_000_000


def run(settings: Settings) -> Path:
    number = 200 if settings.quick else 20_000
    rng = np.random.default_rng(1)
    places = (rng.integers(0, size, number) for size in (2, 34, 34))
    events = Events(np.sort(rng.integers(0, SECOND, number)), *places)
    calls: dict[str, Call | Callable[[], Any]] = {}
    arrived = {}
    for biased in (False, True):
        simulate = functools.partial(
            dynapcnn.simulate_events, network(biased), events, bias_period=1000, start=0
        )
        label = "with biases" if biased else "without biases"
        arrived[label] = sum(int(layer.sum()) for layer in simulate().arrived)
        calls[label] = simulate
    title = f"{number:,} events of pixels in a second"
    found = compare(calls, settings)
    for label, measured in found.items():
        print(f"{label}: {arrived[label] / measured.seconds:,.0f} events/s at all layers")
    return report("events", {title: found}, settings)


def network(biased: bool) -> Spec:
    rng = np.random.default_rng(0)

    def core(inputs: int, out: int, kernel: int, size: int, threshold: int, *to: Any) -> Core:
        return Core(
            rng.integers(-60, 80, (out, inputs, kernel, kernel)),
            rng.integers(-3, 4, out) if biased else None,
            threshold,
            -200,
            input_shape=(inputs, size, size),
            destinations=to,
        )

    layers = (
        core(2, 8, 5, 34, 400, (1, 2)),
        core(8, 16, 3, 15, 900, (2, 2)),
        core(16, 64, 6, 6, 3000, (3, 1)),
        core(64, 10, 1, 1, 300),
    )
    return Spec(layers, chip=dynapcnn.SPECK_2F)


if __name__ == "__main__":
    main(run)
