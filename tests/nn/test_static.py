"""Layers that are not ours inside networks: checks of their input, statistics, pooling."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import IAF, LI, Sequential, families, trainable, transforms
from snnjax._tree import leaves_with_path
from snnjax.nn import Flatten, SumPool1d, SumPool2d, TimeStepDropout, run_batch, statistics

AXES = ("time", "batch")
norm = functools.partial(eqx.nn.BatchNorm, axis_name=AXES, mode="batch")
train = eqx.filter_jit(run_batch)


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(7), (5, 6, 2, 4, 4)) * 2 + 1


def network(**kwargs):
    return Sequential(norm(2, **kwargs), IAF((2, 4, 4)), Flatten(), LI(32))


# ----- batch normalisation


def test_normalisation_is_over_time_and_batch_and_leaves_mean_0_and_variance_1(x):
    y, _ = train(Sequential(norm(2)), x)
    np.testing.assert_allclose(y.mean((0, 1, 3, 4)), 0, atol=1e-6)
    np.testing.assert_allclose(y.std((0, 1, 3, 4)), 1, atol=1e-4)
    assert np.abs(y.mean((0, 3, 4))).max() > 0.05  # not each step by itself
    assert np.abs(y.mean((1, 3, 4))).max() > 0.05  # nor each sequence


def test_without_a_batch_normalisation_is_over_time_alone(x):
    y, _ = Sequential(eqx.nn.BatchNorm(2, axis_name="time", mode="batch"))(x[0])
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-6)


def test_running_statistics_are_one_for_all_sequences_and_go_on_from_call_to_call(x):
    model = network(momentum=0.9)
    _, state = train(model, x)
    mean = x.mean((0, 1, 3, 4))
    for calls in (1, 2, 3):
        count, hidden, _ = jax.tree.leaves(state[0])
        assert count == calls
        np.testing.assert_allclose(hidden, (1 - 0.9**calls) * mean, rtol=1e-5)
        _, state = train(model, x, statistics(state))


def test_the_state_of_neurons_is_one_for_each_sequence(x):
    model = network()
    _, state = train(model, x)
    assert state[1].vmem.shape == (5, 2, 4, 4)
    again, _ = train(model, x, state)
    rested, _ = train(model, x, statistics(state))
    first, _ = train(model, x)
    np.testing.assert_allclose(rested, first, atol=1e-6)
    assert np.any(again != first)


def test_statistics_are_all_that_is_kept(x):
    model = Sequential(network(), Flatten())
    _, state = run_batch(model, x)
    kept = statistics(state)
    assert kept[1] is None
    assert kept[0][1:] == (None, None, None)
    assert kept[0][0] is state[0][0]


def test_inference_uses_what_was_gathered_and_needs_no_batch(x):
    model = Sequential(norm(2, momentum=0.5))
    state = None
    for _ in range(30):
        _, state = train(model, x, state)
    frozen = eqx.nn.inference_mode(model)
    y, after = frozen(x[0], statistics(state))
    mean, std = x.mean((0, 1, 3, 4)), x.std((0, 1, 3, 4))
    wanted = (x[0] - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(y, wanted, atol=1e-3)
    jax.tree.map(np.testing.assert_array_equal, after, statistics(state))


@pytest.mark.slow
def test_gradients_pass_through_the_normalisation(x):
    model = network()
    grads = eqx.filter_grad(lambda model: (run_batch(model, x)[0] ** 2).sum())(model)
    for name in ("weight", "bias"):
        assert np.isfinite(getattr(grads.layers[0], name)).all()
        assert np.any(getattr(grads.layers[0], name))


def test_running_statistics_are_no_parameters():
    model = network()
    flags = leaves_with_path(trainable(model))
    names = {path for path, flag in flags if flag}
    assert {"layers[0].weight", "layers[0].bias"} <= names
    assert not any("state_index" in name for name in names)
    assert families(model)["layers[0].weight"] == "weights"


def test_models_made_alike_are_alike(x):
    first, second = network(), network()
    assert jax.tree.structure(first) == jax.tree.structure(second)
    _, state = train(first, x)
    np.testing.assert_array_equal(train(second, x, state)[0], train(first, x, state)[0])
    transforms.apply(transforms.plan(first, {"weights": None}), second)


@pytest.mark.parametrize("axis_name", ["batch", ("batch",)])
def test_normalising_each_time_step_by_itself_is_an_error(axis_name, x):
    model = Sequential(eqx.nn.BatchNorm(2, axis_name=axis_name, mode="batch"))
    with pytest.raises(
        ValueError, match=r"`layers\[0\]`: `axis_name` of BatchNorm must hold 'time'"
    ):
        run_batch(model, x)


def test_a_missing_batch_is_an_error_that_says_what_to_call(x):
    with pytest.raises(
        ValueError, match=r"`layers\[0\]`: BatchNorm averages .*`snnjax\.nn\.run_batch`"
    ):
        network()(x[0])


def test_other_layers_with_statistics_have_them_as_their_state(key):
    layer = eqx.nn.SpectralNorm(eqx.nn.Linear(4, 4, key=key), "weight", key=key)
    y, state = Sequential(layer)(jnp.ones((3, 4)))
    wanted, after = layer(jnp.ones(4), eqx.nn.State(layer))
    np.testing.assert_allclose(y, jnp.broadcast_to(wanted, (3, 4)), atol=1e-6)
    for a, b in zip(jax.tree.leaves(state[0]), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_batch_equals_a_loop_where_nothing_is_shared(x):
    model = Sequential(IAF((2, 4, 4)), TimeStepDropout(0.3))
    y, state = run_batch(model, x, key=jax.random.key(0))
    for i, key in enumerate(jax.random.split(jax.random.key(0), len(x))):
        alone, after = model(x[i], key=key)
        np.testing.assert_array_equal(y[i], alone)
        np.testing.assert_allclose(state[0].vmem[i], after[0].vmem, atol=1e-6)


# ----- pooling


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("pool", "average", "shape", "size"),
    [
        (SumPool1d(3), eqx.nn.AvgPool1d(3, 3), (2, 9), 3),
        (SumPool2d(2), eqx.nn.AvgPool2d(2, 2), (2, 6, 4), 4),
        (SumPool2d((1, 2), stride=1), eqx.nn.AvgPool2d((1, 2), 1), (2, 6, 4), 2),
        (SumPool2d(2, 2, 1), eqx.nn.AvgPool2d(2, 2, 1), (2, 6, 4), 4),
    ],
)
def test_sum_pooling_is_average_pooling_times_the_size_of_the_window(
    pool, average, shape, size, key
):
    x = jax.random.normal(key, shape)
    np.testing.assert_allclose(pool(x), size * average(x), atol=1e-5)
    grads = jax.grad(lambda x: (pool(x) ** 2).sum())(x)
    wanted = jax.grad(lambda x: ((size * average(x)) ** 2).sum())(x)
    np.testing.assert_allclose(grads, wanted, atol=1e-4)


def test_flatten_puts_channels_first():
    x = jnp.arange(24.0).reshape(1, 2, 3, 4)
    np.testing.assert_array_equal(Sequential(Flatten())(x)[0], x.reshape(1, 24))


# ----- input


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            lambda k: eqx.nn.ConvTranspose2d(3, 2, 2, key=k),
            (5, 2, 4, 4),
            "ConvTranspose2d takes (time, 3, height, width); got (time, 2, 4, 4)",
        ),
        (
            lambda k: SumPool2d(2),
            (5, 4, 4),
            "SumPool2d takes (time, channels, height, width); got (time, 4, 4)",
        ),
        (
            lambda k: eqx.nn.MaxPool1d(2, 2),
            (5, 4),
            "MaxPool1d takes (time, channels, width); got (time, 4)",
        ),
        (
            lambda k: eqx.nn.AdaptiveAvgPool2d(2),
            (5, 4),
            "AdaptiveAvgPool2d takes (time, channels, height, width)",
        ),
        (
            lambda k: eqx.nn.LayerNorm((2, 3)),
            (5, 3, 2),
            "LayerNorm takes (time, 2, 3); got (time, 3, 2)",
        ),
        (lambda k: norm(3), (5, 2, 4), "BatchNorm takes 3 channels; got (time, 2, 4)"),
        (
            lambda k: eqx.nn.GroupNorm(2, 4),
            (5, 3, 4),
            "GroupNorm takes 4 channels; got (time, 3, 4)",
        ),
    ],
)
def test_input_of_a_wrong_shape_is_an_error_that_says_which_is_right(layer, shape, message, key):
    with pytest.raises(ValueError, match="`layers") as error:
        Sequential(layer(key))(jnp.ones(shape))
    assert str(error.value).startswith(f"`layers[0]`: {message}")


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda k: eqx.nn.ConvTranspose2d(3, 2, 2, key=k), (5, 3, 4, 4)),
        (lambda k: eqx.nn.AdaptiveAvgPool2d(2), (5, 3, 4, 4)),
        (lambda k: eqx.nn.LayerNorm((2, 3)), (5, 2, 3)),
        (lambda k: eqx.nn.GroupNorm(2, 4), (5, 4, 3, 3)),
        (lambda k: eqx.nn.PReLU(0.1), (5, 3)),
    ],
)
def test_layers_of_equinox_are_applied_at_every_step(layer, shape, key):
    x = jax.random.normal(key, shape)
    y, _ = Sequential(layer(key))(x)
    np.testing.assert_allclose(y, jnp.stack([layer(key)(x_t) for x_t in x]), atol=1e-6)
