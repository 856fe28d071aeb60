from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.io import wavfile

from snnjax.datasets.audio import MelEvents, mel_filters, resample
from snnjax.datasets.fsdd import load_fsdd

DATA = Path(__file__).parents[3] / "shared/data/free-spoken-digit-dataset"


def tone(frequency, rate=8000, seconds=0.5):
    return jnp.sin(2 * jnp.pi * frequency * jnp.arange(rate * seconds) / rate)


def test_a_tone_lights_up_the_band_that_holds_it():
    front = MelEvents(8000)
    for frequency in (300.0, 1000.0, 3000.0):
        events = front(tone(frequency))
        weights = mel_filters(8000, 256, 16, 100.0, 4000.0)
        expected = weights[round(frequency / 8000 * 256)].argmax()
        assert events.shape == (50, 16)
        assert abs(int(events[20:].sum(0).argmax()) - int(expected)) <= 1
        assert events.max() == front.max_events


def test_running_gain_looks_at_nothing_to_come():
    front, sound = MelEvents(8000), tone(500.0) * jnp.linspace(0.1, 1, 4000)
    louder = sound.at[3000:].multiply(5)
    steps = 3000 // front.hop
    np.testing.assert_array_equal(front(sound)[:steps], front(louder)[:steps])


def streamed(front, sound):
    """Counts of a sound through `step`, a hop at a time."""
    frames = sound[: len(sound) // front.hop * front.hop].reshape(-1, front.hop)

    def step(state, frame):
        counts, state = front.step(frame, state)
        return state, counts

    return jax.lax.scan(step, front.initial_state(), frames)[1]


@pytest.mark.few(1)
@pytest.mark.parametrize(("dt", "window"), [(10e-3, 32e-3), (20e-3, 10e-3)])
def test_a_stream_gives_the_counts_of_the_whole_sound(dt, window):
    front = MelEvents(8000, bands=8, dt=dt, window=window, max_events=15)
    noise = jax.random.normal(jax.random.key(0), (4321,)) * jnp.linspace(0, 0.3, 4321) ** 2
    found = streamed(front, noise)
    np.testing.assert_array_equal(found, front(noise))
    assert len(np.unique(found)) == 16


def test_what_cannot_stream_is_an_error():
    with pytest.raises(ValueError, match="to stream, take gain='running'"):
        MelEvents(8000, gain="recording").step(jnp.zeros(80))
    with pytest.raises(ValueError, match=r"next 80 samples, 0.01 s at 8000 Hz; .* \(81,\)"):
        MelEvents(8000).step(jnp.zeros(81))
    with pytest.raises(ValueError, match="`gain` must be 'running' or 'recording'; got 'agc'"):
        MelEvents(8000, gain="agc")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0}, "`rate` must be a whole number above 0; got 0"),
        ({"bands": -1}, "`bands` must be a whole number above 0; got -1"),
        ({"bands": 1.5}, "`bands` must be a whole number above 0; got 1.5"),
        ({"noise": np.nan}, "`noise` must be a number of dB, or -inf; got nan"),
        ({"dt": -1.0}, "`dt` must be above 0"),
        ({"dt": 1e-9}, "`dt` must be a sample or more, 0.000125 s at 8000 Hz; got 1e-09"),
        ({"floor": 0.0}, "`floor` must be above 0"),
        ({"max_events": -1}, "`max_events` must be a whole number above 0; got -1"),
        ({"max_events": 15.5}, "`max_events` must be a whole number above 0; got 15.5"),
        ({"low": -1000.0}, "`low` and `high` must be from 0 to half of the rate"),
        ({"high": 9000.0}, r"the lower one first; got 100.0 and 9000.0"),
    ],
)
def test_settings_that_make_no_events_are_errors_that_name_them(settings, message):
    with pytest.raises(ValueError, match=message):
        MelEvents(**{"rate": 8000, **settings})


@pytest.mark.parametrize("audio", [np.zeros((800, 2), np.float32), np.zeros(800, np.int16)])
def test_what_is_no_sound_of_one_channel_is_an_error(audio):
    with pytest.raises(ValueError, match=r"`audio` must be of one channel, .* in floating-point"):
        MelEvents(8000)(audio)


def test_levels_are_the_power_spectrum_through_the_filters_in_db():
    sound = np.asarray(tone(500.0) * jnp.linspace(0.0, 1, 4000))
    found = MelEvents(8000).levels(sound)
    # Times the filters' factors of 12 bits.
    frame = sound[4000 - 256 :] * np.hanning(256) / (np.hanning(256).sum() / 2)
    power = np.abs(np.fft.rfft(frame)) ** 2 @ mel_filters(8000, 256, 16, 100.0, 4000.0)
    np.testing.assert_allclose(found[-1], 10 * np.log10(np.maximum(power, 1e-8)), atol=0.005)


def test_gain_does_not_matter_but_silence_is_silent():
    front, sound = MelEvents(8000), tone(700.0)
    # Equal but for the rounding of the logarithm next to a half.
    assert np.mean(np.asarray(front(sound) != front(0.1 * sound))) < 0.01
    assert not front(jnp.zeros(4000)).any()


def test_counts_have_a_gradient():
    grad = jax.jit(jax.grad(lambda x: MelEvents(8000)(x).sum()))(tone(500.0) * 0.1)
    assert np.isfinite(grad).all()


def test_resampling_keeps_a_tone_and_the_length_in_time():
    np.testing.assert_allclose(resample(tone(440.0), 8000, 16000), tone(440.0, 16000), atol=1e-3)
    np.testing.assert_allclose(resample(tone(440.0, 16000), 16000, 8000), tone(440.0), atol=1e-3)


def test_too_many_bands_for_the_window_is_an_error():
    with pytest.raises(ValueError, match="`bands` is 200, too many"):
        mel_filters(8000, 256, 200, 100.0, 4000.0)


def write(folder, name, samples):
    wavfile.write(folder / name, 8000, samples)


def test_recordings_are_split_by_index_and_padded(tmp_path):
    for i, n in ((0, 100), (4, 80), (5, 120), (49, 60)):
        write(tmp_path, f"3_theo_{i}.wav", np.full(n, 2**14, np.int16))
    train, test = load_fsdd(tmp_path)
    assert test.audio.shape == (2, 100)
    np.testing.assert_array_equal(test.samples, [100, 80])
    np.testing.assert_array_equal(train.samples, [60, 120])
    np.testing.assert_array_equal(train.audio[0], [0.5] * 60 + [0] * 60)
    assert test.speakers == ("theo", "theo")
    assert test.rate == 8000


def test_what_is_no_data_set_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_fsdd(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="holds no recordings"):
        load_fsdd(tmp_path)
    for i in (0, 7):
        (tmp_path / f"3_theo_{i}.wav").write_bytes(b"not a sound")
    with pytest.raises(ValueError, match=r"3_theo_7\.wav is no WAV file"):
        load_fsdd(tmp_path)
    for i in (0, 7):
        write(tmp_path, f"3_theo_{i}.wav", np.zeros((10, 2), np.int16))
    with pytest.raises(ValueError, match="must have one channel; got 2"):
        load_fsdd(tmp_path)
    for i, rate in ((0, 8000), (7, 16000)):
        wavfile.write(tmp_path / f"3_theo_{i}.wav", rate, np.zeros(10, np.int16))
    with pytest.raises(ValueError, match=r"different sampling rates: \[8000, 16000\] Hz"):
        load_fsdd(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the Free Spoken Digit Dataset")
def test_the_official_split_of_the_data_set():
    train, test = load_fsdd(DATA)
    assert len(train.labels) == 2700
    assert len(test.labels) == 300
    assert np.bincount(test.labels).tolist() == [30] * 10
    assert np.abs(test.audio).max() <= 1


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the Free Spoken Digit Dataset")
def test_a_stream_of_50_recordings_gives_the_counts_of_the_batch():
    _, test = load_fsdd(DATA)
    front, audio = MelEvents(test.rate), jnp.asarray(test.audio[::6])
    batch = jax.jit(jax.vmap(front))(audio)
    alone = jax.jit(lambda all: jax.lax.map(lambda sound: streamed(front, sound), all))(audio)
    assert len(batch) == 50
    np.testing.assert_array_equal(alone, batch)


def test_what_cannot_be_resampled_is_an_error():
    with pytest.raises(ValueError, match=r"`audio` must be \(samples,\), .* got \(4, 2\)"):
        resample(np.zeros((4, 2)), 8000, 16000)
    with pytest.raises(ValueError, match="must be above 0; got 0 and 16000"):
        resample(np.zeros(4), 0, 16000)
