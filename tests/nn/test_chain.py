"""Networks of layers: Sequential, Residual, and equinox's own layers within them."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import IAF, LIF, Residual, Sequential, record
from snnjax.nn import Flatten, Layer, TimeStepDropout

STEPS, N = 12, 3
run = eqx.filter_jit(lambda model, x, state=None, key=None: model(x, state, key=key))


def linear(n_in, n_out, seed=0):
    return eqx.nn.Linear(n_in, n_out, key=jax.random.key(seed))


def lif(**kwargs):
    return LIF(N, tau_mem=5e-3, tau_syn=5e-3, threshold=0.2, **kwargs)


def nested():
    """Linear, LIF, and a residual block of the same."""
    return Sequential(linear(2, N), lif(), Residual(linear(N, N, 1), lif()))


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).normal(0.5, 1, (STEPS, 2)), jnp.float32)


def assert_trees_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_trees_close(a, b, atol=1e-5):
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=atol), a, b)


# ----- what they compute


def test_sequential_applies_one_layer_after_another(x):
    first, second, third = linear(2, N), lif(), linear(N, 4, 1)
    y, state = run(Sequential(first, second, third), x)
    spikes, wanted = run(second, jax.vmap(first)(x))
    assert spikes.sum() > 0
    np.testing.assert_allclose(y, jax.vmap(third)(spikes), atol=1e-6)
    assert state[0] is state[2] is None
    assert_trees_close(state[1], wanted)


def test_residual_adds_its_input(x):
    x = jnp.tile(x[:, :1], N)
    inner, state = run(Sequential(linear(N, N), lif()), x)
    y, after = run(Residual(linear(N, N), lif()), x)
    np.testing.assert_allclose(y, x + inner, atol=1e-6)
    assert_trees_equal(after, state)


def test_a_nested_network_is_the_same_as_its_parts(x):
    whole = nested()
    first = Sequential(*whole.layers[:2])
    y, state = run(whole, x)
    middle, state_first = run(first, x)
    inner, state_last = run(whole.layers[2], middle)
    np.testing.assert_allclose(y, inner, atol=1e-6)
    assert_trees_close(state, (*state_first, state_last))


@pytest.mark.few(9)
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (eqx.nn.Lambda(jnp.tanh), (2,)),
        (jnp.tanh, (2,)),
        (eqx.nn.Conv1d(2, 3, 3, key=jax.random.key(0)), (2, 5)),
        (eqx.nn.Conv2d(1, 3, 3, key=jax.random.key(0)), (1, 5, 4)),
        (eqx.nn.Conv3d(1, 2, 2, key=jax.random.key(0)), (1, 3, 3, 2)),
        (eqx.nn.AvgPool2d(2, 2), (1, 4, 4)),
        (eqx.nn.Linear("scalar", 3, key=jax.random.key(0)), ()),
        (eqx.nn.Sequential([linear(2, 3), eqx.nn.Lambda(jnp.tanh)]), (2,)),
    ],
    ids=["Lambda", "function", "Conv1d", "Conv2d", "Conv3d", "AvgPool2d", "scalar", "Sequential"],
)
@pytest.mark.parametrize("with_key", [False, True])
def test_static_layers_are_applied_at_every_step(layer, shape, with_key, key):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, *shape)), jnp.float32)
    y, state = Sequential(layer)(x, key=key if with_key else None)
    np.testing.assert_allclose(y, jnp.stack([layer(x_t) for x_t in x]), atol=1e-6)
    assert state == (None,)


def test_products_are_one_batched_call_outside_the_loops_over_time(key):
    conv = eqx.nn.Conv2d(1, 2, 3, key=key)
    model = Sequential(conv, IAF((2, 4, 4)), Flatten(), eqx.nn.Linear(32, 3, key=key), IAF(3))
    program = str(jax.make_jaxpr(model)(jnp.zeros((7, 1, 6, 6))))
    # All 7 time steps are in the result of the one product of each layer.
    for product, result in (
        ("conv_general_dilated", "f32[7,2,4,4]"),
        ("sequence_product", "f32[7,3]"),
    ):
        assert program.count(f" = {product}[") == program.count(f"{result} = {product}[") == 1
    assert program.count("time_loop[") == 2


def test_a_convolution_feeds_neurons_after_flattening(key):
    model = Sequential(
        eqx.nn.Conv2d(1, 2, 3, key=key), eqx.nn.Lambda(jnp.ravel), LIF(12, threshold=0.1)
    )
    y, _ = model(jnp.ones((STEPS, 1, 5, 4)))
    assert y.shape == (STEPS, 12)


# ----- state


def test_initial_state_has_an_entry_for_each_layer_and_none_where_there_is_no_state():
    model = nested()
    inner = model.layers[2].layers[1].initial_state()
    assert_trees_equal(
        model.initial_state(), (None, model.layers[1].initial_state(), (None, inner))
    )


def test_no_state_is_the_initial_state(x):
    model = nested()
    assert_trees_equal(run(model, x), run(model, x, model.initial_state()))


def test_pieces_with_the_state_carried_over_equal_the_whole(x):
    model, state, pieces = nested(), None, []
    for piece in jnp.split(x, 2):
        y, state = run(model, piece, state)
        pieces.append(y)
    whole = run(model, x)
    assert_trees_close(
        (jnp.concatenate(pieces), state),
        whole,
    )
    assert whole[0].sum() > 0


def test_single_steps_equal_the_whole(x):
    model, state, outputs = nested(), None, []
    step = eqx.filter_jit(lambda model, x, state: model.step(x, state))
    for x_t in x:
        y, state = step(model, x_t, state)
        outputs.append(y)
    assert_trees_close(
        (jnp.stack(outputs), state),
        run(model, x),
    )


def test_integer_input_of_a_step_becomes_floating_point():
    y, _ = nested().step(np.array([3, 1]))
    np.testing.assert_allclose(y, nested().step(np.array([3.0, 1.0], np.float32))[0])


def test_a_state_of_another_network_is_an_error(x):
    with pytest.raises(ValueError, match="`state` must have one entry for each of the 3 layers"):
        nested()(x, (None, None))


# ----- recording


def test_record_keys_every_state_and_output_by_path(x):
    model = nested()
    y, state, records = eqx.filter_jit(record)(model, x)
    assert_trees_equal((y, state), run(model, x))
    names = ("vmem", "isyn", "spikes", "output")
    assert set(records) == {
        "layers[0].output",
        *(f"layers[1].{name}" for name in names),
        "layers[2].layers[0].output",
        *(f"layers[2].layers[1].{name}" for name in names),
        "layers[2].output",
    }
    np.testing.assert_array_equal(records["layers[2].output"], y)
    np.testing.assert_allclose(
        records["layers[2].output"],
        records["layers[1].spikes"] + records["layers[2].layers[1].spikes"],
    )
    np.testing.assert_array_equal(records["layers[1].vmem"][-1], state[1].vmem)


def test_a_layer_of_ones_own_takes_part(x):
    class Counter(Layer):
        def initial_state(self):
            return jnp.zeros(())

        def step(self, x, state=None, *, key=None):
            y, state, _ = self.evolve(x[None], state, key=key, record=False)
            return y[0], state

        def evolve(self, x, state, *, key, record):
            counts = (0.0 if state is None else state) + 1 + jnp.arange(len(x), dtype=x.dtype)
            return x + counts[:, None], counts[-1], {"count": counts} if record else {}

    y, state, records = record(Sequential(jnp.zeros_like, Counter()), x)
    np.testing.assert_array_equal(y[:, 0], np.arange(1, STEPS + 1))
    np.testing.assert_array_equal(records["layers[1].count"], y[:, 0])
    assert state == (None, STEPS)


# ----- keys and dropout


def test_every_layer_and_every_step_has_a_key_of_its_own(key):
    x = jnp.ones((50, 40))
    drop = Sequential(TimeStepDropout(0.5), TimeStepDropout(0.5))
    _, _, records = record(drop, x, key=key)
    first, second = records["layers[0].output"], records["layers[1].output"]
    assert len(np.unique(first, axis=0)) == 50
    # Were the keys the same, the second would take away nothing more.
    assert second.mean() == pytest.approx(0.25, abs=0.05)


def test_a_network_draws_alike_with_the_same_key_and_anew_with_another(key):
    x, model = jnp.ones((20, N)), Sequential(TimeStepDropout(0.5), lif(noise_std=1.0))
    first = run(model, x, None, key)
    assert_trees_equal(run(model, x, None, key), first)
    assert np.any(run(model, x, None, jax.random.key(1))[1][1].vmem != first[1][1].vmem)


def test_time_step_dropout_silences_at_its_rate_and_leaves_the_rest_unscaled(key):
    counts = jnp.full((200, 50), 3.0)
    y, _ = Sequential(TimeStepDropout(0.3))(counts, key=key)
    assert set(np.unique(y)) == {0.0, 3.0}
    assert (y == 0).mean() == pytest.approx(0.3, abs=4 * (0.21 / 10_000) ** 0.5)


@pytest.mark.parametrize(("p", "kept"), [(0.0, 1.0), (1.0, 0.0)])
def test_time_step_dropout_keeps_all_or_nothing_at_its_limits(p, kept, key):
    y, _ = Sequential(TimeStepDropout(p))(jnp.ones((5, N)), key=key)
    np.testing.assert_array_equal(y, np.full((5, N), kept))


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_a_probability_out_of_range_is_an_error(p):
    with pytest.raises(ValueError, match="`p` must be a probability, from 0 to 1; got"):
        TimeStepDropout(p)


def test_dropout_needs_a_key():
    with pytest.raises(ValueError, match="`key` is needed by TimeStepDropout"):
        Sequential(TimeStepDropout(0.5))(jnp.ones((5, N)))


@pytest.mark.parametrize("dropout", [TimeStepDropout(0.5), eqx.nn.Dropout(0.5)])
def test_inference_mode_switches_dropout_off_in_a_whole_network(dropout, x):
    model = Sequential(linear(2, N), lif(), Sequential(dropout))
    without = Sequential(linear(2, N), lif())
    y, _ = eqx.nn.inference_mode(model)(x)
    np.testing.assert_array_equal(y, without(x)[0])


def test_equinox_dropout_draws_anew_at_every_step(key):
    y, _ = Sequential(eqx.nn.Dropout(0.5))(jnp.ones((30, 40)), key=key)
    assert set(np.unique(y)) == {0.0, 2.0}
    assert len(np.unique(y, axis=0)) == 30


# ----- errors


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (lambda: nested(), (5, 4), "`layers[0]`: Linear takes (time, 2); got (time, 4)"),
        (lambda: nested(), (5, 2, 1), "`layers[0]`: Linear takes (time, 2); got (time, 2, 1)"),
        (
            lambda: Sequential(linear(2, 4), lif()),
            (5, 2),
            "`layers[1]`: `x` must have the shape (time, 3)",
        ),
        (
            lambda: Sequential(jnp.tanh, Residual(linear(3, 2), linear(4, 3))),
            (5, 3),
            "`layers[1].layers[1]`: Linear takes (time, 4); got (time, 2)",
        ),
        (
            lambda: Sequential(Residual(linear(3, 2))),
            (5, 3),
            "`layers[0]`: the layers of a Residual must keep the shape of their input; "
            "got (5, 3) in and (5, 2) out",
        ),
        (
            lambda: Sequential(eqx.nn.Conv2d(1, 2, 3, key=jax.random.key(0))),
            (5, 2, 8, 8),
            "`layers[0]`: Conv2d takes (time, 1, height, width); got (time, 2, 8, 8)",
        ),
        (
            lambda: Sequential(eqx.nn.Conv1d(1, 2, 3, key=jax.random.key(0))),
            (5, 8),
            "`layers[0]`: Conv1d takes (time, 1, width); got (time, 8)",
        ),
        (
            lambda: Sequential(eqx.nn.Linear("scalar", 2, key=jax.random.key(0))),
            (5, 1),
            "`layers[0]`: Linear takes (time); got (time, 1)",
        ),
    ],
)
def test_input_of_a_wrong_shape_is_an_error_that_names_the_layer_by_path(model, shape, message):
    with pytest.raises(ValueError, match=r"^`layers") as error:
        model()(jnp.ones(shape))
    assert str(error.value).startswith(message)


def test_the_error_of_a_wrong_shape_is_the_same_under_jit_and_vmap():
    with pytest.raises(ValueError, match=r"`layers\[0\]`: Linear takes \(time, 2\)"):
        eqx.filter_jit(lambda model, x: jax.vmap(model)(x))(nested(), jnp.ones((2, 5, 4)))


@pytest.mark.parametrize("kind", [Sequential, Residual])
def test_a_network_without_layers_is_an_error(kind):
    with pytest.raises(ValueError, match="`layers` is empty"):
        kind()


def test_something_that_is_no_layer_is_an_error_that_names_its_place():
    with pytest.raises(TypeError, match=r"`layers\[1\]` must be a layer; got int"):
        Sequential(jnp.tanh, 3)
