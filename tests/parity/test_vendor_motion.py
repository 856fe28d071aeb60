"""The vendor's motion for Xylo IMU: its events are Rockpool's, and the page about it runs."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from snnjax.hardware.xylo.frontend import Imu

from ..test_readme import BLOCK
from ._digest import digest

ROOT = Path(__file__).parents[2]
MOTION = ROOT.parent / "shared/data/xylo-imu/data.npy"
EVENTS = "f319910fefc2436d294c5246ddbc938d618e48fb1ee31f360d04d37b065b3343"

pytestmark = [
    pytest.mark.skipif(not MOTION.exists(), reason="needs shared/data/xylo-imu"),
    pytest.mark.slow,
]


def test_the_events_are_those_of_rockpool():
    """Those that `make_rockpool_imu.py --recording` gives."""
    events, _ = Imu(scale=0.49, warm_up="mirrored", compat="rockpool")(np.load(MOTION))
    assert digest(events) == EVENTS


def test_the_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    shutil.copy(MOTION, tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {}
    with jax.numpy_dtype_promotion("standard"):
        for _, code in BLOCK.findall((ROOT / "docs/imu.md").read_text()):
            exec(compile(code, "imu.md", "exec"), names)
    assert names["events"].shape == (1360, 15)
    assert (tmp_path / "imu.png").stat().st_size > 10_000
    at_rest = Imu(scale=0.49, warm_up="mirrored")(np.load(MOTION))[0] != names["events"]
    assert at_rest.sum() == 685
