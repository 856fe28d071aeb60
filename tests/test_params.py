"""Families of parameters, and which of them are trained."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Residual, Sequential, families, param, trainable
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
