"""Recipes on published event data: on files of their format that the test writes."""

import numpy as np
import pytest

from snnjax.train.recipes import RECIPES

from ..datasets import files


def test_spoken_digits(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 6), ("test", 4)):
        words = [(np.sort(1.4 * rng.random(k)), rng.integers(0, 700, k)) for k in range(40, 40 + n)]
        files.write_shd(tmp_path / f"shd_{part}.h5", words, np.arange(n) % 3)
    recipe = RECIPES["shd"](data=str(tmp_path), hidden=(8,), time_constants=(2,), batch_size=3)
    data = recipe.load_data()
    assert data.train[0].shape == (6, 100, 16)
    assert data.test[0].shape == (4, 100, 16)
    assert 0 < data.train[0][0].sum() < 40  # the spikes after the last step are left out
    np.testing.assert_array_equal(data.train[1], np.arange(6) % 3)
    network = recipe.start(data).model.network
    assert network.layers[0].weight.shape[-1] == 16
    with pytest.raises(FileNotFoundError, match=r"neither .*shd_train.h5 nor .*ssc_train.h5"):
        RECIPES["shd"](data=str(tmp_path / "no")).load_data()
    with pytest.raises(ValueError, match=r"`data` must be a folder with shd_train\.h5"):
        RECIPES["shd"]().load_data()


def test_handwritten_digits_of_a_camera(tmp_path):
    for part in ("Train", "Test"):
        for digit in range(10):
            (tmp_path / part / str(digit)).mkdir(parents=True)
            for i in range(2):
                path = tmp_path / part / str(digit) / f"0000{i}.bin"
                files.write_nmnist(path, files.recording(200, seed=i, spread=2_000))
    recipe = RECIPES["nmnist"](data=str(tmp_path), per_digit=1, batch_size=5)
    data = recipe.load_data()
    assert data.train[0].shape == data.test[0].shape == (10, 10, 2, 34, 34)
    assert data.train[0].dtype == np.uint8
    assert int(data.train[0][0].sum()) == 200
    np.testing.assert_array_equal(data.test[1], np.arange(10))
    recipe.start(data)
    path = tmp_path / "Train" / "3" / "00000.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"3/00000\.bin is no such recording, or is damaged"):
        recipe.load_data()
