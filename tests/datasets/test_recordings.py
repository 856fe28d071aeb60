"""Recordings: read as they were written, damaged ones refused by name, filtered as by tonic."""

import struct

import numpy as np
import pytest
import tonic
from expelliarmus import Wizard

from snnjax import datasets
from snnjax.datasets import Events, read_events, read_shd, to_events, to_raster

from . import files


def npz(path, events):
    np.savez(path, **{name: events[name] for name in "txyp"})


def prophesee(encoding):
    def write(path, events):
        kind = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")]
        Wizard(encoding=encoding).save(path, events.astype(np.dtype(kind, align=True)))

    return write


KINDS = {
    "a.npy": np.save,
    "a.npz": npz,
    "a.aedat4": files.write_aedat4,
    "two.aedat": files.write_aedat2,
    "three.aedat": files.write_aedat3,
    "a.bin": files.write_nmnist,
    "evt2.raw": prophesee("evt2"),
    "evt3.raw": prophesee("evt3"),
    "a.dat": prophesee("dat"),
}


def read(path):
    return read_events(path, camera="dvs128" if path.name == "two.aedat" else None)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A file of each kind, with the events of all."""
    folder, events = tmp_path_factory.mktemp("recordings"), files.recording(2_500)
    for name, write in KINDS.items():
        write(folder / name, events)
    return folder, events


@pytest.mark.parametrize("name", KINDS)
def test_a_recording_is_read_as_it_was_written(recordings, name):
    folder, events = recordings
    found = read(folder / name)
    assert isinstance(found, Events)
    for ours, theirs in zip(found, "tpyx", strict=True):
        np.testing.assert_array_equal(ours, events[theirs])
        assert ours.dtype == np.int64


@pytest.mark.parametrize("name", KINDS)
def test_damaged_recordings_are_one_error_that_names_the_file(recordings, name, tmp_path):
    content, rng = (recordings[0] / name).read_bytes(), np.random.default_rng(0)
    path = tmp_path / name
    for cut in {0, 3, 13, 41, len(content) - 1, len(content) - 3}:
        path.write_bytes(content[:cut])
        if cut % 5 == 0 and name == "a.bin":
            continue  # a shorter recording, whole
        with pytest.raises(ValueError, match=name):
            read(path)
    for _ in range(25):
        damaged = bytearray(content)
        for at in rng.integers(0, min(len(content), 700), 3):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read(path)
        except ValueError as error:
            assert name in str(error)  # noqa: PT017  others are read as other events


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.aedat4 does not exist"):
        read_events(tmp_path / "nothing.aedat4")
    (tmp_path / "a.txt").write_text("t x y p")
    with pytest.raises(ValueError, match=r"a.txt must end in one of .npy, .npz, .aedat4"):
        read_events(tmp_path / "a.txt")
    files.write_aedat2(tmp_path / "b.aedat", files.recording(10))
    with pytest.raises(ValueError, match=r"b.aedat .*`camera` must be one of 'dvs128', 'davis346'"):
        read_events(tmp_path / "b.aedat")
    with pytest.raises(ValueError, match="must have at most 10 bytes"):
        read_events(tmp_path / "b.aedat", most=10)


@pytest.fixture
def shd(tmp_path):
    rng = np.random.default_rng(0)
    spikes = [(np.sort(rng.random(n)), rng.integers(0, 700, n)) for n in (50, 0, 30)]
    files.write_shd(tmp_path / "shd_train.h5", spikes, [1, 0, 1])
    return tmp_path / "shd_train.h5", spikes


def test_spoken_digits_are_read_as_they_were_written(shd):
    path, spikes = shd
    found = read_shd(path)
    assert found.names == ("zero", "one")
    np.testing.assert_array_equal(found.labels, [1, 0, 1])
    for events, (times, units) in zip(found.recordings, spikes, strict=True):
        np.testing.assert_array_equal(events.x, units)
        np.testing.assert_allclose(
            events.time, 1e6 * times.astype(np.float16).astype(float), atol=0.51
        )
        assert to_raster(events, 700, step=10_000, steps=100).shape == (100, 700)


def test_damaged_spoken_digits_are_one_error_that_names_the_file(shd):
    import h5py

    path, _ = shd
    content = path.read_bytes()
    for cut in (0, 100, len(content) // 2):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"shd_train.h5"):
            read_shd(path)
    path.write_bytes(content)
    with h5py.File(path, "a") as file:
        del file["labels"]
        file["labels"] = np.zeros(2, np.int64)
    with pytest.raises(ValueError, match=r"shd_train.h5 .* 3 `times`, 3 `units` and 2 `labels`"):
        read_shd(path)


def test_damage_in_the_heaps_of_spoken_digits_is_found_before_hdf5_meets_it(shd):
    path, _ = shd
    content = path.read_bytes()
    heap = content.index(b"GCOL")
    damages = (
        (heap + 16, bytes(16), f"its heap from byte {heap} on is damaged"),
        (heap + 8, b"\xff" * 8, f"its heap from byte {heap} on is damaged"),
        (content.index(struct.pack("<IQ", 50, heap)), b"\xff" * 4, "`/spikes/times` .* 4294967295"),
        # HDF5 crashes on a sequence that has a bit of texts.
        (content.index(b"\x19\0\0\0\x10\0\0\0") + 1, b"\x08", "type of `/spikes/times` is damaged"),
    )
    for place, damage, message in damages:
        path.write_bytes(content[:place] + damage + content[place + len(damage) :])
        with pytest.raises(ValueError, match=f"shd_train.h5 .*{message}"):
            read_shd(path)


@pytest.mark.parametrize(
    "kept", [{}, {"chunks": (2,)}, {"chunks": (2,), "compression": "gzip"}, {"maxshape": (None,)}]
)
def test_spoken_digits_in_any_layout_are_read(tmp_path, kept):
    h5py = pytest.importorskip("h5py")
    path, sizes = tmp_path / "shd.h5", (3, 5000, 0)
    with h5py.File(path, "w") as file:
        file["labels"] = np.zeros(3, np.uint8)
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            rows = file.create_dataset(f"spikes/{name}", (3,), dtype=h5py.vlen_dtype(kind), **kept)
            for i, size in enumerate(sizes):
                rows[i] = np.arange(size, dtype=kind)
    assert tuple(len(events.x) for events in read_shd(path).recordings) == sizes


SIZE = (34, 34, 2)
TONIC = {
    "merge": (
        lambda e: datasets.polarity(e, "merge"),
        tonic.transforms.MergePolarities(),
    ),
    "downsample": (
        lambda e: datasets.downsample(e, 2),
        tonic.transforms.Downsample(spatial_factor=0.5),
    ),
    "crop": (
        lambda e: datasets.crop(e, top=7, left=7, height=20, width=20),
        tonic.transforms.CenterCrop(sensor_size=SIZE, size=(20, 20)),
    ),
    "align": (lambda e: datasets.offset(e, time=None), tonic.transforms.TimeAlignment()),
    "noise": (
        lambda e: datasets.drop_noise(e, 900),
        tonic.transforms.Denoise(filter_time=900),
    ),
    "refractory": (
        lambda e: datasets.refractory(e, 9_000),
        tonic.transforms.RefractoryPeriod(delta=9_000),
    ),
    "hot": (
        lambda e: datasets.drop_hot_pixels(e, 22.0),
        tonic.transforms.DropPixel(hot_pixel_frequency=22.0),
    ),
}


@pytest.mark.parametrize("name", TONIC)
def test_changes_are_those_of_tonic(name):
    ours, theirs = TONIC[name]
    events = files.recording(20_000, first=100_000)
    wanted = theirs(events.astype([(n, "<i8") for n in "txyp"]))
    found = ours(events)
    assert 0 < len(wanted) <= len(events)
    assert (len(wanted) == len(events)) == (name in ("merge", "downsample", "align"))
    for array, field in zip(found, "tpyx", strict=True):
        np.testing.assert_array_equal(array, wanted[field])


def test_rasters_are_those_of_tonic():
    events = files.recording(20_000)
    frames = tonic.transforms.ToFrame(
        SIZE, time_window=5_000, start_time=0, include_incomplete=True
    )(events)
    found = to_raster(events, (2, 34, 34), step=5_000)
    np.testing.assert_array_equal(found[: len(frames)], frames)
    assert not found[len(frames) :].any()
    frames = tonic.transforms.ToFrame(SIZE, event_count=300, include_incomplete=True)(events)
    np.testing.assert_array_equal(datasets.to_raster_by_count(events, (2, 34, 34), 300), frames)
    assert to_events(found, step=5_000).time.shape == (20_000,)
