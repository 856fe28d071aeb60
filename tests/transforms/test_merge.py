"""Putting plans together, and what is left of a plan after training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from snnjax import LIF, Sequential, transforms
from snnjax.nn import Hooks
from snnjax.quant import (
    Binary,
    Bitshift,
    Clip,
    DeterministicRounding,
    Dropout,
    Int,
    IntQuant,
    Prune,
    Round,
    StateQuant,
    StochasticRounding,
    Ternary,
)

from ._network import Add, Double, Noise, arrays, assert_same, events, make, member

# ----- merge


def test_merging_keeps_the_rules_of_both_and_the_second_wins():
    model = make()
    first = transforms.plan(model, {"weights": Int(8), "decays": Bitshift()})
    second = transforms.plan(model, {"biases": Int(4)}, where={"layers[0].weight": Int(2)})
    merged = transforms.merge(first, second)
    rules = {"weights": Int(8), "decays": Bitshift(), "biases": Int(4)}
    assert merged == transforms.plan(model, rules, where={"layers[0].weight": Int(2)})


def test_merging_keeps_activations_and_states_of_both_and_the_second_wins():
    model = make()
    first = transforms.plan(
        model,
        activations={"Linear": Int(8)},
        states={"LIF.vmem": StateQuant(8), "layers[1].isyn": Double()},
    )
    second = transforms.plan(
        model,
        activations={"layers[3]": Int(4), LIF: Double()},
        states={"layers[1].vmem": StateQuant(3), "layers[4].isyn": Add()},
    )
    merged = transforms.merge(first, second)
    assert merged == transforms.plan(
        model,
        activations={"Linear": Int(8), "layers[3]": Int(4), LIF: Double()},
        states={
            "LIF.vmem": StateQuant(8),
            "layers[1].vmem": StateQuant(3),
            "layers[1].isyn": Double(),
            "layers[4].isyn": Add(),
        },
    )
    assert merged.layers[1].on_state == Hooks({"vmem": StateQuant(3), "isyn": Double()})


def test_merging_changes_neither_of_the_two():
    model = make()

    def plans():
        return (
            transforms.plan(model, {"weights": Int(8)}, activations={"Linear": Int(8)}),
            transforms.plan(model, {"weights": Int(2)}, activations={"Linear": Int(2)}),
        )

    first, second = plans()
    assert transforms.merge(first, second) == second
    assert transforms.merge(second, first) == first
    assert (first, second) == plans()


def test_a_plan_that_says_nothing_changes_nothing_in_a_merge():
    model = make()
    plan = transforms.plan(model, {"weights": Int(8)}, states={"LIF.vmem": StateQuant()})
    nothing = transforms.plan(model)
    assert transforms.merge(plan, nothing) == plan
    assert transforms.merge(nothing, plan) == plan


def test_what_is_learned_is_merged_with_its_transform():
    model = make()
    plan = transforms.plan(model, {"weights": Int(4, scale="learned")})
    trained = eqx.tree_at(lambda p: p.layers[0].weight.value, plan, jnp.float32(0.25))
    merged = transforms.merge(transforms.plan(model, {"biases": Double()}), trained)
    assert merged.layers[0].weight.value == 0.25
    assert merged.layers[0].bias == Double()


def test_plans_of_different_models_cannot_be_merged():
    one, other = make(), Sequential(*make().layers[:2])
    for a, b in ((one, other), (other, one)):
        with pytest.raises(ValueError, match="made for a model of another structure"):
            transforms.merge(transforms.plan(a), transforms.plan(b))


def test_merging_works_under_jit_and_vmap():
    model, bits = make(), jnp.array([2, 4, 8])
    fixed = transforms.plan(model, {"biases": Double()})

    @eqx.filter_jit
    @eqx.filter_vmap
    def sweep(plan):
        return transforms.apply(transforms.merge(fixed, plan), model)

    swept = sweep(transforms.plan(model, {"weights": Int(bits)}))
    for i, b in enumerate((2, 4, 8)):
        plan = transforms.plan(model, {"weights": Int(b), "biases": Double()})
        assert_same(member(swept, i), transforms.apply(plan, model), rtol=1e-6)


# ----- burn-in

DETERMINISTIC = [
    Int(2),
    Int(4),
    Int(8, axis=0),
    Int(5, symmetric=False),
    Int(4, narrow=False),
    Int(6, scale="power_of_two"),
    Int(4, scale="learned"),
    Binary(),
    Ternary(),
    Clip(-0.2, 0.2),
    DeterministicRounding(16),
    DeterministicRounding(15, grid="zero"),
    DeterministicRounding(9, maintain_zero=False),
    IntQuant(4),
    Prune(0.4),
    Round(0.05),
]


@pytest.mark.few(5)
@pytest.mark.parametrize("transform", DETERMINISTIC, ids=str)
def test_burning_in_twice_is_burning_in_once(transform):
    model = make()
    plan = transforms.plan(model, {"weights": transform, "decays": Bitshift()})
    once = transforms.burn_in(plan, model)
    assert np.any(once.layers[0].weight != model.layers[0].weight)
    # A scale that is computed anew from what it made may differ in its last bit.
    assert_same(transforms.burn_in(plan, once), once, rtol=3e-7, atol=1e-7)


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**16),
    bits=st.integers(2, 12),
    size=st.floats(1e-3, 1e3),
    zeros=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_burning_in_integers_is_idempotent_for_any_weights(seed, bits, size, zeros):
    keys = jax.random.split(jax.random.key(seed))
    weight = size * jax.random.normal(keys[0], (5, 3))
    weight = jnp.where(jax.random.uniform(keys[1], (5, 3)) < zeros, 0, weight)
    model = eqx.tree_at(lambda m: m.layers[0].weight, make(), weight)
    plan = transforms.plan(model, where={"layers[0].weight": Int(bits)})
    once = transforms.burn_in(plan, model)
    assert_same(transforms.burn_in(plan, once), once, rtol=3e-7)
    assert len(np.unique(once.layers[0].weight)) <= 2**bits - 1


def test_stochastic_rounding_has_nothing_left_to_round_after_burn_in(key):
    model = make()
    plan = transforms.plan(model, {"weights": StochasticRounding(16)})
    once = transforms.burn_in(plan, model, key=key)
    assert np.any(once.layers[0].weight != model.layers[0].weight)
    other = jax.random.key(1)
    assert_same(transforms.burn_in(plan, once, key=other), once, rtol=1e-6)


def test_burn_in_leaves_transforms_of_activations_and_states_out():
    model = make()
    plan = transforms.plan(
        model, {"weights": Int(3)}, activations={"Linear": Int(4)}, states={"LIF.vmem": Double()}
    )
    burned = transforms.burn_in(plan, model)
    weights_only = transforms.plan(model, {"weights": Int(3)})
    assert eqx.tree_equal(burned, transforms.apply(weights_only, model))
    assert burned.on_output is None
    assert burned.layers[1].on_state is None
    assert jax.tree.structure(burned) == jax.tree.structure(model)


def test_burn_in_of_an_applied_model_keeps_the_transforms_that_it_has():
    model = make()
    plan = transforms.plan(model, {"weights": Int(3)}, states={"LIF.vmem": Double()})
    applied = transforms.apply(plan, model)
    burned = transforms.burn_in(plan, applied)
    assert burned.layers[1].on_state == applied.layers[1].on_state


def test_burn_in_gives_the_parameters_that_apply_gives_with_the_same_key(key):
    model = make()
    plan = transforms.plan(
        model, {"weights": StochasticRounding(8), "biases": Dropout(0.5), "thresholds": Noise()}
    )
    applied, burned = (f(plan, model, key=key) for f in (transforms.apply, transforms.burn_in))
    assert_same(applied, burned)
    again = transforms.burn_in(plan, model, key=key)
    assert_same(again, burned)
    other = arrays(transforms.burn_in(plan, model, key=jax.random.key(7)))
    assert any(np.any(leaf != other[path]) for path, leaf in arrays(burned).items())


def test_what_a_parameter_draws_does_not_depend_on_what_else_is_in_the_plan(key):
    model = make()
    rest = {"decays": Bitshift(), "weights": Noise(), "thresholds": Noise()}
    plans = [
        transforms.plan(model, {"biases": Noise()}),
        transforms.plan(model, {"biases": Noise(), **rest}),
        transforms.merge(transforms.plan(model, rest), transforms.plan(model, {"biases": Noise()})),
        transforms.plan(
            model, {"biases": Noise()}, activations={"LIF": Noise()}, states={"*.vmem": Noise()}
        ),
    ]
    first, *others = (transforms.burn_in(plan, model, key=key) for plan in plans)
    for other in others:
        for path, leaf in arrays(first).items():
            if path.endswith("bias"):
                np.testing.assert_array_equal(leaf, arrays(other)[path], err_msg=path)
                assert np.any(leaf != arrays(model)[path])


def test_burn_in_without_a_key_is_a_clear_error_where_something_is_random():
    model = make()
    plan = transforms.plan(model, {"weights": StochasticRounding()})
    with pytest.raises(ValueError, match="`key` is needed by StochasticRounding"):
        transforms.burn_in(plan, model)


def test_a_seed_in_place_of_a_key_is_an_error():
    model = make()
    plan = transforms.plan(model, {"weights": StochasticRounding(8)})
    with pytest.raises(TypeError, match=r"`key` must be a key, jax.random.key\(3\); got 3"):
        transforms.burn_in(plan, model, key=3)


@pytest.mark.slow
def test_burn_in_works_under_jit_and_over_an_ensemble(key):
    keys = jax.random.split(key, 3)
    models = eqx.filter_vmap(make)(keys)
    plan = transforms.plan(make(), {"weights": Int(3), "biases": Noise()}, states={"*.vmem": Add()})
    burn = eqx.filter_jit(
        eqx.filter_vmap(
            lambda model, key: transforms.burn_in(plan, model, key=key),
            in_axes=(eqx.if_array(0), 0),
        )
    )
    burned = burn(models, keys)
    for i, one in enumerate(keys):
        assert_same(
            member(burned, i), transforms.burn_in(plan, make(one), key=one), rtol=1e-6, atol=1e-7
        )


def test_the_model_that_was_burned_in_runs_as_the_one_that_was_trained():
    model, x = make(), events()
    plan = transforms.plan(model, {"weights": Int(4), "decays": Bitshift()})
    a, b = (f(plan, model)(x) for f in (transforms.apply, transforms.burn_in))
    assert eqx.tree_equal(a, b)
    assert a[0].sum() > 0


def test_the_gradient_of_burn_in_reaches_the_parameters():
    model = make()
    plan = transforms.plan(model, {"weights": Int(4)})
    grads = eqx.filter_grad(lambda m: transforms.burn_in(plan, m).layers[0].weight.sum())(model)
    np.testing.assert_array_equal(grads.layers[0].weight, np.ones((5, 3)))
