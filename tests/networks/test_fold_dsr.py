"""Networks of DSR neurons as ordinary ones, spike for spike."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import (
    DSRIF,
    DSRLIF,
    IAF,
    Leaky,
    Residual,
    Sequential,
    fold_dsr,
    quant,
    record,
    transforms,
)
from snnjax.hardware import dynapcnn
from snnjax.nn import DSR, Flatten, SumPool2d, TimeStepDropout

from ..hardware.dynapcnn.networks import run_mapped

KEYS = jax.random.split(jax.random.key(0), 4)
STEPS = 40


@pytest.fixture
def x64():
    """Sums in another order then never decide about a spike."""
    with jax.enable_x64(True):
        yield


@eqx.filter_jit
def recorded(model, x, state=None):
    return record(model, x, state)


def thresholds(n, per_channel):
    return np.linspace(0.6, 1.7, n) if per_channel else 1.1


def dense(kind, per_channel, **settings):
    make = lambda n: kind(n, threshold=thresholds(n, per_channel), **settings)  # noqa: E731
    return Sequential(
        ("in", eqx.nn.Linear(6, 16, key=KEYS[0])),
        make(16),
        TimeStepDropout(0.5, inference=True),
        Sequential(eqx.nn.Linear(16, 12, use_bias=False, key=KEYS[1]), ("hidden", make(12))),
        eqx.nn.Identity(),
        eqx.nn.Linear(12, 3, key=KEYS[2]),
    ), (6,)


def convolutional(kind, per_channel, **settings):
    def make(*shape):
        return kind(shape, threshold=thresholds(shape[0], per_channel), **settings)

    return Sequential(
        eqx.nn.Conv2d(2, 4, 3, use_bias=False, key=KEYS[0]),
        make(4, 6, 6),
        SumPool2d(2),
        eqx.nn.Conv2d(4, 6, 2, groups=2, key=KEYS[1]),
        make(6, 2, 2),
        Flatten(),
        eqx.nn.Linear(24, 5, key=KEYS[2]),
        make(5),
    ), (2, 8, 8)


NETWORKS = {"dense": dense, "convolutional": convolutional}
CASES = {
    "IF": (DSRIF, False, {}),
    "IF per channel": (DSRIF, True, {"ratio": 0.8, "lower_bound": 1.3}),
    "LIF": (DSRLIF, False, {"dt": 0.3}),
    "LIF per channel": (
        DSRLIF,
        True,
        {"dt": 0.5, "tau": 1.0, "ratio": 0.6, "lower_bound": 1.3, "bound": "project"},
    ),
}


def draw(kind, shape):
    """Input that makes neurons of that kind fire, and some go below zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(0.4, 2.5, (STEPS, *shape)) * (rng.random((STEPS, *shape)) < 0.8)
    return jnp.asarray(x * (6 if kind is DSRLIF else 1), float)


def layers_of(model, path=""):
    """The layers of nested networks, with their paths."""
    for i, layer in enumerate(model.layers):
        at = f"{path}layers[{i}]"
        if isinstance(layer, Sequential):
            yield from layers_of(layer, f"{at}.")
        else:
            yield at, layer


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("network", "case"),
    [
        ("dense", "IF"),
        ("dense", "LIF per channel"),
        ("convolutional", "IF per channel"),
        ("convolutional", "LIF"),
        ("convolutional", "LIF per channel"),
    ],
)
def test_the_folded_network_fires_spikes_of_1_when_the_dsr_network_fires(network, case):
    kind, per_channel, settings = CASES[case]
    model, shape = NETWORKS[network](kind, per_channel, **settings)
    x = draw(kind, shape)
    folded, state = fold_dsr(model)
    y, _, wanted = recorded(model, x)
    z, after, found = recorded(folded, x, state)
    for path, layer in layers_of(model):
        if not isinstance(layer, DSR):
            continue
        fired = np.asarray(wanted[f"{path}.spikes"]) > 0
        assert 0.02 < fired.mean() < 0.8
        np.testing.assert_array_equal(found[f"{path}.spikes"], fired.astype(float), err_msg=path)
    if network == "dense":  # which ends with a product
        np.testing.assert_allclose(z, y, rtol=1e-9)
    else:
        np.testing.assert_array_equal(z, y > 0)
    assert jax.tree.structure(after) == jax.tree.structure(state)


@pytest.mark.slow
def test_what_the_neurons_become():
    model, _ = dense(DSRIF, False)
    folded, state = fold_dsr(model)
    assert folded.names == model.names
    assert folded["in"] is folded.layers[0]
    kinds = {path: type(layer) for path, layer in layers_of(folded)}
    assert kinds["layers[1]"] is kinds["layers[3].layers[1]"] is IAF
    neurons = folded.layers[1]
    assert (neurons.settings.max_spikes, neurons.threshold) == (1, np.float32(1.1))
    np.testing.assert_allclose(state[1].vmem, np.full(16, 0.55), rtol=1e-6)
    # Of an IF nothing but the height moves, and no bias appears.
    np.testing.assert_array_equal(folded["in"].weight, model["in"].weight)
    inner = folded.layers[3].layers[0]
    assert inner.bias is None
    np.testing.assert_allclose(inner.weight, 1.1 * model.layers[3].layers[0].weight, rtol=1e-6)
    assert state[0] is state[2] is state[3][0] is state[5] is None

    model, _ = dense(DSRLIF, False, dt=0.3)
    folded, state = fold_dsr(model)
    leaky, decay = folded.layers[1], math.exp(-0.15)
    assert isinstance(leaky, Leaky)
    assert (leaky.settings.max_spikes, leaky.reset_delay) == (1, False)
    np.testing.assert_allclose(leaky.alpha_mem, decay, rtol=1e-6)
    shift = 0.7 * 1.1
    np.testing.assert_allclose(state[1].vmem, np.full(16, shift), rtol=1e-6)
    # At rest, the bias holds vmem where it starts.
    np.testing.assert_allclose(
        folded.layers[3].layers[0].bias, np.full(12, (1 - decay) * shift), rtol=1e-6
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", [DSRIF, DSRLIF])
def test_thresholds_that_differ_move_into_the_weights_before_them(kind):
    folded, _ = fold_dsr(convolutional(kind, True)[0])
    for _, layer in layers_of(folded):
        if isinstance(layer, IAF | Leaky):
            assert (layer.threshold == 1).all()


def test_thresholds_stay_where_no_product_is_before_them():
    model = Sequential(DSRIF(3, threshold=[1.0, 2.0, 4.0]), eqx.nn.Linear(3, 2, key=KEYS[0]))
    folded, state = fold_dsr(model)
    np.testing.assert_array_equal(folded.layers[0].threshold, [1, 2, 4])
    # In eighths, everything is exact.
    x = jnp.round(8 * jax.random.normal(KEYS[1], (STEPS, 3))) / 8
    y, z = model.layers[0](x)[0], folded.layers[0](x, state[0])[0]
    np.testing.assert_array_equal(z, y > 0)


def test_it_is_of_a_batch_too_and_in_float32_but_for_rounding():
    model = Sequential(*dense(DSRLIF, True, dt=0.3)[0].layers[:2])
    shape = (6,)
    folded, state = fold_dsr(model)
    batch = jnp.stack([draw(DSRLIF, shape) * scale for scale in (0.5, 1.0, -1.0)])
    y = jax.jit(jax.vmap(lambda x: model(x)[0]))(batch)
    z = jax.jit(jax.vmap(lambda x: folded(x, state)[0]))(batch)
    assert (np.asarray(z) != (np.asarray(y) > 0)).mean() < 0.005
    assert set(np.unique(z)) == {0, 1}


# ----- on a chip


@pytest.mark.few(1)
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_folded_network_of_ifs_is_one_for_a_chip(per_channel):
    # In eighths, and with thresholds that are powers of 2, everything is exact.
    model = Sequential(
        eqx.nn.Conv2d(2, 4, 3, key=KEYS[0]),
        DSRIF((4, 6, 6), threshold=[1.0, 2.0, 4.0, 1.0] if per_channel else 2.0),
        SumPool2d(2),
        eqx.nn.Conv2d(4, 3, 3, use_bias=False, key=KEYS[1]),
        DSRIF((3, 1, 1), threshold=[2.0, 4.0, 1.0] if per_channel else 4.0),
    )
    products = lambda m: (m.layers[0], m.layers[3])  # noqa: E731
    rounded = jax.tree.map(lambda leaf: jnp.round(leaf * 64) / 8, products(model))
    model = eqx.tree_at(products, model, rounded)
    folded, state = fold_dsr(model)
    spec = dynapcnn.map_network(folded, input_shape=(2, 8, 8), statistics=state)
    x = np.random.default_rng(0).poisson(0.8, (STEPS, 2, 8, 8)).astype(np.float32)
    _, _, wanted = recorded(model, x)
    for spikes, layer in zip(run_mapped(spec, x), (1, 4), strict=True):
        fired = np.asarray(wanted[f"layers[{layer}].spikes"]) > 0
        assert 0.03 < fired.mean() < 0.95
        np.testing.assert_array_equal(spikes, fired)


# ----- errors


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (jax.nn.relu, "ReLU"),
        (IAF(4), "IAF"),
        (eqx.nn.LayerNorm(4), "LayerNorm"),
        (Residual(DSRIF(4)), "Residual"),
        (eqx.nn.Lambda(jnp.tanh), "Lambda"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_layer_that_has_no_place_is_an_error_that_names_it(layer, name):
    model = Sequential(eqx.nn.Linear(3, 4, key=KEYS[0]), Sequential(DSRIF(4), layer))
    with pytest.raises(ValueError, match=r"^`layers\[1\]\.layers\[1\]`: .* has no place"):
        fold_dsr(model)


@pytest.mark.parametrize("between", [SumPool2d(1), TimeStepDropout(0.0)])
def test_a_dsrlif_needs_a_product_directly_before_it(between):
    conv = eqx.nn.Conv2d(2, 3, 1, key=KEYS[0])
    for layers, at in ([DSRLIF(4)], 0), ([conv, between, DSRLIF((3, 2, 2))], 2):
        with pytest.raises(ValueError, match=rf"`layers\[{at}\]`: a DSRLIF must directly follow"):
            fold_dsr(Sequential(*layers))


@pytest.mark.parametrize("between", [(), (eqx.nn.Identity(), TimeStepDropout(0.0))])
def test_dsr_neurons_need_a_product_between_them_and_those_before(between):
    linear = eqx.nn.Linear(3, 4, key=KEYS[0])
    inner = Sequential(*between, DSRIF(4, threshold=9.0))
    path = rf"`layers\[2\]\.layers\[{len(between)}\]`"
    with pytest.raises(ValueError, match=f"^{path}: DSR neurons need a Linear or a Conv between"):
        fold_dsr(Sequential(linear, DSRIF(4), inner))


def test_a_network_whose_outputs_are_transformed_is_an_error_that_names_it():
    inner = Sequential(eqx.nn.Linear(3, 4, key=KEYS[0]), DSRIF(4))
    plan = transforms.plan(inner, activations={"layers[0]": quant.Clip(-1.0, 1.0)})
    inner = transforms.apply(plan, inner)
    with pytest.raises(ValueError, match=r"^`model`: its outputs are transformed"):
        fold_dsr(inner)
    with pytest.raises(ValueError, match=r"^`layers\[0\]`: its outputs are transformed"):
        fold_dsr(Sequential(inner))


@pytest.mark.few(2)
@pytest.mark.parametrize("model", [eqx.nn.Sequential([DSRIF(4)]), Residual(DSRIF(4)), DSRIF(4)])
def test_what_is_no_sequential_is_an_error(model):
    with pytest.raises(TypeError, match=f"`model` must be a .*; got {type(model).__name__}"):
        fold_dsr(model)
