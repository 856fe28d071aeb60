"""The chips' front ends against Rockpool's integers, by hashes of every number of every stage."""

import numpy as np
import pytest

from snnjax.hardware.xylo.frontend import AUDIO_3_FILTERS, Audio3, Imu, imu_filter
from snnjax.hardware.xylo.frontend._pdm import _low_pass

from ._compare import golden
from ._front_ends import AUDIO_3, IMU, MOTIONS, SIGNALS, digest, motions, signals

QUICK = (
    "one_clock",
    "past_a_window",
    "mixed_separate",
    "partly_normalised",
    "filters_turned",
    "rate_16000",
)
"""Groups of the default run."""


def each_group(cases, quick, every):
    """Cases of the default run, of the others one of so many that is slow, and the rest, long."""
    others = [name for name in cases if name not in quick]
    marks = dict.fromkeys(others, pytest.mark.long)
    marks |= dict.fromkeys(others[::every], pytest.mark.slow)
    marked = [pytest.param(name, marks=marks.get(name, ())) for name in cases]
    return pytest.mark.parametrize("name", marked)


def front_end(name, warm_up):
    case = dict(AUDIO_3[name])
    filters = tuple(AUDIO_3_FILTERS[i] for i in case.pop("select", range(16)))
    del case["length"]
    return Audio3(filters=filters, warm_up=warm_up, **case)


def inputs(name):
    case = AUDIO_3[name]
    x = signals(case["length"], list(AUDIO_3).index(name))
    return x / 2**13 if "rate" in case else x


def hashes(arrays):
    return [digest(each) for each in np.asarray(arrays)]


def test_there_are_more_than_300_cases():
    assert len(AUDIO_3) * len(SIGNALS) == 377
    assert golden("rockpool_afe")[1]["cases"].keys() == AUDIO_3.keys()


@pytest.mark.few(1)
@each_group(AUDIO_3, QUICK, 2)
def test_every_stage_is_rockpools(name):
    arrays, _ = golden("rockpool_afe")
    for warm_up in ("rest", "mirrored"):
        trace = front_end(name, warm_up).trace(inputs(name))
        wanted = arrays[f"{name}/{warm_up}/hashes"]
        for found, stage in zip(
            (trace.samples, trace.filtered, trace.spikes), wanted, strict=False
        ):
            np.testing.assert_array_equal(hashes(found), stage)


@pytest.mark.few(2)
@each_group(AUDIO_3, QUICK, 3)
@pytest.mark.parametrize("warm_up", ["rest", "mirrored"])
def test_events_are_rockpools(name, warm_up):
    arrays, _ = golden("rockpool_afe")
    events, _ = front_end(name, warm_up)(inputs(name))
    np.testing.assert_array_equal(events.sum(1), arrays[f"{name}/{warm_up}/counts"])
    np.testing.assert_array_equal(hashes(events), arrays[f"{name}/{warm_up}/hashes"][3])


def test_the_microphones_filter_has_rockpools_taps():
    taps, shift = _low_pass()
    np.testing.assert_array_equal(taps, golden("rockpool_afe")[0]["taps"])
    assert shift == 7


QUICK_MOTIONS = ("past_a_period", "every_step", "longest_mean", "iaf_mixed", "other_bands")


def motion_front_end(name, **settings):
    case = {k: v for k, v in IMU[name].items() if k != "length"}
    if bands := case.pop("bands", None):
        settings["filters"] = tuple(imu_filter(*band) for band in bands)
    return Imu(**case, **settings)


def motion_inputs(name):
    case = IMU[name]
    x = motions(case["length"], list(IMU).index(name))
    return x / 2**15 if "scale" in case else x


def traces(front_end, batch):
    """Every stage, recording by recording."""
    every = [front_end.trace(x) for x in batch]
    return [np.stack(stage) for stage in zip(*every, strict=True)]


def test_there_are_more_than_300_cases_of_motion():
    assert len(IMU) * MOTIONS == 368
    assert golden("rockpool_imu")[1]["cases"].keys() == IMU.keys()


@pytest.mark.few(1)
@each_group(IMU, QUICK_MOTIONS, 2)
@pytest.mark.parametrize("warm_up", ["rest", "mirrored"])
def test_every_stage_of_motion_is_rockpools(name, warm_up):
    arrays, _ = golden("rockpool_imu")
    found = traces(motion_front_end(name, warm_up=warm_up, compat="rockpool"), motion_inputs(name))
    for stage, wanted in zip(found, arrays[f"{name}/{warm_up}/hashes"], strict=True):
        np.testing.assert_array_equal(hashes(stage), wanted)
    np.testing.assert_array_equal(found[-1].sum(1), arrays[f"{name}/{warm_up}/counts"])


def test_a_batch_of_rockpools_hands_its_rotation_on():
    front_end, state, found = Imu(compat="rockpool"), None, []
    for x in motions(25, 77):
        rotated = front_end._run(x, state, True)
        found.append(rotated[0].rotated)
        state = rotated[1]
    np.testing.assert_array_equal(hashes(found), golden("rockpool_imu")[0]["carried/rotated"])


@pytest.mark.slow
def test_only_an_axis_at_a_right_angle_to_itself_is_not_rockpools():
    x = motion_inputs("past_a_period")
    ours, theirs = (Imu(compat=compat) for compat in ("chip", "rockpool"))
    differ = [bool((ours(m)[0] != theirs(m)[0]).any()) for m in x]
    assert differ[-1]
    np.testing.assert_array_equal(Imu()(x)[0], np.stack([ours(m)[0] for m in x]))
