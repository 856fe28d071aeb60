"""Settings of a run folder that a recipe cannot have."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.train.digits import Data, DigitsConfig, load_data, start, train
from snnjax.train.recipe import make_optimizer


def test_settings_survive_the_way_through_json():
    config = DigitsConfig.from_dict({"epochs": 3, "hidden": [4, 5], "noise": 1})
    assert (config.epochs, config.hidden, config.noise) == (3, (4, 5), 1)


@pytest.mark.parametrize(
    ("settings", "epochs", "schedule"),
    [
        ({}, 70, [("plan", 0, 70)]),
        ({"epochs": 3}, 3, [("plan", 0, 3)]),
        ({"stages": "float:40,chip:20"}, 60, [("float", 0, 40), ("chip", 40, 60)]),
        ({"stages": "float:2, chip", "epochs": 60}, 60, [("float", 0, 40), ("chip", 40, 60)]),
        (
            {"stages": "float,plan,chip", "epochs": 7},
            7,
            [("float", 0, 2), ("plan", 2, 5), ("chip", 5, 7)],
        ),
    ],
)
def test_stages_are_numbers_of_epochs_or_shares_of_them(settings, epochs, schedule):
    config = DigitsConfig(**settings)
    assert config.epochs == epochs
    assert list(config.schedule) == schedule
    assert config.last_stage == schedule[-1][0]
    seen = [config.through(epoch) for epoch in range(epochs)]
    assert seen == [through for through, begin, end in schedule for _ in range(begin, end)]
    assert DigitsConfig.from_dict(dataclasses.asdict(config)) == config


def test_the_rate_of_each_stage_falls_to_0_from_its_own_start():
    config = DigitsConfig(stages="float:2,chip:1", batch_size=5, learning_rate=0.3, later_rate=0.5)
    optimizer = make_optimizer(config, 20)
    x, rates = jnp.ones(()), []
    state = optimizer.init(x)
    for _ in range(12):
        update, state = optimizer.update(x, state)
        rates.append(-float(update))  # Adam's step for gradients that never change is the rate
    cosine = lambda n: (1 + np.cos(np.pi * np.arange(n) / n)) / 2  # noqa: E731
    np.testing.assert_allclose(rates, [*0.3 * cosine(8), *0.15 * cosine(4)], rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown settings: epoch"),
        ({"epochs": "abc"}, "`epochs` must be a whole number; got 'abc'"),
        ({"epochs": 0}, "`epochs` must be above 0; got 0"),
        ({"stages": "plan:3,chips:2"}, "`stages` must be some of float, plan, chip.*'plan:3,chips"),
        ({"stages": "plan:0"}, "each with its number of epochs.*got 'plan:0'"),
        ({"stages": "plan:"}, "each with its number of epochs.*got 'plan:'"),
        ({"stages": 3}, "`stages` must be like"),
        ({"hidden": 3}, "`hidden` must be like"),
        ({"noise": -1.0}, "`noise` must be at least 0"),
        ({"noise": float("nan")}, "`noise` must be at least 0; got nan"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be above 0; got nan"),
    ],
)
def test_other_settings_are_an_error_that_names_them(settings, message):
    with pytest.raises(ValueError, match=message):
        DigitsConfig.from_dict(settings)


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["mismatch", "attack"])
def test_training_against_mismatch_and_attacks_is_another_training(setting):
    config = DigitsConfig(hidden=(6,), time_constants=(2,), batch_size=32)
    data = load_data(config)
    few = Data((data.train[0][:64], data.train[1][:64]), data.test)

    def first_epoch(config):
        _, metrics = next(train(config, few, start(config, few)))
        return float(metrics["loss"])

    assert first_epoch(dataclasses.replace(config, **{setting: 0.2})) != first_epoch(config)
    with pytest.raises(ValueError, match=f"`{setting}` must be at least 0; got -0.1"):
        DigitsConfig(**{setting: -0.1})
