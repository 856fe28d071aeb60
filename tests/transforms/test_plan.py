"""Plans: which transform each parameter goes through, and what comes of applying them."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Residual, Sequential, families, transforms
from snnjax._tree import leaves_with_path
from snnjax.quant import Bitshift, Int, Transform


class Noise(Transform):
    """Adds random numbers."""

    std: float = 0.1

    def __call__(self, x, *, key=None, **kwargs):
        assert key is not None
        return x + self.std * jax.random.normal(key, x.shape, x.dtype)


class Double(Transform):
    def __call__(self, x, *, key=None, **kwargs):
        return 2 * x


def make(key=None, hidden=3):
    """A small network with parameters of every family but taus and bit shifts."""
    keys = jax.random.split(jax.random.key(0) if key is None else key, 3)
    return Sequential(
        eqx.nn.Linear(2, hidden, key=keys[0]),
        LIF(hidden, leak="decays", bias=0.1, threshold=0.3),
        Residual(
            eqx.nn.Linear(hidden, hidden, use_bias=False, key=keys[1]),
            LIF(hidden, leak="decays", recurrent=True, bias=None, key=keys[2]),
        ),
    )


def changed(before, after):
    """The paths of the parameters that differ."""
    pairs = zip(leaves_with_path(before), leaves_with_path(after), strict=True)
    return {path for (path, a), (_, b) in pairs if not np.array_equal(a, b)}


def rules(plan):
    """The transforms of a plan by path."""
    return dict(leaves_with_path(plan, is_leaf=lambda node: isinstance(node, Transform)))


def paths_of(family):
    return {path for path, f in families(make()).items() if f == family}


# ----- making a plan


def test_a_rule_by_family_reaches_every_parameter_of_the_family():
    plan = transforms.plan(make(), {"weights": Int(8), "decays": Bitshift()})
    weights = dict.fromkeys(paths_of("weights"), Int(8))
    assert rules(plan) == {**weights, **dict.fromkeys(paths_of("decays"), Bitshift())}


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("layers[0].weight", {"layers[0].weight"}),
        ("layers[?].weight", {"layers[0].weight"}),
        ("*.weight", {"layers[0].weight", "layers[2].layers[0].weight"}),
        ("layers[2].*.w_rec", {"layers[2].layers[1].w_rec"}),
        (re.compile(r"layers\[[01]\]\.bias"), {"layers[0].bias", "layers[1].bias"}),
    ],
)
def test_a_rule_by_path_reaches_the_parameters_that_match(pattern, paths):
    assert rules(transforms.plan(make(), where={pattern: Double()})) == dict.fromkeys(
        paths, Double()
    )


def test_a_rule_by_path_wins_over_one_by_family():
    plan = transforms.plan(make(), {"weights": Int(8)}, where={"layers[0].weight": Int(4)})
    assert rules(plan)["layers[0].weight"] == Int(4)
    assert rules(plan)["layers[2].layers[0].weight"] == Int(8)


def test_a_later_rule_by_path_wins_over_an_earlier_one():
    plan = transforms.plan(make(), where={"*.weight": Int(8), "layers[0].*": Int(2)})
    assert rules(plan)["layers[0].weight"] == Int(2)
    plan = transforms.plan(make(), where={"layers[0].*": Int(2), "*.weight": Int(8)})
    assert rules(plan)["layers[0].weight"] == Int(8)


def test_none_leaves_a_parameter_as_it_is():
    plan = transforms.plan(make(), {"weights": Int(8)}, where={"layers[0].weight": None})
    assert set(rules(plan)) == paths_of("weights") - {"layers[0].weight"}


def test_a_plan_prints_its_transforms_by_layer():
    plan = transforms.plan(make(), {"weights": Int(8)})
    lines = str(plan).splitlines()
    assert type(plan) is Sequential
    assert lines[0] == "Sequential"
    assert lines[1].endswith(f"(weight: {Int(8)})")
    assert "(" not in lines[2]
    assert plan.layers[0].weight == Int(8)
    assert plan.layers[1].threshold is None


def test_a_family_that_the_model_does_not_have_is_an_error_that_lists_those_it_has():
    with pytest.raises(ValueError, match="no parameter of the family 'bitshifts'") as error:
        transforms.plan(make(), {"weights": Int(8), "bitshifts": Int(8)})
    assert "biases, decays, thresholds, weights" in str(error.value)


def test_a_pattern_that_matches_nothing_is_an_error_that_lists_the_paths():
    with pytest.raises(ValueError, match=r"`where`: 'layers.9..weight' matches nothing") as error:
        transforms.plan(make(), where={"layers[9].weight": Int(8)})
    assert all(path in str(error.value) for path in families(make()))


@pytest.mark.parametrize("rule", [8, "int8", Int])
@pytest.mark.parametrize("argument", ["by_family", "where"])
def test_a_rule_that_is_no_transform_is_an_error(argument, rule):
    name = {"by_family": "weights", "where": "layers[0].weight"}[argument]
    with pytest.raises(TypeError, match=f"`{argument}`: '{re.escape(name)}' must have a Transform"):
        transforms.plan(make(), **{argument: {name: rule}})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"by_family": Int(8)}, "`by_family` must be a dictionary of transforms by a family; got"),
        ({"states": ["LIF.vmem"]}, "`states` must be a dictionary .*; got list"),
        ({"by_family": {eqx.nn.Linear: Int(8)}}, "`by_family`: a rule goes by a family; got"),
        ({"where": {0: Int(8)}}, "`where`: a rule goes by a path, .*; got 0"),
        ({"where": {eqx.nn.Linear: Int(8)}}, "`where`: a rule goes by a path, .*Linear"),
        ({"activations": {0: Int(8)}}, "`activations`: a rule goes by a path, .* a class; got 0"),
        ({"states": {("LIF", "vmem"): Int(8)}}, "`states`: a rule goes by .*'LIF.vmem'; got"),
    ],
)
def test_what_is_no_dictionary_of_names_is_an_error(rules, message):
    with pytest.raises(TypeError, match=message):
        transforms.plan(make(), **rules)


@pytest.mark.parametrize(
    "use",
    [
        lambda plan, model: transforms.apply(model, plan),
        lambda plan, model: transforms.burn_in(model, model),
        lambda plan, model: transforms.merge(plan, model),
        lambda plan, model: transforms.merge(model, plan),
        lambda plan, model: transforms.report(model, plan),
        lambda plan, model: transforms.rules(model),
    ],
)
def test_a_model_in_place_of_a_plan_is_an_error_that_asks_so(use):
    model = make()
    with pytest.raises(TypeError, match=r"`plan` must be .* holds f32.* is it the model\?"):
        use(transforms.plan(model, {"weights": Int(8)}), model)


@pytest.mark.parametrize("rule", [None, Int(8)])
def test_a_rule_in_place_of_a_plan_is_an_error(rule):
    with pytest.raises(TypeError, match=r"`plan` must be what `plan\(model, ...\)` gave; got"):
        transforms.apply(rule, make())


# ----- applying it


def test_applying_transforms_the_parameters_with_a_rule_and_no_others():
    model = make()
    after = transforms.apply(transforms.plan(model, {"weights": Double()}), model)
    assert changed(model, after) == paths_of("weights")
    np.testing.assert_array_equal(after.layers[0].weight, 2 * model.layers[0].weight)


def test_applying_leaves_the_model_as_it_was():
    model, same = make(), make()
    transforms.apply(transforms.plan(model, {"weights": Int(2)}), model)
    assert changed(model, same) == set()


def test_an_empty_plan_changes_nothing():
    model = make()
    assert changed(model, transforms.apply(transforms.plan(model), model)) == set()


def test_the_result_is_a_model_that_runs_with_the_new_parameters():
    model, x = make(), jnp.ones((10, 2))
    after = transforms.apply(transforms.plan(model, {"thresholds": Double()}), model)
    doubled = eqx.tree_at(
        lambda m: (m.layers[1].threshold, m.layers[2].layers[1].threshold),
        model,
        (2 * model.layers[1].threshold, 2 * model.layers[2].layers[1].threshold),
    )
    np.testing.assert_array_equal(after(x)[0], doubled(x)[0])
    assert np.any(after(x)[0] != model(x)[0])


def test_applying_quantisers_again_changes_nothing():
    model = make()
    plan = transforms.plan(model, {"weights": Int(4), "biases": Int(3), "decays": Bitshift()})
    once = transforms.apply(plan, model)
    twice = transforms.apply(plan, once)
    assert changed(model, once)
    for (path, a), (_, b) in zip(leaves_with_path(once), leaves_with_path(twice), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=path)


def test_a_loss_is_differentiated_through_the_transforms():
    model = make()
    plan = transforms.plan(model, {"weights": Int(3), "biases": Double()})

    def loss(model):
        after = transforms.apply(plan, model)
        return after.layers[0].weight.sum() + after.layers[1].bias.sum()

    grads = eqx.filter_grad(loss)(model)
    np.testing.assert_array_equal(grads.layers[0].weight, np.ones((3, 2)))
    np.testing.assert_array_equal(grads.layers[1].bias, np.full(3, 2.0))


def test_applying_is_the_same_under_jit(key):
    model = make()
    plan = transforms.plan(model, {"weights": Int(4), "thresholds": Noise()})
    eager = transforms.apply(plan, model, key=key)
    jitted = eqx.filter_jit(transforms.apply)(plan, model, key=key)
    for (path, a), (_, b) in zip(leaves_with_path(eager), leaves_with_path(jitted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=path)


def test_a_plan_can_be_made_under_jit():
    def once(model):
        return transforms.apply(transforms.plan(model, {"weights": Int(4)}), model)

    jitted, eager = eqx.filter_jit(once)(make()), once(make())
    np.testing.assert_allclose(jitted.layers[0].weight, eager.layers[0].weight, rtol=1e-6)


def test_a_plan_is_applied_to_every_member_of_an_ensemble(key):
    keys = jax.random.split(key, 3)
    ensemble = eqx.filter_vmap(make)(keys)
    plan = transforms.plan(make(), {"weights": Int(3), "decays": Bitshift()})
    apply = eqx.filter_vmap(transforms.apply, in_axes=(None, eqx.if_array(0)))
    after = eqx.filter_jit(apply)(plan, ensemble)
    for i, one in enumerate(keys):
        wanted = transforms.apply(plan, make(one))
        mine = jax.tree.map(lambda leaf, i=i: leaf[i] if eqx.is_array(leaf) else leaf, after)
        for (path, a), (_, b) in zip(leaves_with_path(mine), leaves_with_path(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=path)


# ----- randomness


def test_every_parameter_has_a_key_of_its_own(key):
    model = eqx.tree_at(lambda m: m.layers[0].weight, make(), jnp.zeros((3, 3)))
    model = eqx.tree_at(lambda m: m.layers[2].layers[0].weight, model, jnp.zeros((3, 3)))
    after = transforms.apply(transforms.plan(model, {"weights": Noise()}), model, key=key)
    assert not np.any(after.layers[0].weight == after.layers[2].layers[0].weight)


def test_the_same_key_gives_the_same_result_whatever_else_is_in_the_plan(key):
    model = make()
    alone = transforms.plan(model, where={"layers[2].layers[0].weight": Noise()})
    among = transforms.plan(model, {"weights": Noise(), "biases": Noise(), "decays": Bitshift()})
    a, b = (transforms.apply(plan, model, key=key) for plan in (alone, among))
    weight = a.layers[2].layers[0].weight
    np.testing.assert_array_equal(weight, b.layers[2].layers[0].weight)
    other = transforms.apply(alone, model, key=jax.random.key(1))
    assert not np.any(weight == other.layers[2].layers[0].weight)


# ----- plans of other models


@pytest.mark.parametrize(
    "other",
    [
        lambda: make(hidden=4),
        lambda: Sequential(*make().layers[:2]),
        lambda: Residual(*make().layers),
        lambda: make().layers[0],
        lambda: Sequential(make().layers[1], make().layers[0], make().layers[2]),
    ],
    ids=["sizes", "fewer layers", "another class", "a part", "another order"],
)
def test_a_plan_of_another_model_is_an_error_that_says_so(other):
    plan = transforms.plan(other(), {"weights": Int(8)})
    with pytest.raises(ValueError, match="`plan` was made for a model of another structure"):
        transforms.apply(plan, make())


def test_a_rule_for_a_parameter_that_the_model_does_not_have_is_an_error_that_names_it():
    with_bias, without = Sequential(LIF(3)), Sequential(LIF(3, bias=None))
    plan = transforms.plan(with_bias, {"biases": Int(8)})
    with pytest.raises(ValueError, match=r"`layers\[0\]\.bias`"):
        transforms.apply(plan, without)


def test_a_plan_fits_other_values_of_the_same_structure(key):
    plan, other = transforms.plan(make(), {"weights": Double()}), make(key=jax.random.key(5))
    after = transforms.apply(plan, other)
    np.testing.assert_array_equal(after.layers[0].weight, 2 * other.layers[0].weight)


def test_a_transform_of_decays_is_refused_for_anything_else():
    """As a decay factor, a time constant of 20 ms would become one of 0.5."""
    model = LIF(3)
    with pytest.raises(
        ValueError, match=r"Bitshift is for decays, but `leak\.tau_mem` is one of taus"
    ):
        transforms.plan(model, {"taus": Bitshift()})
