"""The commands for DYNAP-CNN, as a user types them, on a run of a few seconds."""

import json
import re
import shutil

import equinox as eqx
import jax
import numpy as np
import pytest

from snnjax.cli import _runs
from snnjax.hardware import dynapcnn
from snnjax.train.recipes import _images

from ._commands import call, lines_of, settings, trained

pytestmark = pytest.mark.slow

FEW = ["images", *settings(channels="4,6", batch_size=128)]
SMALL = ["--epochs", "2", *FEW]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "small", *SMALL)


def test_train_leaves_the_same_folder_as_for_xylo(run):
    folder, output = run
    for row in ("float network", "transformed parameters", "integers, bit-exact simulator"):
        assert row in output
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {
        "checkpoint",
        "config.json",
        "dynapcnn.json",
        "metrics.jsonl",
        "summary.txt",
    }
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 2
    summary = (folder / "summary.txt").read_text()
    for part in ("images for Speck 2f", "of 360", "kernel memory", "SQNR", "seed = 0"):
        assert part in summary


def test_the_integers_answer_as_the_network_did_in_training(run):
    """Training sees the numbers of the chip, so both are right about the same digits."""
    _, output = run
    rows = [re.search(r"│\s+(\d+) │", line) for line in output.splitlines() if "│" in line]
    _, transformed, integers = (int(row[1]) for row in rows if row)
    assert transformed == integers > 36


def test_check_prints_what_is_used(run):
    result = call("check", run[0])
    assert result.exit_code == 0
    assert "kernel memory of core 0" in result.output
    assert "fits Speck 2f" in result.output


def test_simulate_repeats_the_accuracy_of_training(run):
    folder, output = run
    result = call("simulate", folder)
    assert result.exit_code == 0, result.output
    line = next(row for row in output.splitlines() if "integers" in row)
    right = line.split("│")[2].strip()
    assert f"{right} of 360 right" in result.output


def test_simulate_runs_a_raster_of_the_user_and_writes_every_state(run, tmp_path):
    raster, out = tmp_path / "events.npy", tmp_path / "trace.npz"
    events = np.random.default_rng(0).poisson(1, (6, 1, 8, 8))
    np.save(raster, events)
    result = call("simulate", run[0], "--raster", raster, "--out", out)
    assert result.exit_code == 0, result.output
    assert "1 sequence(s) of 6 steps" in result.output
    spec = dynapcnn.load(run[0] / "dynapcnn.json")
    trace = dynapcnn.simulate(spec, events)
    assert f"hidden spikes: {sum(int(x.sum()) for x in trace.spikes[:2]):.1f}" in result.output
    with np.load(out) as written:
        names = {f"{kind}_{i}" for kind in ("spikes", "vmem") for i in (0, 1, 2)}
        assert names <= set(written.files)
        np.testing.assert_array_equal(written["spikes_1"], trace.spikes[1])
        np.testing.assert_array_equal(written["vmem_2"], trace.vmem[2])


def test_export_writes_what_the_loader_reads(run, tmp_path):
    result = call("export", run[0], tmp_path / "speck.json")
    assert result.exit_code == 0, result.output
    spec = dynapcnn.load(tmp_path / "speck.json")
    assert eqx.tree_equal(spec, dynapcnn.load(run[0] / "dynapcnn.json"))
    again = call("export", run[0] / "dynapcnn.json", tmp_path / "again.json")
    assert again.exit_code == 0
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "speck.json").read_bytes()
    result = call("export", run[0], tmp_path / "speck.json", "--readout")
    assert result.exit_code == 0, result.output
    assert eqx.tree_equal(dynapcnn.load(tmp_path / "speck.json"), dynapcnn.pad_readout(spec))
    config = json.loads((tmp_path / "speck.json").read_text())
    assert np.shape(config["cnn_layers"]["2"]["weights"]) == (37, 6, 4, 4)


def test_plan_shows_what_each_core_loses(run):
    result = call("plan", run[0])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 3 * 3  # weights, threshold and lower bound of each
    assert all("SQNR" in line for line in lines)


@pytest.mark.slow
def test_a_plan_of_the_users_comes_before_that_of_the_chip(run, tmp_path):
    plan = tmp_path / "mine.toml"
    plan.write_text('[by_family]\nweights = { transform = "Int", bits = 3 }\n')
    result = call("train", "--out", tmp_path / "run", "--plan", plan, "--epochs", 1, *FEW)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run/plan.toml").exists()
    for layer in dynapcnn.load(tmp_path / "run/dynapcnn.json").layers:
        assert len(np.unique(layer.weight)) <= 8
    assert "Int" in call("plan", tmp_path / "run").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chip", "loihi"), "speck2f"),
        (("images", "--chip", "loihi"), "speck2f"),
        (("images", "--bits", "7"), "`bits` is no option of the chip speck2f"),
        (("images", "--set", "time_constants=2"), "`time_constants` is no setting"),
        (("--data", "mnist"), "`--data` is no option of this recipe"),
        (("digits", "--chip", "speck2f"), "`method` is no option of the chip speck2f"),
        (("images", "--set", "channels=8"), "`channels` must be 2 whole numbers; got '8'"),
        (("images", "--set", "channels=8,2000"), "there are at most 1024 channels"),
        (("images", "--data", "nowhere"), "t10k-images-idx3-ubyte"),
        (("images", "--set", "steps=0"), "`steps` must be above 0"),
        (("images", "--set", "shift=-1"), "`shift` must be at least 0"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training_and_leaves_no_folder(
    tmp_path, arguments, message
):
    result = call("train", "--out", tmp_path / "run", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_for_an_unknown_chip_is_a_clear_error(run, tmp_path):
    folder = tmp_path / "unknown"
    shutil.copytree(run[0], folder)
    header = json.loads((folder / "config.json").read_text())
    header["settings"]["chip"] = "../../x"
    (folder / "config.json").write_text(json.dumps(header))
    result = call("check", folder)
    assert result.exit_code == 2
    assert "config.json: `chip`" in result.stderr
    assert "speck2f" in result.stderr


def test_moved_images_keep_their_pixels():
    image = jax.numpy.arange(16.0).reshape(1, 4, 4)
    seen = {
        tuple(np.asarray(_images._shifted(image, 1, jax.random.key(i))).ravel()) for i in range(60)
    }
    assert len(seen) == 9
    assert tuple(image.ravel().tolist()) in seen
    assert all(set(x) <= set(range(16)) for x in seen)


@pytest.mark.slow
def test_fidelity_compares_the_network_with_its_integers_and_steps_with_events(run, tmp_path):
    report, figure = tmp_path / "report.json", tmp_path / "report.png"
    result = call("fidelity", run[0], "--out", report, "--figure", figure)
    assert result.exit_code == 0, result.output
    content = json.loads(report.read_text())
    assert content["recordings"] == content["events"]["recordings"] == 360
    assert [layer["path"] for layer in content["layers"]] == ["layers[1]", "layers[3]", "layers[6]"]
    for layer, modes in zip(content["layers"], content["events"]["layers"], strict=True):
        assert layer["spikes_integers"] == modes["steps"] > 0
    assert content["accuracy_integers"] == content["events"]["accuracy_steps"]
    assert f"{content['layers'][0]['spikes']:,}" in result.output
    assert f"{content['events']['layers'][0]['events']:,}" in result.output
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_trained_through_the_chip_the_integers_answer_as_in_training(tmp_path):
    folder, output = trained(tmp_path / "run", *SMALL, "--set", "stages=float,chip")
    assert "transformed parameters" not in output
    assert [line["through"] for line in lines_of(folder)] == ["float", "chip"]
    opened = _runs.reopen(folder)
    rasters, labels = opened.data.test
    run = eqx.filter_jit(dynapcnn.emulate(opened.state.model.network, input_shape=(1, 8, 8)))
    trace = dynapcnn.simulate(dynapcnn.load(folder / "dynapcnn.json"), rasters)
    np.testing.assert_array_equal(run(rasters).spikes_out, trace.spikes_out)
    right = int((trace.spikes_out[..., 0, 0].sum(1).argmax(-1) == labels).sum())
    assert re.search(rf"simulator\s*│\s*{right} │", output)
