"""Decay factors that a bit shift can make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from snnjax.quant import Bitshift, bitshift_decay

LEVELS = np.float32(1 - 0.5 ** np.arange(1, 16))
quantized = jax.jit(bitshift_decay)
anything = st.floats(width=32, allow_nan=False)
factors = st.floats(0, 1, width=32)


def arrays(elements):
    return hnp.arrays(np.float32, 12, elements=elements)


@given(arrays(anything))
def test_whatever_the_number_a_shift_of_the_chip_makes_the_result(alpha):
    # Numbers outside of (0, 1), infinite ones too, are no decay factors, and must not become NaN.
    assert np.all(np.isin(quantized(alpha), LEVELS))


@given(arrays(anything))
def test_quantising_again_changes_nothing(alpha):
    once = quantized(alpha)
    np.testing.assert_array_equal(quantized(once), once)


@given(arrays(factors))
def test_the_nearest_decay_factor_is_taken(alpha):
    distance = np.abs(np.asarray(quantized(alpha), float) - alpha)
    nearest = np.abs(LEVELS.astype(float)[:, None] - alpha).min(0)
    np.testing.assert_allclose(distance, nearest, rtol=1e-5, atol=2e-7)


@given(arrays(factors))
def test_a_larger_factor_stays_at_least_as_large(alpha):
    assert np.all(np.diff(quantized(np.sort(alpha))) >= 0)


def test_there_are_fifteen_levels_and_each_is_its_own():
    np.testing.assert_array_equal(quantized(LEVELS), LEVELS)


@pytest.mark.parametrize(
    ("alpha", "wanted"),
    [
        (-np.inf, 0.5),
        (-1.0, 0.5),
        (0.0, 0.5),
        (1e-30, 0.5),
        (1.0, LEVELS[-1]),
        (2.0, LEVELS[-1]),
        (np.inf, LEVELS[-1]),
    ],
)
def test_factors_outside_of_the_range_go_to_the_nearest_end(alpha, wanted):
    assert bitshift_decay(jnp.float32(alpha)) == np.float32(wanted)


def test_the_limits_of_the_shift_can_be_set():
    alpha = jnp.array([0.0, 0.3, 0.9, 0.9999])
    np.testing.assert_array_equal(
        Bitshift(max_dash=5, min_dash=2)(alpha), [0.75, 0.75, 0.875, 1 - 2**-5]
    )
    np.testing.assert_array_equal(bitshift_decay(jnp.array([0.0, 0.2]), min_dash=0), [0, 0])


def test_the_transform_is_the_function():
    alpha = jnp.linspace(0, 1, 50)
    np.testing.assert_array_equal(Bitshift()(alpha), bitshift_decay(alpha))


def test_the_gradient_passes_straight_through_outside_of_the_range_too():
    alpha, weights = jnp.array([-0.5, 0.3, 0.99, 1.0, 1.5]), jnp.arange(1.0, 6.0)
    for function in (Bitshift(), bitshift_decay, jax.jit(bitshift_decay)):
        grad = jax.grad(lambda x, f=function: (weights * f(x)).sum())(alpha)
        np.testing.assert_array_equal(grad, weights)


def test_it_is_the_same_under_vmap():
    alpha = jnp.linspace(0, 1, 12).reshape(3, 4)
    np.testing.assert_array_equal(jax.vmap(bitshift_decay)(alpha), bitshift_decay(alpha))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_shape_and_dtype_are_kept(dtype):
    y = bitshift_decay(jnp.linspace(0, 0.9, 6).reshape(2, 3).astype(dtype))
    assert y.shape == (2, 3)
    assert y.dtype == dtype
