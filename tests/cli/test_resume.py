"""A run that was stopped goes on, whatever it left; a run in use is left alone."""

import json
import shutil
import subprocess
import sys

import equinox as eqx
import pytest

from snnjax.hardware import xylo
from snnjax.train import Run, _epochs, load_checkpoint
from snnjax.train._checkpoint import newest_step

from ._commands import call, lines_of, settings, trained

SMALL = ["--epochs", 3, *settings(hidden=8, time_constants=2, batch_size=512, steps=8, hold=1)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    at_the_ends = "--checkpoint-every", 3600
    return trained(tmp_path_factory.mktemp("runs") / "whole", *SMALL, *at_the_ends)[0]


@pytest.fixture
def part(whole, tmp_path):
    """A run of which there is no more than what a new one has."""
    run = Run.open(whole)
    return Run.create(tmp_path / "part", run.recipe, run.settings)


@pytest.fixture
def ended(part, whole):
    """A copy of the whole run."""
    shutil.rmtree(part.path)
    shutil.copytree(whole, part.path)
    return part


def metrics_of(folder):
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines_of(folder)]


def resume(folder, whole):
    """The result of going on; the end is that of the whole run."""
    result = call("train", "--resume", folder)
    assert result.exit_code == 0, result.output
    assert metrics_of(folder) == metrics_of(whole)
    assert eqx.tree_equal(*(xylo.load(at / "xylo.json") for at in (folder, whole)))
    return result


def test_a_run_that_was_stopped_at_its_first_moment_goes_on(part, whole):
    assert [p.name for p in part.path.iterdir()] == ["config.json"]
    resume(part.path, whole)


def test_a_run_that_ended_can_be_resumed_and_stays_as_it_is(ended, whole):
    for name in ("xylo.json", "summary.txt"):
        (ended.path / name).unlink()
    resume(ended.path, whole)
    assert (ended.path / "summary.txt").read_bytes() == (whole / "summary.txt").read_bytes()


@pytest.mark.slow
def test_a_run_through_grain_goes_on_in_the_middle_of_an_epoch(tmp_path, monkeypatch):
    pytest.importorskip("grain")
    small = settings(hidden=8, time_constants=2, batch_size=300, steps=8, hold=1)
    options = ["--epochs", 3, *small, "--set", "loader=grain"]  # four batches in an epoch
    whole, _ = trained(tmp_path / "whole", *options)
    assert [line["epoch"] for line in lines_of(whole)] == [1, 2, 3]
    after = _epochs._after

    def stopped(before, *more):
        if int(before.steps) == 6:
            raise KeyboardInterrupt
        return after(before, *more)

    with monkeypatch.context() as patched:
        patched.setattr(_epochs, "_after", stopped)
        assert call("train", "--out", tmp_path / "part", *options).exit_code != 0
    assert newest_step(tmp_path / "part" / "checkpoint") == 6
    assert [line["epoch"] for line in lines_of(tmp_path / "part")] == [1]
    resume(tmp_path / "part", whole)


@pytest.mark.slow
def test_a_torn_last_line_is_dropped_with_a_notice(part, whole):
    lines = (whole / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    for torn in (b'{"epoch": 2, "thr', b"\x00\x00\xff", b"{", lines[1][:-2]):
        part.metrics.write_bytes(lines[0] + torn)
        result = resume(part.path, whole)
        assert "dropped the last line of" in result.stderr
        shutil.rmtree(part.checkpoint)


def test_a_last_line_that_lacks_only_its_end_is_kept(part, tmp_path):
    part.metrics.write_text('{"epoch": 1}\n{"epoch": 2}')
    part.cut_log(2, pytest.fail)
    assert part.metrics.read_text() == '{"epoch": 1}\n{"epoch": 2}\n'


@pytest.mark.few(5)
@pytest.mark.parametrize("line", ["{}", "[]", "null", '{"epoch": "2"}', '{"epoch": true}', "x", ""])
def test_another_line_that_is_none_of_an_epoch_is_named(part, line):
    part.metrics.write_text(f'{{"epoch": 1}}\n{line}\n{{"epoch": 2}}\n')
    before = part.metrics.read_bytes()
    result = call("train", "--resume", part.path)
    assert result.exit_code == 2
    assert "metrics.jsonl, line 2 is no line of an epoch" in result.stderr
    assert part.metrics.read_bytes() == before


HOLD = """
import sys, time
from snnjax.train import Run
with Run.open(sys.argv[1]).locked():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_run_in_use_is_refused_and_says_by_whom_until_that_process_ends(ended, whole):
    (ended.path / "summary.txt").unlink()
    command = [sys.executable, "-c", HOLD, str(ended.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        result = call("train", "--resume", ended.path)
        holder.kill()
    assert result.exit_code == 2
    assert f"is in use by process {holder.pid} on" in result.stderr
    assert not (ended.path / "summary.txt").exists()
    resume(ended.path, whole)
    assert (ended.path / "summary.txt").exists()


@pytest.mark.slow
def test_checkpoints_are_at_most_every_so_often_and_at_the_end(whole, tmp_path):
    assert sorted(p.name for p in (whole / "checkpoint").iterdir()) == ["0", "3"]
    folder, _ = trained(tmp_path / "often", *SMALL, "--checkpoint-every", 0)
    assert sorted(p.name for p in (folder / "checkpoint").iterdir()) == ["2", "3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": True}, "has version True"),
        ({"version": 3}, "has version 3, this snnjax reads 2"),
        ({"recipe": 3}, '"recipe" or "settings" is missing'),
        ({"settings": []}, '"recipe" or "settings" is missing'),
        ({"settings": {}}, "its settings name no chip"),
        ({"recipe": "music"}, "`recipe` must be one of digits"),
        ({"recipe": "nowhere.py:Mine"}, "there is no file nowhere.py"),
        ({"settings": {"chip": "audio3", "epochs": True}}, "config.json: `epochs` must be a whole"),
        ({"settings": {"chip": "audio3", "method": "bad"}}, "config.json: `method` must be one of"),
        ({"settings": {"chip": "audio3", "learning_rate": 1e999}}, "must be a finite number"),
        ({"settings": {"chip": "audio3", "steps": 10**7}}, "`steps` must be at most 10,000"),
        ({"settings": {"chip": "audio3", "hidden": [10**9, 4]}}, "parameters, more than"),
        ({"settings": {"chip": "audio3", "hidden": [[4]]}}, "`hidden` must be whole numbers"),
        ({"settings": {"chip": "../../x"}}, "config.json: `chip`"),
    ],
)
def test_a_header_that_cannot_be_is_one_line(part, change, message):
    header = part.path / "config.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | change))
    result = call("train", "--resume", part.path)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("text", ['{"format": 1, "format": 2}', "[" * 100_000, "", "\xff", "1e5"])
def test_a_header_that_is_no_json_object_is_named(part, text):
    (part.path / "config.json").write_text(text, encoding="latin-1")
    result = call("check", part.path)
    assert result.exit_code == 2
    assert "config.json" in result.stderr


def test_a_header_of_another_size_is_refused_unread(part):
    with (part.path / "config.json").open("r+b") as file:
        file.truncate(1 << 34)
    result = call("check", part.path)
    assert result.exit_code == 2
    assert "has 17,179,869,184 bytes" in result.stderr


def test_a_damaged_checkpoint_names_the_one_before(ended, whole):
    shutil.rmtree(ended.checkpoint / "3/contents")
    result = call("train", "--resume", ended.path)
    assert result.exit_code == 2
    assert "remove it to go on from step 0" in result.stderr
    shutil.rmtree(ended.checkpoint / "3")
    resume(ended.path, whole)


def test_the_state_of_a_run_is_its_checkpoint(whole):
    from snnjax.cli import _runs

    opened = _runs.reopen(whole)
    again = load_checkpoint(whole / "checkpoint", opened.state)
    assert eqx.tree_equal(opened.state, again)
    assert int(again.epoch) == 3
