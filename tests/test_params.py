"""Families of parameters, and which of them are trained."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnjax import (
    LIF,
    AdEx,
    Leaky,
    Residual,
    Sequential,
    bounded,
    check_parameters,
    families,
    param,
    trainable,
)
from snnjax._tree import leaves_with_path
from snnjax.params import EQUINOX_FAMILIES, FAMILIES

LEAK_FAMILIES = {
    "taus": {"leak.tau_mem": "taus", "leak.tau_syn": "taus"},
    "decays": {"leak.alpha_mem": "decays", "leak.alpha_syn": "decays"},
    "bitshifts": {"leak.dash_mem": "bitshifts", "leak.dash_syn": "bitshifts"},
}


class Scale(eqx.Module):
    gain: jax.Array = param(family="weights")
    table: dict = param(family="biases")
    free: jax.Array
    steps: jax.Array
    rate: float
    frozen: tuple[str, ...] = eqx.field(static=True, default=())


def scale(**kwargs):
    table = {"a": jnp.ones(2), "b": [jnp.ones(1), jnp.arange(2)]}
    return Scale(jnp.ones(3), table, jnp.ones(2), jnp.arange(3), 0.5, **kwargs)


def trained_paths(model):
    return [path for path, trained in leaves_with_path(trainable(model)) if trained]


@pytest.mark.parametrize("leak", LEAK_FAMILIES)
def test_parameters_of_a_neuron_layer_have_their_families(leak):
    assert families(LIF(2, leak=leak, recurrent=True, w_rec=0.5)) == {
        **LEAK_FAMILIES[leak],
        "threshold": "thresholds",
        "bias": "biases",
        "w_rec": "weights",
    }


def test_parameters_that_a_layer_does_not_have_are_not_listed():
    assert set(families(LIF(2, bias=None)).values()) == {"taus", "thresholds"}


@pytest.mark.parametrize(
    "layer",
    [
        lambda key: eqx.nn.Linear(2, 3, key=key),
        lambda key: eqx.nn.Conv2d(1, 2, 3, key=key),
        lambda key: eqx.nn.ConvTranspose1d(1, 2, 3, key=key),
        lambda key: eqx.nn.LayerNorm(4),
        lambda key: eqx.nn.GroupNorm(2, 4),
    ],
)
def test_parameters_of_equinox_layers_have_their_families(layer, key):
    assert families(layer(key)) == {"weight": "weights", "bias": "biases"}


def test_families_of_a_nested_network_are_keyed_by_path(key):
    linear = eqx.nn.Linear(2, 2, use_bias=False, key=key)
    model = Sequential(linear, Residual(linear, LIF(2, bias=None)))
    assert families(model) == {
        "layers[0].weight": "weights",
        "layers[1].layers[0].weight": "weights",
        "layers[1].layers[1].leak.tau_mem": "taus",
        "layers[1].layers[1].leak.tau_syn": "taus",
        "layers[1].layers[1].threshold": "thresholds",
    }


def test_param_names_the_family_of_everything_that_is_in_the_field():
    assert families(scale()) == {
        "gain": "weights",
        "table['a']": "biases",
        "table['b'][0]": "biases",
    }


def test_param_passes_the_rest_on_to_the_field():
    class Layer(eqx.Module):
        gain: jax.Array = param(family="weights", default=3.0, converter=jnp.asarray)

    assert isinstance(Layer().gain, jax.Array)
    assert families(Layer()) == {"gain": "weights"}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_given(family):
    class Layer(eqx.Module):
        x: jax.Array = param(family=family)

    assert families(Layer(jnp.ones(2))) == {"x": family}


def test_an_unknown_family_is_an_error_that_lists_the_families():
    with pytest.raises(ValueError, match=r"`family` must be one of weights, .*; got 'weight'"):
        param(family="weight")


class Foreign(eqx.Module):
    kernel: jax.Array
    other: jax.Array


def test_a_layer_of_ones_own_can_be_registered(key):
    model = (Foreign(jnp.ones(2), jnp.ones(2)), eqx.nn.Linear(1, 1, key=key))
    assert families(model) == {"[1].weight": "weights", "[1].bias": "biases"}
    registry = {**EQUINOX_FAMILIES, Foreign: {"kernel": "weights"}}
    assert families(model, registry) == {
        "[0].kernel": "weights",
        "[1].weight": "weights",
        "[1].bias": "biases",
    }


def test_a_registered_class_stands_for_its_subclasses_which_may_add_parameters(key):
    class Gated(eqx.nn.Linear):
        gate: jax.Array = param(family="thresholds")

        def __init__(self, key):
            super().__init__(2, 3, key=key)
            self.gate = jnp.ones(3)

    assert families(Gated(key)) == {
        "weight": "weights",
        "bias": "biases",
        "gate": "thresholds",
    }


def test_families_are_the_same_for_an_ensemble_and_under_jit(key):
    def make(key):
        return Sequential(eqx.nn.Linear(2, 3, key=key), LIF(3))

    ensemble = eqx.filter_vmap(make)(jax.random.split(key, 2))
    assert families(ensemble) == families(make(key))
    assert eqx.filter_jit(lambda model: families(model))(make(key)) == families(make(key))


def test_floating_point_arrays_are_trained_and_nothing_else():
    assert trained_paths(scale()) == ["gain", "table['a']", "table['b'][0]", "free"]


def test_the_mask_has_the_structure_of_the_model():
    model = scale()
    mask = trainable(model)
    assert jax.tree.structure(mask) == jax.tree.structure(model)
    assert all(isinstance(leaf, bool) for leaf in jax.tree.leaves(mask))
    trained, held = eqx.partition(model, mask)
    assert len(jax.tree.leaves(trained)) == 4
    assert eqx.tree_equal(eqx.combine(trained, held), model)


@pytest.mark.parametrize(
    ("frozen", "missing"),
    [(("gain",), {"gain"}), (("table", "free"), {"table['a']", "table['b'][0]", "free"})],
)
def test_what_a_layer_freezes_is_not_trained(frozen, missing):
    assert set(trained_paths(scale())) - set(trained_paths(scale(frozen=frozen))) == missing


def test_freezing_reaches_the_fields_of_what_is_inside():
    class Holder(eqx.Module):
        inner: Scale
        gain: jax.Array
        frozen: tuple[str, ...] = eqx.field(static=True)

    model = [Holder(scale(), jnp.ones(1), ("gain",)), scale()]
    assert [path for path in trained_paths(model) if "gain" in path] == ["[1].gain"]


def test_training_through_the_mask_leaves_the_frozen_as_they_are():
    model = scale(frozen=("free",))
    trained, held = eqx.partition(model, trainable(model))

    def loss(trained):
        both = eqx.combine(trained, held)
        return both.gain.sum() + both.free.sum()

    grads = jax.grad(loss)(trained)
    np.testing.assert_array_equal(grads.gain, np.ones(3))
    assert grads.free is None


# ----- valid ranges


def descended(model, optimizer, steps=20):
    """The model after steps that push every parameter down, and after as many up again and on."""
    params = eqx.filter(model, eqx.is_inexact_array)
    state = optimizer.init(params)

    @jax.jit
    @jax.numpy_dtype_promotion("standard")  # optax's Adam needs it
    def step(params, state, sign):
        grads = jax.tree.map(lambda p: sign + 0 * p, params)
        updates, state = optimizer.update(grads, state, params)
        return eqx.apply_updates(params, updates), state

    ends = []
    for sign, times in ((1.0, steps), (-1.0, 3 * steps)):
        for _ in range(times):
            params, state = step(params, state, sign)
        ends.append(eqx.combine(params, model))
    return ends


@pytest.mark.few(1)
@pytest.mark.parametrize("leak", LEAK_FAMILIES)
def test_adam_drives_decays_out_of_their_range_and_bounded_does_not(leak):
    model = Sequential(LIF(2, leak=leak, tau_mem=3e-3), Leaky(2, 0.9))
    lost = descended(model, optax.adam(0.5))[0]
    with pytest.raises(ValueError, match=r"`layers\[0\]\.leak\.\w+_mem\[0\]` must be from"):
        check_parameters(lost)
    ends = descended(model, bounded(optax.adam(0.5), model))
    for end in ends:
        check_parameters(end)
    np.testing.assert_array_equal(ends[0].layers[0].bias, lost.layers[0].bias)


def test_limits_of_a_chip_are_held():
    model = Sequential(LIF(2, tau_mem=20e-3), LIF(2))
    limits = {"taus": (1.3e-3, 0.07), "layers[1].threshold": (0.7, 1.1)}
    low, high = descended(model, bounded(optax.sgd(0.3), model, limits=limits))
    for end in (low, high):
        check_parameters(end, limits)
    np.testing.assert_allclose(low.layers[1].threshold, 0.7, rtol=1e-6)
    np.testing.assert_allclose(high.layers[0].leak.tau_mem, 0.07, rtol=1e-6)
    assert high.layers[0].threshold[0] > 2


def test_the_model_does_in_place_of_its_parameters():
    model = Sequential(LIF(2, tau_mem=3e-3))
    params = eqx.filter(model, eqx.is_inexact_array)
    decaying = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.5))
    optimizer = bounded(decaying, model)
    state, gradient = optimizer.init(params), jax.tree.map(jnp.ones_like, params)
    wanted, _ = optimizer.update(gradient, state, params)
    assert eqx.tree_equal(optimizer.update(gradient, state, model)[0], wanted)


def test_a_threshold_in_millivolts_may_have_either_sign():
    check_parameters(AdEx(2, threshold=-40.0))
    end = descended(AdEx(2), bounded(optax.sgd(30.0), AdEx(2)))[0]
    assert end.threshold < -100
    check_parameters(end)


def test_a_parameter_that_is_no_number_is_named():
    bias = jnp.array([0, np.nan, 0.0])
    bad = eqx.tree_at(lambda m: m.layers[0].bias, Sequential(LIF(3)), bias)
    with pytest.raises(ValueError, match=r"^`layers\[0\]\.bias\[1\]` must be a number; got nan$"):
        check_parameters(bad)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"layers[9].threshold": (0, 1)}, "`limits`: .* matches nothing"),
        ({"thresholds": (2.0, 1.0)}, r"`limits` leave `layers\[0\].threshold` no value"),
    ],
)
def test_limits_that_cannot_be_held_are_errors(limits, message):
    with pytest.raises(ValueError, match=message):
        bounded(optax.sgd(1.0), Sequential(LIF(2)), limits=limits)


def test_bounded_needs_the_parameters():
    optimizer = bounded(optax.sgd(1.0), LIF(2))
    params = eqx.filter(LIF(2), eqx.is_inexact_array)
    with pytest.raises(ValueError, match="`params` is needed"):
        optimizer.update(params, optimizer.init(params))
