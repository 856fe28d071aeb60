"""Plans as files: what is written is what is read, and what is wrong is named."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import Sequential, quant, transforms
from snnjax.quant import (
    Binary,
    Bitshift,
    Clip,
    DeterministicRounding,
    Dropout,
    Int,
    IntQuant,
    Mismatch,
    Prune,
    Round,
    StateQuant,
    StochasticRounding,
    Ternary,
    Transform,
)

from ._network import NEURONS, Double, make

ALL = [
    Binary(axis=0),
    Bitshift(),
    Bitshift(max_dash=7, mode="tau"),
    Clip(low=-0.5),
    Clip(-1.0, float("inf"), passthrough=True),
    DeterministicRounding(15, grid="zero"),
    DeterministicRounding(9, input_range=[-1.0, 1.0], output_range=[-2, 2.5], clip=True),
    Dropout(0.25, rescale=True),
    Dropout(0.25, shared=0),
    Int(4),
    Int(8, axis=0, scale="power_of_two"),
    Int(6, symmetric=False, scale="percentile", percentile=99.0),
    IntQuant(3, map_to_max=True),
    Mismatch(0.05),
    Prune(0.5, axis=1),
    Round(1),
    Round(0.125),
    StateQuant(5, uniform=False, thr_centered=False, threshold=2.0, lower_limit=0.1),
    StochasticRounding(16, maintain_zero=False),
    Ternary(cut=0.5),
]


def write(path, text):
    path = path / "plan.toml"
    path.write_text(text)
    return path


def again(plan, model, path):
    """A plan that was written to a file and read from it."""
    transforms.dump(plan, path / "plan.toml")
    return transforms.plan(model, **transforms.load(path / "plan.toml")._asdict())


# ----- what is written is what is read


def test_every_transform_that_there_is_takes_part():
    classes = {c for c in vars(quant).values() if isinstance(c, type) and issubclass(c, Transform)}
    assert {type(transform) for transform in ALL} == classes - {Transform}


@pytest.mark.few(19)
@pytest.mark.parametrize("transform", ALL, ids=str)
def test_a_transform_comes_back_with_its_settings(transform, tmp_path):
    model = make()
    plan = transforms.plan(
        model,
        where={"*.alpha_mem" if transform.families else "layers[0].weight": transform},
        activations={"layers[3]": transform},
        states={"layers[1].isyn": transform},
    )
    back = again(plan, model, tmp_path)
    assert eqx.tree_equal(back, plan)
    assert repr(back) == repr(plan)


def test_a_plan_of_every_kind_comes_back(tmp_path):
    model = make()
    plan = transforms.plan(
        model,
        {"weights": Int(4), "decays": Bitshift(), "biases": None},
        where={"layers[2].*.weight": Int(8, axis=0), "layers[3].weight": None},
        activations={eqx.nn.Linear: Int(8), "layers[2].layers[1]": Clip(0, 3)},
        states={"LIF.vmem": StateQuant(6), "layers[4].isyn": Round(0.5)},
    )
    assert eqx.tree_equal(again(plan, model, tmp_path), plan)


def test_the_rules_of_a_plan_are_those_of_its_file(tmp_path):
    plan = transforms.plan(
        make(),
        {"weights": Int(4)},
        activations={"LIF": Int(8)},
        states={"LIF.vmem": StateQuant(6), "layers[4].isyn": Round(0.5)},
    )
    transforms.dump(plan, tmp_path / "plan.toml")
    assert transforms.rules(plan) == transforms.load(tmp_path / "plan.toml")
    assert set(transforms.rules(plan).activations) == set(NEURONS)


def test_an_empty_plan_is_an_empty_file(tmp_path):
    model = make()
    assert eqx.tree_equal(again(transforms.plan(model), model, tmp_path), transforms.plan(model))
    assert (tmp_path / "plan.toml").read_text() == ""


def test_paths_with_quotes_and_letters_of_any_language_come_back(tmp_path):
    model = {"größe": make(), 'a"b': Sequential(*make().layers[:2])}
    plan = transforms.plan(model, {"weights": Int(4)}, states={"LIF.vmem": StateQuant(3)})
    assert eqx.tree_equal(again(plan, model, tmp_path), plan)


def test_a_learned_scale_starts_afresh_from_a_file(tmp_path):
    model = make()
    plan = transforms.plan(model, {"weights": Int(4, scale="learned")})
    trained = jax.tree.map(lambda leaf: 3 * leaf if eqx.is_array(leaf) else leaf, plan)
    back = again(trained, model, tmp_path)
    assert "value" not in (tmp_path / "plan.toml").read_text()
    assert eqx.tree_equal(back, plan)
    assert back.layers[0].weight.value == plan.layers[0].weight.value != 0


def test_the_example_of_the_documentation_reads(tmp_path):
    text = transforms.load.__doc__.split('"none":\n')[1].split("Raises:")[0]
    path = write(tmp_path, "\n".join(line.strip() for line in text.splitlines()))
    path.write_text(path.read_text().replace("layers[6]", "layers[3]"))
    rules = transforms.load(path)
    assert rules.by_family == {"weights": Int(4), "decays": Bitshift()}
    assert rules.where == {"layers[3].weight": Int(8)}
    assert rules.activations == {"Linear": Int(8)}
    assert rules.states == {"*.vmem": None}
    plan = transforms.plan(make(), **rules._asdict())
    assert plan.layers[0].weight == Int(4)
    assert plan.layers[3].weight == Int(8)


def test_settings_that_toml_writes_in_its_own_way_arrive(tmp_path):
    path = write(
        tmp_path,
        "[by_family.weights]\ntransform = 'Clip'\nlow = -inf\nhigh = 1e3\n"
        "[activations]\nLIF = {transform = 'Int', bits = 0x8, symmetric = false}\n",
    )
    rules = transforms.load(path)
    assert rules.by_family == {"weights": Clip(-float("inf"), 1000.0)}
    assert rules.activations == {"LIF": Int(8, symmetric=False)}


def test_a_plan_from_a_file_transforms_as_the_one_in_code(tmp_path):
    model = make()
    path = write(tmp_path, "[by_family]\nweights = {transform = 'Int', bits = 3}\n")
    plan = transforms.plan(model, **transforms.load(path)._asdict())
    wanted = transforms.apply(transforms.plan(model, {"weights": Int(3)}), model)
    got = eqx.filter_jit(transforms.apply)(plan, model)
    np.testing.assert_allclose(got.layers[3].weight, wanted.layers[3].weight, rtol=1e-6)


# ----- what is wrong is named


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[by_family\n", ["is not TOML", "line 1"]),
        ("[weights]\n", ["unknown table [weights]", "by_family, where, activations, states"]),
        ("by_family = 3\n", ["[by_family] must be a table", "3"]),
        ("[by_family]\nweights = 8\n", ["[by_family] weights", "8", '{ transform = "Int"']),
        ("[by_family]\nweights = 'None'\n", ["[by_family] weights", '"none"', "'None'"]),
        ("[where]\n'a.b' = {bits = 8}\n", ["[where] a.b", "bits", "transform"]),
        ("[where]\nx = {transform = 8}\n", ["[where] x", "'transform': 8"]),
        ("[where]\nx = {transform = 'Int8'}\n", ["[where] x", "'Int8'", "Binary", "Ternary"]),
        ("[where]\nx = {transform = 'Transform'}\n", ["[where] x", "unknown transform"]),
        (
            "[states]\n'LIF.vmem' = {transform = 'StateQuant', bitz = 8}\n",
            ["[states] LIF.vmem", "StateQuant has no setting 'bitz'", "bits", "upper_limit"],
        ),
        (
            "[activations]\nLinear = {transform = 'Int', bits = 8, value = 0.5}\n",
            ["[activations] Linear", "Int has no setting 'value'", "axis, symmetric"],
        ),
        ("[by_family]\nweights = {transform = 'Int'}\n", ["[by_family] weights", "bits"]),
        ("[by_family]\nw = {transform = 'Int', bits = 1}\n", ["[by_family] w", "`bits`", "1"]),
        ("[by_family]\nw = {transform = 'Int', bits = 4.0}\n", ["[by_family] w", "`bits`", "4.0"]),
        ("[by_family]\nw = {transform = 'Int', bits = 'a'}\n", ["[by_family] w", "`bits`", "'a'"]),
        (
            "[by_family]\nw = {transform = 'Int', bits = 4, scale = 'max'}\n",
            ["[by_family] w", "`scale`", "absmax"],
        ),
        ("[where]\nw = {transform = 'Dropout', rate = 1.5}\n", ["[where] w", "`rate`", "1.5"]),
        ("[where]\nw = {transform = 'Binary', axis = 'rows'}\n", ["[where] w", "`axis`", "'rows'"]),
        ("[where]\nw = {transform = 'Binary', axis = 0.5}\n", ["[where] w", "`axis`", "0.5"]),
        ("[where]\nw = {transform = 'Binary', axis = [0]}\n", ["[where] w", "`axis`", "[0]"]),
        ("[where]\nw = {transform = 'Binary', axis.a = 1}\n", ["[where] w", "`axis`", "{'a': 1}"]),
        (
            "[where]\nw = {transform = 'Int', bits = 4, symmetric = 'no'}\n",
            ["[where] w", "`symmetric` of Int", "'no'"],
        ),
        (
            "[where]\nw = {transform = 'Int', bits = 4, symmetric = 1}\n",
            ["[where] w", "`symmetric` of Int", "1"],
        ),
        ("[where]\nw = {transform = 'Round', step = true}\n", ["[where] w", "`step`", "True"]),
        (
            "[where]\nw = {transform = 'DeterministicRounding', input_range = ['a', 'b']}\n",
            ["[where] w", "`input_range`", "['a', 'b']"],
        ),
        (
            "[where]\nw = {transform = 'DeterministicRounding', input_range = [1, 0]}\n",
            ["[where] w", "`input_range`", "[1, 0]"],
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, text, parts):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=r"plan\.toml") as error:
        transforms.load(path)
    assert all(part in str(error.value) for part in parts), str(error.value)


def test_a_file_that_is_not_text_is_an_error(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_bytes(b"\xff\xfe[where]")
    with pytest.raises(ValueError, match=r"plan\.toml is not a text file"):
        transforms.load(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"plan\.toml"):
        transforms.load(tmp_path / "plan.toml")


@pytest.mark.parametrize(
    ("table", "rule", "message"),
    [
        ("by_family", "taus", "`by_family`: .*'taus'.* biases, decays, thresholds, weights"),
        ("where", "layers[9].weight", r"`where`: 'layers\[9\].weight' matches nothing"),
        ("activations", "Conv2d", "`activations`: 'Conv2d' matches nothing"),
        ("states", "LIF.spikes", "`states`: 'LIF.spikes' matches nothing"),
    ],
)
def test_a_rule_of_a_file_that_matches_nothing_is_an_error(tmp_path, table, rule, message):
    path = write(tmp_path, f"[{table}]\n'{rule}' = {{transform = 'Round'}}\n")
    with pytest.raises(ValueError, match=message):
        transforms.plan(make(), **transforms.load(path)._asdict())


# ----- what cannot be written is refused


@pytest.mark.parametrize(
    ("transform", "parts"),
    [
        (Int(jnp.arange(2, 9)), ["bits of Int", "not a setting"]),
        (Round(jnp.array([0.1, 0.2])), ["step of Round", "not a setting"]),
        (Clip(0.0, jnp.float32(2)), ["high of Clip", "not a setting"]),
        (Double(), ["Double is not of snnjax.quant"]),
    ],
)
@pytest.mark.parametrize("kind", ["where", "activations", "states"])
def test_what_a_file_cannot_hold_is_an_error_that_names_the_rule(tmp_path, kind, transform, parts):
    name = {"where": "layers[0].weight", "activations": "layers[0]", "states": "layers[1].vmem"}
    plan = transforms.plan(make(), **{kind: {name[kind]: transform}})
    with pytest.raises(ValueError, match=r"^layers") as error:
        transforms.dump(plan, tmp_path / "plan.toml")
    assert all(part in str(error.value) for part in (f"{name[kind]}: ", *parts))
    assert not (tmp_path / "plan.toml").exists()


def test_rules_in_place_of_a_plan_are_an_error(tmp_path):
    loaded = transforms.Rules({"weights": Int(8)}, {}, {}, {})
    with pytest.raises(TypeError, match="`plan` is Rules; make a plan"):
        transforms.dump(loaded, tmp_path / "plan.toml")
