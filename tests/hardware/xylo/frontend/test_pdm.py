"""From a microphone's bits to samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware.xylo.frontend import CLOCK, PDM_CLOCK, Audio3, Decimation, sigma_delta
from snnjax.hardware.xylo.frontend._pdm import _low_pass


def bits(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 2, shape)


def test_samples_are_a_sum_over_the_last_256_bits():
    taps, shift = _low_pass()
    x = bits(700)
    line = np.concatenate([np.zeros(255, int), x])
    wanted = [taps[::-1] @ (2 * line[m : m + 256] - 1) >> shift for m in range(0, 700, 32)]
    samples, _ = Decimation()(x)
    np.testing.assert_array_equal(samples, wanted)


@pytest.mark.few(2)
@pytest.mark.parametrize("length", [1, 31, 32, 100])
def test_blocks_give_the_same_as_all_bits_at_once(length):
    x, decimation = bits(2, 200 if length > 1 else 70), Decimation()
    whole, last = decimation(x)
    made, state = [], None
    for start in range(0, x.shape[1], length):
        samples, state = decimation(x[:, start : start + length], state)
        made.append(samples)
    np.testing.assert_array_equal(np.concatenate(made, axis=1), whole)
    np.testing.assert_array_equal(state.bits, last.bits)
    assert state.phase == last.phase


def test_batch_jit_and_vmap_agree():
    x, decimation = jnp.asarray(bits(3, 96), jnp.int32), Decimation()
    whole, _ = decimation(x)
    for other in (jax.jit(decimation)(x)[0], jax.vmap(decimation)(x)[0], decimation(x > 0)[0]):
        np.testing.assert_array_equal(other, whole)


def test_a_tone_comes_through_and_its_channel_hears_it():
    tone = 0.5 * np.sin(2 * np.pi * 1503 * np.arange(3000) / CLOCK)
    samples, _ = Decimation()(sigma_delta(tone, CLOCK))
    # The filter delays by half of its length.
    delay = round(255 / 2 / 32)
    heard = np.asarray(samples[delay + 100 :]) / 2**13
    spoken = tone[100:][: len(heard)]
    heard = heard[: len(spoken)]
    assert np.corrcoef(heard, spoken)[0, 1] > 0.99
    events, _ = Audio3()(samples)
    assert events.sum(0).argmax() == 8
    assert PDM_CLOCK == 1_562_500


def test_bits_and_states_that_do_not_fit_are_refused():
    decimation = Decimation()
    with pytest.raises(ValueError, match="`bits` must be 0 or 1; got -1"):
        decimation(np.array([1, -1]))
    with pytest.raises(ValueError, match=r"`bits` must be \(time,\)"):
        decimation(np.zeros((1, 1, 1)))
    _, state = decimation(bits(40))
    with pytest.raises(ValueError, match=r"`state.bits` must have the shape \(2, 255\)"):
        decimation(bits(2, 40), state)
    with pytest.raises(ValueError, match="must be a multiple of 32; got 40"):
        jax.jit(decimation)(bits(40), state)
    with pytest.raises(Exception, match="within a sample"):
        jax.block_until_ready(jax.jit(decimation)(bits(64), state))
    with pytest.raises(Exception, match="`bits` must be 0 or 1"):
        jax.block_until_ready(jax.jit(decimation)(np.full(32, 2)))
