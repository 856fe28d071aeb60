"""The recipe for spoken digits: what was trained through the chip is what the simulator runs."""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.io import wavfile

from snnjax.train import Data
from snnjax.train.recipes import Speech

DATA = Path(__file__).parents[3] / "shared/data/free-spoken-digit-dataset"


def sounds(n, steps, seed):
    """Levels in which each class is a band that rises and falls at its own time."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    time, band = np.arange(steps)[:, None], np.arange(16)
    distance = np.abs(band - labels[:, None, None] * 1.5) + np.abs(time - 10) / 5
    levels = -10 - 12 * distance + rng.normal(0, 3, (n, steps, 16))
    return jnp.asarray(np.maximum(levels, -80), jnp.float32), jnp.asarray(labels)


def trained(**settings):
    config = Speech(
        **{"hidden": (24,), "time_constants": (2,), "steps": 30, "batch_size": 20, **settings}
    )
    test_x, test_y = sounds(40, config.steps, seed=1)
    events = jnp.stack([config.mel.counts(x) for x in test_x])
    data = Data(sounds(100, config.steps, seed=0), (events, test_y))
    state, history = config.start(data), []
    for after, metrics in config.train(data, state):
        state = after
        history.append({name: float(value) for name, value in metrics.items()})
    return config, data, state.model, history


@pytest.fixture(scope="module")
def run():
    return trained(
        stages="float:30,plan:4,chip:4", bits=4, learning_rate=1e-2, mask_bands=1, mask_time=2
    )


@pytest.mark.slow
def test_every_stage_learns(run):
    config, _, _, history = run
    assert len(history) == config.epochs == 38
    assert history[29]["loss"] < 0.5 * history[0]["loss"]
    assert min(epoch["accuracy"] for epoch in history[-2:]) > 0.8


@pytest.mark.slow
def test_what_was_trained_through_the_chip_is_what_the_simulator_runs(run):
    config, data, model, _ = run
    spec = config.deploy(model)
    assert max(int(jnp.abs(w).max()) for w in (spec.w_in, spec.w_rec, spec.w_out)) == 7
    emulated = eqx.filter_jit(config.target.emulate)(model.network, data.test[0])
    _, simulated = config.target.simulate(model.network, spec, data.test[0])
    np.testing.assert_array_equal(emulated, simulated)
    scores = config.score(model, spec, data)
    answers = emulated.sum(1).argmax(-1) == data.test[1]
    assert scores.integers == int(answers.sum()) > 30
    assert scores.transformed is None
    assert [name for name, _, _ in scores.rows()] == [
        "float network",
        "integers, bit-exact simulator",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_events": 16}, "`max_events` must be at most 15; got 16"),
        ({"max_events": 0}, "`max_events` must be above 0"),
        ({"dt": 0.0}, "`dt` must be above 0"),
        ({"stretch": -0.1}, "`stretch`"),
        ({"mask_bands": 17}, "`mask_bands` must be at most 16"),
        ({"snr": (10,)}, "`snr` must be 2 finite numbers or none"),
        ({"snr": (10, 20)}, r"`snr` must have the larger .* got \(10.0, 20.0\)"),
    ],
)
def test_settings_out_of_range_are_an_error_that_names_them(settings, message):
    with pytest.raises(ValueError, match=message):
        Speech(**settings)


def test_without_data_the_error_says_where_users_get_it():
    with pytest.raises(ValueError, match=r"`data` must be the folder.*free-spoken-digit-dataset"):
        Speech().load_data()


def test_recordings_of_another_rate_are_refused(tmp_path):
    for index in (0, 5):
        wavfile.write(tmp_path / f"1_me_{index}.wav", 16000, np.zeros(10, np.int16))
    with pytest.raises(ValueError, match=r"must have 8000 samples per second.*; got 16000"):
        Speech(data=str(tmp_path)).load_data()


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the Free Spoken Digit Dataset")
def test_spoken_digits_above_97_percent_in_the_simulator():
    config = Speech(data=str(DATA))
    data = config.load_data()
    assert len(data.train[1]) == 2700
    assert len(data.test[1]) == 300
    state = config.start(data)
    for after, _ in config.train(data, state):
        state = after
    scores = config.score(state.model, config.deploy(state.model), data)
    for name, number, share in scores.rows():
        print(f"{name}: {number} of {scores.total}, {share:.2%}")
    assert scores.integers >= 0.97 * scores.total
