"""Sequences of one's own: what a file may hold, and that anything else is refused by name."""

import numpy as np
import pytest

from snnjax.datasets import load_sequences

LABELS = np.asarray([0, 1, 0])
RASTERS = np.arange(3 * 4 * 2).reshape(3, 4, 2) % 3
EVENTS = {
    "sequence": np.asarray([0, 0, 2]),
    "time": np.asarray([0.0, 0.0025, 0.001]),
    "channel": np.asarray([1, 0, 1]),
    "labels": LABELS,
}


def write(folder, **arrays):
    np.savez(folder / "file.npz", **arrays)
    return folder / "file.npz"


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_rasters_come_back_as_they_are(tmp_path, dtype):
    found = load_sequences(write(tmp_path, rasters=RASTERS.astype(dtype), labels=LABELS))
    np.testing.assert_array_equal(found.rasters, RASTERS.astype(dtype))
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.held_out is None


def test_a_split_says_what_is_held_out(tmp_path):
    split = np.asarray(["train", "test", "train"])
    found = load_sequences(write(tmp_path, rasters=RASTERS, labels=LABELS, split=split))
    assert found.held_out.tolist() == [False, True, False]


def test_events_count_in_their_steps(tmp_path):
    found = load_sequences(write(tmp_path, **EVENTS))
    wanted = np.zeros((3, 3, 2))
    wanted[0, 0, 1] = wanted[0, 2, 0] = wanted[2, 1, 1] = 1
    np.testing.assert_array_equal(found.rasters, wanted)
    longer = load_sequences(write(tmp_path, **EVENTS, shape=np.asarray([5])), dt=5e-4, steps=8)
    assert longer.rasters.shape == (3, 8, 5)
    assert longer.rasters[0, 5, 0] == longer.rasters.sum() - 2 == 1


def test_events_of_maps_have_places(tmp_path):
    places = {"y": np.asarray([0, 2, 1]), "x": np.asarray([3, 0, 0])}
    found = load_sequences(write(tmp_path, **EVENTS, **places))
    assert found.rasters.shape == (3, 3, 2, 3, 4)
    assert found.rasters[0, 0, 1, 0, 3] == 1


GOOD = {"rasters": RASTERS, "labels": LABELS}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"rasters": RASTERS}, "the array `labels` is missing; it has rasters"),
        ({"labels": LABELS}, "the array `sequence` is missing"),
        (GOOD | {"more": LABELS}, "unknown array `more`"),
        (GOOD | {"labels": LABELS[:2]}, "`rasters` has 3 sequences, but there are 2 `labels`"),
        (GOOD | {"labels": LABELS * 1.0}, "`labels` must be whole numbers"),
        (GOOD | {"labels": LABELS.astype(str)}, r"return_inverse=True\)` numbers texts"),
        (GOOD | {"labels": LABELS - 1}, "`labels` must be at least 0; entry 0 is -1"),
        (GOOD | {"labels": LABELS * 10**9}, "`labels` must be the numbers of 2 to 1,000 classes"),
        (GOOD | {"labels": LABELS * 0}, "`labels` must be the numbers of 2 to 1,000 classes"),
        (GOOD | {"rasters": RASTERS[0]}, r"`rasters` must be \(n, time, channels\) or"),
        (GOOD | {"rasters": RASTERS - 1.5}, r"at least 0; entry \[0, 0, 0\] is -1.5"),
        (GOOD | {"rasters": RASTERS / np.nan}, "is nan"),
        (GOOD | {"rasters": RASTERS.astype(str)}, "`rasters` must be numbers of events"),
        (GOOD | {"split": np.asarray(["train"] * 3)}, '`split` must have both "train" and "test"'),
        (GOOD | {"split": np.asarray([0, 1, 0])}, '`split` must be "train" or "test" for each'),
        (EVENTS | {"sequence": [0, 3, 1]}, "`sequence` must be at least 0 and below 3; entry 1"),
        (EVENTS | {"time": [0.0, -1.0, 0]}, "`time` must be from 0 to below .*; entry 1 is -1.0"),
        (EVENTS | {"time": [0.0, np.nan, 0]}, "`time` must be finite; entry 1 is nan"),
        (EVENTS | {"time": [0.0, 1e9, 0]}, "make a raster of the shape"),
        (EVENTS | {"channel": [0, 1]}, "arrays of unequal length"),
        (EVENTS | {"shape": [1]}, "`channel` must be at least 0 and below 1; entry 0 is 1"),
        (EVENTS | {"shape": [2, 3]}, "`shape` must be the sizes of channel, above 0"),
        (EVENTS | {"x": [0, 0, 0]}, "the array `y` is missing"),
    ],
)
def test_what_is_no_such_file_is_refused_by_name(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=rf"file.npz: .*{message}"):
        load_sequences(write(tmp_path, **arrays))


@pytest.mark.filterwarnings("ignore")
def test_a_file_that_is_no_npz_or_is_torn_is_refused(tmp_path):
    path = write(tmp_path, rasters=RASTERS, labels=LABELS)
    whole = path.read_bytes()
    objects = np.asarray([object()])
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-5] + b"12345"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"file.npz is no .npz file of arrays, or is damaged"):
            load_sequences(path)
    with pytest.raises(ValueError, match=r"file.npz: rasters.npy .* got '\|O'"):
        load_sequences(write(tmp_path, rasters=objects, labels=LABELS))
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_sequences(tmp_path / "none.npz")
