"""Spoken digits from a folder of recordings, and training in stages, as a user types them."""

import json
import re

import equinox as eqx
import numpy as np
import pytest
from scipy.io import wavfile

from snnjax.cli import _runs
from snnjax.hardware import xylo
from snnjax.train import Run, save_checkpoint

from ._commands import call, lines_of, settings, trained

pytestmark = pytest.mark.slow

SMALL = ["speech", *settings(hidden=16, time_constants=2, steps=30, batch_size=20)]
STAGES = settings(stages="float:30,plan:2,chip:2", learning_rate=0.03)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A tone for each digit, which one can tell apart."""
    folder = tmp_path_factory.mktemp("recordings")
    time = np.arange(2000) / 8000
    for digit in range(10):
        for index in range(9):
            tone = np.sin(2 * np.pi * (200 + 300 * digit + 5 * index) * time) * np.exp(-4 * time)
            wavfile.write(folder / f"{digit}_me_{index}.wav", 8000, (2**14 * tone).astype(np.int16))
    return folder


@pytest.fixture(scope="module")
def run(recordings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "speech"
    return trained(folder, *SMALL, *STAGES, "--data", recordings)


def test_training_in_stages_leaves_the_whole_folder(run):
    folder, output = run
    assert "float network" in output
    assert "transformed parameters" not in output  # the last stage has no plan
    through = [line["through"] for line in lines_of(folder)]
    assert through == ["float"] * 30 + ["plan"] * 2 + ["chip"] * 2
    summary = (folder / "summary.txt").read_text()
    for part in ("speech for Xylo Audio 3", "of 50", "stages = float:30,plan:2,chip:2"):
        assert part in summary
    assert xylo.check(xylo.load(folder / "xylo.json")) == ()


def test_the_other_commands_take_the_run(run):
    folder, output = run
    result = call("simulate", folder)
    assert result.exit_code == 0, result.output
    right = int(result.output.split("held-out data: ")[1].split()[0])
    assert re.search(rf"simulator\s*│\s*{right} │", output)
    for command in (("check", folder), ("fidelity", folder)):
        result = call(*command)
        assert result.exit_code == 0, result.output


@pytest.mark.long
def test_a_run_that_goes_on_within_a_stage_ends_as_it_would_have(run, recordings, tmp_path):
    parts = tmp_path / "parts"
    _, recipe, data, _ = _runs.reopen(run[0])
    made = Run.create(parts, "speech", Run.open(run[0]).settings)
    state, _ = next(recipe.train(data, recipe.start(data)))
    save_checkpoint(made.checkpoint, state)
    for epoch in (1, 2, 3):  # it was interrupted some epochs after the checkpoint
        made.log(epoch=epoch)
    result = call("train", "--resume", parts)
    assert result.exit_code == 0, result.output
    assert [line["epoch"] for line in lines_of(parts)] == list(range(1, 35))
    assert eqx.tree_equal(xylo.load(parts / "xylo.json"), xylo.load(run[0] / "xylo.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("speech",), "`data` must be the folder of the Free Spoken Digit Dataset"),
        (("music",), "`recipe` must be one of digits, images, speech, arrays, shd, nmnist, "),
        (("speech", "--chip", "speck2f"), "`method` is no option of the chip speck2f"),
        (("speech", "--set", "noise=1"), "`noise` is no setting"),
        (("--set", "stretch=0.1"), "`stretch` is no setting"),
        (("--through", "chip", "--set", "stages=chip:3"), "`--through` and `--set stages=...` say"),
        (
            ("--set", "stages=float:100,chip:1", "--epochs", "5"),
            "`epochs` is 5, of which none are left to go through the chip",
        ),
        (("--set", "batch_size=5000"), "`batch_size` is 5000, but there are 1437 sequences"),
        (("speech", "--set", "snr=9.5,20"), "`snr` must have the larger number of dB"),
        (("--set", "stages=chip:x"), "`stages` must be some of float, plan, chip"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(options, message, tmp_path):
    result = call("train", "--out", tmp_path / "run", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_plan_that_nothing_goes_through_is_refused(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('[by_family]\nweights = { transform = "Int", bits = 4 }\n')
    result = call("train", "--out", tmp_path / "run", "--plan", plan, "--through", "chip")
    assert result.exit_code == 2
    assert "`--plan` has no use where no stage goes through it; the stages are chip:70" in (
        result.stderr
    )


@pytest.mark.slow
def test_written_digits_through_the_chip(tmp_path):
    small = ["--epochs", "2", *settings(hidden=16, time_constants=2, batch_size=128)]
    folder, output = trained(tmp_path / "run", *small, "--through", "chip", "--bits", "4")
    assert "transformed parameters" not in output
    assert xylo.load(folder / "xylo.json").weight_shift_in == 4
    assert "stages = chip:2" in (folder / "summary.txt").read_text()


@pytest.mark.slow
def test_mismatch_at_level_0_is_the_run_itself(run, tmp_path):
    folder, output = run
    files = tmp_path / "sweep.json", tmp_path / "sweep.png"
    options = ["--levels", "0,0.5", "--draws", "2", "--out", files[0], "--figure", files[1]]
    result = call("mismatch", folder, *options)
    assert result.exit_code == 0, result.output
    sweep = json.loads(files[0].read_text())
    as_is, off = sweep["accuracies"]
    right = round(as_is[0] * 50)
    assert as_is[0] == as_is[1] == pytest.approx(right / 50)
    assert re.search(rf"simulator\s*│\s*{right} │", output)
    assert min(as_is) > 0.3
    assert as_is != off
    assert files[1].stat().st_size > 1000
    result = call("mismatch", folder, "--levels", "a")
    assert result.exit_code == 2
    assert "`--levels` takes numbers such as 0.5,0.1; got 'a'" in result.stderr
