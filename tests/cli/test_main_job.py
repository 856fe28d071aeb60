"""The main job at its full size: what the README says of it."""

import re

import pytest
from typer.testing import CliRunner

from snnjax.cli._app import app


@pytest.mark.slow
def test_the_three_forms_of_the_network_agree_and_the_integers_reach_97_percent(tmp_path):
    result = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    rows = re.findall(r"of 360\s+([\d.]+)%", (tmp_path / "run/summary.txt").read_text())
    shares = [float(share) for share in rows]
    assert len(shares) == 3
    assert max(shares) - min(shares) <= 1
    assert shares[2] >= 97
