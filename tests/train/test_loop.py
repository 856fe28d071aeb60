import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnjax import IAF, Sequential, SynNet, family_labels, fold_batch_norm, trainable
from snnjax.nn import run_batch, statistics
from snnjax.train import init_state, make_epoch
from snnjax.train._stages import by_family

OPTIMIZER = optax.adam(1e-2)


def data(n=37):
    x = jax.random.poisson(jax.random.key(0), 1.0, (n, 12, 4))
    return x, x.sum((1, 2)) % 3


def loss(model, batch, key):
    x, y = batch
    counts = jax.vmap(model)(x)[0].sum(1)
    value = optax.softmax_cross_entropy_with_integer_labels(counts, y).mean()
    return value, {"accuracy": (counts.argmax(-1) == y).mean()}


def start():
    model = SynNet(3, 4, (16,), (2,), key=jax.random.key(1))
    model = eqx.tree_at(lambda m: m.layers[0].weight, model, replace_fn=lambda w: 4 * w)
    return init_state(model, OPTIMIZER)


epoch = make_epoch(loss, OPTIMIZER, 8)


@pytest.mark.slow
def test_training_lowers_the_loss_and_leaves_frozen_parameters_as_they_were():
    first = state = start()
    losses = []
    for _ in range(30):
        state, metrics = epoch(state, data(), jax.random.key(2))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.8 * losses[0]
    assert int(state.epoch) == 30
    before, after = first.model.layers[1], state.model.layers[1]
    assert eqx.tree_equal(before.leak, after.leak)
    assert eqx.tree_equal(before.threshold, after.threshold)


def test_the_same_key_and_state_give_the_same_epoch_and_another_epoch_another_order():
    one, _ = epoch(start(), data(), jax.random.key(2))
    again, _ = epoch(start(), data(), jax.random.key(2))
    assert eqx.tree_equal(one, again)
    later = eqx.tree_at(lambda s: s.epoch, start(), jnp.asarray(1, jnp.int32))
    other, _ = epoch(later, data(), jax.random.key(2))
    assert not eqx.tree_equal(one.model, other.model)


@pytest.mark.slow
def test_an_epoch_compiled_step_by_step_is_the_same():
    whole = epoch(start(), data(), jax.random.key(2))
    steps = make_epoch(loss, OPTIMIZER, 8, compiled="step")(start(), data(), jax.random.key(2))
    a, b = (jax.tree.leaves(eqx.filter(found, eqx.is_array)) for found in (whole, steps))
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_what_is_compiled_is_the_epoch_or_a_step():
    with pytest.raises(ValueError, match="`compiled` must be 'epoch' or 'step'; got 'batch'"):
        make_epoch(loss, OPTIMIZER, 8, compiled="batch")


@pytest.mark.slow
def test_every_epoch_sees_each_sequence_at_most_once():
    def seen(model, batch, key):
        _, index = batch
        return 0 * model.layers[0].weight.sum(), {"seen": jnp.zeros(40).at[index].add(1.0)}

    # The metrics are means over the batches, elementwise here.
    watch = make_epoch(lambda m, b, k: seen(m, b, k), OPTIMIZER, 8)
    x, _ = data(40)
    state = start()
    _, metrics = watch(state, (x, jnp.arange(40)), jax.random.key(0))
    np.testing.assert_allclose(metrics["seen"], 1 / 5)


def test_a_batch_larger_than_the_data_is_an_error():
    with pytest.raises(ValueError, match="`batch_size` must be above 0; got 0"):
        make_epoch(None, None, 0)
    with pytest.raises(ValueError, match="`batch_size` is 64, but there are 37 sequences"):
        make_epoch(loss, OPTIMIZER, 64)(start(), data(), jax.random.key(0))
    x, y = data()
    with pytest.raises(ValueError, match=r"`data` must be arrays of one length; got \[36, 37\]"):
        make_epoch(loss, OPTIMIZER, 8)(start(), (x, y[:-1]), jax.random.key(0))


@pytest.mark.slow
def test_running_statistics_are_trained_with_and_gone_on_with():
    layers = eqx.nn.Linear(4, 6, key=jax.random.key(0)), eqx.nn.Linear(6, 3, key=jax.random.key(1))
    norm = eqx.nn.BatchNorm(6, axis_name=("time", "batch"), mode="batch", momentum=0.5)
    model = Sequential(layers[0], norm, IAF(6), layers[1])

    def normed_loss(model, batch, key, before):
        y, state = run_batch(model, batch[0], before)
        counts = y.sum(1)
        value = optax.softmax_cross_entropy_with_integer_labels(counts, batch[1]).mean()
        return value, {"accuracy": (counts.argmax(-1) == batch[1]).mean()}, statistics(state)

    begin = init_state(model, OPTIMIZER, statistics(model.initial_state()))
    found = {}
    for compiled in ("epoch", "step"):
        own = make_epoch(normed_loss, OPTIMIZER, 8, compiled=compiled)
        state, _ = own(begin, data(), jax.random.key(2))
        state, metrics = own(state, data(), jax.random.key(2))
        found[compiled] = state
        assert metrics.keys() == {"loss", "accuracy"}
    for one, other in zip(*map(jax.tree.leaves, map(arrays, found.values())), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    count, mean, _ = jax.tree.leaves(found["step"].statistics[1])
    assert count == 8  # two epochs of four batches
    assert np.all(np.asarray(mean) != 0)
    folded = fold_batch_norm(found["step"].model, found["step"].statistics)
    inputs = data()[0][:3].astype(float)
    resting = eqx.nn.inference_mode(found["step"].model)
    wanted, _ = run_batch(resting, inputs, found["step"].statistics)
    np.testing.assert_allclose(run_batch(folded, inputs)[0], wanted, atol=1e-4)


def arrays(state):
    return eqx.filter((state.model, state.statistics), eqx.is_inexact_array)


def test_rates_by_family():
    model = SynNet(3, 4, (6,), (2,), key=jax.random.key(1))
    optimizer = by_family(optax.sgd(1.0), model, "weights:0.5")
    params = eqx.filter(model, trainable(model))
    ones = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(ones, optimizer.init(params), params)
    labels = family_labels(model)(params)
    kinds = set(jax.tree.leaves(labels))
    assert kinds == {"weights"}
    for update, label in zip(*map(jax.tree.leaves, (updates, labels)), strict=True):
        np.testing.assert_array_equal(update, -0.5 if label == "weights" else -1.0)
    for text, message in (
        ("weights", "`family_rates` must be families, each with a factor"),
        ("weights:-1", "`family_rates` must be families"),
        ("wheels:1", "`family_rates` must be families"),
        ("taus:0.1", "`family_rates` has taus, but the network trains weights only"),
    ):
        with pytest.raises(ValueError, match=message):
            by_family(optax.sgd(1.0), model, text)
