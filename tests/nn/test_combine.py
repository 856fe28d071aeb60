"""Networks side by side and fed back, and names of layers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import (
    IAF,
    LI,
    LIF,
    Concatenate,
    Parallel,
    Recurrent,
    Residual,
    Sequential,
    quant,
    record,
    transforms,
)
from snnjax.nn import Layer, TimeStepDropout

STEPS = 15
run = eqx.filter_jit(lambda model, x, state=None, key=None: model(x, state, key=key))


def linear(n_in, n_out, seed=0):
    return eqx.nn.Linear(n_in, n_out, key=jax.random.key(seed))


def lif(n, **kwargs):
    return LIF(n, tau_mem=5e-3, tau_syn=5e-3, threshold=0.2, **kwargs)


def block(n_in, n_out, seed=0):
    return Sequential(linear(n_in, n_out, seed), lif(n_out))


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).normal(0.5, 1, (STEPS, 3)), jnp.float32)


def assert_trees_close(a, b):
    """Equal but for the order of the terms in products of other sizes."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), a, b)


# ----- side by side


def test_parallel_sums_what_its_layers_make_of_the_same_input(x):
    first, second, third = block(3, 4), block(3, 4, 1), linear(3, 4, 2)
    y, state = run(Parallel(first, second, third), x)
    (a, s), (b, t) = run(first, x), run(second, x)
    assert a.sum() > 0
    np.testing.assert_allclose(y, a + b + jax.vmap(third)(x), atol=1e-5)
    assert_trees_close(state, (s, t, None))


@pytest.mark.few(2)
@pytest.mark.parametrize(("axis", "wanted"), [(0, (5, 4, 4)), (1, (2, 8, 4)), (-1, (2, 4, 8))])
def test_concatenate_puts_outputs_one_after_another_along_an_axis(axis, wanted, key):
    x = jax.random.normal(key, (6, 2, 4, 4))
    other = jnp.tanh if axis else eqx.nn.Conv2d(2, 3, 1, key=key)
    y, _ = Concatenate(IAF((2, 4, 4)), other, axis=axis)(x)
    spikes, _ = IAF((2, 4, 4))(x)
    np.testing.assert_allclose(
        y, jnp.concatenate([spikes, jax.vmap(other)(x)], axis + 1 if axis >= 0 else axis), atol=1e-6
    )
    assert y.shape[1:] == wanted


def test_a_parallel_with_the_input_itself_is_a_residual(x):
    inner = block(3, 3)
    y, _ = run(Parallel(lambda x: x, inner), x)
    np.testing.assert_allclose(y, run(Residual(*inner.layers), x)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: Parallel(linear(3, 2), linear(3, 4)),
            "the layers of a Parallel must give the same",
        ),
        (lambda: Concatenate(linear(3, 2), linear(3, 4), axis=1), "`axis`=1; got"),
        (
            lambda: Concatenate(jnp.tanh, lambda x: x[None]),
            "the layers of a Concatenate must give the same shape but for `axis`=0",
        ),
    ],
)
def test_outputs_that_do_not_fit_together_are_an_error(model, message, x):
    with pytest.raises(ValueError, match="the layers of a") as error:
        Sequential(model())(x)
    assert str(error.value).startswith("`layers[0]`: ")
    assert message in str(error.value)


# ----- fed back


def fed_back(model, x):
    """What a Recurrent of Linear, LIF and a Linear back should do, as a loop of its parts."""
    (forward, neurons), back = model.layers[0].layers, model.layers[1]
    state, y, outputs = neurons.initial_state(), jnp.zeros(neurons.shape), []
    for x_t in x:
        y, state = neurons.step(forward(x_t + back(y)), state)
        outputs.append(y)
    return jnp.stack(outputs)


def test_recurrent_feeds_its_output_back_a_step_later(x):
    model = Recurrent(block(3, 4), linear(4, 3, 1))
    y, _ = run(model, x)
    np.testing.assert_allclose(y, fed_back(model, x), atol=1e-6)
    assert y.sum() > 0
    assert np.any(y != run(model.layers[0], x)[0])


def test_recurrence_of_neurons_alone_is_that_of_their_weights():
    rng = np.random.default_rng(1)
    w_rec, x = rng.normal(0, 0.5, (3, 3)), jnp.asarray(rng.normal(0.3, 1, (STEPS, 3)), jnp.float32)
    back = eqx.tree_at(
        lambda m: m.weight,
        eqx.nn.Linear(3, 3, False, key=jax.random.key(0)),
        jnp.asarray(w_rec.T, jnp.float32),
    )
    y, (_, fed) = Recurrent(IAF(3), back)(x)
    wanted, state = IAF(3, w_rec=w_rec)(x)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(fed, state.output)


def test_without_a_feedback_the_output_itself_comes_back():
    y, _ = Recurrent(IAF(1, max_spikes=1))(jnp.zeros((4, 1)).at[0].set(1.0))
    np.testing.assert_array_equal(y.ravel(), np.ones(4))


def test_feedback_may_have_a_state(x):
    model = Recurrent(block(3, 4), Sequential(linear(4, 3, 1), lif(3)))
    y, state, records = record(model, x)
    assert_trees_close((y, state), run(model, x))
    np.testing.assert_array_equal(records["layers[1].layers[1].vmem"][-1], state[0][1][1].vmem)


@pytest.mark.parametrize("shape", [(2, 3, 3), None])
def test_recurrent_convolutions(shape, key):
    model = Recurrent(IAF((2, 3, 3)), eqx.nn.Conv2d(2, 2, 3, padding=1, key=key), shape=shape)
    y, _ = model(jax.random.normal(key, (5, 2, 3, 3)))
    assert y.shape == (5, 2, 3, 3)


def test_a_recurrent_that_ends_without_neurons_needs_the_shape(x):
    with pytest.raises(ValueError, match="`shape` of the output is needed"):
        Recurrent(linear(3, 3))
    y, _ = Recurrent(linear(3, 3), shape=3)(x)
    assert y.shape == (STEPS, 3)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: Recurrent(block(3, 4), linear(4, 2)),
            "`feedback` must give the shape of the input",
        ),
        (
            lambda: Recurrent(linear(3, 2), linear(3, 3), shape=3),
            "`shape` must be that of the output",
        ),
    ],
)
def test_feedback_that_does_not_fit_is_an_error(model, message, x):
    with pytest.raises(ValueError, match="`") as error:
        model()(x)
    assert str(error.value).startswith(message)


def test_every_step_of_a_recurrent_has_a_key_of_its_own(key):
    model = Recurrent(Sequential(TimeStepDropout(0.5), lambda x: x), lambda y: 0 * y, shape=50)
    y, _ = model(jnp.ones((20, 50)), key=key)
    assert len(np.unique(y, axis=0)) == 20


# ----- what they share with other networks


def nested():
    return Sequential(
        ("in", linear(3, 4)),
        Parallel(("fast", lif(4)), ("slow", Recurrent(block(4, 4, 1), linear(4, 4, 2)))),
        {"join": Concatenate(lif(4), Sequential({"id": jnp.tanh}))}["join"],
    )


def test_nested_networks_run_in_pieces_and_record_by_path(x):
    model = nested()
    y, state, records = eqx.filter_jit(record)(model, x)
    assert_trees_close((y, state), run(model, x))
    first, middle = run(model, x[:4])
    assert_trees_close((jnp.concatenate([first, run(model, x[4:], middle)[0]])), y)
    inside = "layers[1].layers[1].layers[0].layers[1]"
    assert {"layers[0].output", f"{inside}.vmem", "layers[2].layers[1].layers[0].output"} <= set(
        records
    )
    assert {len(values) for values in records.values()} == {STEPS}
    np.testing.assert_array_equal(records[f"{inside}.vmem"][-1], state[1][1][0][0][1].vmem)
    assert jax.tree.structure(model.initial_state()) == jax.tree.structure(state)


def test_a_batch_by_vmap_of_nested_networks_equals_a_loop(x):
    model, batch = nested(), jnp.stack([x, 2 * x, -x])
    y, state = eqx.filter_jit(lambda model, batch: jax.vmap(model)(batch))(model, batch)
    assert len(np.unique(np.asarray(y).sum((1, 2)))) == 3
    for i, one in enumerate(batch):
        assert_trees_close(jax.tree.map(lambda a: a[i], (y, state)), run(model, one))  # noqa: B023


@pytest.mark.slow
def test_gradients_reach_every_layer_of_nested_networks(x):
    grads = eqx.filter_grad(lambda m: m(x)[0].sum())(nested())
    weights = [
        g.weight
        for g in jax.tree.leaves(grads, is_leaf=lambda g: isinstance(g, eqx.nn.Linear))
        if isinstance(g, eqx.nn.Linear)
    ]
    assert len(weights) == 3
    assert all(np.any(g) and np.isfinite(g).all() for g in weights)


@pytest.mark.slow
def test_gradients_through_every_combinator_are_those_of_finite_differences(x):
    with jax.enable_x64(True):
        key = jax.random.key(0)
        model = Sequential(
            eqx.nn.Linear(3, 8, key=key),
            LI(8, tau_mem=5e-3, tau_syn=2e-3),
            Residual(jnp.tanh, eqx.nn.LayerNorm(8)),
            Parallel(eqx.nn.Linear(8, 8, key=key), Sequential(jnp.sin, LI(8, norm_input=True))),
            Recurrent(Sequential(jnp.tanh, LI(8)), eqx.nn.Linear(8, 8, key=key)),
            Concatenate(jnp.tanh, eqx.nn.Linear(8, 4, key=key)),
            lambda y: y.reshape(3, 4),
            eqx.nn.Conv1d(3, 2, 2, key=key),
            eqx.nn.AvgPool1d(3),
            eqx.nn.BatchNorm(2, axis_name="time", mode="batch"),
        )
        arrays, static = eqx.partition(model, eqx.is_inexact_array)

        @jax.jit
        @jax.value_and_grad
        def loss(given):
            arrays, x = given
            return jnp.sin(eqx.combine(arrays, static)(x)[0]).sum()

        given = arrays, jnp.asarray(x, float)
        leaves, tree = jax.tree.flatten(given)
        assert {leaf.dtype for leaf in leaves} == {np.dtype(float)}
        gradients = jax.tree.leaves(loss(given)[1])
        rng = np.random.default_rng(2)
        for i, leaf in enumerate(leaves):
            direction = jnp.asarray(rng.normal(size=leaf.shape)) * jnp.abs(leaf).max()
            moved = [[*leaves[:i], leaf + s * direction, *leaves[i + 1 :]] for s in (1e-6, -1e-6)]
            up, down = (loss(jax.tree.unflatten(tree, m))[0] for m in moved)
            slope = (gradients[i] * direction).sum()
            np.testing.assert_allclose((up - down) / 2e-6, slope, rtol=1e-5, atol=1e-8)
        assert sum(np.any(np.abs(g) > 1e-4) for g in gradients) > 0.8 * len(gradients)


def test_transforms_reach_the_outputs_of_layers_side_by_side(x):
    model = Sequential(Parallel(block(3, 4), linear(3, 4, 1)))
    plan = transforms.plan(model, activations={"layers[0].layers[1]": quant.Clip(-0.1, 0.1)})
    _, _, records = record(transforms.apply(plan, model), x)
    assert np.abs(records["layers[0].layers[1].output"]).max() == pytest.approx(0.1)


# ----- names


def test_layers_are_found_by_number_and_by_name():
    model = nested()
    assert model["in"] is model[0] is model.layers[0]
    assert model[1]["slow"] is model.layers[1].layers[1]
    assert model.path("in") == "layers[0]"
    assert model[1].path("slow") == "layers[1]"
    assert (
        Sequential({"a": jnp.tanh, "b": Sequential(("c", lif(2)))}).path("b", "c")
        == "layers[1].layers[0]"
    )


def test_names_change_nothing_else(x):
    named, bare = Sequential(("a", linear(3, 4)), ("b", lif(4))), block(3, 4)
    np.testing.assert_array_equal(run(named, x)[0], run(bare, x)[0])
    assert record(named, x)[2].keys() == record(bare, x)[2].keys()


def test_a_name_that_there_is_not_is_an_error_that_lists_those_there_are():
    with pytest.raises(KeyError, match="no layer is called 'b'; there is: 'a'"):
        Sequential(("a", jnp.tanh), jnp.tanh)["b"]
    with pytest.raises(KeyError, match="there is: no named layer"):
        Sequential(jnp.tanh)["b"]
    with pytest.raises(ValueError, match="'a' is no network; got 'b' inside it"):
        Sequential(("a", jnp.tanh)).path("a", "b")


@pytest.mark.parametrize("kind", [Sequential, Residual, Parallel, Concatenate])
def test_bad_layers_are_errors(kind):
    with pytest.raises(ValueError, match="must have a name of its own; got 'a' again"):
        kind(("a", jnp.tanh), ("a", jnp.tanh))
    with pytest.raises(ValueError, match="`layers` is empty"):
        kind()
    with pytest.raises(TypeError, match=r"`layers\[1\]` must be a layer; got int"):
        kind(jnp.tanh, ("a", 3))


def test_a_layer_of_ones_own_takes_part_in_every_network(x):
    class Delay(Layer):
        def initial_state(self):
            return jnp.zeros(3)

        def evolve(self, x, state, *, key, record):
            before = self.initial_state() if state is None else state
            y = jnp.concatenate([before[None], x[:-1]])
            return y, x[-1], {"late": y} if record else {}

    y, state, records = record(Parallel(Delay(), Sequential(Delay(), Delay())), x)
    np.testing.assert_allclose(y[2:], x[1:-1] + x[:-2], atol=1e-6)
    np.testing.assert_array_equal(records["layers[1].layers[1].late"][-1], x[-3])
    np.testing.assert_array_equal(Delay().step(x[3], x[2])[0], x[2])
    assert len(state) == 2
