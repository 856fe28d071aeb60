"""Xylo IMU's front end: streams, batches, transformations, what its stages are for, and misuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware.xylo.frontend import IMU_FILTERS, BandPass, Imu, imu_filter

SCALE_OR_IAF = pytest.mark.parametrize("encoder", ["scale", "iaf"])


def motion(*shape, seed=0):
    return np.random.default_rng(seed).integers(-20000, 20001, (*shape, 3))


def equal(*trees):
    first, *others = map(jax.tree.leaves, trees)
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@SCALE_OR_IAF
@pytest.mark.parametrize("length", [1, 7, 128])
def test_a_stream_is_the_whole_recording(encoder, length):
    imu, x = Imu(encoder=encoder), motion(2, 150 if length > 1 else 23)
    events, state = [], None
    for start in range(0, x.shape[1], length):
        made, state = imu.step(x[:, start : start + length], state)
        events.append(made)
    equal((np.concatenate(events, axis=1), state), imu(x))


@pytest.mark.slow
def test_batch_jit_vmap_and_single_recordings_agree():
    imu, x = Imu(encoder="iaf"), motion(3, 35).astype(np.int32)
    whole, state = imu(x)
    equal(
        whole,
        jnp.stack([imu(row)[0] for row in x]),
        jax.jit(imu)(x)[0],
        jax.vmap(imu)(x)[0],
        imu(x / 2.0**15)[0],
    )
    assert {leaf.dtype for leaf in jax.tree.leaves((whole, state))} == {np.dtype(np.int32)}
    assert not jax.config.jax_enable_x64


@pytest.mark.slow
def test_a_stream_goes_on_inside_of_a_program():
    imu, x = Imu(), jnp.asarray(motion(40), jnp.int32)
    blocks = x.reshape(8, 5, 3)
    _, events = jax.lax.scan(lambda s, b: imu.step(b, s)[::-1], imu.initial_state(), blocks)
    equal(events.reshape(40, 15), imu(x)[0])


def test_rotation_puts_all_of_a_straight_motion_on_the_first_axis():
    size = np.round(20000 * np.sin(2 * np.pi * 5 * np.arange(400) / 200)).astype(int)
    x = np.stack([size, -size // 2, size // 3], axis=1)
    rotated = Imu().trace(x).rotated[50:]
    first, *others = np.abs(rotated).mean(0)
    assert first > 60 * max(others)
    # Half of the motion's size, since a product is shifted by one bit more than it takes.
    assert first == pytest.approx(np.linalg.norm(x[50:], axis=1).mean() / 2, rel=0.01)


@pytest.mark.slow
def test_an_axis_that_turns_by_a_right_angle_is_kept():
    x = np.zeros((40, 3), int)
    x[:20, 0], x[20:, 2] = 20000, 20000
    imu = Imu(k=0)
    assert np.abs(imu.trace(x).rotated[20:]).max() > 9000
    assert np.abs(Imu(k=0, compat="rockpool").trace(x).rotated[20:]).max() == 0


def test_each_axis_has_the_filters_of_its_own():
    x = np.zeros((400, 3), int)
    x[:, 1] = np.round(15000 * np.sin(2 * np.pi * 6 * np.arange(400) / 200)).astype(int)
    events, _ = Imu(remove_rotation=False, shift=8)(x)
    assert events.sum(0).argmax() == 5 + 2
    assert events[:, :5].sum() == events[:, 10:].sum() == 0
    assert Imu().dt == 5e-3


@pytest.mark.parametrize("band", IMU_FILTERS[:5])
def test_no_input_takes_a_filter_out_of_its_range(band):
    w, y = band.peaks(32767)
    assert w < 2**32
    assert y < 2 ** (24 + 8)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scale": 0.0}, "`scale` must be a number above 0; got 0.0"),
        ({"k": 32}, "`k` must be whole numbers from 0 to 31"),
        ({"period": 0}, "`period` must be whole numbers from 1 to 2047"),
        ({"shift": -1}, "`shift` must be whole numbers from 0 to 31"),
        ({"shift": (1, 2)}, "`shift` must be one number or one for each of the 15 filters; got 2"),
        ({"threshold": 0}, "`threshold` must be whole numbers from 1 to"),
        ({"encoder": "rate"}, "`encoder` must be 'scale' or 'iaf'; got 'rate'"),
        ({"warm_up": "cold"}, "`warm_up` must be 'rest' or 'mirrored'"),
        ({"compat": "sinabs"}, "`compat` must be 'chip' or 'rockpool'"),
        ({"filters": IMU_FILTERS[:4]}, "`filters` must be a tuple of up to 15 BandPass"),
        (
            {"filters": 3 * (BandPass(a1=1 << 16, a2=0, a_shift=9, b_shift=6),)},
            r"`filters\[0\].a1` must fit into 17 bits",
        ),
    ],
)
def test_settings_that_the_chip_does_not_have_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Imu(**wrong)


def test_signals_and_states_that_do_not_fit_are_refused():
    imu, x = Imu(), motion(2, 20)
    _, state = imu(x)
    with pytest.raises(ValueError, match=r"`signal` must be \(time, 3\)"):
        imu(np.zeros((20, 2)))
    with pytest.raises(ValueError, match=r"`signal` must stay within full scale.*\[0, 1, 2\]"):
        imu(np.array([[[0, 0, 0], [0, 0, -32768]]]))
    with pytest.raises(Exception, match="`signal` must stay within full scale"):
        jax.block_until_ready(jax.jit(imu)(np.ones((2, 3), np.float32)))
    with pytest.raises(ValueError, match=r"`state.h` must have the shape \(3, 3, 2\)"):
        imu(x[0], state)
    with pytest.raises(ValueError, match="`state` must be one of an earlier call"):
        imu(x[0], (1, 2))
    with pytest.raises(ValueError, match="leave `state` out"):
        Imu(warm_up="mirrored")(x, state)
    with pytest.raises(ValueError, match="`warm_up` is 'mirrored', which needs whole recordings"):
        Imu(warm_up="mirrored").step(x)
    with pytest.raises(ValueError, match="one after another"):
        Imu(compat="rockpool")(x)
    with pytest.raises(ValueError, match="`low` and `high` must be between 0 and half"):
        imu_filter(50.0, 101.0)
