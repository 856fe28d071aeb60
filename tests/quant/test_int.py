"""Integers of a number of bits, simulated in floating point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from snnjax.quant import Int, int_scale

BITS = (2, 3, 4, 8, 12)
SHAPE = (4, 6)

floats = st.floats(-(2.0**100), 2.0**100, width=32)
arrays = hnp.arrays(np.float32, SHAPE, elements=floats)
bits = st.sampled_from(BITS)
axes = st.sampled_from((None, 0, -1))


def quantized(x, bits, axis=None):
    """Through one compiled function for each number of bits and axis."""
    return np.asarray(COMPILED[bits, axis](x))


COMPILED = {(b, axis): jax.jit(Int(b, axis)) for b in BITS for axis in (None, 0, -1)}


@pytest.mark.slow
@given(arrays, bits, axes)
def test_quantising_again_changes_nothing_but_the_last_digit(x, bits, axis):
    once = quantized(x, bits, axis)
    np.testing.assert_allclose(quantized(once, bits, axis), once, rtol=1e-6, atol=1e-36)


@given(arrays, bits)
def test_there_are_no_more_levels_than_the_bits_can_write(x, bits):
    y = quantized(x, bits)
    assert len(np.unique(y)) <= 2**bits - 1
    levels = y / int_scale(x, bits)
    np.testing.assert_allclose(levels, np.round(levels), atol=2e-4)
    assert np.abs(np.round(levels)).max() <= 2 ** (bits - 1) - 1


@given(arrays, bits, axes)
def test_every_number_moves_by_at_most_half_a_level(x, bits, axis):
    scale = int_scale(x, bits, axis)
    moved = np.abs(quantized(x, bits, axis).astype(float) - x)
    assert np.all(moved <= 0.5 * np.asarray(scale, float) * (1 + 1e-4))


@given(arrays, bits, axes)
def test_zero_stays_zero_exactly(x, bits, axis):
    x = np.where(np.arange(x.size).reshape(SHAPE) % 3 == 0, 0, x)
    assert not np.any(quantized(x, bits, axis)[x == 0])


@given(arrays, bits)
def test_the_largest_number_is_a_level(x, bits):
    largest = np.abs(x).max()
    # Below, float32 cannot hold what one unit stands for.
    if largest > 1e-30:
        np.testing.assert_allclose(np.abs(quantized(x, bits)).max(), largest, rtol=1e-6)


@given(arrays, bits, axes)
def test_the_sign_is_symmetric(x, bits, axis):
    np.testing.assert_array_equal(quantized(-x, bits, axis), -quantized(x, bits, axis))


@given(
    hnp.arrays(np.float32, SHAPE, elements=st.floats(-(2.0**-100), 2.0**-100, width=32)), bits, axes
)
def test_numbers_too_small_for_a_scale_do_not_become_nan(x, bits, axis):
    assert np.all(np.isfinite(quantized(x, bits, axis)))


@pytest.mark.parametrize("axis", [None, 0])
def test_zeros_stay_zeros_with_a_scale_of_one(axis):
    zeros = jnp.zeros(SHAPE)
    np.testing.assert_array_equal(Int(8, axis)(zeros), zeros)
    np.testing.assert_array_equal(int_scale(zeros, 8, axis), 1)


def test_an_array_without_elements_stays_one():
    assert Int(8)(jnp.zeros((0, 3))).shape == (0, 3)


def test_values_are_those_worked_out_by_hand():
    # Of 3 bits: -3 to 3, and one unit stands for 6/3 = 2.
    x = jnp.array([6.0, -6.0, 4.9, 5.1, 1.0, 3.0, -0.9, 0.0])
    np.testing.assert_array_equal(Int(3)(x), [6, -6, 4, 6, 0, 4, 0, 0])


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_along_an_axis_every_index_has_a_scale_of_its_own(axis):
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    parts = np.moveaxis(x, axis, 0)
    wanted = np.moveaxis(np.stack([Int(4)(part) for part in parts]), 0, axis)
    np.testing.assert_allclose(Int(4, axis)(x), wanted, rtol=1e-6)
    assert int_scale(x, 4, axis).size == len(parts)


@pytest.mark.parametrize("axis", [None, 0])
def test_the_gradient_passes_straight_through_and_none_goes_into_the_scale(axis):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    grad = jax.grad(lambda x: (weights * Int(3, axis)(x)).sum())(x)
    np.testing.assert_allclose(grad, weights, rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_shape_and_dtype_are_kept(dtype):
    y = Int(6)(jnp.linspace(-1, 1, 8).reshape(2, 4).astype(dtype))
    assert y.shape == (2, 4)
    assert y.dtype == dtype


@pytest.mark.parametrize("bits", [1, 0, -8])
def test_fewer_than_two_bits_are_an_error(bits):
    with pytest.raises(ValueError, match=f"`bits` must be .*; got {bits}"):
        Int(bits)


@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_the_array_does_not_have_is_an_error(axis):
    with pytest.raises(ValueError, match="axis"):
        Int(8, axis)(jnp.ones(SHAPE))
