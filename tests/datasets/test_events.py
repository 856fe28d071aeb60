"""Single events: structured arrays, rasters, and changes in software."""

import re

import numpy as np
import pytest

from snnjax import datasets
from snnjax.datasets import Events, to_events, to_raster, to_raster_by_count

from . import files


def equal(found, wanted):
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_structured_arrays_are_events_whatever_their_order_and_types():
    array = files.recording(500)
    wanted = Events(array["t"], array["p"].astype(int), array["y"], array["x"])
    equal(to_events(array), wanted)
    other = array.astype([("x", "u2"), ("y", "u2"), ("p", "i1"), ("t", "u8")])
    for name in "txyp":
        other[name] = array[name]
    equal(to_events(other), wanted)
    renamed = array.copy()
    renamed.dtype.names = ("t", "x", "y", "on")
    equal(to_events(renamed), wanted)
    equal(to_events(wanted), wanted)


def test_events_without_rows_or_polarities_are_of_channels():
    kind = [("t", "<i8"), ("x", "<i8"), ("p", "<i8")]
    array = np.array([(0, 5, 1), (1500, 699, 1)], kind)
    found = to_events(array)
    equal(found, [[0, 1500], [1, 1], [0, 0], [5, 699]])
    plain = to_events(array[["t", "x"]])
    raster = to_raster(plain, 700, step=1000)
    assert raster.shape == (2, 700)
    assert raster[0, 5] == raster[1, 699] == raster.sum() - 1 == 1


def test_rasters_of_a_structured_array():
    array = files.recording(1_000, spread=3)
    raster = to_raster(array, (2, 34, 34), step=100)
    assert raster.shape == (array["t"][-1] // 100 + 1, 2, 34, 34)
    assert raster.sum() == 1_000
    cut = datasets.crop_time(array, 0, 500)
    np.testing.assert_array_equal(to_raster(cut, (2, 34, 34), step=100, steps=5), raster[:5])
    counted = to_raster_by_count(array, (2, 34, 34), 300)
    np.testing.assert_array_equal(counted.sum((1, 2, 3)), [300, 300, 300, 100])
    assert to_raster(array[:0], (2, 34, 34), step=100).shape == (0, 2, 34, 34)
    assert to_raster_by_count(array[:0], (2, 34, 34), 100).shape == (0, 2, 34, 34)


def test_polarities_offsets_and_windows():
    events = Events(*np.array([[10, 0, 3, 4], [20, 1, 5, 6], [30, 1, 9, 9]]).T)
    equal(datasets.polarity(events, "on"), [[20, 30], [0, 0], [5, 9], [6, 9]])
    equal(datasets.polarity(events, "off"), [[10], [0], [3], [4]])
    moved = datasets.offset(events, time=-10, y=2, x=-4)
    equal(moved, [[0, 10, 20], [0, 1, 1], [5, 7, 11], [0, 2, 5]])
    window = datasets.crop(events, top=4, left=6, height=2, width=1)
    equal(window, [[20], [1], [1], [0]])
    none = Events(*(array[:0] for array in events))
    assert (
        datasets.drop_noise(none, 5).time.shape == datasets.refractory(none, 5).time.shape == (0,)
    )


def since_by_loop(events, places):
    """Time since the last event of any of some places beside each, event by event."""
    last, found = {}, []
    for t, _, y, x in zip(*events, strict=True):
        last_own = [last[y + dy, x + dx] for dy, dx in places if (y + dy, x + dx) in last]
        found.append(t - max(last_own) if last_own else np.inf)
        last[y, x] = t
    return np.array(found)


def test_noise_and_refractory_filters_are_their_loops():
    events = to_events(files.recording(1_500, (2, 6, 7), spread=4))
    beside = since_by_loop(events, [(0, 1), (0, -1), (1, 0), (-1, 0)])
    # The latest event beside is the one that counts, in whichever place it was.
    equal(datasets.drop_noise(events, 12), [a[beside < 12] for a in events])
    own = since_by_loop(events, [(0, 0)])
    equal(datasets.refractory(events, 40), [a[own > 40] for a in events])


def test_hot_pixels_are_gone_and_others_stay():
    quiet = files.recording(1_000, (2, 10, 10))
    hot = np.zeros(400, quiet.dtype)
    hot["t"], hot["x"], hot["y"] = np.linspace(0, quiet["t"][-1], 400), 3, 4
    both = np.concatenate([quiet, hot])
    both = both[np.argsort(both["t"], kind="stable")]
    seconds = (both["t"][-1] - both["t"][0]) / 1e6
    found = datasets.drop_hot_pixels(both, 100 / seconds)
    assert not np.any((found.x == 3) & (found.y == 4))
    assert len(found.time) == np.sum((quiet["x"] != 3) | (quiet["y"] != 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: to_events(e[["x", "y"]]), "`events` has no field 't'; a structured array"),
        (lambda e: to_events(np.zeros((3, 4))), "`source` must be one recording"),
        (lambda e: to_events(e[::-1]), "`events.time` must ascend"),
        (lambda e: to_raster(e, (2, 34), step=10), "`shape` must be (channels, height, width)"),
        (lambda e: to_raster_by_count(e, (2, 34, 34), 0), "`number` must be an integer of at"),
        (lambda e: to_raster(e, 34, step=10), "`events.channel["),
        (lambda e: datasets.polarity(e, "both"), "`mode` must be one of 'merge', 'on', 'off'"),
        (lambda e: datasets.polarity(to_events(e)._replace(channel=to_events(e).x), "on"), "(on)"),
        (lambda e: datasets.crop(e, top=-1, left=0, height=1, width=1), "`top` must be an integer"),
        (lambda e: datasets.crop_time(e, 5, 5), "`end` must be an integer of at least 6; got 5"),
        (lambda e: datasets.downsample(e, 0), "`factor` must be an integer of at least 1"),
        (lambda e: datasets.offset(e, y=-40), "`y` is -40, which moves an event to -40"),
        (lambda e: datasets.drop_noise(e, 0), "`window` must be an integer of at least 1"),
        (lambda e: datasets.drop_hot_pixels(e, 0.0), "`max_rate` must be above 0"),
    ],
)
def test_events_that_cannot_be_changed_so(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(files.recording(100))
