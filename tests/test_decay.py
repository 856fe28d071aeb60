"""Conversions between time constants, decay factors and bit shifts, against float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import decay

DT = 1e-3
RATIOS = np.logspace(-1, 5, 121)  # of tau to dt
EPS = 2.0**-24  # half of float32's last place at 1

TAU = np.float32(RATIOS * DT)
ALPHA = np.float32(np.exp(-DT / TAU.astype(float)))
DASH = np.float32(-np.log2(-np.expm1(-DT / TAU.astype(float))))


def tau_error(alpha):
    """How far off tau may be, relatively, if the rounding of 1-alpha or alpha is all there is."""
    return 3 * EPS * (1 + 1 / np.abs(alpha * np.log(alpha)))


def short_tau_error(alpha):
    """The same where alpha comes from a dash, which keeps 1-alpha to full precision."""
    return 3e-6 + np.where(alpha < 0.5, tau_error(alpha), 0)


# Of each function: its values in float32, the same in float64, the exact derivative.
CONVERSIONS = {
    "tau_to_alpha": (
        TAU,
        lambda tau: np.exp(-DT / tau),
        lambda tau: np.exp(-DT / tau) * DT / tau**2,
    ),
    "tau_to_dash": (
        TAU,
        lambda tau: -np.log2(-np.expm1(-DT / tau)),
        lambda tau: DT / tau**2 / np.expm1(DT / tau) / np.log(2),
    ),
    "alpha_to_tau": (
        ALPHA,
        lambda alpha: -DT / np.log(alpha),
        lambda alpha: DT / np.log(alpha) ** 2 / alpha,
    ),
    "dash_to_tau": (
        DASH,
        lambda dash: -DT / np.log1p(-(2**-dash)),
        lambda dash: DT / np.log1p(-(2**-dash)) ** 2 * np.log(2) / (2**dash - 1),
    ),
    "alpha_to_dash": (
        ALPHA,
        lambda alpha: -np.log2(1 - alpha),
        lambda alpha: 1 / (1 - alpha) / np.log(2),
    ),
    "dash_to_alpha": (DASH, lambda dash: 1 - 2**-dash, lambda dash: np.log(2) * 2**-dash),
}
each_conversion = pytest.mark.parametrize("name", CONVERSIONS)


def convert(name):
    """The function, of one argument."""
    function = getattr(decay, name)
    return (lambda x: function(x, DT)) if "tau" in name else function


@each_conversion
def test_conversions_are_accurate_in_float32(name):
    x, exact, _ = CONVERSIONS[name]
    value, wanted = np.asarray(convert(name)(x)), exact(x.astype(float))
    assert value.dtype == np.float32
    allowed = {
        # 1-alpha is what a decay loses at a step: it is known to the last place of 1.
        "alpha": np.full_like(wanted, 3 * EPS),
        "dash": 5 * EPS * np.maximum(1, wanted),
        "tau": short_tau_error(ALPHA.astype(float)) * wanted,
    }[name.rpartition("_")[2]]
    assert np.all(np.abs(value - wanted) <= allowed)


@each_conversion
def test_derivatives_are_finite_and_exact(name):
    x, _, exact = CONVERSIONS[name]
    derivative = np.asarray(jax.vmap(jax.grad(convert(name)))(jnp.asarray(x)))
    assert np.all(np.isfinite(derivative))
    usual = RATIOS >= 1
    np.testing.assert_allclose(derivative[usual], exact(x.astype(float))[usual], rtol=1e-5)


@pytest.mark.parametrize(
    ("there", "back", "allowed"),
    [
        ("tau_to_alpha", "alpha_to_tau", tau_error),
        ("tau_to_dash", "dash_to_tau", short_tau_error),
    ],
)
def test_a_time_constant_survives_the_way_there_and_back(there, back, allowed):
    again = np.asarray(convert(back)(convert(there)(TAU)))
    assert np.all(np.abs(again / TAU - 1) <= allowed(ALPHA.astype(float)))


def test_a_bit_shift_survives_the_way_through_the_decay_factor():
    dash = np.linspace(0, 15, 61, dtype=np.float32)
    again = np.asarray(decay.alpha_to_dash(decay.dash_to_alpha(dash)))
    # A step of alpha is EPS, and 1-alpha is 2^-dash.
    assert np.all(np.abs(again - dash) <= 3 * EPS * 2**dash + 1e-6)


def test_whole_bit_shifts_give_their_decay_factors_exactly():
    dash = np.arange(16)
    np.testing.assert_array_equal(decay.dash_to_alpha(dash), np.float32(1 - 0.5**dash))
    np.testing.assert_array_equal(jax.jit(decay.dash_to_alpha)(dash), np.float32(1 - 0.5**dash))


@pytest.mark.parametrize(
    ("name", "x", "wanted"),
    [
        ("tau_to_alpha", 1e-9, 0),
        ("tau_to_alpha", np.inf, 1),
        ("tau_to_dash", 1e-9, 0),
        ("tau_to_dash", np.inf, np.inf),
        ("alpha_to_tau", 0.0, 0),
        ("alpha_to_tau", 1.0, np.inf),
        ("alpha_to_dash", 0.0, 0),
        ("alpha_to_dash", 1.0, np.inf),
        ("dash_to_alpha", 0.0, 0),
        ("dash_to_alpha", np.inf, 1),
        ("dash_to_tau", 0.0, 0),
    ],
)
def test_conversions_reach_their_limits(name, x, wanted):
    assert convert(name)(x) == wanted


@pytest.mark.parametrize("limits", [{}, {"max_dash": 7}, {"min_dash": 3}, {"min_dash": 0}])
def test_the_nearest_bit_shift_is_that_of_a_search_through_all(limits):
    dash = np.random.default_rng(0).uniform(0, 17, 3000)
    low, high = limits.get("min_dash", 1), limits.get("max_dash", 15)
    candidates = np.arange(low, high + 1)
    distance = np.abs((1 - 0.5**candidates)[:, None] - (1 - 0.5**dash))
    nearest = decay.nearest_dash(dash, **limits)
    assert nearest.dtype == jnp.int32
    np.testing.assert_array_equal(nearest, candidates[distance.argmin(0)])


@pytest.mark.parametrize("ratio", [1e-6, 0.1, 0.5, 1.0, 1.2, 2**0.5])
def test_short_time_constants_do_not_become_a_shift_that_clears_the_state(ratio):
    assert decay.nearest_dash(decay.tau_to_dash(ratio * DT, DT)) == 1


def test_infinite_time_constants_become_the_largest_shift():
    assert decay.nearest_dash(decay.tau_to_dash(np.inf, DT)) == 15


def test_no_number_never_becomes_a_shift_that_clears_the_state():
    assert decay.nearest_dash(np.nan) == 1
