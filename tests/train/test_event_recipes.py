"""Recipes on published event data: on files of their format that the test writes."""

import dataclasses

import numpy as np
import pytest

from snnjax.datasets import read_events
from snnjax.train.recipes import RECIPES

from .event_folders import write_gesture_folder, write_nmnist_folder, write_shd_folder


def test_spoken_digits(tmp_path):
    write_shd_folder(tmp_path)
    recipe = RECIPES["shd"](data=str(tmp_path), hidden=(8,), time_constants=(2,), batch_size=3)
    data = recipe.load_data()
    assert data.train[0].shape == (6, 100, 16)
    assert data.test[0].shape == (4, 100, 16)
    assert 0 < data.train[0][0].sum() < 40  # the spikes after the last step are left out
    np.testing.assert_array_equal(data.train[1], np.arange(6) % 3)
    network = recipe.start(data).model.network
    assert network.layers[0].weight.shape[-1] == 16
    fed_back = dataclasses.replace(recipe, recurrent=True).make_network(data)
    assert fed_back.layers[1].w_rec.shape == (8, 8)
    assert fed_back.layers[-1].w_rec is None
    with pytest.raises(FileNotFoundError, match=r"neither .*shd_train.h5 nor .*ssc_train.h5"):
        RECIPES["shd"](data=str(tmp_path / "no")).load_data()
    with pytest.raises(ValueError, match=r"`data` must be a folder with shd_train\.h5"):
        RECIPES["shd"]().load_data()


def test_handwritten_digits_of_a_camera(tmp_path):
    write_nmnist_folder(tmp_path)
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


def test_gestures(tmp_path):
    write_gesture_folder(tmp_path, per_user=3)
    recipe = RECIPES["dvs_gesture"](data=str(tmp_path), size=16, steps=5, dt=0.1, batch_size=2)
    data = recipe.load_data()
    assert data.train[0].shape == (6, 5, 2, 16, 16)
    assert data.test[0].shape == (3, 5, 2, 16, 16)
    np.testing.assert_array_equal(data.train[1], [0, 1, 2] * 2)
    path = tmp_path / "user01_led.aedat"
    events = read_events(path)
    own = (events.time >= 900_000) & (events.time < 1_400_000)  # the end of a gesture is later
    assert int(data.train[0][1].sum()) == own.sum() > 200
    first = (events.time >= 900_000) & (events.time < 1_000_000)
    expected = np.zeros((2, 16, 16), int)
    places = (array[first] for array in (events.channel, events.y // 8, events.x // 8))
    np.add.at(expected, tuple(places), 1)
    np.testing.assert_array_equal(data.train[0][1, 0], expected)
    recipe.start(data)
    assert len(RECIPES["dvs_gesture"](data=str(tmp_path), recordings=1).load_data().train[1]) == 3


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("class,start\n1,2\n", "must have the columns class, startTime_usec, endTime_usec"),
        ("class,startTime_usec,endTime_usec\n1,0,9\n12,0,9\n", r"csv, line 3 must have a class"),
        ("class,startTime_usec,endTime_usec\n1,9,9\n", "line 2 must have a class from 1 to 11"),
        ("class,startTime_usec,endTime_usec\n1,0\n", "line 2 must have"),
    ],
)
def test_labels_of_gestures_that_are_damaged(tmp_path, table, message):
    write_gesture_folder(tmp_path, per_user=1)
    (tmp_path / "user02_led_labels.csv").write_text(table)
    with pytest.raises(ValueError, match=message):
        RECIPES["dvs_gesture"](data=str(tmp_path)).load_data()


def test_a_folder_without_gestures(tmp_path):
    with pytest.raises(ValueError, match="`data` must be the folder of DVS128 Gesture; got none"):
        RECIPES["dvs_gesture"]().load_data()
    with pytest.raises(FileNotFoundError, match=r"trials_to_train\.txt"):
        RECIPES["dvs_gesture"](data=str(tmp_path)).load_data()
    with pytest.raises(ValueError, match="`size` must divide 128; got 30"):
        RECIPES["dvs_gesture"](size=30)
