"""Rounding and clipping whose gradient is that of the identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.passthrough import (
    ceil_passthrough,
    clip_passthrough,
    floor_passthrough,
    round_passthrough,
    straight_through,
)

X = jnp.array([-2.5, -1.5, -0.5, -0.2, 0.0, 0.4, 0.5, 1.5, 2.5, 2.6])

ROUNDINGS = [
    (round_passthrough, np.round),
    (floor_passthrough, np.floor),
    (ceil_passthrough, np.ceil),
]
each_rounding = pytest.mark.parametrize(
    ("function", "exact"), ROUNDINGS, ids=["round", "floor", "ceil"]
)


@each_rounding
def test_values_are_those_of_the_rounding(function, exact):
    np.testing.assert_array_equal(function(X), exact(np.asarray(X)))


@each_rounding
def test_the_gradient_passes_straight_through(function, exact):
    weights = jnp.arange(1.0, 1 + len(X))
    np.testing.assert_array_equal(jax.grad(lambda x: (weights * function(x)).sum())(X), weights)


@each_rounding
def test_it_passes_forward_too_and_its_own_derivative_is_zero(function, exact):
    ones = jnp.ones_like(X)
    value, slope = jax.jvp(function, (X,), (ones,))
    np.testing.assert_array_equal(value, exact(np.asarray(X)))
    np.testing.assert_array_equal(slope, ones)
    # The square of a value whose slope is 1 has the second derivative 2, not 0.
    second = jax.vmap(jax.grad(jax.grad(lambda x: function(x) ** 2)))(X)
    np.testing.assert_array_equal(second, 2 * ones)


@each_rounding
def test_the_rounding_is_the_same_under_jit_and_vmap(function, exact):
    derivative = jax.value_and_grad(lambda x: 3 * function(x))
    value, slope = jax.jit(jax.vmap(derivative))(X)
    np.testing.assert_array_equal(value, 3 * exact(np.asarray(X)))
    np.testing.assert_array_equal(slope, 3.0)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("function", [function for function, _ in ROUNDINGS])
def test_the_rounding_keeps_the_dtype(function, dtype):
    value, slope = jax.value_and_grad(function)(jnp.asarray(1.3, dtype))
    assert value.dtype == slope.dtype == dtype


def test_clip_limits_the_values():
    np.testing.assert_array_equal(
        clip_passthrough(X, jnp.array(-1.0), jnp.array(2.0)), np.clip(X, -1, 2)
    )


def test_clip_passes_the_gradient_outside_of_the_limits_and_none_to_them():
    low, high = jnp.full(len(X), -1.0), jnp.array(2.0)
    weights = jnp.arange(1.0, 1 + len(X))
    d_x, d_low, d_high = jax.grad(
        lambda *args: (weights * clip_passthrough(*args)).sum(), argnums=(0, 1, 2)
    )(X, low, high)
    np.testing.assert_array_equal(d_x, weights)
    np.testing.assert_array_equal(d_low, np.zeros(len(X)))
    np.testing.assert_array_equal(d_high, 0)


def test_a_value_from_elsewhere_has_the_gradient_of_what_it_stands_for():
    weights = jnp.arange(1.0, 1 + len(X))
    loss = lambda x, value: (weights * straight_through(x, value)).sum()  # noqa: E731
    d_x, d_value = jax.grad(loss, argnums=(0, 1))(X, jnp.sign(X))
    np.testing.assert_array_equal(straight_through(X, jnp.sign(X)), jnp.sign(X))
    np.testing.assert_array_equal(d_x, weights)
    np.testing.assert_array_equal(d_value, np.zeros(len(X)))
