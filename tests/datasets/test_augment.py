import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.datasets import Augment, MelEvents
from snnjax.datasets.augment import (
    add_noise,
    change_gain,
    mask_bands,
    mask_time,
    shift_time,
    stretch_time,
)

KEYS = jax.random.split(jax.random.key(0), 200)
LEVELS = (
    jnp.full((30, 16), -80.0).at[5:20].set(jnp.linspace(-60, -20, 15 * 16).reshape(15, 16)[:, ::-1])
)


def drawn(change, *settings, levels=LEVELS):
    draw = jax.jit(jax.vmap(lambda key: change(levels, *settings, key=key)))
    return np.asarray(draw(KEYS))


def test_a_shift_moves_whole_steps_both_ways_and_silence_comes_in():
    found = drawn(shift_time, 7)
    starts = (found > -80).any(2).argmax(1)
    assert set(starts) == set(range(5 - 5, 5 + 8))
    padded = np.pad(LEVELS, ((7, 7), (0, 0)), constant_values=-80)
    every = [padded[i : i + 30] for i in range(15)]
    assert {min(i for i in range(15) if (every[i] == x).all()) for x in found} == set(range(15))


def test_a_stretch_keeps_the_levels_and_changes_the_length():
    ramp = jnp.broadcast_to(jnp.arange(40.0)[:, None] - 80, (40, 16))
    found = drawn(stretch_time, 0.25, levels=ramp)
    speeds = found[:, 1, 0] + 80
    assert 0.8 <= speeds.min() < 0.83
    assert 1.22 < speeds.max() <= 1.25
    expected = np.arange(40) * speeds[:, None]
    inside = expected < 39
    np.testing.assert_allclose(found[..., 0][inside], expected[inside] - 80, atol=1e-3)
    assert (found[..., 0][expected > 40] == -80).all()


def test_a_gain_moves_all_but_silence():
    found = drawn(change_gain, 30.0)
    gains = found[:, 19, 0] - float(LEVELS[19, 0])
    assert -30 <= gains.min() < -25
    assert 25 < gains.max() <= 30
    expected = np.maximum(np.asarray(LEVELS) + gains[:, None, None], -80)
    np.testing.assert_allclose(found, np.where(LEVELS > -80, expected, -80), atol=1e-4)


def test_noise_adds_its_power_at_the_ratio():
    found = drawn(add_noise, 20.0, 20.0)
    power = 10 ** (found / 10) - 10 ** (np.asarray(LEVELS) / 10)
    top = float(LEVELS.max())
    np.testing.assert_allclose(10 * np.log10(power.mean()), top - 20, atol=0.1)
    quiet = 10 ** (found[:, :5] / 10)
    np.testing.assert_allclose(quiet.std() / quiet.mean(), 1, atol=0.05)
    ratios = top - 10 * np.log10((10 ** (drawn(add_noise, 30.0, 10.0)[:, :5] / 10)).mean((1, 2)))
    assert ratios.min() < 12
    assert ratios.max() > 28


@pytest.mark.few(1)
@pytest.mark.parametrize(("mask", "axis", "widest"), [(mask_bands, 1, 5), (mask_time, 0, 9)])
def test_a_mask_silences_one_run_of_any_width_anywhere(mask, axis, widest):
    found = drawn(mask, widest, levels=jnp.zeros((30, 16)))
    lines = (found == -80).all(axis=2 - axis)
    np.testing.assert_array_equal(np.asarray(found == -80).any(axis=2 - axis), lines)
    assert set(lines.sum(1)) == set(range(widest + 1))
    assert (np.abs(np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(int))).sum(1) <= 2).all()
    assert lines.any(0).all()


def test_no_setting_changes_nothing_and_all_together_make_each_recording_another():
    levels = MelEvents(8000).levels(jnp.sin(jnp.arange(8000.0)) * jnp.linspace(0, 1, 8000))
    assert Augment()(levels, key=KEYS[0]) is levels
    augment = Augment(stretch=0.1, shift=5, gain=6, noise=(40, 20), mask_bands=2, mask_time=5)
    found = drawn(lambda x, key: augment(x, key=key), levels=levels)
    assert np.isfinite(found).all()
    assert found.min() >= -80
    assert len(np.unique(found.sum((1, 2)))) == len(KEYS)


def test_noise_leaves_a_silent_recording_silent():
    silent = jnp.full((30, 16), -80.0)
    np.testing.assert_allclose(add_noise(silent, 0.0, -20.0, key=KEYS[0]), -80, atol=1e-4)


def test_settings_out_of_range_are_errors():
    with pytest.raises(ValueError, match="`shift` must be at least 0; got -1"):
        Augment(shift=-1)
    with pytest.raises(ValueError, match=r"`noise` must be two .*, the largest first; got 1 and 2"):
        Augment(noise=(1, 2))
    with pytest.raises(
        ValueError, match=r"`mask_bands` is 17, but `levels` has the shape \(30, 16\)"
    ):
        Augment(mask_bands=17)(LEVELS, key=KEYS[0])
