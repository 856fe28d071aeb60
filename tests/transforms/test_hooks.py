"""Transforms of activations and states: which layers they reach, and what they do as these run."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Residual, Sequential, record, transforms
from snnjax.nn import Hooks
from snnjax.quant import Dropout, Int, StateQuant, Transform

from ._network import (
    LINEARS,
    NEURONS,
    Add,
    Double,
    Noise,
    arrays,
    assert_same,
    events,
    make,
    member,
    plain,
    run,
)


class Halve(Transform):
    def __call__(self, x, *, key=None, threshold=None):
        return x / 2


class ToThreshold(Transform):
    """Puts every state at the threshold of its neuron."""

    def __call__(self, x, *, key=None, threshold=None):
        return jnp.broadcast_to(threshold, x.shape)


def hooked(plan):
    """The transforms of outputs or states in a plan, by the path of the layer or state."""
    found = {}
    for path, module in [("", plan), *((f"layers[{i}].", m) for i, m in enumerate(plan.layers))]:
        inner = module.layers if isinstance(module, Residual) else ()
        for prefix, node in [
            (path, module),
            *((f"{path}layers[{i}].", m) for i, m in enumerate(inner)),
        ]:
            for field, text in (("on_output", "layers[{}]"), ("on_state", "{}")):
                hooks = getattr(node, field, None)
                if hooks is not None:
                    found |= {prefix + text.format(k): t for k, t in hooks.transforms.items()}
    return found


# ----- which layers a rule reaches


@pytest.mark.few(11)
@pytest.mark.parametrize(
    ("rule", "layers"),
    [
        ("layers[0]", LINEARS[:1]),
        ("layers[2].layers[1]", NEURONS[1:2]),
        ("layers[?]", ("layers[0]", "layers[1]", "layers[2]", "layers[3]", "layers[4]")),
        (re.compile(r"(.*\.)?layers\[0\]"), LINEARS[:2]),
        (eqx.nn.Linear, LINEARS),
        (LIF, NEURONS),
        (Residual, ("layers[2]",)),
        (eqx.Module, (*LINEARS, *NEURONS, "layers[2]")),
        ("Linear", LINEARS),
        ("LIF", NEURONS),
        ("Neuron", NEURONS),
        ("Chain", ("layers[2]",)),
    ],
)
def test_a_rule_for_activations_reaches_layers_by_path_class_and_name(rule, layers):
    plan = transforms.plan(make(), activations={rule: Double()})
    assert hooked(plan) == dict.fromkeys(layers, Double())


@pytest.mark.parametrize(
    ("rule", "states"),
    [
        ("layers[1].vmem", ("layers[1].vmem",)),
        ("*.isyn", tuple(f"{path}.isyn" for path in NEURONS)),
        ("layers[2].*", ("layers[2].layers[1].vmem", "layers[2].layers[1].isyn")),
        (re.compile(r"layers\[\d\]\.vmem"), ("layers[1].vmem", "layers[4].vmem")),
        ("LIF.vmem", tuple(f"{path}.vmem" for path in NEURONS)),
        ("LIF.*", tuple(f"{path}.{name}" for path in NEURONS for name in ("vmem", "isyn"))),
    ],
)
def test_a_rule_for_states_reaches_them_by_path_and_class(rule, states):
    plan = transforms.plan(make(), states={rule: Double()})
    assert hooked(plan) == dict.fromkeys(states, Double())


def test_the_last_of_several_rules_wins_and_none_takes_a_transform_away():
    outputs = {"Linear": Int(8), "layers[3]": Int(4), "layers[2].layers[0]": None}
    states = {"LIF.vmem": StateQuant(8), "layers[4].*": None, "layers[1].vmem": StateQuant(3)}
    plan = transforms.plan(make(), activations=outputs, states=states)
    assert hooked(plan) == {
        "layers[0]": Int(8),
        "layers[3]": Int(4),
        "layers[1].vmem": StateQuant(3),
        "layers[2].layers[1].vmem": StateQuant(8),
    }


def test_a_network_inside_another_module_is_found():
    class Model(eqx.Module):
        branches: dict

    model = Model({"a": make(), "b": [Sequential(LIF(2))]})
    rules = {"branches['b'][0].layers[0]": Double()}
    plan = transforms.plan(model, activations=rules, states={"branches['a'].layers[1].vmem": Add()})
    assert plan.branches["b"][0].on_output == Hooks({"0": Double()})
    assert plan.branches["a"].layers[1].on_state == Hooks({"vmem": Add()})
    assert plan.branches["a"].on_output is None
    x = jnp.ones((3, 2))
    applied = transforms.apply(plan, model).branches["b"][0]
    np.testing.assert_array_equal(applied(x)[0], 2 * model.branches["b"][0](x)[0])


@pytest.mark.parametrize(
    ("rule", "named"),
    [("layers[9]", "layers[9]"), ("Conv2d", "Conv2d"), (eqx.nn.Conv2d, "Conv2d")],
)
def test_a_rule_for_activations_that_reaches_nothing_is_an_error_that_lists_layers(rule, named):
    with pytest.raises(ValueError, match=r"`activations`: .* matches nothing") as error:
        transforms.plan(make(), activations={"Linear": Int(8), rule: Int(8)})
    assert named in str(error.value)
    assert all(path in str(error.value) for path in (*LINEARS, *NEURONS, "LIF, Linear, Residual"))


def test_a_model_without_layers_has_no_activations_to_transform():
    with pytest.raises(ValueError, match="There is: nothing, since the model is no network"):
        transforms.plan(make().layers[0], activations={"Linear": Int(8)})


@pytest.mark.parametrize("rule", ["layers[0].vmem", "LIF.spikes", "vmem", "Linear.vmem"])
def test_a_rule_for_states_that_reaches_nothing_is_an_error_that_lists_states(rule):
    with pytest.raises(ValueError, match=r"`states`: .* matches nothing") as error:
        transforms.plan(make(), states={rule: StateQuant()})
    listed = [f"{path}.{name}" for path in NEURONS for name in ("vmem", "isyn")]
    assert all(path in str(error.value) for path in (repr(rule), *listed, "LIF.isyn, LIF.vmem"))


def test_a_class_alone_does_not_say_which_state():
    with pytest.raises(ValueError, match=r"`states`: LIF does not say which.*'LIF\.vmem'"):
        transforms.plan(make(), states={LIF: StateQuant()})


# ----- what the transforms do


@pytest.mark.slow
def test_the_output_of_a_layer_is_transformed_before_the_next_takes_it():
    model, x = make(), events()
    before, after = (
        plain(model, x),
        run(transforms.plan(model, activations={"layers[0]": Halve()}), model),
    )
    np.testing.assert_array_equal(after["layers[0].output"], before["layers[0].output"] / 2)
    halved = eqx.tree_at(lambda m: m.layers[0], model, replace_fn=lambda m: lambda x: m(x) / 2)
    wanted = plain(halved, x)
    assert after.keys() == wanted.keys()
    for name, values in after.items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-6, atol=1e-6, err_msg=name)
    assert np.any(after["layers[4].vmem"] != before["layers[4].vmem"])


def test_the_output_of_a_residual_is_that_of_the_sum():
    model = make()
    before = plain(model)
    after = run(transforms.plan(model, activations={Residual: Double()}), model)
    np.testing.assert_array_equal(after["layers[2].output"], 2 * before["layers[2].output"])
    inner = "layers[2].layers[1].output"
    np.testing.assert_array_equal(after[inner], before[inner])


def test_activations_quantised_to_bits_have_so_many_levels():
    model, x = make(), events(40)
    plan = transforms.plan(model, activations={eqx.nn.Linear: Int(4)})
    before, after = plain(model, x), run(plan, model, x)
    for path in LINEARS:
        assert len(np.unique(before[f"{path}.output"])) > 15
        assert 3 < len(np.unique(after[f"{path}.output"])) <= 15


def test_a_state_is_transformed_within_the_loop_before_the_neurons_fire():
    model, x = Sequential(LIF(2, tau_mem=5e-3, tau_syn=5e-3)), 0.3 * jnp.ones((6, 2))
    plan = transforms.plan(model, states={"layers[0].vmem": Add(0.25), "layers[0].isyn": Halve()})
    got = run(plan, model, x)
    alpha = np.exp(np.float32(-1e-3 / 5e-3))
    vmem = isyn = 0.0
    for t in range(6):
        isyn = (isyn + 0.3) * alpha / 2
        vmem = vmem * alpha + isyn + 0.25
        spikes = np.floor(vmem)
        vmem -= spikes
        for name, value in (("isyn", isyn), ("vmem", vmem), ("spikes", spikes)):
            wanted = np.full(np.shape(got[f"layers[0].{name}"][t]), value)
            np.testing.assert_allclose(got[f"layers[0].{name}"][t], wanted, rtol=1e-5, err_msg=name)
    assert spikes == 1 or got["layers[0].spikes"].sum() > 0


def test_a_state_may_depend_on_the_thresholds_of_its_neurons():
    model = make()
    plan = transforms.plan(model, states={"layers[4].*": ToThreshold()})
    got = run(plan, model)
    np.testing.assert_array_equal(got["layers[4].spikes"], np.ones((12, 3)))
    wanted = np.broadcast_to(np.float32([0.5, 0.7, 0.9])[:, None], (12, 3, 1))
    np.testing.assert_array_equal(got["layers[4].isyn"], wanted)


def test_quantised_states_are_levels_relative_to_the_threshold():
    model, x = make(), 0.1 * events(60)
    transform = StateQuant(3)
    got = run(transforms.plan(model, states={"layers[4].vmem": transform}), model, x)
    thresholds = model.layers[4].threshold
    before_reset = got["layers[4].vmem"] + got["layers[4].spikes"] * thresholds
    levels = transform.levels(thresholds)
    distance = np.abs(np.asarray(before_reset)[..., None] - levels).min(-1)
    assert distance.max() < 1e-6
    assert len(np.unique(before_reset[:, 0])) > 2


def test_a_single_step_is_transformed_as_a_sequence_is():
    model, x = make(), events()
    plan = transforms.plan(
        model, activations={"layers[0]": Halve()}, states={"LIF.vmem": StateQuant(6)}
    )
    applied = transforms.apply(plan, model)
    whole, _ = eqx.filter_jit(applied)(x)
    step = eqx.filter_jit(lambda model, x, state: model.step(x, state))
    state, outputs = applied.initial_state(), []
    for x_t in x:
        y, state = step(applied, x_t, state)
        outputs.append(y)
    np.testing.assert_allclose(jnp.stack(outputs), whole, rtol=1e-5, atol=1e-6)
    assert whole.sum() > 0


# ----- the model stays as it is, and a plan of a transformed model starts from nothing


def test_the_model_given_is_unchanged():
    model, same = make(), make()
    plan = transforms.plan(
        model, {"weights": Int(3)}, activations={LIF: Double()}, states={"LIF.vmem": Add()}
    )
    applied = transforms.apply(plan, model)
    assert eqx.tree_equal(model, same)
    assert model.on_output is None
    assert model.layers[1].on_state is None
    assert applied.on_output is not None
    assert applied.layers[1].on_state is not None


def test_applying_a_second_plan_keeps_the_transforms_of_the_first_where_it_is_silent():
    model = make()
    first = transforms.plan(model, activations={"Linear": Double()}, states={"LIF.vmem": Add()})
    second = transforms.plan(model, activations={"layers[0]": Halve()})
    both = transforms.apply(second, transforms.apply(first, model))
    assert eqx.tree_equal(both, transforms.apply(transforms.merge(first, second), model))
    assert both.on_output == Hooks({"0": Halve(), "3": Double()})


def test_a_plan_of_a_transformed_model_holds_its_own_rules_alone():
    model = make()
    applied = transforms.apply(
        transforms.plan(model, activations={"Linear": Int(8)}, states={"LIF.vmem": StateQuant(4)}),
        model,
    )
    plan = transforms.plan(applied, where={"*": Double()})
    assert plan.on_output is None
    assert plan.layers[1].on_state is None
    twice = transforms.apply(plan, applied)
    assert twice.on_output == applied.on_output
    np.testing.assert_array_equal(twice.layers[1].threshold, 2 * model.layers[1].threshold)


# ----- randomness


def test_random_transforms_draw_from_the_key_of_the_call(key):
    model, x = make(), events()
    plan = transforms.plan(
        model, activations={"layers[0]": Noise()}, states={"layers[4].vmem": Noise()}
    )
    first, again = (run(plan, model, x, key) for _ in range(2))
    other = run(plan, model, x, jax.random.key(9))
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)
    assert not np.any(first["layers[0].output"] == other["layers[0].output"])


@pytest.mark.parametrize(
    "rules", [{"activations": {"layers[0]": Dropout(0.5)}}, {"states": {"LIF.vmem": Dropout(0.5)}}]
)
def test_a_random_transform_without_a_key_is_a_clear_error(rules):
    with pytest.raises(ValueError, match="`key` is needed by Dropout"):
        run(transforms.plan(make(), **rules), make())


@pytest.mark.slow
def test_what_a_random_transform_draws_does_not_depend_on_what_else_is_in_the_plan(key):
    model = make()
    alone = {"activations": {"layers[0]": Noise()}, "states": {"layers[1].isyn": Noise()}}
    among = {
        "activations": {"Linear": Noise(), LIF: Double()},
        # Nor does a state's draw depend on the other state of the same neurons.
        "states": {"*.isyn": Noise(), "layers[1].vmem": Noise()},
    }
    a, b = (run(transforms.plan(model, **rules), model, key=key) for rules in (alone, among))
    for name in ("layers[0].output", "layers[1].isyn"):
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert np.any(a["layers[1].vmem"] != b["layers[1].vmem"])


def test_layers_steps_and_states_draw_independently(key):
    class Draw(Transform):
        def __call__(self, x, *, key=None, threshold=None):
            return jax.random.normal(key, x.shape, x.dtype)

    model = make()
    plan = transforms.plan(model, activations={"Linear": Draw()}, states={"LIF.isyn": Draw()})
    got = run(plan, model, key=key)
    draws = [got[f"{path}.output"].ravel() for path in LINEARS]
    draws += [got[f"{path}.isyn"].ravel() for path in NEURONS]
    values = np.concatenate(draws)
    assert len(np.unique(values)) == len(values)


# ----- jit, gradients, ensembles and sweeps


PLAN = {
    "activations": {"Linear": Int(5)},
    "states": {"LIF.vmem": StateQuant(6, upper_limit=3.0), "*.isyn": Add(0.05)},
}


@eqx.filter_jit
def last_vmem(plan, model, x):
    return transforms.apply(plan, model)(x)[1][-1].vmem


@pytest.mark.slow
def test_a_transformed_network_is_the_same_under_jit():
    model, x = make(), events()
    plan = transforms.plan(model, {"weights": Int(4)}, **PLAN)
    forward = lambda plan, model, x: record(transforms.apply(plan, model), x)[2]  # noqa: E731
    eager, jitted = forward(plan, model, x), eqx.filter_jit(forward)(plan, model, x)
    assert eager.keys() == jitted.keys()
    for name, values in eager.items():
        np.testing.assert_allclose(values, jitted[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_gradients_go_through_every_kind_of_transform():
    model, x = make(), events()
    plan = transforms.plan(model, {"weights": Int(6), "decays": Halve()}, **PLAN)

    @eqx.filter_jit
    @eqx.filter_grad
    def grads(model):
        y, state = transforms.apply(plan, model)(x)
        return (y * jnp.arange(3.0)).sum() + state[-1].vmem.sum()

    found = arrays(grads(model))
    assert found.keys() == arrays(model).keys()
    for path, g in found.items():
        assert np.all(np.isfinite(g)), path
        assert np.any(g != 0), path


def test_the_settings_of_a_transform_of_activations_can_be_trained():
    model, x = make(), events()
    scale = Int.learned(model.layers[0].weight, 4)
    plan = transforms.plan(
        model, activations={"layers[0]": scale}, states={"LIF.vmem": Add(jnp.float32(0.1))}
    )

    @eqx.filter_jit
    @eqx.filter_grad
    def grads(plan):
        return transforms.apply(plan, model)(x)[1][-1].vmem.sum()

    found = grads(plan)
    assert found.on_output.transforms["0"].value != 0
    assert found.layers[4].on_state.transforms["vmem"].amount != 0


@pytest.mark.slow
def test_an_ensemble_of_models_is_transformed_as_its_members_are(key):
    keys, x = jax.random.split(key, 3), events()
    plan = transforms.plan(make(), {"weights": Int(4, scale="learned")}, **PLAN)

    @eqx.filter_jit
    @eqx.filter_vmap
    def outputs(key):
        model = make(key)
        own = transforms.plan(model, {"weights": Int(4, scale="learned")}, **PLAN)
        return last_vmem(own, model, x)

    @eqx.filter_jit
    def same_plan(models):
        return eqx.filter_vmap(lambda model: last_vmem(plan, model, x))(models)

    ensemble = eqx.filter_jit(eqx.filter_vmap(make))(keys)
    own, shared = outputs(keys), same_plan(ensemble)
    for i, one in enumerate(keys):
        model = make(one)
        fresh = transforms.plan(model, {"weights": Int(4, scale="learned")}, **PLAN)
        for got, rules in ((own, fresh), (shared, plan)):
            np.testing.assert_allclose(got[i], last_vmem(rules, model, x), atol=1e-5)
    assert np.any(own[0] != own[1])


@pytest.mark.slow
def test_a_sweep_over_bit_widths_is_one_compiled_call():
    model, x, bits = make(), events(), jnp.array([2, 4, 8])
    traced = []

    def rules(bits):
        return {
            "by_family": {"weights": Int(bits), "biases": Int(bits, axis=0)},
            "activations": {"Linear": Int(bits)},
            "states": {"LIF.vmem": StateQuant(bits)},
        }

    @eqx.filter_jit
    def sweep(plans):
        traced.append(1)
        return eqx.filter_vmap(lambda plan: record(transforms.apply(plan, model), x)[2])(plans)

    swept = sweep(transforms.plan(model, **rules(bits)))
    sweep(transforms.plan(model, **rules(bits + 1)))
    assert len(traced) == 1
    for i in range(len(bits)):
        wanted = run(transforms.plan(model, **rules(int(bits[i]))), model, x)
        for name in ("layers[0].output", "layers[1].vmem", "layers[1].spikes", "layers[4].vmem"):
            np.testing.assert_allclose(
                swept[name][i], wanted[name], atol=2e-5, err_msg=f"{bits[i]} bits, {name}"
            )
    first = [len(np.unique(values)) for values in swept["layers[0].output"]]
    assert first == sorted(first)
    assert first[0] <= 3 < first[-1]


@pytest.mark.slow
def test_a_sweep_and_an_ensemble_go_together(key):
    x, bits = events(), jnp.array([2, 4, 8])
    models = eqx.filter_jit(eqx.filter_vmap(make))(jax.random.split(key, 2))
    plans = transforms.plan(
        make(), {"weights": Int(bits)}, activations={"Linear": Add(jnp.array([0.0, 0.1, 0.2]))}
    )

    @eqx.filter_jit
    def grid(plans, models):
        def one(plan, model):
            return last_vmem(plan, model, x)

        over_models = eqx.filter_vmap(one, in_axes=(None, eqx.if_array(0)))
        return eqx.filter_vmap(over_models, in_axes=(eqx.if_array(0), None))(plans, models)

    got = grid(plans, models)
    assert got.shape == (3, 2, 3)
    for i in range(3):
        for j in range(2):
            wanted = last_vmem(member(plans, i), member(models, j), x)
            np.testing.assert_allclose(got[i, j], wanted, atol=1e-5)


@pytest.mark.slow
def test_a_batch_is_mapped_over_a_model_that_was_transformed_once(key):
    model, batch = make(), events(batch=(4,))
    plan = transforms.plan(model, {"weights": Noise()}, states={"LIF.vmem": StateQuant(5)})
    applied = transforms.apply(plan, model, key=key)
    got, _ = eqx.filter_jit(jax.vmap(applied))(batch)
    for i, x in enumerate(batch):
        np.testing.assert_allclose(got[i], applied(x)[0], atol=1e-5)
    assert_same(
        transforms.burn_in(plan, model, key=key),
        eqx.tree_at(
            lambda m: [m.layers[1].on_state, m.layers[2].layers[1].on_state, m.layers[4].on_state],
            applied,
            [None] * 3,
        ),
    )
