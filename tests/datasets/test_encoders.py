"""Encoders: shapes, rates, reconstruction, refusals, and under jit and vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.datasets import bernoulli, delta, evenly, latency, poisson, population, step_forward

STATELESS = {
    "bernoulli": lambda x: bernoulli(x, 6, key=jax.random.key(0)),
    "poisson": lambda x: poisson(x, 6, 2.0, key=jax.random.key(0)),
    "evenly": lambda x: evenly(x, 6),
    "latency": lambda x: latency(x, 6),
    "leaky latency": lambda x: latency(x, 6, tau=2.0),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", STATELESS)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4)])
def test_encoders_of_numbers_take_any_shape_and_compile(name, shape):
    encode, x = STATELESS[name], jax.random.uniform(jax.random.key(1), shape)
    events = encode(x)
    assert events.shape == (6, *shape)
    assert events.dtype == x.dtype
    np.testing.assert_array_equal(events, np.floor(events))
    np.testing.assert_array_equal(jax.jit(encode)(x), events)


def test_rates_at_random_have_their_mean_and_the_spread_of_their_kind():
    x, n = jnp.array([0.0, 0.2, 1.0]), 20_000
    spikes = np.asarray(bernoulli(x, n, key=jax.random.key(0)))
    assert set(np.unique(spikes)) == {0.0, 1.0}
    np.testing.assert_allclose(spikes.mean(0), x, atol=0.015)
    events = np.asarray(poisson(x, n, 3.0, key=jax.random.key(0)))
    np.testing.assert_allclose(events.mean(0), 3 * x, atol=0.06)
    np.testing.assert_allclose(events.var(0), 3 * x, atol=0.12)
    other = poisson(x, n, 3.0, key=jax.random.key(1))
    assert np.any(other != events)


def test_integers_are_numbers_too_but_not_pixels_of_bytes():
    np.testing.assert_array_equal(latency(np.array([0, 1]), 4)[:, 1], [1, 0, 0, 0])
    with pytest.raises(ValueError, match="`x` must be from 0 to 1; scale it; got 255"):
        bernoulli(np.array([0, 255], np.uint8), 4, key=jax.random.key(0))


def test_a_signal_is_what_step_forward_says_of_it_to_within_a_threshold():
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.uniform(-0.9, 0.9, (300, 2, 3)), axis=0).astype(np.float32)
    events = np.asarray(step_forward(x, 0.5, max_events=2))
    assert events.shape == (300, 2, 2, 3)
    assert events.max() == 2
    assert not np.any(events[:, 0] * events[:, 1])
    said = x[0] + 0.5 * np.cumsum(events[:, 0] - events[:, 1], axis=0)
    assert np.abs(said - x).max() < 0.5 + 1e-5
    one = np.asarray(step_forward(x, 0.5))
    assert one.max() == 1


def test_step_forward_is_its_loop():
    x = np.random.default_rng(1).standard_normal(200).astype(np.float32)
    base, wanted = 0, []
    for value in x:
        away = (value - (x[0] + np.float32(base) * np.float32(0.3))) / np.float32(0.3)
        move = int(away >= 1) - int(away <= -1)
        base += move
        wanted.append([max(move, 0), max(-move, 0)])
    np.testing.assert_array_equal(step_forward(x, 0.3), wanted)


def test_signals_compile_and_batch():
    x = jax.random.normal(jax.random.key(0), (4, 20, 3))
    for encode in (lambda x: delta(x, 0.5), lambda x: step_forward(x, 0.5)):
        one = jnp.stack([encode(each) for each in x])
        assert one.shape == (4, 20, 2, 3)
        np.testing.assert_array_equal(jax.jit(jax.vmap(encode))(x), one)


def test_a_population_prefers_its_centres():
    activity = population(jnp.linspace(-1, 1, 5), 5, low=-1.0, high=1.0, width=0.3)
    np.testing.assert_allclose(np.diagonal(activity), 1)
    assert population(jnp.zeros((2, 3)), 4, low=0.0, high=1.0, width=1.0).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, key: bernoulli(x, 0, key=key), "`steps` must be a whole number above 0; got 0"),
        (lambda x, key: poisson(x, 2.5, key=key), "`steps` must be a whole number above 0"),
        (lambda x, key: poisson(x, 2, 0.0, key=key), "`max_events` must be above 0; got 0.0"),
        (lambda x, key: bernoulli(x + 1, 2, key=key), "`x` must be from 0 to 1"),
        (lambda x, key: latency(x * np.nan, 2), "`x` must be from 0 to 1; scale it; got nan"),
        (lambda x, key: latency(x, 2, threshold=1.0), "`threshold` must be from 0 to below 1"),
        (lambda x, key: latency(x, 2, threshold=0.0, tau=1.0), "`threshold` must be above 0"),
        (lambda x, key: latency(x, 2, tau=-1.0), "`tau` must be above 0; got -1.0"),
        (lambda x, key: delta(x, 0.0), "`threshold` must be above 0"),
        (lambda x, key: delta(x[0], 1.0), r"`x` must be \(time, \*shape\)"),
        (lambda x, key: step_forward(x, 1.0, 0), "`max_events` must be a whole number above 0"),
        (lambda x, key: population(x, 1, low=0, high=1, width=1), "`neurons` must be 2 or more"),
        (lambda x, key: population(x, 3, low=1, high=1, width=1), "`high` must be above `low`, 1"),
        (lambda x, key: population(x, 3, low=0, high=1, width=0), "`width` must be above 0"),
    ],
)
def test_encoders_refuse_what_they_cannot_encode(call, message, key):
    with pytest.raises(ValueError, match=message):
        call(jnp.array([0.5, 1.0]), key)
