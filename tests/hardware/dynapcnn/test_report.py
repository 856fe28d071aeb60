"""What a network costs, what its cores do, and how far the two ways to run it are apart."""

import dataclasses

import numpy as np
import pytest

from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import SPECK_2F, Core, Spec, _kernel

from .reference import Neurons


def test_how_full_the_cores_are(make_spec, replace):
    spec = replace(make_spec(), 1, core=5, bias=np.zeros(4, int))
    first, second = spec.name(0), spec.name(1)
    assert dynapcnn.usage(spec) == (
        ("cores", 2, 9, None),
        ("kernel memory of core 0", 2 * 16 * 4, 16 * 1024, first),
        ("neuron memory of core 0", 3 * 16 * 8, 64 * 1024, first),
        ("kernel memory of core 5", 3 * 16 * 4, 64 * 1024, second),
        ("neuron memory of core 5", 4 * 4 * 2, 16 * 1024, second),
        ("bias memory of core 5", 4, 1024, second),
    )
    small = dataclasses.replace(SPECK_2F, cores=SPECK_2F.cores[:1])
    uses = dynapcnn.usage(replace(spec, 0, core=None), chip=small)
    assert {use.has for use in uses} == {1, None}
    assert uses[1].resource == "kernel memory"


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"padding": (1, 2)},
        {"stride": (2, 1)},
        {"stride": (1, 4), "padding": (2, 0)},
        {"kernel": 1, "stride": (2, 2)},
    ],
)
def test_fan_out_counts_the_neurons_that_an_event_reaches(make_core, fields):
    core = make_core(**fields)
    neurons = Neurons(core)
    _, height, width = core.input_shape
    want = [
        [sum(neurons.synapse(p, 0, y, x) is not None for p in neurons.places) for x in range(width)]
        for y in range(height)
    ]
    np.testing.assert_array_equal(_kernel.fan_out(core), want)
    counts = np.random.default_rng(0).integers(0, 3, (7, *core.input_shape))
    assert int(_kernel.synops(core, counts).sum()) == (counts.sum((0, 1)) * np.array(want)).sum()


# --- both modes compared --------------------------------------------------------------------


def one(weight, threshold, **fields):
    core = Core(np.reshape(weight, (-1, 1, 1, 1)), threshold=threshold, input_shape=(1, 1, 1))
    return Spec((dataclasses.replace(core, **fields),), chip=SPECK_2F)


def events(*counts):
    return np.array(counts).reshape(-1, len(counts[0]), 1, 1, 1)


def test_modes_that_agree():
    found = dynapcnn.compare_events(one([20, 10], 30), events((1, 2, 0), (0, 3, 1)), [0, 0])
    (layer,) = found.layers
    assert (layer.steps, layer.events, layer.difference, layer.waiting) == (6, 6, 0, 0)
    assert (found.agreement, found.accuracy_steps, found.accuracy_events) == (1, 1, 1)
    assert found.recordings == 2
    assert "same class in 100.0% of 2 recordings" in str(found)


def test_what_waits_for_its_next_event_is_shown():
    """A step takes three thresholds off at once; an event takes one, and the others wait."""
    found = dynapcnn.compare_events(one([100, 0], 30), events((1, 0), (1, 1)))
    (layer,) = found.layers
    assert (layer.steps, layer.events) == (3 + 6, 1 + 2)
    assert layer.difference == pytest.approx(6 / 9)
    assert layer.waiting == 1
    assert found.accuracy_steps is None
    assert "66.7%" in str(found)


def test_biases_tick_once_a_step():
    found = dynapcnn.compare_events(one([10], 30, bias=[10]), events((0, 0, 0, 0, 0, 0)))
    assert (found.layers[0].steps, found.layers[0].events) == (2, 2)


def test_labels_that_do_not_fit():
    with pytest.raises(ValueError, match=r"one for each of the 2 recordings; got the shape \(3,\)"):
        dynapcnn.compare_events(one([10], 30), events((0,), (1,)), [0, 1, 2])
