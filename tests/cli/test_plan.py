"""Plans on the command line: training through one from a file, and looking at what it does."""

import re
import shutil
import subprocess
import sys

import equinox as eqx
import numpy as np
import pytest

from snnjax import transforms
from snnjax.cli import _runs
from snnjax.hardware import xylo
from snnjax.quant import Int
from snnjax.train import Run, save_checkpoint

from ._commands import SMALL, call, lines_of

PLAN = """\
# Two bits for the first layer, a learned scale for the others.
[by_family]
weights = { transform = "Int", bits = 4, scale = "learned", axis = 0 }
decays = { transform = "Bitshift" }

[where]
"layers[0].weight" = { transform = "StochasticRounding", num_levels = 3, axis = 0 }

[activations]
Linear = { transform = "Int", bits = 8 }

[states]
"LIF.vmem" = { transform = "StateQuant", bits = 10, lower_limit = 3.0, upper_limit = 7.0 }
"""


def write(folder, text=PLAN):
    path = folder / "mine.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def usual(small):
    """A run with the plan of the recipe."""
    return small[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with the plan above."""
    folder = tmp_path_factory.mktemp("planned")
    result = call("train", "--out", folder / "run", "--plan", write(folder), *SMALL)
    assert result.exit_code == 0, result.output
    assert "transformed parameters" in result.output
    return folder / "run"


def cells(output, parameter):
    """The row of a parameter in the table."""
    (line,) = (line for line in output.splitlines() if line.strip().startswith(parameter))
    return [cell for cell in (part.strip() for part in line.split("  ")) if cell]


# ----- training through a plan


def test_the_plan_is_kept_in_the_run_folder_word_for_word(run, usual):
    assert (run / "plan.toml").read_text() == PLAN
    assert not (usual / "plan.toml").exists()


def test_training_goes_through_the_plan_and_the_integers_come_of_it(run):
    spec = xylo.load(run / "xylo.json")
    first = np.asarray(spec.w_in)[:, :24, 0]
    assert np.any(first != 0)
    for neuron in first.T:
        assert len(np.unique(np.abs(neuron))) <= 2  # nothing, and the largest
    second = np.asarray(spec.w_rec)[:24, 24:, 0]
    levels = [len(np.unique(neuron)) for neuron in second.T]
    assert 3 < max(levels) <= 15


def test_the_learned_scales_are_trained(run):
    trained = _runs.reopen(run).state.model
    recipe = _runs.recipe_of(Run.open(run))
    start = recipe.start(recipe.load_data(), transforms.load(run / "plan.toml")).model
    for after, before in zip(trained.plan.layers, start.plan.layers, strict=True):
        if getattr(getattr(after, "weight", None), "scale", "") == "learned":
            assert np.all(after.weight.value != before.weight.value)
    assert isinstance(trained.plan.layers[3].weight, Int)


def test_without_a_file_the_plan_is_that_of_the_chip(usual):
    assert isinstance(_runs.reopen(usual).state.model.plan, xylo.Plan)


@pytest.mark.long
def test_resuming_uses_the_plan_again(run, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("config.json", "plan.toml"):
        shutil.copy(run / name, parts)
    recipe = _runs.recipe_of(Run.open(parts))
    data = recipe.load_data()
    start = recipe.start(data, transforms.load(parts / "plan.toml"))
    state, _ = next(recipe.train(data, start))
    save_checkpoint(parts / "checkpoint", state)
    result = call("train", "--resume", parts)
    assert result.exit_code == 0, result.output
    assert [line["epoch"] for line in lines_of(parts)] == [2, 3]
    assert eqx.tree_equal(xylo.load(run / "xylo.json"), xylo.load(parts / "xylo.json"))
    assert eqx.tree_equal(_runs.reopen(run).state, _runs.reopen(parts).state)


RULE = "[by_family]\nweights = "


@pytest.mark.few(7)
@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[by_family\n", ["mine.toml", "is not TOML"]),
        (RULE + "{transform = 'Int9'}", ["[by_family] weights", "Int9", "Bitshift"]),
        (RULE + "{transform = 'Int', bit = 4}", ["[by_family] weights", "'bit'", "bits"]),
        ("[by_family]\ntaus = {transform = 'Round'}", ["'taus'", "decays, thresholds, weights"]),
        ("[states]\n'LIF.v' = {transform = 'Round'}", ["`states`", "'LIF.v'", "layers[1].vmem"]),
        (RULE + "{transform = 'StateQuant'}", ["does not work", "threshold"]),
        (RULE + "{transform = 'Prune', sparsity = 0.5, axis = 2}", ["does not work", "`axis`"]),
        ("[activations]\nLIF = {transform = 'Int', bits = 8, scale = 'learned'}", ["learned"]),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused_before_training(tmp_path, text, parts):
    result = call("train", "--out", tmp_path / "run", "--plan", write(tmp_path, text), *SMALL)
    assert result.exit_code == 2, result.output
    assert all(part in result.stderr for part in parts), result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_a_plan_that_is_not_there_is_refused(tmp_path):
    result = call("train", "--out", tmp_path / "run", "--plan", tmp_path / "none.toml", *SMALL)
    assert result.exit_code == 2
    assert "none.toml" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_keeps_its_plan(run, tmp_path):
    before = (run / "xylo.json").read_bytes()
    result = call("train", "--resume", run, "--plan", write(tmp_path))
    assert result.exit_code == 2
    assert "`--plan`" in result.stderr
    assert (run / "xylo.json").read_bytes() == before


# ----- looking at a plan


def test_the_table_has_the_numbers_of_the_report(run):
    result = call("plan", run)
    assert result.exit_code == 0, result.output
    opened = _runs.reopen(run)
    trained, key = opened.state.model, opened.recipe.random_key()
    effects = transforms.report(trained.plan, trained.network, key=key)
    assert len(effects) == 9
    for e in effects:
        row = cells(result.output, e.path)
        assert row[1:4] == [e.family, e.transform, f"{e.levels:,}"]
        noise = "unchanged" if e.sqnr == np.inf else f"{e.sqnr:.1f} dB"
        rest = [] if e.scale is None else [f"{e.scale:.3g}"]
        rest += [noise] if e.clipped is None else [noise, f"{e.clipped:.2%}"]
        assert row[4:] == rest


def test_of_the_chips_own_plan_each_parameter_has_a_line(usual):
    result = call("plan", usual)
    assert result.exit_code == 0, result.output
    opened = _runs.reopen(usual)
    lines = [str(row) for row in opened.recipe.report(opened.state.model)]
    assert result.output.splitlines() == lines
    weights = [line for line in lines if "weight" in line]
    assert len(weights) == 3
    assert all(float(re.search(r"SQNR ([\d.]+) dB", line)[1]) > 35 for line in weights)


def test_transforms_of_activations_and_states_are_listed(run):
    output = call("plan", run).output
    assert "output of layers[0]: Int(bits=8)" in output
    assert "state layers[1].vmem: StateQuant(bits=10" in output


def test_another_plan_can_be_tried_on_a_network(usual, tmp_path):
    plan = write(tmp_path, RULE + "{transform = 'Int', bits = 2}")
    result = call("plan", usual, "--plan", plan)
    assert result.exit_code == 0, result.output
    assert cells(result.output, "layers[0].weight")[1:4] == ["weights", "Int(bits=2)", "3"]
    assert "alpha_mem" not in result.output


def test_the_same_run_gives_the_same_table(run):
    assert call("plan", run).output == call("plan", run).output


def test_the_figures_are_written(run, tmp_path):
    folder = tmp_path / "deep" / "figures"
    result = call("plan", run, "--figures", folder)
    assert result.exit_code == 0, result.output
    assert "wrote" in result.output
    names = {path.name for path in folder.iterdir()}
    assert names == {f"layers_{i}.png" for i in (0, 1, 3, 4, 6, 7)}
    for path in folder.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (RULE + "{transform = 'Int9'}", ["[by_family] weights", "Int9"]),
        ("[where]\n'layers[99].weight' = 'none'", ["`where`", "layers[99].weight"]),
    ],
)
def test_a_plan_that_cannot_be_used_is_one_line_on_stderr(usual, tmp_path, text, parts):
    result = call("plan", usual, "--plan", write(tmp_path, text))
    assert result.exit_code == 2
    assert all(part in result.stderr for part in parts)
    assert "Traceback" not in result.output


def test_a_folder_that_is_no_run_and_a_run_that_never_trained_are_clear_errors(usual, tmp_path):
    result = call("plan", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "there is no run folder" in result.stderr
    shutil.copy(usual / "config.json", tmp_path)
    result = call("plan", tmp_path)
    assert result.exit_code == 2
    assert "there is no checkpoint" in result.stderr


def test_a_checkpoint_of_another_plan_is_a_clear_error(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "plan.toml").unlink()
    result = call("plan", folder)
    assert result.exit_code == 2
    assert "is of another model" in result.stderr
    assert "plan.layers[3].weight.value" in result.stderr


@pytest.mark.slow
def test_help_names_the_options():
    result = subprocess.run(
        [sys.executable, "-c", "from snnjax.cli import main; main()", "plan", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(option in result.stdout for option in ("--plan", "--figures"))
