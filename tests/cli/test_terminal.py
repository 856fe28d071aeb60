"""Output on terminals of any width, and to devices that take no more."""

import subprocess
import sys
from pathlib import Path

import pytest

OLD = Path(__file__).parent / "old"
RUN = "from snnjax.cli import main; main()"


def snnjax(*arguments, **options):
    """A command in a process of its own."""
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, check=False, **options)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("check", OLD / "digits"), ("train", "--help")])
def test_output_to_a_full_device_ends_in_one_line(arguments):
    with open("/dev/full", "w") as full:
        result = snnjax(*arguments, stdout=full)
    assert result.returncode == 1, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "No space left on device" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("width", [20, 40, 200])
def test_headings_are_wrapped_not_cut(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    result = snnjax("check", OLD / "digits", stdout=subprocess.PIPE)
    assert result.returncode == 0, result.stderr
    assert "…" not in result.stdout
    table = "".join(result.stdout.split())
    if width >= 40:
        for word in ("resource", "used", "limit"):
            assert word in table


@pytest.mark.long
def test_training_to_a_full_device_ends_in_one_line(tmp_path):
    small = ["--set", "hidden=8", "--set", "time_constants=2", "--epochs", "1"]
    with open("/dev/full", "w") as full:
        result = snnjax("train", "--out", tmp_path / "run", *small, stdout=full)
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert "No space left on device" in result.stderr.strip().splitlines()[-1]
