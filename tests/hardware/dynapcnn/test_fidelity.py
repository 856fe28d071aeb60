"""What the report of a network against its integers says is what a look at both gives."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import record, transforms
from snnjax.hardware import dynapcnn
from snnjax.nn import IAF, Flatten, Sequential

from .networks import conv, linear

SHAPE = (1, 6, 6)


def network():
    bound = {"min_vmem": -1.0}
    return Sequential(
        conv(1, 2, gain=6.0), IAF((2, 4, 4), **bound), Flatten(), linear(32, 3), IAF(3, **bound)
    )


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def raster():
    return np.random.default_rng(0).poisson(0.5, (5, 9, *SHAPE))


def integers(model, chip=dynapcnn.SPECK_2F, **settings):
    mapped = dynapcnn.map_network(model, chip=chip, input_shape=SHAPE)
    return dynapcnn.quantize(mapped, min_sqnr=-np.inf, max_zeroed=1, **settings)


@pytest.fixture(scope="module")
def spec(model):
    return integers(model)


@pytest.fixture(scope="module")
def report(model, spec, raster):
    return dynapcnn.fidelity(model, spec, raster, labels=[0, 1, 2, 0, 1])


def test_each_layer_is_compared_with_what_the_simulator_gives(report, model, spec, raster):
    trace = dynapcnn.simulate(spec, raster)
    records = record(model, raster[0].astype(np.float32))[2]
    for i, layer in enumerate(report.layers):
        assert layer.path == ("layers[1]", "layers[4]")[i]
        mine = np.asarray(records[f"{layer.path}.output"]).reshape(9, -1)
        theirs = np.asarray(trace.spikes[i])
        np.testing.assert_array_equal(layer.rasters[0], mine)
        np.testing.assert_array_equal(layer.rasters[1], theirs[0].reshape(9, -1))
        assert layer.spikes_integers == theirs.sum() > 20
        held = np.asarray(trace.vmem[i]) == int(spec.layers[i].min_vmem)
        assert layer.at_bound == held.sum() > 0
        assert (layer.saturated_states, layer.at_cap, layer.clipped) == (0, 0, 0)
        assert 0.5 < layer.equal <= 1
        assert layer.error_over_time.shape == (9,)
    answers = np.asarray(trace.counts[-1]).sum((-2, -1)).argmax(-1)
    assert report.accuracy_integers == np.mean(answers == [0, 1, 2, 0, 1])
    assert report.recordings == 5


@pytest.mark.slow
def test_fine_integers_are_the_network_and_coarse_ones_are_not(model, raster, report):
    fine = dataclasses.replace(dynapcnn.SPECK_2F, weight_bits=16, bias_bits=16, state_bits=24)
    exact = dynapcnn.fidelity(model, integers(model, fine), raster)
    coarse = dataclasses.replace(dynapcnn.SPECK_2F, weight_bits=3, bias_bits=3)
    rough = dynapcnn.fidelity(model, integers(model, coarse), raster)
    for best, middle, worst in zip(exact.layers, report.layers, rough.layers, strict=True):
        assert best.count_error <= middle.count_error < worst.count_error
        assert best.sqnr > middle.sqnr > worst.sqnr
        assert best.error_over_time.mean() < worst.error_over_time.mean()
    assert exact.accuracy is None
    assert exact.layers[0].equal > 0.99


def test_cuts_and_clipped_weights_are_counted(model, spec, raster, replace):
    high = replace(spec, 0, threshold=jnp.int32(30000))
    loud = dynapcnn.fidelity(model, high, 60 * raster)
    assert loud.layers[0].saturated_states > 0
    assert loud.layers[0].saturated
    assert "saturated in" in str(loud)
    with pytest.warns(dynapcnn.QuantizationWarning, match="clipped to its bits"):
        rough = integers(model, percentile=70)
    clipped = dynapcnn.fidelity(model, rough, raster)
    rows = dynapcnn.report(dynapcnn.map_network(model, input_shape=SHAPE), percentile=70)
    losses = [row for row in rows if ".weight" in row.parameter]
    for layer, loss in zip(clipped.layers, losses, strict=True):
        assert layer.clipped == loss.clipped
        assert layer.clipped > 2


CAUSES = {
    "weights are 0": {"weight": jnp.zeros((3, 2, 4, 4), jnp.int32)},
    "none of its weights is above 0": {"weight": jnp.full((3, 2, 4, 4), -3)},
    "too high": {"weight": jnp.ones((3, 2, 4, 4), jnp.int32), "threshold": jnp.int32(32767)},
    "outlier": {"weight": jnp.ones((3, 2, 4, 4), jnp.int32).at[:, 0, 0, 0].set(-128)},
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_network_that_fell_silent_says_so_first_and_why(model, spec, raster, replace, cause):
    quiet = {"bias": jnp.full(3, -1)}
    report = dynapcnn.fidelity(model, replace(spec, 1, **(quiet | CAUSES[cause])), raster)
    first = str(report).splitlines()[0]
    assert "SILENT" in first
    assert "layers[4]" in first
    assert report.layers[1].silent
    if cause != "too high":
        assert all(cause in why for why in report.layers[1].silent.values())
        assert cause in str(report)


def test_silence_goes_on_to_the_layers_after(model, spec, raster, replace):
    low = replace(spec, 0, threshold=jnp.int32(32767))
    report = dynapcnn.fidelity(model, low, raster)
    assert all("nothing reaches it" in why for why in report.layers[1].silent.values())


def test_a_spread_readout_is_compared_by_its_classes(model, spec, raster, report):
    spread = dynapcnn.fidelity(model, dynapcnn.pad_readout(spec), raster).layers[1]
    arrays = dict.fromkeys(("error_over_time", "drift", "rasters"))
    assert spread._replace(**arrays) == report.layers[1]._replace(**arrays)


def test_the_report_is_json(report):
    content = json.loads(json.dumps(report.to_dict()))
    assert content["accuracy"] == report.accuracy
    assert len(content["layers"][0]["error_over_time"]) == 9


def test_what_does_not_fit_together_is_refused(model, spec, raster):
    other = Sequential(conv(1, 2), IAF((2, 4, 4)))
    with pytest.raises(ValueError, match="give the integers of this network"):
        dynapcnn.fidelity(other, spec, raster)
    with pytest.raises(ValueError, match="`raster` must have the shape"):
        dynapcnn.fidelity(model, spec, raster[..., :3])
    with pytest.raises(ValueError, match="`labels` must be one for each of the 5"):
        dynapcnn.fidelity(model, spec, raster, [1, 2])
    for empty in (raster[:0], raster[:, :0]):
        with pytest.raises(ValueError, match="`raster` must hold a recording of a step or more"):
            dynapcnn.fidelity(model, spec, empty)
        with pytest.raises(ValueError, match="`raster` must hold a recording of a step or more"):
            dynapcnn.compare_events(spec, empty)
    with pytest.raises(TypeError, match=r"`spec` must be a Spec of .*dynapcnn; got Sequential"):
        dynapcnn.compare_events(model, raster)


def test_the_network_through_its_plan_stands_beside_the_one_in_float(model, spec, raster, report):
    plan = dynapcnn.plan(model, input_shape=SHAPE)
    both = dynapcnn.fidelity(model, spec, raster, plan=plan)
    alone = dynapcnn.fidelity(transforms.apply(plan, model), spec, raster)
    for layer, planned, apart in zip(
        report.layers, both.through_plan.layers, alone.layers, strict=True
    ):
        assert planned.equal == apart.equal >= layer.equal
    assert "the plan sees" in both.causes()[-1]


def test_integers_stand_beside_other_integers(model, spec, raster):
    assert dynapcnn.fidelity(spec, dynapcnn.pad_readout(spec), raster).layers[1].equal == 1
    coarse = dataclasses.replace(dynapcnn.SPECK_2F, weight_bits=3, bias_bits=3)
    rough = integers(model, coarse)
    found = dynapcnn.fidelity(spec, rough, raster, [0, 1, 2, 0, 1])
    traces = [dynapcnn.simulate(x, raster) for x in (spec, rough)]
    for i, layer in enumerate(found.layers):
        one, other = (np.asarray(t.spikes[i]).reshape(5, 9, -1) for t in traces)
        np.testing.assert_array_equal(layer.error_over_time, np.abs(one - other).mean((0, 2)))
        assert (layer.spikes, layer.spikes_integers) == (one.sum(), other.sum())
        assert layer.clipped is None
    answers = np.asarray(traces[0].counts[-1]).sum((-2, -1)).argmax(-1)
    assert found.accuracy == np.mean(answers == [0, 1, 2, 0, 1])
    other = Sequential(conv(1, 2), IAF((2, 4, 4)))
    with pytest.raises(ValueError, match="compare the integers of one network"):
        dynapcnn.fidelity(integers(other), spec, raster)


def test_a_spike_cap_that_the_integers_do_not_have_is_a_cause(spec, raster):
    bound = {"min_vmem": -1.0}
    capped = Sequential(
        conv(1, 2, gain=6.0),
        IAF((2, 4, 4), max_spikes=1, **bound),
        Flatten(),
        linear(32, 3),
        IAF(3, **bound),
    )
    report = dynapcnn.fidelity(capped, spec, raster)
    caps, rounding = report.shares
    assert (caps.name, rounding.name) == ("spike caps", "rounding")
    assert caps.share > 0.5
    assert caps.share + rounding.share == pytest.approx(1)
    assert (
        "layers[1] emits up to 1 spike in a step in the network and any number of spikes on"
        in (report.causes()[0])
    )
