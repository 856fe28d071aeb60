"""The tests of `on_eight.py` and `on_eight_chips.py`, in a process with eight devices."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = "tests/devices/on_eight.py", "tests/devices/on_eight_chips.py"
FLAG = "--xla_force_host_platform_device_count=8"


def on_eight(*arguments):
    """Run pytest there; a failure shows all that it says."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {FLAG}"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [*command, "-o", "addopts=", *FILES, *arguments],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-2_000:]


def test_a_few_on_eight_devices():
    on_eight("-m", "quick")


@pytest.mark.long
def test_all_on_eight_devices():
    on_eight()
