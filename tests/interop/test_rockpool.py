"""Rockpool's files and specifications, and the way back."""

import dataclasses
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import ALIF, LIF, Residual, Sequential, SynNet, quant, record, transforms
from snnjax.hardware import xylo
from snnjax.interop import rockpool
from snnjax.interop._neuron import NIRIntegrator, NIRNeuron
from snnjax.nn import Bitshifts, Decays, TimeStepDropout
from snnjax.surrogate import PeriodicExponential, PiecewiseLinear

from ..parity._digest import digest
from ._arrays import arrays
from ._rockpool_files import CASES, GOLDEN, text

DATA = Path(__file__).parents[3] / "shared/data/xylo-audio3"
VENDOR = DATA / "to_deploy_inXylo.json"
SOUNDS = ("background", "glass", "gun", "scream")

needs_data = pytest.mark.skipif(not VENDOR.exists(), reason="needs shared/data/xylo-audio3")


@pytest.fixture(scope="module")
def golden():
    return arrays(GOLDEN)


def written(case, tmp_path):
    path = tmp_path / "net.json"
    path.write_text(text(case))
    return path


@pytest.mark.few(3)
@pytest.mark.parametrize("case", CASES)
def test_a_file_runs_as_rockpool_ran_it(case, golden, tmp_path):
    model = eqx.nn.inference_mode(rockpool.load(written(case, tmp_path)))
    y, _ = eqx.filter_jit(model)(golden[f"{case}/input"])
    if case == "synnet_vmem":
        np.testing.assert_allclose(y, golden[f"{case}/output"], rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(y, golden[f"{case}/output"])
    assert abs(y).sum() > 10


@pytest.mark.parametrize("case", CASES)
def test_a_file_that_is_written_again_is_the_same_network_to_both(case, golden, tmp_path):
    model = rockpool.load(written(case, tmp_path))
    rockpool.save(model, tmp_path / "again.json")
    assert eqx.tree_equal(rockpool.load(tmp_path / "again.json"), model)
    # Rockpool loaded such a file into its network and ran it.
    np.testing.assert_allclose(golden[f"{case}/back"], golden[f"{case}/output"], rtol=1e-6)
    old, new = (flat(json.loads(t)) for t in (text(case), (tmp_path / "again.json").read_text()))
    assert old.keys() == new.keys()
    for name, value in old.items():
        if value is not None:
            np.testing.assert_allclose(*np.broadcast_arrays(new[name], value), rtol=1e-6)


def flat(content, place=""):
    """The values of a file by their place, texts but for names read as numbers."""
    found = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= flat(value, f"{place}{key}/")
        elif key not in ("leak_mode", "training"):
            found[f"{place}{key}"] = None if value is None else squeezed(json.loads(value))
    return found


def squeezed(value):
    return np.squeeze(np.asarray(value, float))


def test_what_a_file_holds_is_in_the_layers(tmp_path):
    model = rockpool.load(written("sequential", tmp_path))
    first, last = model["1_LIFTorch"], model["3_LIFTorch"]
    assert (first.shape, first.synapses) == ((8,), 2)
    assert first.w_rec.shape == (8, 16)
    assert last.w_rec is None
    np.testing.assert_allclose(last.bias, [0.05, 0, 0.1, 0.02], rtol=1e-6)
    assert isinstance(last.settings.surrogate, PiecewiseLinear)
    assert isinstance(rockpool.load(written("decays", tmp_path)).layers[1].leak, Decays)
    assert isinstance(rockpool.load(written("bitshifts", tmp_path)).layers[1].leak, Bitshifts)
    synnet = rockpool.load(written("synnet", tmp_path))
    assert isinstance(synnet["0_neurons"].settings.surrogate, PeriodicExponential)
    assert isinstance(synnet["0_dropout"], TimeStepDropout)
    assert isinstance(rockpool.load(written("residual", tmp_path)).layers[2], Residual)


def test_dropout_of_whole_units_is_left_out_with_a_warning(tmp_path):
    content = json.loads(text("bitshifts"))
    content["2_UnitDropout"] = {"p": "0.3", "training": "false"}
    path = tmp_path / "net.json"
    path.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match=r"'2_UnitDropout' is left out, .* `quant.Dropout"):
        model = rockpool.load(path)
    assert isinstance(model["2_UnitDropout"], eqx.nn.Identity)


def test_a_synnet_of_ours_is_written_under_rockpools_names(tmp_path):
    model = SynNet(4, 3, [6, 5], [2, 2], p_dropout=0.1, key=jax.random.key(0))
    rockpool.save(model, tmp_path / "net.json")
    content = json.loads((tmp_path / "net.json").read_text())
    names = ["linear", "neurons", "dropout"]
    wanted = [f"{i}_{name}" for i in (0, 1) for name in names] + ["out_linear", "out_neurons"]
    assert list(content["seq"]) == wanted
    x = jnp.ones((20, 3))
    y, _ = eqx.nn.inference_mode(rockpool.load(tmp_path / "net.json"))(x)
    np.testing.assert_array_equal(y, eqx.nn.inference_mode(model)(x)[0])


# ----- the vendor's network


@pytest.fixture(scope="module")
def vendor(golden):
    return json.loads(str(golden["manifest"]))["vendor"]


@pytest.fixture(scope="module")
def model():
    return rockpool.load(VENDOR)


def raster(sound):
    return np.load(DATA / f"AFESimExternalSample_{sound}.npy")


@needs_data
def test_the_vendors_network_fires_as_in_rockpool(model, vendor):
    run = eqx.filter_jit(record)
    for sound in SOUNDS:
        y, _, records = run(model, raster(sound).astype(np.float32))
        assert digest(y) == vendor[f"float/{sound}/output"]
        assert int(y.sum(0).argmax()) == {"background": 3, "glass": 0, "gun": 1, "scream": 2}[sound]
        for i in range(3):
            spikes = records[f"layers[{2 * i + 1}].spikes"]
            assert digest(spikes) == vendor[f"float/{sound}/{i}_neurons"]


@pytest.fixture(scope="module")
def integers(model):
    return xylo.quantize(xylo.map_network(model), method="channel")


@needs_data
def test_the_vendors_integers_are_the_mappers(integers, vendor):
    """Mapped and quantised in one call each, they are what Rockpool's tools give."""
    ours = xylo.export(integers, format="rockpool-simulator")
    ours |= {"dash_syn_2": np.zeros_like(ours["dash_syn"])}
    # Only the first hidden neurons have inputs and only the last have outputs.
    ours |= {"weights_in": ours["weights_in"][:, :63], "weights_out": ours["weights_out"][-63:]}
    for name in ("bias", "bias_out"):
        ours[name] = np.zeros(189 if name == "bias" else 4) if ours[name] is None else ours[name]
    wanted = {k.removeprefix("spec/"): v for k, v in vendor.items() if k.startswith("spec/")}
    assert wanted.pop("dt") == integers.dt == 0.009994
    assert {name: digest(ours[name]) for name in wanted} == wanted


@pytest.mark.few(2)
@needs_data
@pytest.mark.parametrize("sound", SOUNDS)
def test_every_integer_of_the_vendors_network_is_that_of_xylosim(sound, integers, vendor):
    trace = xylo.simulate(integers, np.minimum(raster(sound), 15))
    found = {"output": trace.spikes_out, "Spikes": trace.spikes, "Vmem": trace.vmem}
    found |= {"Isyn": trace.isyn[..., 0], "Isyn_out": trace.isyn_out, "Vmem_out": trace.vmem_out}
    assert {k: digest(v) for k, v in found.items()} == {
        k: vendor[f"sim/{sound}/{k}"] for k in found
    }


# ----- specifications


@pytest.fixture(scope="module")
def spec():
    keys = jax.random.split(jax.random.key(0))
    inner = Residual(eqx.nn.Linear(8, 8, key=keys[0]), LIF(8))
    model = Sequential(
        eqx.nn.Linear(4, 16, use_bias=False, key=keys[0]),
        LIF(8, synapses=2, bias=0.1, recurrent=True, key=keys[1]),
        inner,
        eqx.nn.Linear(8, 3, use_bias=False, key=keys[1]),
        LIF(3, max_spikes=1),
    )
    model = eqx.tree_at(lambda m: m.layers[2].layers[0].bias, model, None)
    # A specification does not say which layers of a model its neurons are.
    return dataclasses.replace(xylo.map_network(model), layers=())


@pytest.mark.few(1)
@pytest.mark.parametrize("whole", [False, True])
def test_a_specification_is_the_network_that_it_came_from(spec, whole):
    wanted = xylo.quantize(spec) if whole else spec
    arguments = specification(wanted)
    found = rockpool.from_specification(arguments, chip="audio3")
    assert eqx.tree_equal(found, wanted)
    del arguments["dt"]
    with pytest.raises(ValueError, match="`dt` is needed"):
        rockpool.from_specification(arguments, chip="audio3")
    assert eqx.tree_equal(rockpool.from_specification(arguments, chip="audio3", dt=1e-3), wanted)


def specification(spec):
    """As Rockpool's mapper gives it."""
    dash_syn = np.asarray(spec.dash_syn)
    aliases = spec.aliases.tolist()
    return {
        "mapped_graph": None,
        "weights_in": np.asarray(spec.w_in),
        "weights_rec": np.asarray(spec.w_rec),
        "weights_out": np.asarray(spec.w_out),
        "dash_mem": np.asarray(spec.dash_mem),
        "dash_mem_out": np.asarray(spec.dash_mem_out),
        "dash_syn": dash_syn[:, 0],
        "dash_syn_2": dash_syn[:, 1],
        "dash_syn_out": np.asarray(spec.dash_syn_out),
        "threshold": np.asarray(spec.threshold),
        "threshold_out": np.asarray(spec.threshold_out),
        "bias": np.asarray(spec.bias),
        "bias_out": None if spec.bias_out is None else np.asarray(spec.bias_out),
        "weight_shift_in": spec.weight_shift_in,
        "weight_shift_rec": spec.weight_shift_rec,
        "weight_shift_out": spec.weight_shift_out,
        "aliases": [[alias] if alias >= 0 else [] for alias in aliases],
        "dt": spec.dt,
    }


def test_weights_may_be_those_of_the_neurons_in_use_alone(spec):
    wanted = xylo.quantize(spec)
    arguments = specification(wanted)
    first, last = arguments["weights_in"].any((0, 2)), arguments["weights_out"].any(1)
    assert (first.sum(), last.sum()) == (8, 8)
    arguments["weights_in"] = arguments["weights_in"][:, :8]
    arguments["weights_out"] = arguments["weights_out"][-8:]
    assert eqx.tree_equal(rockpool.from_specification(arguments, chip="audio3"), wanted)


def test_weights_may_lack_the_axis_of_synapses_and_recurrence():
    arguments = {
        "weights_in": np.ones((2, 3), np.int8),
        "weights_out": np.ones((3, 1), np.int8),
        "dash_mem": np.ones(3, int),
        "dash_mem_out": np.ones(1, int),
        "dash_syn": np.ones(3, int),
        "dash_syn_out": np.ones(1, int),
        "threshold": np.full(3, 100),
        "threshold_out": np.full(1, 100),
    }
    spec = rockpool.from_specification(arguments, chip="imu", dt=1e-2)
    assert spec.w_in.shape == (2, 3, 1)
    assert not spec.w_rec.any()
    assert spec.quantized
    wrong = {
        "`specification` has unknown entries: leak": arguments | {"leak": 3},
        "`specification` has no 'threshold'": {
            k: v for k, v in arguments.items() if k != "threshold"
        },
        "`aliases` must have at most one target": arguments | {"aliases": [[1, 2], [], []]},
        r"`bias` must be \(hidden\)": arguments | {"bias": np.ones(4)},
    }
    for message, given in wrong.items():
        with pytest.raises(ValueError, match=message):
            rockpool.from_specification(given, chip="imu", dt=1e-2)


# ----- damaged files


def changed(content, *path_and_value):
    *path, last, value = path_and_value
    place = content
    for key in path:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("1_LIFTorch", "w_rec", None), "module '1_LIFTorch' has no 'w_rec'"),
        (("1_LIFTorch", "threshold", "[1"), "Expecting"),
        (("1_LIFTorch", "threshold", 3), "1_LIFTorch.threshold must be JSON in a text; got 3"),
        (("1_LIFTorch", "threshold", "NaN"), "module '1_LIFTorch': it holds numbers that are not"),
        (("1_LIFTorch", "leak_mode", '"slow"'), "`leak_mode` must be one of taus, decays"),
        (("2_LinearTorch", {"tau_ahp": "1"}), "module '2_LinearTorch': it is none of LinearTorch"),
        (("readout", {"weight": "[[1]]"}), "the place of 'readout' is not in the file; .* `order`"),
    ],
)
def test_a_damaged_file_is_one_error_that_names_it(change, message, tmp_path):
    path = tmp_path / "net.json"
    path.write_text(changed(json.loads(text("sequential")), *change))
    with pytest.raises(ValueError, match=rf"net\.json: .*{message}"):
        rockpool.load(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"a": {}}', "[" * 100_000, "\xff"])
def test_what_is_no_such_file_is_one_error_that_names_it(content, tmp_path):
    (tmp_path / "net.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"net\.json(:| is not JSON,| is not a text) "):
        rockpool.load(tmp_path / "net.json")


def test_modules_without_numbers_go_in_the_order_that_is_given(tmp_path):
    content = json.loads(text("sequential"))
    names = dict(zip(["a", "b", "c", "d"], sorted(content), strict=True))
    (tmp_path / "net.json").write_text(json.dumps({k: content[v] for k, v in names.items()}))
    model = rockpool.load(tmp_path / "net.json", order=["a", "b", "c", "d"])
    assert model.names == ("a", "b", "c", "d")
    with pytest.raises(ValueError, match="`order` must name a, b, c, d"):
        rockpool.load(tmp_path / "net.json", order=["a"])


def test_paths_that_are_no_files_are_errors(tmp_path):
    with pytest.raises(ValueError, match="is a directory"):
        rockpool.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist"):
        rockpool.load(tmp_path / "none.json")


def planned(**rules):
    model = Sequential(LIF(4))
    return transforms.apply(transforms.plan(model, {}, **rules), model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Sequential(LIF(4), ALIF(4)), r"`network\.layers\[1\]`: Rockpool has no ALIF"),
        (
            Sequential(NIRIntegrator((4,), dt=1e-3, tau_mem=1e-2, membrane="sum")),
            r"`network\.layers\[0\]`: Rockpool's synapses have r = exp\(-dt/tau\)",
        ),
        (
            Sequential(NIRNeuron((4,), dt=1e-3, tau_mem=1e-2, membrane="sum")),
            r"`network\.layers\[0\]`: Rockpool's neurons fire at the threshold",
        ),
        (
            Sequential(NIRNeuron((4,), dt=1e-3, tau_mem=1e-2)),
            r"`network\.layers\[0\]`: Rockpool has no such NIRNeuron",
        ),
        (planned(activations={"LIF": quant.Int(4)}), "`network`: its outputs have transforms"),
        (planned(states={"LIF.vmem": quant.Int(4)}), "its states have transforms"),
    ],
)
def test_what_rockpool_does_not_have_is_refused_by_name(model, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        rockpool.save(model, tmp_path / "net.json")
    with pytest.raises(TypeError, match="`network` must be a Sequential or a SynNet; got LIF"):
        rockpool.save(LIF(4), tmp_path / "net.json")


def test_what_xylo_exports_for_a_board_is_the_network_again(spec):
    wanted = xylo.quantize(spec)
    arguments = xylo.export(wanted, format="rockpool-board")
    assert eqx.tree_equal(rockpool.from_specification(arguments, chip="audio3"), wanted)
