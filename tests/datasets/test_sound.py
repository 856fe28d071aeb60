"""Changes of sound before a front end, and of event counts after it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.datasets import AugmentCounts, AugmentSound
from snnjax.datasets.counts import stretch_counts
from snnjax.datasets.sound import mix, reverberate

KEY = jax.random.key(0)
TONE = 0.3 * jnp.sin(jnp.arange(4000) / 3)


@pytest.mark.few(1)
@pytest.mark.parametrize("ratio", [20.0, 0.0])
def test_noise_is_as_much_weaker_as_asked(ratio):
    noise = jax.random.normal(KEY, TONE.shape)
    added = mix(TONE, noise, ratio) - TONE
    found = 10 * np.log10(np.mean(TONE**2) / np.mean(np.asarray(added) ** 2))
    assert found == pytest.approx(ratio, abs=0.01)
    np.testing.assert_array_equal(mix(TONE, jnp.zeros_like(TONE), ratio), TONE)


def test_a_room_keeps_the_direct_sound_and_adds_echoes_after_it():
    click = jnp.zeros(2000).at[500].set(0.5)
    heard = np.asarray(reverberate(click, 0.1, 8000.0, key=KEY))
    assert np.abs(heard[:500]).max() < 1e-6
    assert heard[500] == pytest.approx(0.5, abs=0.3)
    tail = heard[501:]
    assert np.abs(tail[:200]).mean() > 5 * np.abs(tail[800:]).mean()


@pytest.mark.slow
def test_all_changes_differ_by_key_and_stay_within_full_scale():
    augment = AugmentSound(8000.0, reverb=0.1, noise=(20.0, 0.0), gain=20.0)
    heard = jax.vmap(lambda key: augment(TONE, key=key))(jax.random.split(KEY, 8))
    assert len({float(x[7]) for x in heard}) == 8
    assert jnp.abs(heard).max() == pytest.approx(0.999)
    assert augment.changes
    plain = AugmentSound(8000.0)
    assert not plain.changes
    np.testing.assert_array_equal(plain(TONE, key=KEY), TONE)


@pytest.mark.slow
def test_stretched_counts_are_whole_and_keep_their_rate():
    counts = jnp.full((400, 3), 5.0)
    made = stretch_counts(counts, 0.2, key=KEY)
    np.testing.assert_array_equal(made, np.round(made))
    inside = np.asarray(made[:300])
    assert inside.mean() == pytest.approx(5, abs=0.1)
    ramp = jnp.repeat(jnp.arange(100.0)[:, None], 2, axis=1)
    same = stretch_counts(ramp, 0.0, key=KEY)
    np.testing.assert_array_equal(same, ramp)


def test_changes_of_counts_shift_and_silence():
    counts = jnp.arange(60.0).reshape(20, 3) + 1
    moved = AugmentCounts(shift=4)(counts, key=KEY)
    offsets = [k for k in range(-4, 5) if (np.roll(counts, k, 0)[4:-4] == moved[4:-4]).all()]
    assert len(offsets) == 1
    masked = AugmentCounts(mask_bands=3, mask_time=19)(counts, key=jax.random.key(3))
    assert set(np.unique(masked)) <= {0, *np.unique(counts)}
    np.testing.assert_array_equal(AugmentCounts()(counts, key=KEY), counts)


def test_settings_out_of_range_are_refused():
    for kind in (AugmentCounts, lambda **x: AugmentSound(8000.0, **x)):
        name = "stretch" if kind is AugmentCounts else "gain"
        with pytest.raises(ValueError, match=f"`{name}` must be at least 0; got -1"):
            kind(**{name: -1.0})
    with pytest.raises(ValueError, match="`noise` must be two signal-to-noise ratios"):
        AugmentSound(8000.0, noise=(0.0, 20.0))
