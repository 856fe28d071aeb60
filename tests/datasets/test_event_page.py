"""The blocks of the page on event data run, from file to integers."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from ..train.event_folders import write_shd_folder
from . import files

PAGE = Path(__file__).parents[2] / "docs" / "event_data.md"
MOST_LINES = 10


@pytest.mark.slow
def test_each_recording_becomes_integers_in_ten_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("tonic.npy", files.recording(20_000))
    files.write_aedat4(Path("camera.aedat4"), files.recording(4_000, first=10**15))
    files.write_nmnist(Path("00001.bin"), files.recording(3_000))
    rng = np.random.default_rng(0)
    words = [(np.sort(rng.random(n)), rng.integers(0, 700, n)) for n in (4_000, 3_000)]
    files.write_shd(Path("shd_train.h5"), words, [1, 0])
    networks, *recordings = re.findall(r"```python recordings\n(.*?)```", PAGE.read_text(), re.S)
    assert len(recordings) == 4
    names = {}
    with jax.numpy_dtype_promotion("standard"):
        exec(networks, names)
        for code in recordings:
            assert len(code.strip().splitlines()) <= MOST_LINES
            exec(code, names)
            printed = re.findall(r"\d+", capsys.readouterr().out)
            assert sum(map(int, printed)) > 0, code
            assert len(printed) >= 10


@pytest.mark.slow
def test_all_units_train_a_recurrent_network_for_no_chip(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_shd_folder(tmp_path)
    (block,) = re.findall(r"```python units\n(.*?)```", PAGE.read_text(), re.S)
    names = {}
    with jax.numpy_dtype_promotion("standard"):
        exec(block, names)
    first, last = map(float, capsys.readouterr().out.split())
    assert last < first
    assert names["data"].train[0].shape == (6, 100, 700)
