"""What the report of a network against its integers says is what a look at both gives."""

import dataclasses
import inspect
import json
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Sequential, SynNet, decay, hardware, record, transforms
from snnjax.hardware import dynapcnn, xylo
from snnjax.hardware.xylo._fidelity import why_silent


@pytest.fixture(scope="module")
def synnet():
    taus = {"tau_mem": 2e-2, "tau_syn_base": 2e-2, "tau_syn_out": 2e-2, "dt": 1e-2}
    model = SynNet(4, 8, (12, 10), (2, 2), key=jax.random.key(0), **taus)
    return eqx.tree_at(
        lambda m: [m.layers[i].weight for i in (0, 2, 4)], model, replace_fn=lambda w: 1.7 * w
    )


@pytest.fixture(scope="module")
def raster():
    return np.random.default_rng(0).poisson(0.7, (6, 40, 8))


@pytest.fixture(scope="module")
def spec(synnet):
    return xylo.quantize(xylo.map_network(synnet))


@pytest.fixture(scope="module")
def report(synnet, spec, raster):
    return xylo.fidelity(synnet, spec, raster, labels=[0, 1, 2, 3, 0, 1])


def test_each_layer_is_compared_at_the_step_at_which_its_spikes_arrive(
    report, synnet, spec, raster
):
    trace = xylo.simulate(spec, np.pad(raster, ((0, 0), (0, 2), (0, 0))))
    parts = slice(0, 12), slice(12, 22)
    integers = [np.asarray(trace.spikes[:, lag : lag + 40, parts[lag]]) for lag in (0, 1)]
    integers.append(np.asarray(trace.spikes_out[:, 2:]))
    recorded = eqx.filter_jit(lambda model, x: record(model, x)[2])
    for i, (layer, theirs) in enumerate(zip(report.layers, integers, strict=True)):
        assert layer.path == f"layers[{2 * i + 1}]"
        for batch in range(6):
            records = recorded(synnet, raster[batch].astype(np.float32))
            spikes = np.asarray(records[f"{layer.path}.output"])
            if batch == 0:
                np.testing.assert_array_equal(layer.rasters[0], spikes)
                np.testing.assert_array_equal(layer.rasters[1], theirs[0])
        assert layer.spikes_integers == theirs.sum()
        assert 0.5 < layer.equal <= 1
        assert layer.spikes > 50


def test_fine_integers_are_the_network_and_coarse_ones_are_not(synnet, spec, raster, report):
    fine = dataclasses.replace(xylo.XYLO_AUDIO_3, weight_bits=16, state_bits=28)
    exact = xylo.fidelity(synnet, xylo.quantize(xylo.map_network(synnet, chip=fine)), raster)
    coarse = dataclasses.replace(xylo.XYLO_AUDIO_3, weight_bits=3)
    rough = xylo.fidelity(synnet, xylo.quantize(xylo.map_network(synnet, chip=coarse)), raster)
    for best, middle, worst in zip(exact.layers, report.layers, rough.layers, strict=True):
        assert best.count_error <= middle.count_error < worst.count_error
        assert best.sqnr > middle.sqnr > worst.sqnr
        assert best.error_over_time.mean() < worst.error_over_time.mean()
    assert exact.accuracy is None
    assert exact.layers[0].equal > 0.99


def test_the_first_difference_and_the_share_of_equal_spikes(report):
    for layer in report.layers:
        mine, theirs = layer.rasters
        assert layer.error_over_time.shape == (len(mine),)
        if layer.parts_at is None:
            assert layer.equal == 1
        else:
            assert not layer.error_over_time[: layer.parts_at].any()
            assert layer.error_over_time[layer.parts_at] > 0
            np.testing.assert_array_equal(mine[: layer.parts_at], theirs[: layer.parts_at])


def test_a_network_that_fell_silent_says_so_in_its_first_line(synnet, spec, raster):
    silent = dataclasses.replace(
        spec, threshold_out=jnp.full(4, 32767), w_out=jnp.minimum(spec.w_out, 1)
    )
    report = xylo.fidelity(synnet, silent, raster)
    first = str(report).splitlines()[0]
    assert "SILENT" in first
    assert "layers[5]" in first
    assert set(report.layers[-1].silent) == {0, 1, 2, 3}


CAUSES = {
    "a dash of 0": {"dash_syn": jnp.zeros((22, 1), jnp.int32)},
    "weights are 0": {"w_in": jnp.zeros((8, 22, 1), jnp.int32)},
    "too high": {
        "w_in": jnp.full((8, 22, 1), 1),
        "threshold": jnp.full(22, 32767),
        "dash_syn": jnp.ones((22, 1), jnp.int32),
        "dash_mem": jnp.ones(22, jnp.int32),
    },
    "outlier": {
        "w_in": jnp.full((8, 22, 1), 1).at[0].set(-128),
        "threshold": jnp.full(22, 100),
    },
}


@pytest.mark.few(3)
@pytest.mark.parametrize("cause", CAUSES)
def test_the_likely_cause_of_silence_is_named(synnet, spec, raster, cause):
    report = xylo.fidelity(synnet, dataclasses.replace(spec, **CAUSES[cause]), raster)
    assert report.layers[0].silent
    assert all(cause in why for why in report.layers[0].silent.values())
    assert cause in str(report)


def test_weights_count_for_the_cause_as_they_are_shifted(spec):
    # Eight weights of 1 and both dashes of 1: a potential of 32, or of 512 with a shift by 4.
    weak = dataclasses.replace(spec, **CAUSES["too high"] | {"threshold": jnp.full(22, 100)})
    assert "100 is too high for weights that add up to 8" in why_silent(weak, slice(0, 12), 3)
    shifted = dataclasses.replace(weak, weight_shift_in=4)
    assert "too high" not in why_silent(shifted, slice(0, 12), 3)


def test_saturation_and_events_that_are_cut_are_counted(synnet, spec, raster, report):
    loud = np.where(raster > 0, 20, 0)
    assert report.cut_events == 0
    with pytest.warns(hardware.MappingWarning, match="events of `raster` are beyond"):
        assert xylo.fidelity(synnet, spec, loud).cut_events == 5 * (loud > 0).sum()
    shifted = dataclasses.replace(spec, weight_shift_in=7)
    assert xylo.fidelity(synnet, shifted, raster).layers[0].saturated_states > 0


def test_the_report_is_json(report):
    content = json.loads(json.dumps(report.to_dict()))
    assert content["accuracy"] == report.accuracy
    assert len(content["layers"][0]["error_over_time"]) == 40
    assert content["layers"][1]["path"] == "layers[3]"


def test_what_does_not_fit_together_is_refused(synnet, spec, raster):
    other = SynNet(4, 8, (6,), (2,), key=jax.random.key(0))
    with pytest.raises(ValueError, match="22 hidden and 4 output neurons, but `model` 6 and 4"):
        xylo.fidelity(other, spec, raster)
    with pytest.raises(ValueError, match="`raster` must have the shape"):
        xylo.fidelity(synnet, spec, raster[0, 0])
    for labels in ([1, 2], np.zeros((6, 1), int)):
        with pytest.raises(ValueError, match="`labels` must be one for each of the 6"):
            xylo.fidelity(synnet, spec, raster, labels)
    for label in (4, -1, 0.5):
        with pytest.raises(ValueError, match="`labels` must be whole numbers from 0 to 3"):
            xylo.fidelity(synnet, spec, raster, [0, 1, 2, 3, 0, label])
    for empty in (raster[:0], raster[:, :0]):
        with pytest.raises(ValueError, match="`raster` must hold a recording of a step or more"):
            xylo.fidelity(synnet, spec, empty)


@pytest.mark.slow
def test_the_spikes_of_a_readout_that_is_read_as_potentials_count():
    linear = [
        eqx.nn.Linear(*sizes, use_bias=False, key=jax.random.key(i))
        for i, sizes in enumerate([(8, 12), (12, 4)])
    ]
    linear = [eqx.tree_at(lambda m: m.weight, m, 3 * m.weight) for m in linear]
    out = LIF(4, max_spikes=1, output="vmem")
    model = Sequential(linear[0], LIF(12), linear[1], out)
    x = np.random.default_rng(0).poisson(1.5, (4, 60, 8))
    spec = xylo.quantize(xylo.map_network(model))
    layer = xylo.fidelity(model, spec, x).layers[-1]
    recorded = jax.vmap(lambda x: record(model, x)[2])(jnp.asarray(x, jnp.float32))
    assert layer.spikes == recorded["layers[3].spikes"].sum() > 50
    assert layer.count_error < 0.2
    assert layer.silent == {}


def test_one_recording_is_a_batch_of_one(synnet, spec, raster):
    one, batch = (xylo.fidelity(synnet, spec, x, 2) for x in (raster[0], raster[:1]))
    assert str(one) == str(batch)


@pytest.mark.few(1)
@pytest.mark.parametrize(("method", "bits"), [("channel", 8), ("channel", 2), ("least_squares", 3)])
def test_weights_that_the_scale_cuts_off_are_counted(synnet, raster, method, bits):
    mapped = xylo.map_network(synnet)
    spec = xylo.quantize(mapped, method=method, bits=bits)
    real, whole = (
        {name: np.asarray(array, float) for name, array in x.arrays().items()}
        for x in (mapped, spec)
    )
    most = 2 ** (bits - 1) - 1
    scale = whole["threshold"] / real["threshold"] / 2 ** (8 - bits)
    hidden = sum(
        ((np.abs(real[name]) * scale[:, None] > most + 0.55) & (np.abs(whole[name]) == most)).sum(
            (0, 2)
        )
        for name in ("w_in", "w_rec")
    )
    layers = xylo.fidelity(synnet, spec, raster).layers
    assert [layer.clipped for layer in layers[:2]] == [hidden[:12].sum(), hidden[12:].sum()]
    assert (sum(layer.clipped for layer in layers) > 0) == (method == "least_squares")


@pytest.mark.slow
def test_neurons_that_saturate_are_named_with_the_likely_cause(synnet, spec, raster):
    """Neuron 2 of the first layer gets more current than 16 bits hold, neuron 5 less."""
    w_in = np.asarray(spec.w_in).copy()
    w_in[:, 2], w_in[:, 5] = 127, -127
    events = np.minimum(40 * raster, 15)
    loud = dataclasses.replace(spec, w_in=jnp.asarray(w_in), weight_shift_in=5)
    layer = xylo.fidelity(synnet, loud, events).layers[0]
    trace = xylo.simulate(loud, events)
    # What is left after its decay of a current of 32767.
    dash = int(spec.dash_syn[2, 0])
    assert (trace.isyn[..., 2, 0] == 32767 - (32767 >> dash)).any()
    assert "its synaptic current is cut" in layer.saturated[2]
    assert "no lower bound" in layer.saturated[5] or "current is cut" in layer.saturated[5]
    report = str(xylo.fidelity(synnet, loud, events))
    assert "saturated in layers[1]: neurons" in report
    assert xylo.fidelity(synnet, spec, raster).layers[0].saturated == {}


@pytest.mark.slow
def test_inhibition_without_a_bound_is_the_likely_cause_at_the_lowest_potential(synnet, spec):
    w_in = np.asarray(spec.w_in).copy()
    w_in[:, 5] = -8
    low = dataclasses.replace(spec, w_in=jnp.asarray(w_in), dash_mem=spec.dash_mem + 8)
    events = np.full((1, 100, 8), 15)
    assert xylo.simulate(low, events).vmem[..., 5].min() == -32768
    assert "no lower bound" in xylo.fidelity(synnet, low, events).layers[0].saturated[5]


def test_the_network_through_its_plan_stands_beside_the_one_in_float(synnet, spec, raster, report):
    labels, plan = [0, 1, 2, 3, 0, 1], xylo.plan(synnet)
    both = xylo.fidelity(synnet, spec, raster, labels, plan=plan)
    alone = xylo.fidelity(transforms.apply(plan, synnet), spec, raster, labels)
    assert both.agreement == report.agreement
    assert both.through_plan.beside == "the network through its plan"
    for layer, planned, apart in zip(
        both.layers, both.through_plan.layers, alone.layers, strict=True
    ):
        assert planned.equal == apart.equal > layer.equal
        np.testing.assert_array_equal(planned.drift, apart.drift)
        assert planned.drift.mean() < layer.drift.mean()
    assert re.search(r"the plan sees \d\d% of the difference", both.causes()[-1])
    assert "the integers beside the network through its plan" in str(both)
    content = json.loads(json.dumps(both.to_dict()))
    assert content["through_plan"]["layers"][0]["equal"] == alone.layers[0].equal


@pytest.mark.slow
def test_integers_stand_beside_other_integers(synnet, spec, raster):
    same = xylo.fidelity(spec, spec, raster, [0, 1, 2, 3, 0, 1])
    assert same.causes() == ("the other integers and the integers spike alike at every step",)
    assert (same.agreement, same.layers[0].clipped) == (1, None)
    coarse = dataclasses.replace(xylo.XYLO_AUDIO_3, weight_bits=4)
    rough = xylo.quantize(xylo.map_network(synnet, chip=coarse))
    found = xylo.fidelity(spec, rough, raster)
    traces = [xylo.simulate(x, raster) for x in (spec, rough)]
    apart = np.abs(np.asarray(traces[0].spikes) - np.asarray(traces[1].spikes))
    for layer, own in zip(found.layers, (slice(0, 12), slice(12, 22)), strict=False):
        np.testing.assert_array_equal(layer.error_over_time, apart[..., own].mean((0, 2)))
        np.testing.assert_array_equal(layer.rasters[0], traces[0].spikes[0, :, own])
    with pytest.raises(ValueError, match="`plan` has no use beside other integers"):
        xylo.fidelity(spec, rough, raster, plan=xylo.plan(synnet))
    other = SynNet(4, 8, (12, 9), (2, 2), key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"`model` has 8 inputs, hidden layers of \[12, 9\]"):
        xylo.fidelity(xylo.quantize(xylo.map_network(other)), spec, raster)


def test_answers_and_potentials_over_time(report, synnet, spec, raster):
    labels = np.array([0, 1, 2, 3, 0, 1])
    trace = xylo.simulate(spec, np.pad(raster, ((0, 0), (0, 2), (0, 0))))
    out = np.asarray(trace.spikes_out)[:, 2:]
    for step in (0, 11, 39):
        answers = out[:, : step + 1].sum(1).argmax(-1)
        assert report.accuracy_integers_over_time[step] == np.mean(answers == labels)
    assert report.agreement_over_time.shape == (40,)
    assert report.agreement == report.agreement_over_time[-1]
    layer = report.layers[0]
    theirs = np.asarray(trace.vmem)[0, :40, :12] / np.asarray(spec.threshold[:12])
    mine = record(synnet, raster[0].astype(np.float32))[2][f"{layer.path}.vmem"]
    one = xylo.fidelity(synnet, spec, raster[0]).layers[0]
    expected = np.sqrt(((mine / synnet.layers[1].threshold - theirs) ** 2).mean(1))
    np.testing.assert_allclose(one.drift, expected, rtol=1e-4)


def test_both_families_have_the_same_signature():
    mine, theirs = (
        list(inspect.signature(family.fidelity).parameters) for family in (xylo, dynapcnn)
    )
    assert [*mine, "statistics"] == theirs  # no batch norms on a Xylo


def two_layers(cap, tau):
    rng = np.random.default_rng(1)
    settings = {"tau_mem": tau, "tau_syn": tau, "dt": 1e-3}
    layers = []
    for n_in, n_out, most in ((8, 20, cap), (20, 4, 1)):
        linear = eqx.nn.Linear(n_in, n_out, use_bias=False, key=jax.random.key(0))
        weight = jnp.asarray(rng.normal(0.1, 0.4, (n_out, n_in)), jnp.float32)
        layers.append(eqx.tree_at(lambda m: m.weight, linear, weight))
        layers.append(LIF(n_out, max_spikes=most, **settings))
    return Sequential(*layers)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::snnjax.hardware.MappingWarning")
def test_caps_and_decays_that_the_chip_changes_are_causes_by_their_shares(raster):
    model = two_layers(1, 5.8e-3)
    report = xylo.fidelity(model, xylo.quantize(xylo.map_network(model)), raster[:1])
    names = [share.name for share in report.shares]
    assert names == ["spike caps", "decays", "rounding"]
    assert sum(share.share for share in report.shares) == pytest.approx(1)
    caps, decays = (next(x for x in report.causes() if x.startswith(n)) for n in names[:2])
    assert "layers[1] emits up to 1 spike in a step in the network and 31 spikes on" in caps
    assert "5.8 ms becomes 7.49 ms" in decays
    assert not any(words.startswith("rounding alone") for words in report.causes())


@pytest.mark.slow
def test_caps_and_decays_that_the_chip_has_are_no_causes(raster):
    model = two_layers(31, float(decay.dash_to_tau(3, 1e-3)))
    report = xylo.fidelity(model, xylo.quantize(xylo.map_network(model)), raster[:1])
    assert [share.name for share in report.shares] == ["rounding"]
