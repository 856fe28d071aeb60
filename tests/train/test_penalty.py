"""Penalties on spikes and operations: their values, their gradient, and who refuses them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the digits need scikit-learn")

from snnjax import record
from snnjax.nn import synops
from snnjax.train._penalty import Activity, excess
from snnjax.train.recipes import Digits

TINY = {
    "hidden": (8, 6),
    "time_constants": (2, 2),
    "steps": 10,
    "hold": 1,
    "p_dropout": 0.0,
    "noise": 0.0,
    "batch_size": 4,
}


@pytest.fixture(autouse=True, scope="module")
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def start():
    recipe = Digits(stages="float:1", **TINY)
    data = recipe.load_data()
    batch = tuple(x[:4] for x in data.train)
    return recipe, recipe.start(data).model, batch


def activity(recipe, trained, batch):
    """The rate of the hidden layers, and the operations of a sequence, counted by hand."""
    events = recipe.encode(batch[0], key=jax.random.key(0))
    rates, operations = [], []
    for x in events:
        _, _, records = record(trained.network, x)
        *hidden, _ = [np.asarray(v) for k, v in records.items() if k.endswith(".spikes")]
        rates.append(np.concatenate(hidden, 1).mean())
        operations.append(float(sum(synops(trained.network, x, records).values())))
    return np.mean(rates), np.mean(operations)


def test_the_excess_is_a_logarithm_and_ends_at_the_limit():
    def penalty(rate, operations=100.0):
        return float(excess(Activity(jnp.asarray(rate), jnp.asarray(operations)), 0.1, 50.0))

    assert penalty(0.1, 50.0) == penalty(0.05, 3.0) == penalty(0.0, 0.0) == 0
    assert penalty(0.2, 0.0) == pytest.approx(np.log(2))
    assert penalty(0.2) == pytest.approx(np.log(4))
    assert float(excess(Activity(jnp.asarray(3.0), None), None, 5.0)) == 0
    slope = jax.grad(lambda rate: excess(Activity(rate, None), 0.1, None))
    assert float(slope(0.0)) == 0
    assert float(slope(0.4)) == pytest.approx(1 / 0.4)


def test_the_loss_has_it(start):
    recipe, trained, batch = start
    rate, operations = activity(recipe, trained, batch)
    key = jax.random.key(0)
    plain, _ = jax.jit(recipe.loss("float"))(trained, batch, key)
    limited = dataclasses.replace(recipe, spikes_per_neuron=rate / 3, max_synops=operations / 2)
    value, metrics = jax.jit(limited.loss("float"))(trained, batch, key)
    assert float(metrics["rate"]) == pytest.approx(rate, rel=1e-5)
    assert float(metrics["synops"]) == pytest.approx(operations, rel=1e-5)
    assert float(value) == pytest.approx(float(plain) + np.log(6), rel=1e-5)
    free = dataclasses.replace(recipe, spikes_per_neuron=2 * rate)
    assert float(jax.jit(free.loss("float"))(trained, batch, key)[0]) == pytest.approx(float(plain))


@pytest.mark.slow
@pytest.mark.parametrize("through", ["plan", "chip"])
def test_its_gradient_lowers_the_rate(through):
    recipe = Digits(stages=f"{through}:12", spikes_per_neuron=1e-3, **TINY)
    data = recipe.load_data()
    data = data._replace(train=tuple(x[:64] for x in data.train))
    rates = [float(m["rate"]) for _, m in recipe.train(data, recipe.start(data))]
    assert len(rates) == 12
    assert rates[-1] < 0.7 * rates[0]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"spikes_per_neuron": 0.0}, "`spikes_per_neuron` must be above 0; got 0.0"),
        ({"max_synops": -1.0}, "`max_synops` must be above 0; got -1.0"),
        ({"spikes_per_neuron": 0.1, "attack": 0.1}, "cannot be trained for at once"),
        ({"max_synops": 9.0, "stages": "float:1,chip:1"}, "`max_synops` is not counted through a"),
    ],
)
def test_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        Digits(**TINY | settings)
