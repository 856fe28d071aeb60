"""How far steps and single events part, in the three networks of `simulate`'s docstring.

    python -m tests.hardware.dynapcnn.test_steps_and_events

prints the table that stands there.
"""

import inspect

import numpy as np
import pytest

from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import Core, Destination, Spec

EVENTS_PER_PIXEL = (0.2, 1, 20)
STEPS = 10


def signed(rng, shape):
    return rng.normal(0, 30, shape).round().clip(-128, 127).astype(int)


def positive(rng, shape):
    return rng.integers(1, 61, shape)


def layers(shapes, threshold, weights):
    """Layers one after another; of each the shape of its input, its channels and its kernel."""
    rng = np.random.default_rng(0)
    for i, ((n_in, *size), n_out, kernel) in enumerate(shapes, 1):
        yield Core(
            weight=weights(rng, (n_out, n_in, kernel, kernel)),
            threshold=threshold,
            min_vmem=-threshold,
            input_shape=(n_in, *size),
            destinations=(Destination(i),) if i < len(shapes) else (),
        )


CONVOLUTIONS = [((2, 10, 10), 4, 3), ((4, 8, 8), 4, 3), ((4, 6, 6), 4, 3)]
DENSE = [((2, 6, 6), 16, 6), ((16, 1, 1), 16, 1), ((16, 1, 1), 10, 1)]
NETWORKS = {
    "convolutions, threshold 100": (CONVOLUTIONS, 100, signed),
    "dense layers, threshold 100": (DENSE, 100, signed),
    "weights above 0, threshold 50": (CONVOLUTIONS[:2], 50, positive),
}


def lines(name):
    """The lines of the table that a network has."""
    spec = Spec(tuple(layers(*NETWORKS[name])), chip=dynapcnn.DYNAPCNN)
    for events in EVENTS_PER_PIXEL:
        raster = np.random.default_rng(1).poisson(events, (STEPS, *spec.input_shape))
        last = dynapcnn.compare_events(spec, raster).layers[-1]
        yield (f"{name:<31}{events:>10}{last.steps:>11,}{last.events:>11,}{last.difference:>11.1%}")
        name = ""


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_of_simulate_is_as_measured(name):
    written = inspect.getdoc(dynapcnn.simulate).splitlines()
    assert [line.strip() for line in lines(name)] == [
        line.strip() for line in written[place(written, name) :][: len(EVENTS_PER_PIXEL)]
    ]


def place(written, name):
    return next(i for i, line in enumerate(written) if line.strip().startswith(name))


if __name__ == "__main__":
    for name in NETWORKS:
        print(*lines(name), sep="\n")
