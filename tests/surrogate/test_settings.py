"""Settings of surrogates that are out of their range."""

import jax.numpy as jnp
import pytest

from snnjax import surrogate

ABOVE_ZERO = [
    ("Rectangular", "width"),
    ("Triangular", "width"),
    ("Tent", "slope"),
    ("Gaussian", "sigma"),
    ("MultiGaussian", "sigma"),
    ("MultiGaussian", "s"),
    ("SingleExponential", "width"),
    ("SpikeRateEscape", "beta"),
    ("Atan", "slope"),
    ("FastSigmoid", "slope"),
    ("SuperSpike", "slope"),
    ("SparseFastSigmoid", "slope"),
    ("Sigmoid", "slope"),
    ("PeriodicExponential", "window"),
    ("WaveSenseExponential", "window"),
]


@pytest.mark.parametrize(("kind", "name"), ABOVE_ZERO)
@pytest.mark.parametrize("value", [0, -2.0, float("nan"), "wide", None])
def test_a_setting_that_makes_no_pulse_is_an_error_that_names_it(kind, name, value):
    with pytest.raises(ValueError, match=f"^`{name}` must be a number above 0, or an array; got"):
        getattr(surrogate, kind)(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name"), [("LeakySpike", "slope"), ("Gaussian", "mu"), ("PiecewiseLinear", "window")]
)
def test_a_setting_that_is_no_number_is_an_error_that_names_it(kind, name):
    make = getattr(surrogate, kind)
    make(**{name: 0})
    with pytest.raises(ValueError, match=f"^`{name}` must be a number, or an array; got 'wide'"):
        make(**{name: "wide"})


def test_a_setting_that_is_trained_may_be_any_array():
    assert surrogate.Atan(jnp.float32(-1.0)).slope == -1
