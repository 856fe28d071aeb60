"""Settings of a run folder that a recipe cannot have."""

import pytest

from snnjax.train.digits import DigitsConfig


def test_settings_survive_the_way_through_json():
    config = DigitsConfig.from_dict({"epochs": 3, "hidden": [4, 5], "noise": 1})
    assert (config.epochs, config.hidden, config.noise) == (3, (4, 5), 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown settings: epoch"),
        ({"epochs": "abc"}, "`epochs` must be like 70; got 'abc'"),
        ({"hidden": 3}, "`hidden` must be like"),
        ({"noise": -1.0}, "`noise` must be at least 0"),
    ],
)
def test_other_settings_are_an_error_that_names_them(settings, message):
    with pytest.raises(ValueError, match=message):
        DigitsConfig.from_dict(settings)
