"""Front ends as files, the events that are kept, and training, listening and commands with them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.io import wavfile

from snnjax.cli import _runs
from snnjax.datasets import MelEvents
from snnjax.hardware.xylo.frontend import AUDIO_3_FILTERS, Audio3, Imu, audio3_filter
from snnjax.train import Run, _front_end, load_front_end, save_front_end
from snnjax.train._front_end import cached_events
from snnjax.train.recipes import Speech

FRONT_ENDS = {
    "mel": MelEvents(8000, bands=5, release=3.0),
    "audio3": Audio3(8000.0, scale=0.5, filters=(audio3_filter(300.0, 400.0),), k=(3,)),
    "imu": Imu(encoder="iaf", threshold=tuple(range(1, 16))),
}
SMALL = Audio3(8000.0, filters=AUDIO_3_FILTERS[4:7], k=6, window=488)


def sound(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "events"


@pytest.mark.parametrize("front_end", FRONT_ENDS.values(), ids=FRONT_ENDS)
def test_a_file_gives_the_front_end_back(front_end, tmp_path):
    path = tmp_path / "frontend.json"
    save_front_end(front_end, path)
    assert load_front_end(path) == front_end


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, 'its "format" is not "snnjax-frontend"'),
        ({"version": 2}, "has version 2, this snnjax reads 1"),
        ({"version": True}, "has version True, this snnjax reads 1"),
        ({"kind": ["mel"]}, '"kind" must be one of mel, audio3, imu'),
        ({"kind": "cochlea"}, '"kind" must be one of mel, audio3, imu'),
        ({"settings": {"k": 99}}, "frontend.json: `k` must be whole numbers from 0 to 31"),
        ({"settings": {"q": 1}}, "frontend.json: .*'q'"),
    ],
)
def test_files_that_are_damaged_are_refused(change, message, tmp_path):
    path = tmp_path / "frontend.json"
    save_front_end(FRONT_ENDS["audio3"], path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        load_front_end(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"frontend.json is not JSON"):
        load_front_end(path)


@pytest.mark.slow
def test_events_are_computed_once_for_settings_and_sound(own_cache, monkeypatch):
    x = sound(3, 200)
    events = cached_events(SMALL, x, 5)
    assert events.shape == (3, 5, 3)
    np.testing.assert_array_equal(events[:, :3], SMALL(x)[0][:, :3])
    assert not events[:, 3:].any()
    (file,) = own_cache.iterdir()
    with monkeypatch.context() as no_more:
        no_more.setattr(_front_end, "events_of", None)
        np.testing.assert_array_equal(cached_events(SMALL, x, 5), events)
    file.write_bytes(b"torn")
    np.testing.assert_array_equal(cached_events(SMALL, x, 5), events)
    cached_events(SMALL, x[:, ::-1], 5)
    assert len(list(own_cache.iterdir())) == 2


def test_a_folder_that_cannot_be_written_to_costs_time_alone(monkeypatch, capsys):
    monkeypatch.setenv("SNNJAX_CACHE", "/dev/null/cache")
    assert cached_events(SMALL, sound(1, 100), 2).shape == (1, 2, 3)
    assert "not kept" in capsys.readouterr().err


TINY = {
    "front_end": "audio3",
    "hidden": (6,),
    "time_constants": (2,),
    "steps": 8,
    "batch_size": 4,
    "stages": "float:1,chip:1",
}


def write_recordings(folder, count=6, samples=700):
    folder.mkdir()
    for index in range(count):
        for digit in range(2):
            x = (sound(samples, seed=index + 10 * digit) * 2**14).astype(np.int16)
            wavfile.write(folder / f"{digit}_ada_{index + 3}.wav", 8000, x)
    return str(folder)


@pytest.mark.slow
def test_training_hears_through_the_chip(tmp_path):
    recipe = Speech(data=write_recordings(tmp_path / "data"), **TINY)
    data = recipe.load_data()
    assert data.train[0].shape == (8, 8, 16)
    clean = np.stack([wavfile.read(f)[1] for f in sorted((tmp_path / "data").glob("*_3.wav"))])
    whole, _ = recipe.audio3(clean.astype(np.float32) / 2**15)
    np.testing.assert_array_equal(data.test[0][0, :8], whole[0, :8])
    state = recipe.start(data)
    losses = []
    for after, metrics in recipe.train(data, state):
        state = after
        losses.append(float(metrics["loss"]))
    assert np.isfinite(losses).all()
    spec = recipe.deploy(state.model)
    assert recipe.score(state.model, spec, data).total == 4


def test_sound_that_changes_goes_through_the_front_end_in_training(tmp_path):
    folder = write_recordings(tmp_path / "data")
    recipe = Speech(data=folder, gain=6.0, snr=(20.0, 0.0), reverb=0.1, **TINY)
    data = recipe.load_data()
    assert data.train[0].ndim == 2
    encode = jax.jit(lambda x, key: recipe.encode(x, key=key))
    first, second = (encode(data.train[0][:4], jax.random.key(i)) for i in range(2))
    assert first.shape == (4, 8, 16)
    assert (first == jnp.round(first)).all()
    assert (first != second).any()
    np.testing.assert_array_equal(data.test[0], Speech(data=folder, **TINY).load_data().test[0])


def test_a_run_keeps_its_front_end_and_refuses_another(tmp_path):
    recipe = Speech(**TINY)
    text = _front_end.front_end_text(recipe.make_front_end())
    run = Run.create(tmp_path / "run", "speech", {"chip": "audio3"}, None, text)
    assert _runs.front_end_of(run, recipe) == recipe.audio3
    with pytest.raises(ValueError, match="is not the front end of the settings"):
        _runs.front_end_of(run, Speech(**{**TINY, "k": 11}))
    run.front_end.unlink()
    assert _runs.front_end_of(run, recipe) == recipe.audio3
