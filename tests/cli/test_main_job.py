"""The main job at its full size: what the README says of it."""

import os
import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_three_forms_of_the_network_agree_and_the_integers_reach_97_percent(tmp_path):
    # In the machine code that users get, not that of the tests.
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = "from snnjax.cli import main; main()", "train", "--out", tmp_path / "run"
    result = subprocess.run(
        [sys.executable, "-c", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"of 360\s+([\d.]+)%", (tmp_path / "run/summary.txt").read_text())
    shares = [float(share) for share in rows]
    assert len(shares) == 3
    assert max(shares) - min(shares) <= 1
    assert shares[2] >= 97
