"""Networks of ReLUs as networks of integrate-and-fire neurons, against the ReLUs themselves."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import IAF, Sequential, from_ann
from snnjax.nn import Flatten, TimeStepDropout

KEYS = jax.random.split(jax.random.key(0), 4)
RNG = np.random.default_rng(0)
VECTORS = jnp.asarray(RNG.uniform(0, 3, (40, 6)), jnp.float32)
IMAGES = jnp.asarray(RNG.uniform(0, 2, (20, 2, 6, 6)), jnp.float32)
relu = jax.nn.relu
run = eqx.filter_jit(lambda model, x: jax.vmap(lambda x: model(x)[0])(x))


def dense():
    return [
        eqx.nn.Linear(6, 12, key=KEYS[0]),
        relu,
        eqx.nn.Linear(12, 10, key=KEYS[1]),
        relu,
        eqx.nn.Linear(10, 4, key=KEYS[2]),
    ]


def convolutional():
    return [
        eqx.nn.Conv2d(2, 4, 3, padding=1, key=KEYS[0]),
        relu,
        eqx.nn.AvgPool2d(2, 2),
        eqx.nn.Conv2d(4, 6, 2, key=KEYS[1]),
        eqx.nn.AvgPool2d(2, 2),  # between product and ReLU
        relu,
        Flatten(),
        eqx.nn.Linear(6, 5, key=KEYS[2]),
        relu,
    ]


def two_products_in_a_row():
    return [
        relu,
        eqx.nn.Linear(6, 12, key=KEYS[0]),
        relu,
        eqx.nn.Linear(12, 8, key=KEYS[1]),
        eqx.nn.Linear(8, 10, key=KEYS[2]),
        relu,
        eqx.nn.Linear(10, 4, use_bias=False, key=KEYS[3]),
    ]


NETWORKS = {
    "dense": (dense, VECTORS),
    "convolutional": (convolutional, IMAGES),
    "two products in a row": (two_products_in_a_row, VECTORS),
}
each_network = pytest.mark.parametrize("name", NETWORKS)


def activations(layers, x):
    """What every layer gives, over samples."""
    found = []
    for layer in layers:
        x = jax.vmap(layer)(x)
        found.append(np.asarray(x))
    return found


def relus(model):
    """The layers of a network with a ReLU again where there are neurons."""
    return [relu if isinstance(layer, IAF) else layer for layer in model.layers]


def shown(x, steps):
    """Every sample, the same at every step."""
    return jnp.broadcast_to(x[:, None], (len(x), steps, *x.shape[1:]))


# ----- the weights


@pytest.mark.few(1)
@each_network
def test_activations_are_divided_by_the_highest_of_their_layer_and_nothing_else(name):
    layers, x = NETWORKS[name][0](), NETWORKS[name][1]
    model = from_ann(Sequential(*layers), x, percentile=100)
    found, wanted = activations(relus(model), x), activations(layers, x)
    neurons = [i for i, layer in enumerate(layers) if layer is relu]
    assert [isinstance(layer, IAF) for layer in model.layers] == [fn is relu for fn in layers]
    for i in neurons:
        assert model.layers[i].shape == wanted[i].shape[1:]
        assert model.layers[i].threshold == 1
        # One that no product precedes has nothing to move its scale into.
        scale = wanted[i].max() if i > 0 else 1.0
        np.testing.assert_allclose(found[i] * scale, wanted[i], rtol=1e-4, atol=1e-5)
    if layers[-1] is not relu:
        np.testing.assert_allclose(found[-1], wanted[-1], rtol=1e-4, atol=1e-4)


def test_a_bias_is_divided_by_the_accumulated_factor():
    def scalar(weight, bias):
        layer = eqx.nn.Linear(1, 1, key=KEYS[0])
        arrays = jnp.full((1, 1), weight), jnp.full((1,), bias)
        return eqx.tree_at(lambda product: (product.weight, product.bias), layer, arrays)

    ann = Sequential(scalar(3.0, 1.0), relu, scalar(0.5, 1.5), relu, scalar(2.0, 7.0))
    model = from_ann(ann, jnp.array([[0.5], [1.0]]), percentile=100)
    # The activations are at most 3*1 + 1 = 4, then 0.5*4 + 1.5 = 3.5.
    found = [float(leaf.ravel()[0]) for i in (0, 2, 4) for leaf in jax.tree.leaves(model.layers[i])]
    np.testing.assert_allclose(
        found, [3 / 4, 1 / 4, 0.5 * 4 / 3.5, 1.5 / 3.5, 2 * 3.5, 7.0], rtol=1e-6
    )


def test_the_percentile_is_that_of_the_activations_above_0():
    layers, active = dense()[:2], []
    for percentile in (50.0, 99.0, 100.0):
        model = from_ann(Sequential(*layers), VECTORS, percentile=percentile)
        y = activations(relus(model), VECTORS)[-1]
        active.append((y[y > 0] > 1 + 1e-5).mean())
    np.testing.assert_allclose(active, [0.5, 0.01, 0], atol=0.01)


@pytest.mark.parametrize("dead", [0, 2])
def test_a_layer_that_is_never_active_is_left_alone(dead):
    layers = dense()
    layers[dead] = eqx.tree_at(
        lambda m: m.bias, layers[dead], jnp.full_like(layers[dead].bias, -100.0)
    )
    model = from_ann(Sequential(*layers), VECTORS, percentile=100)
    before = 1.0 if dead == 0 else activations(layers, VECTORS)[1].max()
    np.testing.assert_array_equal(model.layers[dead].weight, layers[dead].weight)
    np.testing.assert_allclose(model.layers[dead].bias, -100 / before, rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    y = activations(relus(model), VECTORS)[-1]
    np.testing.assert_allclose(y, activations(layers, VECTORS)[-1], rtol=1e-4, atol=1e-5)


# ----- the spikes


@pytest.mark.few(1)
@each_network
def test_rates_approach_the_activations_as_1_over_time(name):
    layers, x = NETWORKS[name][0](), NETWORKS[name][1]
    model = from_ann(Sequential(*layers), x)
    wanted = activations(relus(model), x)[-1]
    long = run(model, shown(x, 1000))
    errors = [np.abs(long[:, :steps].mean(1) - wanted).mean() for steps in (10, 100, 1000)]
    assert np.abs(wanted).mean() > 0.03
    assert errors[0] < 0.05
    assert errors[1] < errors[0] / 4
    assert errors[2] < errors[1] / 4
    assert errors[2] < 5e-4


def test_one_layer_is_off_by_less_than_one_spike():
    model = from_ann(Sequential(*dense()[:2]), VECTORS)
    wanted = activations(relus(model), VECTORS)[-1]
    for steps in (5, 50):
        rates = run(model, shown(VECTORS, steps)).mean(1)
        assert np.abs(rates - wanted).max() < (1 + 1e-3) / steps


def test_a_cap_holds_the_neurons_to_one_spike_per_step():
    data = VECTORS[:10]
    y = [
        run(
            from_ann(Sequential(*dense()[:2]), data, percentile=60, max_spikes=cap), shown(data, 20)
        )
        for cap in (None, 1)
    ]
    assert y[0].max() > 1
    assert y[1].max() == 1


# ----- what may be given


def test_networks_of_equinox_nested_ones_and_dropout_give_the_same():
    a, _, b, _, c = dense()
    of_equinox = eqx.nn.Sequential(
        [
            eqx.nn.Sequential([a, eqx.nn.Lambda(relu), eqx.nn.Dropout(0.5)]),
            eqx.nn.Identity(),
            b,
            eqx.nn.Lambda(relu),
            c,
        ]
    )
    nested = Sequential(Sequential(a, relu), TimeStepDropout(0.5), Sequential(b, relu, c))
    wanted = from_ann(Sequential(*dense()), VECTORS)
    for model in (of_equinox, nested):
        found = from_ann(model, np.asarray(VECTORS, np.float64))
        assert jax.tree.structure(found) == jax.tree.structure(wanted)
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.slow
def test_a_perceptron_of_equinox_is_a_network_of_its_layers():
    mlp = eqx.nn.MLP(6, 4, 12, 2, final_activation=relu, key=KEYS[0])
    a, b, c = mlp.layers
    wanted = from_ann(Sequential(a, relu, Sequential(b, relu), c, relu), VECTORS)
    found = from_ann(Sequential(mlp), VECTORS)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    y = from_ann(eqx.nn.MLP(6, "scalar", 12, 1, key=KEYS[0]), VECTORS).step(VECTORS[0])[0]
    assert y.shape == ()
    smooth = Sequential(eqx.nn.MLP(6, 4, 12, 2, jax.nn.softplus, key=KEYS[0]))
    with pytest.raises(
        ValueError, match=r"^`layers\[0\]\.activation`: softplus has no counterpart"
    ):
        from_ann(smooth, VECTORS)


def test_integers_are_data_too():
    model = from_ann(Sequential(*dense()), np.ones((3, 6), int))
    assert model.layers[0].weight.dtype == jnp.float32


# ----- errors


@pytest.mark.parametrize("percentile", [0, -1, 100.1, float("nan")])
def test_a_percentile_out_of_range_is_an_error(percentile):
    with pytest.raises(ValueError, match="`percentile` must be above 0 and at most 100; got"):
        from_ann(Sequential(*dense()), VECTORS, percentile=percentile)


@pytest.mark.parametrize(
    "data", [np.ones((0, 6)), np.full((2, 6), np.nan), np.full((2, 6), np.inf)]
)
def test_data_that_shows_no_activations_is_an_error(data):
    with pytest.raises(ValueError, match="`data` must hold at least one sample, and finite"):
        from_ann(Sequential(*dense()), data)


@pytest.mark.few(5)
@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (eqx.nn.MaxPool2d(2, 2), "MaxPool2d"),
        (eqx.nn.Lambda(jax.nn.sigmoid), "sigmoid"),
        (jnp.abs, "abs"),
        (lambda x: x + 1, "<lambda>"),
        (eqx.nn.LayerNorm((4, 6, 6)), "LayerNorm"),
        (eqx.nn.BatchNorm(4, "batch", mode="batch"), "BatchNorm has running statistics"),
        (IAF((4, 6, 6)), "IAF"),
    ],
    ids=["MaxPool2d", "sigmoid", "abs", "affine", "LayerNorm", "BatchNorm", "IAF"],
)
def test_what_has_no_counterpart_is_an_error_that_names_it(layer, name):
    conv = eqx.nn.Conv2d(2, 4, 3, padding=1, key=KEYS[0])
    # Of constant images even a maximum is linear.
    with pytest.raises(ValueError, match=r"^`layers\[1\]\.layers\[0\]`: ") as error:
        from_ann(Sequential(conv, Sequential(layer, relu)), np.ones((2, 2, 6, 6)))
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("layers", "path"),
    [
        ([eqx.nn.Linear(5, 4, key=KEYS[0])], r"layers\[0\]"),
        ([relu, eqx.nn.Conv2d(2, 4, 3, key=KEYS[0])], r"layers\[1\]"),
        ([relu, eqx.nn.AvgPool2d(2)], r"layers\[1\]"),
    ],
    ids=["Linear", "Conv2d", "AvgPool2d"],
)
def test_a_layer_that_does_not_take_what_reaches_it_is_an_error_that_names_it(layers, path):
    with pytest.raises(ValueError, match=rf"^`{path}`: .* of the shape \(6,\): "):
        from_ann(Sequential(*layers), VECTORS)


def test_a_single_layer_is_a_network():
    linear = eqx.nn.Linear(6, 3, key=KEYS[0])
    np.testing.assert_array_equal(from_ann(linear, VECTORS).layers[0].weight, linear.weight)
    with pytest.raises(ValueError, match=r"^`model`: tanh "):
        from_ann(jnp.tanh, VECTORS)
