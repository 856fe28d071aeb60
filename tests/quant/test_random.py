"""Transforms that draw random numbers, and pruning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import quant
from snnjax.quant import Dropout, Mismatch, Prune, StochasticRounding

RANDOM = {
    "stochastic_rounding": StochasticRounding(8),
    "dropout": Dropout(0.3),
    "mismatch": Mismatch(0.2),
}


@pytest.fixture
def key():
    """Of a generator that XLA compiles in a third of the time; the draws are as good."""
    return jax.random.key(0, impl="rbg")


def drawn(transform, x, key):
    """The transform, compiled: many operations are slow one by one."""
    return np.asarray(jax.jit(lambda x, key: transform(x, key=key))(x, key))


X = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)


@pytest.mark.parametrize("name", RANDOM)
def test_a_missing_key_is_an_error_that_names_who_needs_it(name):
    transform = RANDOM[name]
    with pytest.raises(ValueError, match=f"`key` is needed by {type(transform).__name__}"):
        transform(X)
    with pytest.raises(ValueError, match=f"`key` is needed by {name}"):
        getattr(quant, name)(X, 0.5 if name == "dropout" else 4, key=None)


@pytest.mark.parametrize("name", RANDOM)
def test_the_same_key_draws_the_same_and_another_does_not(name, key):
    y = drawn(RANDOM[name], X, key)
    np.testing.assert_array_equal(drawn(RANDOM[name], X, key), y)
    assert np.mean(drawn(RANDOM[name], X, jax.random.key(1, impl="rbg")) != y) > 0.05


# ----- stochastic rounding


def test_each_number_goes_to_one_of_its_two_neighbours(key):
    levels = np.linspace(-2, 2, 9)
    x = X.clip(-2, 2)
    x[0, 0], x[0, 1] = -2, 2
    y = drawn(StochasticRounding(9), x, key)
    assert np.all(np.isin(y, levels))
    assert np.all(np.abs(y - x) < 0.5)
    assert 0.1 < np.mean(np.abs(y - x) > 0.25) < 0.5  # not always the nearest
    on_a_level = drawn(StochasticRounding(9), levels.astype(np.float32), key)
    np.testing.assert_array_equal(on_a_level, levels)


@pytest.mark.parametrize("grid", ["endpoints", "zero"])
@pytest.mark.parametrize("axis", [None, 0])
def test_the_gradient_is_that_of_the_identity_inside_of_a_given_range(axis, grid, key):
    transform = StochasticRounding(6, (-9.0, 9.0), axis=axis, grid=grid)
    weights = X[::-1]
    grad = jax.jit(jax.grad(lambda x: (weights * transform(x, key=key)).sum()))(X)
    np.testing.assert_allclose(grad, weights, rtol=1e-6)


def test_along_an_axis_the_argument_stays_and_every_index_has_its_range(key):
    # Rockpool's stochastic_channel_rounding writes into its argument.
    x = X * np.arange(1, 51, dtype=np.float32)
    before = x.copy()
    y = drawn(StochasticRounding(3, output_range=(-1.0, 1.0), axis=1), x, key)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(np.abs(y).max(0), 1)
    assert set(np.unique(y)) == {-1, 0, 1}


def test_zeros_stay_zeros(key):
    # In Rockpool they become NaN.
    zeros = jnp.zeros((4, 5))
    for transform in (*RANDOM.values(), StochasticRounding(8, grid="zero", axis=0)):
        np.testing.assert_array_equal(drawn(transform, zeros, key), 0)


def test_levels_are_swept_over_in_one_compiled_call(key):
    levels = [3, 5, 16]
    sweep = jax.jit(jax.vmap(lambda t: t(X, key=key)))
    y = sweep(StochasticRounding(jnp.array(levels)))
    for found, n in zip(y, levels, strict=True):
        assert np.unique(found).size <= n
        wanted = drawn(StochasticRounding(n), X, key)
        assert np.mean(np.abs(found - wanted) > 1e-5) < 1e-2  # draws on the edge to the last bit


# ----- dropout


@pytest.mark.parametrize("rescale", [True, False])
def test_dropout_drops_its_share_and_keeps_the_rest(rescale, key):
    x, n = jnp.ones(20_000), 20_000
    y = drawn(Dropout(0.3, rescale), x, key)
    dropped = np.mean(y == 0)
    assert abs(dropped - 0.3) < 4 * np.sqrt(0.3 * 0.7 / n)
    np.testing.assert_allclose(y[y != 0], 1 / 0.7 if rescale else 1, rtol=1e-6)


@pytest.mark.parametrize("shared", [0, 1, -2])
def test_dropout_that_an_axis_shares_drops_all_along_it_or_nothing(shared, key):
    y = drawn(Dropout(0.3, shared=shared), jnp.ones((200, 200)), key)
    lines = y.max(axis=shared)
    np.testing.assert_array_equal(y.min(axis=shared), lines)
    assert abs(np.mean(lines == 0) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 200)


def test_dropped_numbers_have_no_gradient(key):
    x, dropout = jnp.ones(200), Dropout(0.4, rescale=True)
    grad = jax.jit(jax.grad(lambda x: dropout(x, key=key).sum()))(x)
    np.testing.assert_array_equal(grad, drawn(dropout, x, key))
    assert 0 < np.count_nonzero(grad) < 200


def test_dropping_none_changes_nothing(key):
    np.testing.assert_array_equal(quant.dropout(X, 0.0, key=key, rescale=True), X)


def test_rates_are_swept_over(key):
    sweep = jax.jit(jax.vmap(lambda t: t(X, key=key)))
    y = sweep(Dropout(jnp.array([0.0, 0.5, 0.9])))
    for found, rate in zip(y, (0.0, 0.5, 0.9), strict=True):
        np.testing.assert_array_equal(found, drawn(Dropout(rate), X, key))


# ----- mismatch


def test_mismatch_is_relative_to_each_number(key):
    x = jnp.where(jnp.arange(40_000) % 2 == 0, 0.01, -50.0)
    factor = drawn(Mismatch(0.2), x, key) / np.asarray(x)
    assert abs(factor.mean() - 1) < 4 * 0.2 / np.sqrt(x.size)
    assert abs(factor.std() - 0.2) < 4 * 0.2 / np.sqrt(2 * x.size)
    np.testing.assert_allclose(factor[::2].std(), factor[1::2].std(), rtol=0.05)


def test_the_gradient_of_mismatch_is_its_factor(key):
    grad = jax.jit(jax.grad(lambda x: Mismatch(0.2)(x, key=key).sum()))(X)
    np.testing.assert_allclose(grad * X, drawn(Mismatch(0.2), X, key), rtol=1e-5)


# ----- pruning


@pytest.mark.parametrize("sparsity", [0.0, 0.29, 0.5, 1.0])
def test_exactly_the_share_of_the_smallest_is_pruned(sparsity):
    y = np.asarray(quant.prune(X, sparsity))
    assert np.count_nonzero(y == 0) == round(sparsity * X.size)
    np.testing.assert_array_equal(y[y != 0], X[y != 0])
    if 0 < sparsity < 1:
        assert np.abs(X[y == 0]).max() <= np.abs(X[y != 0]).min()


def test_of_equal_magnitudes_no_more_are_pruned_than_asked_for():
    np.testing.assert_array_equal(Prune(0.5)(jnp.array([1.0, -1.0, 1.0, 1.0])), [0, 0, 1, 1])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_along_an_axis_each_index_is_pruned_as_much(axis):
    y = jax.jit(Prune(0.3, axis))(X)
    parts = jax.lax.map(Prune(0.3), np.moveaxis(X, axis, 0))
    np.testing.assert_array_equal(np.moveaxis(y, axis, 0), parts)


def test_pruned_numbers_keep_their_gradient_so_that_they_can_come_back():
    grad = jax.grad(lambda x: (x**0 * Prune(0.5)(x)).sum())(jnp.array([0.1, 2.0, -0.2, 3.0]))
    np.testing.assert_array_equal(grad, 1)


def test_sparsities_are_swept_over():
    shares = [0.0, 0.3, 0.9]
    y = jax.jit(jax.vmap(lambda t: t(X)))(Prune(jnp.array(shares)))
    np.testing.assert_array_equal(y, [jax.jit(Prune(share))(X) for share in shares])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dropout(1.0), "`rate` must be a probability, from 0 to below 1; got 1.0"),
        (lambda: Dropout(-0.1), "`rate` must be a probability"),
        (
            lambda: Dropout(0.1, shared=2)(X, key=jax.random.key(0)),
            r"`shared` must be an axis of `x`, of the shape .*; got 2",
        ),
        (lambda: Mismatch(-0.1), "`std` must be at least 0; got -0.1"),
        (lambda: Prune(1.1), "`sparsity` must be a share, from 0 to 1; got 1.1"),
        (lambda: Prune(0.5, axis=2)(X), "`axis` is 2, but the array has the shape"),
        (lambda: StochasticRounding(1), r"`num_levels` must be .* at least 2; got 1"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()
