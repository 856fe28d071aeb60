"""`snnjax sweep`: from the command to the table, stopped and gone on with."""

import json

import numpy as np
import pytest

from snnjax.hardware import xylo
from snnjax.train._members import Members

from ._commands import call, lines_of, settings

SMALL = [
    *("--over", "bits=3,8", "--seeds", 2, "--epochs", 2),
    *settings(hidden="8", time_constants="2", batch_size=256, steps=24),
]
NAMES = [f"bits={bits},seed={seed}" for bits in (3, 8) for seed in (0, 1)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps") / "whole"
    result = call("sweep", "--out", folder, *SMALL)
    assert result.exit_code == 0, result.output
    return folder, result.output


@pytest.mark.slow
def test_a_sweep_leaves_a_run_folder_for_each_member_and_the_table(whole):
    folder, output = whole
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {
        *NAMES,
        "sweep.json",
        "results.jsonl",
        "table.md",
    }
    assert (folder / "table.md").read_text() in output
    results = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    shares = [row["scores"]["integers"] for row in results]
    best = NAMES[int(np.argmax(shares))]
    assert f"best: {folder / best}" in output.replace("\n", "")
    means = [100 * np.mean(shares[i : i + 2]) / 360 for i in (0, 2)]
    rows = (folder / "table.md").read_text().splitlines()[2:]
    for row, bits, mean in zip(rows, (3, 8), means, strict=True):
        assert row.split("|")[1].strip() == str(bits)
        assert f"{mean:.2f} % ±" in row.split("|")[-2]
    for name in NAMES:
        assert [line["epoch"] for line in lines_of(folder / name)] == [1, 2]
    spec = xylo.load(folder / NAMES[0] / "xylo.json")
    assert spec.weight_shift_in == 5


@pytest.mark.slow
def test_members_are_usual_run_folders(whole, tmp_path):
    member = whole[0] / NAMES[1]
    assert call("export", member, tmp_path / "x.json", "--format", "json").exit_code == 0
    result = call("simulate", member)
    assert result.exit_code == 0, result.output
    row = json.loads((whole[0] / "results.jsonl").read_text().splitlines()[1])
    assert f"{row['scores']['integers']} of 360 right" in result.output
    assert f"{row['scores']['integers']} of 360" in (member / "summary.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["training", "scores"])
def test_a_sweep_that_was_stopped_ends_as_it_would_have(whole, tmp_path, monkeypatch, stop):
    class StoppedError(Exception):
        pass

    with monkeypatch.context() as patched:
        train = Members.train
        if stop == "training":

            def first(self, state):
                yield next(train(self, state))
                raise StoppedError

            patched.setattr(Members, "train", first)
        else:
            member = Members.member

            def fails(self, state, index):
                if index == 2:
                    raise StoppedError
                return member(self, state, index)

            patched.setattr(Members, "member", fails)
        assert isinstance(call("sweep", "--out", tmp_path / "a", *SMALL).exception, StoppedError)
    found = tmp_path / "a"
    assert len(list(found.glob("checkpoint-*"))) == 1
    done = (found / "results.jsonl").read_text().splitlines() if stop == "scores" else []
    assert len(done) == (2 if stop == "scores" else 0)
    result = call("sweep", "--resume", found)
    assert result.exit_code == 0, result.output
    assert not list(found.glob("checkpoint-*"))
    for name in ("results.jsonl", "table.md", *(f"{name}/xylo.json" for name in NAMES)):
        assert (found / name).read_text() == (whole[0] / name).read_text(), name
    for name in NAMES:
        losses = [[line["loss"] for line in lines_of(f / name)] for f in (found, whole[0])]
        np.testing.assert_array_equal(*losses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--over", "bits"], "`--over` takes NAME=V,V"),
        (["--over", "bits=4", "--over", "bits=5"], "given twice"),
        (["--over", "bits=4,x"], "`bits` must be a whole number or none"),
        (["--over", "hidden=4;2000", *settings(time_constants="2")], "hidden neurons"),
        (["--resume", "nowhere"], "there is no sweep at nowhere"),
        (["--resume", "nowhere", "--seeds", "2"], "`--seeds` cannot change"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(tmp_path, options, message):
    out = [] if "--resume" in options else ["--out", tmp_path / "out"]
    result = call("sweep", *out, *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()
