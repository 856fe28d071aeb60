"""`snnjax train` killed at random moments; `python -m tests.faults.kills` has the full count."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "count",
    [pytest.param(6, marks=pytest.mark.slow), pytest.param(300, marks=pytest.mark.long)],
)
def test_a_run_that_is_killed_ends_as_it_would_have(count):
    command = [sys.executable, "-m", "tests.faults.kills", "--quiet", "--count", str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert min(found["inside a save"], found["between epochs"]) >= count / 3
    kinds = ("inside a save", "between epochs", "before the first epoch", "after the last epoch")
    assert sum(found.get(kind, 0) for kind in kinds) >= count
