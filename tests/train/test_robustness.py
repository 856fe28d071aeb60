import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnjax import SynNet, quant, record, transforms
from snnjax.datasets import load_digits, rows_and_columns
from snnjax.hardware import xylo
from snnjax.train import (
    adversarial_loss,
    attack,
    init_state,
    kl_divergence,
    make_epoch,
    mismatch_sweep,
    run_epochs,
)

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def lively():
    """A network that answers with many spikes."""
    model = SynNet(3, 4, (16,), (2,), key=KEY)
    wider = lambda m: (m.layers[0].weight, m.layers[2].weight)  # noqa: E731
    return eqx.tree_at(wider, model, replace_fn=lambda w: 4 * w)


@pytest.fixture(scope="module")
def batch():
    return jax.random.poisson(KEY, 1.0, (8, 12, 4)).astype(float), jnp.arange(8) % 3


def counts(model, batch, key):
    return jax.vmap(lambda x: model(x)[0].sum(0))(batch[0])


def task(logits, batch):
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch[1])
    return losses.mean(), {"accuracy": (logits.argmax(-1) == batch[1]).mean()}


def moved(before, after):
    """Change of the weights relative to each."""
    pairs = zip(
        (before.layers[0], before.layers[2]), (after.layers[0], after.layers[2]), strict=True
    )
    return np.concatenate([np.ravel(b.weight / a.weight - 1) for a, b in pairs])


@pytest.mark.slow
def test_an_attack_moves_the_weights_within_its_level_and_nothing_else(lively, batch):
    def loss(model):
        return task(counts(model, batch, None), batch)[0]

    @eqx.filter_jit
    def run(model):
        plan = transforms.plan(model, {"weights": quant.Mismatch(0.1)})
        attacked = attack(loss, model, key=KEY, level=0.1, steps=3)
        off = lambda key: loss(transforms.apply(plan, model, key=key))  # noqa: E731
        return attacked, loss(attacked), jax.lax.map(off, jax.random.split(KEY, 20))

    attacked, worse, at_random = run(lively)
    change = moved(lively, attacked)
    assert np.abs(change).max() <= 0.1 + 1e-6
    assert (np.abs(change) > 0.09).mean() > 0.1
    for i in (1, 3):
        assert eqx.tree_equal(attacked.layers[i], lively.layers[i])
    # Changes of the same size at random do less harm.
    assert worse > at_random.max()


def test_an_attack_by_hand_on_a_quadratic():
    x = jnp.asarray([1.0, 1.0, 1.0])
    model = eqx.nn.Linear(3, 1, use_bias=False, key=KEY)

    @jax.jit
    @jax.value_and_grad
    def run(weight):
        attacked = attack(
            lambda m: (m(x) ** 2).sum(),
            eqx.tree_at(lambda m: m.weight, model, weight),
            key=KEY,
            level=0.1,
            steps=5,
            start=0.0,
        )
        return (attacked.weight @ jnp.asarray([1.0, 10.0, 100.0])).sum()

    # The output is -1: weights fall by a tenth of their size. The gradient is that of w - |w|/10.
    value, grad = run(jnp.asarray([[1.0, -2.0, 0.0]]))
    np.testing.assert_allclose(value, 0.9 - 22.0, rtol=1e-6)
    np.testing.assert_allclose(grad[0, :2], [0.9, 11.0], rtol=1e-6)


@pytest.mark.few(1)
@pytest.mark.parametrize("through", ["plan", "chip"])
def test_the_loss_is_the_task_and_the_divergence_of_an_attacked_network(lively, batch, through):
    plan = transforms.plan(lively, {"weights": quant.Int(8)})

    def outputs(model, batch, key):
        if through == "chip":
            return xylo.emulate(model)(batch[0]).spikes_out.sum(1)
        return counts(transforms.apply(plan, model, key=key), batch, key)

    robust = adversarial_loss(outputs, task, beta=0.5, level=0.2, steps=2)

    @eqx.filter_jit
    def run(model):
        both = eqx.filter_value_and_grad(lambda m: robust(m, batch, KEY), has_aux=True)
        return both(model), task(outputs(model, batch, KEY), batch)[0]

    ((value, metrics), grads), plain = run(lively)
    np.testing.assert_allclose(value, plain + 0.5 * metrics["divergence"], rtol=1e-5)
    assert metrics["divergence"] > 0
    assert metrics.keys() == {"accuracy", "divergence"}
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert np.abs(grads.layers[0].weight).max() > 0


def test_the_divergence_of_answers():
    p, q = jnp.asarray([0.7, 0.2, 0.1]), jnp.asarray([0.1, 0.6, 0.3])
    expected = float((p * jnp.log(p / q)).sum())
    np.testing.assert_allclose(kl_divergence(jnp.log(p) + 3, jnp.log(q)), expected, rtol=1e-5)
    np.testing.assert_allclose(kl_divergence(jnp.log(p), jnp.log(p)), 0, atol=1e-6)


def test_a_sweep_draws_networks_and_measures_each(lively):
    """`evaluate` gives the first weights' spread, which says what was drawn."""
    first = lively.layers[0].weight

    def spread(model):
        return ((model.layers[0].weight - first) / first).std()

    sweep = mismatch_sweep(spread, lively, [0.0, 0.1, 0.4], 30, key=KEY, at_once=7)
    assert sweep.accuracies.shape == (3, 30)
    assert (sweep.accuracies[0] == 0).all()
    np.testing.assert_allclose(sweep.accuracies.mean(1), [0, 0.1, 0.4], rtol=0.05)
    # The same draws at each level, and no two alike.
    np.testing.assert_allclose(sweep.accuracies[2], 4 * sweep.accuracies[1], rtol=1e-3)
    assert len(np.unique(sweep.accuracies[2])) == 30
    assert json.loads(json.dumps(sweep.to_dict()))["levels"] == [0.0, 0.1, 0.4]
    *_, last = str(sweep).splitlines()
    expected = sweep.accuracies[2]
    assert last.split() == [
        f"{v:.2%}" if i else "40.0%"
        for i, v in enumerate((0, expected.mean(), expected.std(), expected.min()))
    ]


def test_settings_of_transforms_are_no_parameters_of_the_network(lively):
    """A learned scale lies where the weight does whose it is, in the plan."""
    plan = transforms.plan(lively, {"weights": quant.Int(8, scale="learned")})
    both = (lively, plan)
    attacked = attack(lambda m: m[0].layers[0].weight.sum(), both, key=KEY, steps=1)
    assert jax.tree.leaves(plan)
    assert eqx.tree_equal(attacked[1], plan)
    assert not eqx.tree_equal(attacked[0], lively)


@pytest.mark.slow
def test_synapses_are_dropped_for_a_batch_and_neurons_for_a_sequence(lively, batch):
    plan = transforms.plan(
        lively,
        {"weights": quant.Dropout(0.3)},
        activations={"layers[1]": quant.Dropout(0.3, shared=0)},
    )

    @eqx.filter_jit
    def run(model, key):
        network = transforms.apply(plan, model, key=key)
        keys = jax.random.split(key, len(batch[0]))
        records = jax.vmap(lambda x, key: record(network, x, key=key)[2])(batch[0], keys)
        return network.layers[0].weight, records["layers[1].spikes"], records["layers[1].output"]

    weight, spikes, left = map(np.asarray, run(lively, KEY))
    other, *_ = run(lively, jax.random.key(1))
    assert np.any((weight == 0) != (other == 0))
    fires = spikes.any(1)
    kept = left.any(1)
    np.testing.assert_array_equal(left, np.where(kept[:, None], spikes, 0))
    dropped = fires & ~kept
    assert 0.1 < dropped.sum() / fires.sum() < 0.5
    assert len(np.unique(kept, axis=0)) > 1


def test_arguments_that_do_not_work_are_errors(lively):
    with pytest.raises(
        ValueError, match="no parameter of the family 'biases'; it has: decays, thr"
    ):
        attack(lambda m: 0.0, lively, key=KEY, families=("biases",))
    for level in (-1, float("nan")):
        with pytest.raises(ValueError, match=f"`levels` must be at least 0; got {level}"):
            mismatch_sweep(None, lively, [0, level], key=KEY)
    for settings in ({"level": -0.1}, {"steps": 0}):
        with pytest.raises(ValueError, match="`level` must be at least 0 and `steps` above 0"):
            attack(lambda m: 0.0, lively, key=KEY, **settings)
    with pytest.raises(ValueError, match="`levels` and `draws` must be above none"):
        mismatch_sweep(None, lively, [], key=KEY)


@pytest.mark.long
def test_digits_trained_with_mismatch_or_under_attack_keep_more_at_strong_mismatch():
    """Right at 30 %: 67 % trained plainly, 80 % with mismatch, 79 % under attack.

    From other starts the three differ as much, at 75 to 77, 84 to 86 and 84 to 85 %.
    """
    pixels, labels, test_pixels, test_labels = map(jnp.asarray, load_digits())
    encode = jax.vmap(lambda image: rows_and_columns(image.astype(float) / 4, 28, 3))
    data, test = (encode(pixels), labels), (encode(test_pixels), test_labels)
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, 15 * (len(labels) // 32)))

    def outputs(model, batch, key):
        return counts(model, batch, key) / 2

    def plain(model, batch, key):
        return task(outputs(model, batch, key), batch)

    def off(model, batch, key):
        plan = transforms.plan(model, {"weights": quant.Mismatch(0.2)})
        return plain(transforms.apply(plan, model, key=key), batch, key)

    attacked = adversarial_loss(outputs, task, level=0.1, steps=3)
    left = []
    for loss in (plain, off, attacked):
        state = init_state(
            SynNet(10, 16, (64,), (2,), tau_mem=4e-3, tau_syn_out=8e-3, key=KEY), optimizer
        )
        *_, (state, _) = run_epochs(make_epoch(loss, optimizer, 32), state, data, 15, KEY)
        evaluate = lambda model: plain(model, test, None)[1]["accuracy"]  # noqa: E731
        sweep = mismatch_sweep(evaluate, state.model, [0.0, 0.3], 20, key=KEY)
        print(f"\n{sweep}")
        left.append(sweep.accuracies.mean(1))
    assert min(clean for clean, _ in left) > 0.93
    assert left[1][1] > left[0][1] + 0.05
    assert left[2][1] > left[0][1] + 0.03
