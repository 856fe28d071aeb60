"""Settings of a run folder that a recipe cannot have."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.train import Data
from snnjax.train.recipes import Digits, Speech


def test_settings_survive_the_way_through_json():
    config = Digits.from_dict({"epochs": 3, "hidden": [4, 5], "noise": 1})
    assert (config.epochs, config.hidden, config.noise) == (3, (4, 5), 1)


@pytest.mark.parametrize(
    ("recipe", "name", "text", "value"),
    [
        (Digits, "epochs", "none", None),
        (Digits, "epochs", "3", 3),
        (Digits, "hidden", "3,4", (3, 4)),
        (Digits, "hidden", "", ()),
        (Digits, "noise", "1e-3", 1e-3),
        (Digits, "method", "global", "global"),
        (Speech, "snr", "20,9.5", (20.0, 9.5)),
        (Speech, "snr", "none", None),
        (Speech, "data", "some/where", "some/where"),
    ],
)
def test_a_setting_is_read_from_text_by_its_type(recipe, name, text, value):
    found = recipe.parse(name, text)
    assert (found, type(found)) == (value, type(value))


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
    config = Digits(**settings)
    assert config.epochs == epochs
    assert list(config.schedule) == schedule
    assert config.last_stage == schedule[-1][0]
    seen = [config.through(epoch) for epoch in range(epochs)]
    assert seen == [through for through, begin, end in schedule for _ in range(begin, end)]
    assert Digits.from_dict(dataclasses.asdict(config)) == config


def test_the_rate_of_each_stage_falls_to_0_from_its_own_start():
    config = Digits(stages="float:2,chip:1", batch_size=5, learning_rate=0.3, later_rate=0.5)
    optimizer = config.optimizer(jnp.ones(()), 20)
    x, rates = jnp.ones(()), []
    state = optimizer.init(x)
    for _ in range(12):
        update, state = optimizer.update(x, state, x)
        rates.append(-float(update))  # Adam's step for gradients that never change is the rate
    cosine = lambda n: (1 + np.cos(np.pi * np.arange(n) / n)) / 2  # noqa: E731
    np.testing.assert_allclose(rates, [*0.3 * cosine(8), *0.15 * cosine(4)], rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "`epoch` is no setting; there are attack, batch_size"),
        ({"epochs": "abc"}, "`epochs` must be a whole number or none; got 'abc'"),
        ({"epochs": True}, "`epochs` must be a whole number or none; got True"),
        ({"epochs": 0}, "`epochs` must be above 0; got 0"),
        ({"stages": "plan:3,chips:2"}, "`stages` must be some of float, plan, chip.*'plan:3,chips"),
        ({"stages": "plan:0"}, "each with its number of epochs.*got 'plan:0'"),
        ({"stages": "plan:"}, "each with its number of epochs.*got 'plan:'"),
        ({"stages": "plan:" + 5000 * "9"}, "each with its number of epochs"),
        ({"stages": 3}, "`stages` must be text; got 3"),
        ({"hidden": 3}, "`hidden` must be whole numbers; got 3"),
        ({"hidden": [3, 2.5]}, r"`hidden` must be whole numbers; got \[3, 2.5\]"),
        ({"hidden": [10**9, 4]}, "the network has .* parameters, more than"),
        ({"steps": 10**7}, "`steps` must be at most 10,000; got 10000000"),
        ({"method": "bad"}, "`method` must be one of global, channel, least_squares; got 'bad'"),
        ({"chip": "../../x"}, "`chip`: .*audio3.*got '../../x'"),
        ({"noise": -1.0}, "`noise` must be at least 0"),
        ({"noise": float("nan")}, "`noise` must be a finite number; got nan"),
        ({"learning_rate": float("inf")}, "`learning_rate` must be a finite number; got inf"),
        ({"learning_rate": 10**400}, "`learning_rate` must be a finite number"),
        ({"seed": -1}, "`seed` must be at least 0; got -1"),
        ({"p_dropout": True}, "`p_dropout` must be a finite number; got True"),
    ],
)
def test_other_settings_are_an_error_that_names_them(settings, message):
    def begin():
        recipe = Digits.from_dict(settings)
        recipe.start(recipe.load_data())

    with pytest.raises(ValueError, match=message):
        begin()


@pytest.mark.long
@pytest.mark.parametrize("setting", ["mismatch", "attack"])
def test_training_against_mismatch_and_attacks_is_another_training(setting):
    config = Digits(hidden=(6,), time_constants=(2,), batch_size=32)
    data = config.load_data()
    few = Data((data.train[0][:64], data.train[1][:64]), data.test)

    def first_epoch(config):
        _, metrics = next(config.train(few, config.start(few)))
        return float(metrics["loss"])

    assert first_epoch(dataclasses.replace(config, **{setting: 0.2})) != first_epoch(config)
    with pytest.raises(ValueError, match=f"`{setting}` must be at least 0; got -0.1"):
        Digits(**{setting: -0.1})


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y + 5), "labels of `train` must be from 0 to 9, .* 10 outputs; got 1"),
        (lambda x, y: (x, y - 1), "labels of `train` must be from 0 to 9, .* 10 outputs; got -1"),
        (lambda x, y: (x, jnp.eye(10)[y]), "labels of `train` must be numbers of classes"),
        (lambda x, y: (x, y[1:]), "`train` must have a label for each sequence; got 1437 .* 1436"),
        (lambda x, y: (x[:0], y[:0]), "`train` must have a label for each sequence; got 0"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_training(change, message):
    recipe = Digits(hidden=(6,), time_constants=(2,), steps=8, hold=1)
    data = recipe.load_data()
    with pytest.raises(ValueError, match=message):
        recipe.start(Data(change(*data.train), data.test))


def test_sequences_of_other_channels_are_refused_by_the_layer():
    recipe = Digits(hidden=(6,), time_constants=(2,), steps=8, hold=1)
    data = recipe.load_data()
    rasters, labels = data.test
    with pytest.raises(ValueError, match=r"`layers\[0\]`.*"):
        recipe.start(Data(data.train, (rasters[..., :5], labels)))


def test_hidden_layers_without_time_constants_are_refused_by_the_settings_names():
    words = "`time_constants` must have a number for each layer of `hidden`; got 2 for 3 layers"
    with pytest.raises(ValueError, match=words):
        Digits(hidden=(8, 8, 8)).make_network()


def test_the_input_gain_scales_the_first_weights_only():
    plain, soft = (Digits(input_gain=gain).make_network().layers for gain in (1.0, 0.25))
    np.testing.assert_array_equal(soft[0].weight, 0.25 * plain[0].weight)
    for i in (3, 6):
        np.testing.assert_array_equal(soft[i].weight, plain[i].weight)
    with pytest.raises(ValueError, match="`input_gain` must be above 0; got 0"):
        Digits(input_gain=0.0)
