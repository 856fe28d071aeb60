"""The pages on commands and on one's own data: the files they make, and the commands they show."""

import json
import os
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from snnjax.cli import _runs
from snnjax.hardware import dynapcnn, xylo
from snnjax.train import Run

from ._commands import call, settings, trained

DOCS = Path(__file__).parents[2] / "docs"
OWN = (DOCS / "own_data.md").read_text()
SMALL = ["--epochs", 8, *settings(hidden=16, time_constants=2, batch_size=25, learning_rate=0.01)]


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", OWN, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the page makes."""
    folder, before = tmp_path_factory.mktemp("own"), Path.cwd()
    os.chdir(folder)
    try:
        exec("\n".join(blocks("python")), {})
        (recipe,) = blocks("python recipe")
        (folder / "gestures.py").write_text(recipe)
        yield folder
    finally:
        os.chdir(before)


def right(output):
    """Right answers of the integers, of how many."""
    row = re.search(r"simulator\s*│\s*(\d+) │", output)
    return int(row[1]), int(re.search(r"held-out data, all (\d+)", output)[1])


@pytest.mark.slow
def test_a_file_of_rasters_trains_for_xylo(folder):
    run, output = trained(folder / "xylo", "arrays", "--data", "gestures.npz", *SMALL)
    found, total = right(output)
    assert total == 40
    assert found > 0.8 * total
    assert xylo.load(run / "xylo.json").w_in.shape == (8, 16, 1)
    result = call("simulate", run)
    assert f"{found} of {total} right" in result.output, result.output


@pytest.mark.slow
def test_a_run_goes_on_where_its_data_lie_elsewhere(folder, tmp_path):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere.npz"
    data = tmp_path / "gestures.npz"
    shutil.copy2(folder / "gestures.npz", data)
    trained(run, "arrays", "--data", data, *SMALL)
    data.rename(elsewhere)
    lost = call("report", run)
    assert lost.exit_code == 2
    assert "--data PLACE` tells the run where its data are" in lost.output
    assert call("train", "--resume", run, "--data", elsewhere).exit_code == 0
    assert Run.open(run).settings["data"] == str(elsewhere)
    result = call("cost", run, "--out", tmp_path / "cost.json")
    assert "spikes per neuron and step" in result.output
    assert json.loads((tmp_path / "cost.json").read_text())["recordings"] == 40
    assert "`--dt` has no use" in call("cost", run, "--dt", 1e-3).output
    nowhere = call("train", "--resume", run, "--data", data)
    assert "does not exist" in nowhere.output
    with pytest.raises(ValueError, match="`data` has no use"):
        Run(run, "digits", {"chip": "audio3"}).with_data(elsewhere)


@pytest.mark.slow
def test_a_list_of_events_trains_for_speck(folder):
    small = ["--epochs", 8, *settings(hidden=16, batch_size=25, learning_rate=0.01)]
    run, output = trained(
        folder / "speck", "arrays", "--data", "events.npz", "--chip", "speck2f", *small
    )
    found, total = right(output)
    assert total == 50
    assert found > 0.8 * total
    assert dynapcnn.load(run / "dynapcnn.json").input_shape == (8, 1, 1)
    assert call("fidelity", run).exit_code == 0


@pytest.mark.long
def test_maps_train_for_speck_and_flat_for_xylo(folder):
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 3
    rasters = rng.poisson(0.1, (60, 5, 1, 4, 4))
    rasters[np.arange(60), :, 0, labels] += 1
    np.savez(folder / "maps.npz", rasters=rasters, labels=labels)
    small = ["--data", "maps.npz", "--epochs", 2, "--set", "batch_size=12"]
    run, _ = trained(folder / "maps", "arrays", "--chip", "speck2f", *small)
    assert dynapcnn.load(run / "dynapcnn.json").input_shape == (1, 4, 4)
    flat = settings(hidden=8, time_constants=2)
    run, _ = trained(folder / "flat", "arrays", *small, *flat)
    assert xylo.load(run / "xylo.json").n_inputs == 16


def test_a_recipe_of_a_users_file_trains_and_the_commands_take_its_run(folder):
    name = "gestures.py:Gestures"
    words = " ".join(call("train", name, "--help").output.split())
    assert "mean number of events that are added to every channel" in words
    run, output = trained(folder / "own", name, *settings(stages="float:8,chip:1", batch_size=25))
    found, total = right(output)
    assert total == 50
    assert found > 0.6 * total
    assert f"{found} of {total} right" in call("simulate", run).output
    assert (run / "summary.txt").read_text().startswith("Gestures for Xylo Audio 3")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.py:Mine", None, "there is no file none.py with the recipe Mine"),
        ("bad.py:Mine", "x = (", r"bad.py fails: SyntaxError"),
        ("bad.py:Mine", "1 / 0", r"bad.py fails: ZeroDivisionError"),
        ("bad.py:Mine", "Mine = 3", r"bad.py has no class `Mine` that extends"),
    ],
)
def test_a_file_without_the_recipe_is_a_clear_error(tmp_path, monkeypatch, name, text, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("bad.py").write_text(text)
    result = call("train", name, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert re.search(message, result.stderr), result.stderr


def test_the_page_on_commands_has_a_file_of_settings_that_works(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS / "commands.md").read_text(), re.DOTALL)
    values = tomllib.loads(text)
    _, recipe = _runs.choose(values.pop("recipe"), None)
    made = _runs.make_recipe(recipe, values, ["time_constants=2,2"], {"seed": 1})
    assert (made.hidden, made.seed, made.last_stage) == ((24, 16), 1, "chip")
