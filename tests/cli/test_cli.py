"""The commands, as a user types them, on a network small enough for a test."""

import json
import re
import shutil
import signal
import subprocess
import sys

import equinox as eqx
import numpy as np
import pytest

from snnjax._checks import read_toml
from snnjax.cli import _runs
from snnjax.codegen import c
from snnjax.hardware import xylo
from snnjax.train import Run
from snnjax.train.recipes import RECIPES

from ..codegen.elsewhere import run_elsewhere
from ._commands import SMALL, call, lines_of


@pytest.fixture(scope="module")
def run(small):
    return small


def test_train_ends_with_the_three_accuracies_and_leaves_the_whole_folder(run):
    folder, output = run
    for row in ("float network", "transformed parameters", "integers, bit-exact simulator"):
        assert row in output
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {
        "checkpoint",
        "config.json",
        "metrics.jsonl",
        "summary.txt",
        "xylo.json",
    }
    lines = lines_of(folder)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["loss"] < lines[0]["loss"]
    summary = (folder / "summary.txt").read_text()
    for part in ("of 360", "hidden neurons", "tau_syn", "integer 4", "seed = 0"):
        assert part in summary


def test_the_spec_in_the_folder_loads_and_fits(run):
    folder, _ = run
    spec = xylo.load(folder / "xylo.json")
    assert spec.chip == xylo.XYLO_AUDIO_3
    assert spec.w_rec.shape == (40, 40, 1)
    assert not xylo.check(spec)


def test_check_prints_what_is_used(run):
    result = call("check", run[0])
    assert result.exit_code == 0
    assert "hidden neurons" in result.output
    assert "fits Xylo Audio 3" in result.output


def test_check_fails_where_a_limit_is_broken(run, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(run[0], folder)
    text = (folder / "xylo.json").read_text()
    (folder / "xylo.json").write_text(text.replace('"audio3"', '"audio2"'))
    result = call("check", folder)
    assert result.exit_code == 1
    assert "`n_outputs` is 10" in result.output
    assert "8 output neurons" in result.output


def test_export_writes_the_integers_that_fit(run, tmp_path):
    out = tmp_path / "mine.json"
    assert call("export", run[0], out, "--format", "json").exit_code == 0
    assert eqx.tree_equal(xylo.load(out), xylo.load(run[0] / "xylo.json"))
    result = call("export", run[0], out, "--readout")
    assert result.exit_code == 2
    assert "`--readout` is no option of Xylo Audio 3" in result.stderr
    result = call("export", run[0], out, "--format", "elf")
    assert result.exit_code == 2
    assert (
        "`--format` must be one of rockpool-board, rockpool-simulator, json, c, jax"
        in result.stderr
    )


def test_export_to_c_writes_a_folder(run, tmp_path):
    result = call("export", run[0], tmp_path / "firmware", "--format", "c")
    assert result.exit_code == 0, result.output
    program = c.generate(xylo.load(run[0] / "xylo.json"))
    assert program.footprint.text() in result.output.replace("\n", " ")
    for name, text in program.files().items():
        assert name in result.output
        assert (tmp_path / "firmware" / name).read_text() == text


def test_export_to_jax_writes_a_program_that_runs_without_snnjax(run, tmp_path):
    pytest.importorskip("flatbuffers")
    result = call("export", run[0], tmp_path / "network.jaxexport", "--format", "jax")
    assert result.exit_code == 0, result.output
    assert "for cpu, cuda, tpu" in result.output.replace("\n", " ")
    events = np.random.default_rng(0).poisson(1, (2, 30, 16)).astype(np.int32)
    ((spikes, vmem),) = run_elsewhere({tmp_path / "network.jaxexport": [events]})
    trace = xylo.simulate(xylo.load(run[0] / "xylo.json"), events)
    np.testing.assert_array_equal(spikes, trace.spikes_out)
    np.testing.assert_array_equal(vmem, trace.vmem_out)


@pytest.mark.parametrize("format", ["rockpool-board", "rockpool-simulator", "json", "c"])
def test_export_takes_a_file_of_integers_for_every_format(run, tmp_path, format):
    spec = run[0] / "xylo.json"
    from_run, from_file = tmp_path / "from_run", tmp_path / "from_file"
    for place, out in ((run[0], from_run), (spec, from_file)):
        result = call("export", place, out, "--format", format)
        assert result.exit_code == 0, result.output
    pairs = [(from_run, from_file)]
    if format == "c":
        pairs = [(file, from_file / file.name) for file in sorted(from_run.iterdir())]
    for one, other in pairs:
        assert one.read_bytes() == other.read_bytes()


def test_check_and_simulate_take_a_file_of_integers(run, tmp_path):
    spec, raster = run[0] / "xylo.json", tmp_path / "events.npy"
    np.save(raster, np.ones((4, 16), int))
    assert call("check", spec).output == call("check", run[0]).output
    outputs = [call("simulate", place, "--raster", raster).output for place in (spec, run[0])]
    assert outputs[0] == outputs[1]
    for arguments, words in (
        (("simulate", spec), "`--raster` gives its input; held-out data need a run folder"),
        (("export", spec, tmp_path / "x", "--front-end", tmp_path / "y"), "needs a run folder"),
        (("check", run[0] / "config.json"), "its `chip` must be one of"),
    ):
        result = call(*arguments)
        assert result.exit_code == 2
        assert words in " ".join(result.stderr.split())


def test_simulate_repeats_the_accuracy_of_training(run):
    folder, output = run
    result = call("simulate", folder)
    assert result.exit_code == 0
    line = next(row for row in output.splitlines() if "integers" in row)
    right = line.split("│")[2].strip()
    assert f"{right} of 360 right" in result.output


def test_simulate_runs_a_raster_of_the_user_and_writes_every_state(run, tmp_path):
    raster, out = tmp_path / "events.npy", tmp_path / "trace.npz"
    events = np.random.default_rng(0).poisson(1, (2, 30, 16))
    np.save(raster, events)
    result = call("simulate", run[0], "--raster", raster, "--out", out)
    assert result.exit_code == 0, result.output
    assert "2 sequence(s) of 30 steps" in result.output
    trace = xylo.simulate(xylo.load(run[0] / "xylo.json"), events)
    with np.load(out) as written:
        for name in written.files:
            np.testing.assert_array_equal(written[name], getattr(trace, name))
        assert set(written.files) == set(trace._fields) - {"state"}


def bad_raster(values):
    def make(folder):
        np.save(folder / "bad.npy", values)
        return "--raster", folder / "bad.npy"

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bad_raster(np.zeros((5, 12), int)), "12"),
        (bad_raster(np.full((5, 16), np.nan)), "NaN"),
        (bad_raster(np.full((5, 16), -1)), "negative"),
        (bad_raster(np.full((5, 16), 0.5)), "whole"),
        (lambda folder: ("--raster", folder / "missing.npy"), "missing.npy"),
    ],
)
def test_a_bad_raster_is_one_line_on_stderr(run, tmp_path, make, message):
    result = call("simulate", run[0], *make(tmp_path))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def foreign(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("not a run")


def damaged(folder):
    folder.mkdir()
    (folder / "config.json").write_text('{"format": "snnjax-run", "version": 1, "rec')


def newer(folder):
    folder.mkdir()
    (folder / "config.json").write_text('{"format": "snnjax-run", "version": 99}')


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "there is no run folder"),
        (foreign, "is not a run folder"),
        (damaged, "is not JSON, or only a part of it"),
        (newer, "version 99"),
    ],
)
@pytest.mark.parametrize("command", ["check", "simulate"])
def test_a_folder_that_is_no_run_is_a_clear_error(tmp_path, command, make, message):
    make(tmp_path / "run")
    result = call(command, tmp_path / "run")
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("command", ["check", "simulate"])
def test_a_truncated_spec_is_a_clear_error(run, tmp_path, command):
    folder = tmp_path / "run"
    shutil.copytree(run[0], folder)
    text = (folder / "xylo.json").read_text()
    (folder / "xylo.json").write_text(text[: len(text) // 2])
    result = call(command, folder)
    assert result.exit_code == 2
    assert "xylo.json" in result.stderr


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chip", "loihi"), "audio2"),
        (("--chip", "audio2"), "8 output neurons"),
        (("--set", "hidden=2000,16"), "992"),
        (("--set", "hidden=many"), "`hidden` must be whole numbers; got 'many'"),
        (("--set", "hidden"), "`--set` takes NAME=VALUE"),
        (("--set", "width=3"), "`width` is no setting; there are attack, batch_size"),
        (("--set", "seed=1", "--seed", "2"), "`--seed` and `--set seed=...` say the same"),
        (("--set", "seed=1", "--set", "seed=1"), "`--set seed=...` is given twice"),
        (("--epochs", "0"), "`epochs` must be above 0; got 0"),
        (("--bits", "9"), "bits"),
        (("--set", "time_constants=2"), "time_constants"),
        (("--set", "method=bad"), "`method` must be one of global, channel, least_squares"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training_and_leaves_no_folder(
    tmp_path, arguments, message
):
    result = call("train", "--out", tmp_path / "run", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_is_not_overwritten(tmp_path):
    result = call("train", "--out", tmp_path)
    assert result.exit_code == 2
    assert "exists" in result.stderr


@pytest.mark.slow
def test_help_of_train_names_every_option_and_the_settings_of_the_main_job():
    result = subprocess.run(
        [sys.executable, "-c", "from snnjax.cli import main; main()", "train", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for option in ("--out", "--resume", "--epochs", "--seed", "--chip", "--config", "--set"):
        assert option in result.stdout
    for setting in ("hidden", "128,128", "tau_mem", "p_dropout", "dt", "method", "plan:70"):
        assert setting in result.stdout


@pytest.mark.parametrize(
    ("recipe", "parts"),
    [
        ("images", ["8,16", "plan:40", "speck2f", "most pixels by which an image is moved"]),
        ("speech", ["float:80,chip:40", "stretch", "mask_bands"]),
        ("arrays", ["test_fraction", "the .npz file"]),
    ],
)
def test_help_of_a_recipe_has_its_settings_with_their_defaults(recipe, parts):
    words = " ".join(call("train", recipe, "--help").output.replace("│", " ").split())
    assert all(part in words for part in parts)


@pytest.mark.parametrize("recipe", RECIPES.values())
def test_every_setting_is_documented(recipe):
    assert all(recipe.documentation().values())


def test_a_file_of_settings_gives_what_options_do_not(tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text('recipe = "images"\nchannels = [3, 4]\nsteps = 5\nseed = 7\n')
    values = read_toml(config)
    assert values.pop("recipe") == "images"
    made = _runs.make_recipe(RECIPES["images"], values, ["steps=4"], {"seed": None, "epochs": 2})
    assert made == RECIPES["images"](channels=(3, 4), steps=4, seed=7, epochs=2)
    config.write_text("steps = true\n")
    result = call("train", "--config", config, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "`steps` must be a whole number; got True" in result.stderr
    for text in ("steps = ", "a = " + "[" * 100_000):
        config.write_text(text)
        result = call("train", "--config", config, "--out", tmp_path / "run")
        assert result.exit_code == 2
        assert "mine.toml" in result.stderr


def test_the_chip_names_the_recipe_where_no_recipe_is_given():
    assert [_runs.choose(None, chip)[0] for chip in (None, "imu", "speck2e")] == [
        "digits",
        "digits",
        "images",
    ]


def test_fidelity_compares_the_network_with_its_integers(run, tmp_path):
    folder, output = run
    report, figure = tmp_path / "report.json", tmp_path / "report.png"
    result = call("fidelity", folder, "--out", report, "--figure", figure)
    assert result.exit_code == 0, result.output
    content = json.loads(report.read_text())
    assert [layer["path"] for layer in content["layers"]] == ["layers[1]", "layers[4]", "layers[7]"]
    assert f"{content['accuracy']:.2%}" in output
    assert f"{content['accuracy_integers']:.2%}" in output
    assert f"{content['layers'][0]['spikes']:,}" in result.output
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert content["through_plan"]["layers"][0]["equal"] >= content["layers"][0]["equal"]
    result = call("fidelity", folder, "--against", folder, "--out", report)
    assert result.exit_code == 0, result.output
    assert [layer["equal"] for layer in json.loads(report.read_text())["layers"]] == [1.0] * 3
    assert "same answer in 100.00%" in result.output


def test_mismatch_at_level_0_is_the_network_as_it_was_trained(run):
    folder, output = run
    result = call("mismatch", folder, "--levels", "0", "--draws", "1")
    assert result.exit_code == 0, result.output
    assert re.search(r"transformed parameters\s*│\s*\d+ │\s*([\d.]+%)", output)[1] in result.output


@pytest.mark.parametrize(
    "options", [("--epochs", 99), ("--set", "steps=3"), ("--out", "elsewhere")]
)
def test_a_run_that_goes_on_takes_no_other_settings(run, options):
    result = call("train", "--resume", run[0], *options)
    assert result.exit_code == 2
    assert f"`{options[0]}` cannot change in a run that goes on" in result.stderr


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        pytest.param(signal.SIGINT, 130, "", marks=pytest.mark.slow),
        (signal.SIGTERM, 143, "stopped by SIGTERM after 2 epochs; go on with --resume"),
    ],
)
def test_a_run_that_somebody_stops_goes_on_from_its_last_epoch(
    run, tmp_path, monkeypatch, told, status, words
):
    folder, _ = run
    log = Run.log

    def stop_in_the_second(self, **metrics):
        log(self, **metrics)
        if metrics["epoch"] == 2:
            signal.raise_signal(told)

    monkeypatch.setattr(Run, "log", stop_in_the_second)
    stopped = call("train", "--out", tmp_path / "run", *SMALL)
    assert stopped.exit_code == status
    assert words in " ".join(stopped.output.split())
    assert not (tmp_path / "run/xylo.json").exists()
    monkeypatch.setattr(Run, "log", log)
    result = call("train", "--resume", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert [line["epoch"] for line in lines_of(tmp_path / "run")] == [1, 2, 3]
    assert eqx.tree_equal(xylo.load(tmp_path / "run/xylo.json"), xylo.load(folder / "xylo.json"))
