"""Run folders that the snnjax before this format wrote: their integers load, no checkpoint does."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from snnjax import transforms
from snnjax.hardware import dynapcnn, xylo

from ._commands import call

OLD = Path(__file__).parent / "old"
FAMILY = {"digits": xylo, "plan": xylo, "dynapcnn": dynapcnn}


@pytest.mark.parametrize("name", FAMILY)
def test_the_integers_are_those_that_were_written(name):
    family = FAMILY[name]
    file = OLD / name / f"{family.__name__.rpartition('.')[2]}.json"
    spec = family.load(file)
    with np.load(OLD / name / "integers.npz") as written:  # as the snnjax of that time loaded them
        for field in written.files:
            part, _, layer = field.rpartition("_")
            holder = spec if family is xylo else spec.layers[int(layer)]
            found = getattr(holder, field if family is xylo else part)
            np.testing.assert_array_equal(found, written[field])


@pytest.mark.few(1)
@pytest.mark.parametrize("name", FAMILY)
def test_commands_that_need_no_checkpoint_take_the_run(name):
    folder = OLD / name
    assert call("check", folder).exit_code == 0
    result = call("simulate", folder)
    assert result.exit_code == 0, result.output
    row = next(
        line for line in (folder / "summary.txt").read_text().splitlines() if "integers," in line
    )
    right = row.split("of")[0].split()[-1]
    assert f"{right} of 360 right" in result.output


@pytest.mark.few(1)
@pytest.mark.parametrize("name", FAMILY)
def test_the_checkpoint_is_refused_by_its_version_with_a_cure(name, tmp_path):
    shutil.copytree(OLD / name, tmp_path / "run")
    for arguments in (("train", "--resume"), ("fidelity",)):
        result = call(*arguments, tmp_path / "run")
        assert result.exit_code == 2
        assert "has the format of version 1, this snnjax reads 2" in result.stderr
        assert "train again with the settings in config.json" in result.stderr


def test_the_plan_loads_to_the_same_rules():
    rules = transforms.load(OLD / "plan/plan.toml")
    assert repr(rules.by_family["weights"]) == "Int(bits=4, axis=0)"
    assert repr(rules.by_family["decays"]) == "Bitshift()"
    assert "bits=6" in repr(rules.where["layers[0].weight"])


def test_check_needs_no_scipy(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "scipy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    result = call("check", OLD / "digits")
    assert result.exit_code == 0, result.output
    assert "fits Xylo Audio 3" in result.output
