"""The page on C, as a reader would follow it: a network on a Cortex-M4 in qemu."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import snnjax
from snnjax.hardware import xylo

from .compilers import require

PAGE = Path(snnjax.__file__).parents[1] / "docs/c_for_any_board.md"


@pytest.fixture(scope="module")
def blocks():
    if not PAGE.exists():
        pytest.skip("the documentation is not part of the installed package")
    return dict(re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.mark.slow
def test_the_page_runs_on_a_cortex_m4(blocks, tmp_path, monkeypatch):
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        require(program)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(blocks["python"], names)
    Path("board.c").write_text(blocks["c"])
    Path("board.ld").write_text(blocks["text"])
    compile_it, run_it = blocks["sh"].splitlines()
    subprocess.run([*compile_it.split(), "-Werror"], check=True)
    done = subprocess.run(run_it.split(), capture_output=True, text=True, timeout=60, check=True)
    *lines, ticks = done.stderr.splitlines()  # where qemu writes what it is asked to print
    spikes = np.asarray(xylo.simulate(names["spec"], names["raster"]).spikes_out)
    np.testing.assert_array_equal([list(map(int, line.split())) for line in lines], spikes)
    assert spikes.any()
    assert int(ticks.removeprefix("ticks: ")) > 0
