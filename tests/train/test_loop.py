import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnjax import SynNet
from snnjax.train import init_state, make_epoch

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
