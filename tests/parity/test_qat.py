"""Training through transforms, against Rockpool's. README.md, beside this file, has the details."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Residual, Sequential, record, transforms
from snnjax.nn import LEAKS
from snnjax.quant import Bitshift, DeterministicRounding, Round

from ._compare import deviation, golden, group, load

# Across three layers and 40 steps, over which a last bit grows. The worst seen is 5e-6 for states
# and 5e-5 for gradients, those by time constants, of which exp(-dt/tau) costs digits on both sides.
STATE_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 2e-4

NAMES = list(golden("rockpool_qat")[1]["cases"])

PATHS = {
    "linear/0": "layers[0]",
    "lif/0": "layers[1]",
    "linear/1": "layers[2].layers[0]",
    "lif/1": "layers[2].layers[1]",
    "linear/2": "layers[3]",
    "lif/2": "layers[4]",
}


def linear(param):
    n_in, n = param["weight"].shape
    layer = eqx.nn.Linear(n_in, n, use_bias="bias" in param, key=jax.random.key(0))
    values = {"bias": None, **param, "weight": param["weight"].T}
    return eqx.tree_at(
        lambda m: (m.weight, m.bias),
        layer,
        (values["weight"], values["bias"]),
        is_leaf=lambda leaf: leaf is None,
    )


def lif(param, leak):
    kind = LEAKS[leak]
    names = tuple(kind.__dataclass_fields__)
    rest = {name: value for name, value in param.items() if name not in names}
    layer = LIF(len(param["threshold"]), leak=leak, max_spikes=2**16, **rest)
    return eqx.tree_at(lambda m: m.leak, layer, kind(*(param[name] for name in names)))


def network(arrays, leak):
    """The tutorial's network with the stored parameters."""
    param = {layer: group(arrays, f"param/{layer}") for layer in PATHS}
    linears = [linear(param[f"linear/{i}"]) for i in range(3)]
    lifs = [lif(param[f"lif/{i}"], leak) for i in range(3)]
    return Sequential(linears[0], lifs[0], Residual(linears[1], lifs[1]), linears[2], lifs[2])


def rules(case):
    """The rules of a case: for parameters, and for activations."""
    of_leak = {"t_decay": Bitshift(mode="tau"), "round_passthrough": Round()}
    parameters = {}
    if case["rounded"] is not None:
        parameters[case["leak"]] = of_leak[case["rounded"]]
    if case["weights"] is not None:
        parameters["weights"] = rounding(case["weights"])
    levels = case["activations"]
    return parameters, {} if levels is None else {eqx.nn.Linear: rounding(levels)}


def rounding(levels):
    """As an array, so that one compiled program serves every number of levels."""
    return DeterministicRounding(jnp.asarray(levels))


@eqx.filter_jit
def run(plan, model, x, weights):
    """Gradients of the loss that was stored, and the records."""

    @eqx.filter_grad(has_aux=True)
    def graded(model):
        applied = transforms.apply(plan, model)
        records = jax.vmap(lambda x: record(applied, x)[2])(x)
        return (records["layers[4].output"] * weights).sum(), records

    return graded(model)


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    settings, gold = load("rockpool_qat", request.param)
    model = network(gold, settings["leak"])
    parameters, activations = rules(settings)
    if parameters and activations:
        # As in the file: rounded for good, so that the gradients are those of what was rounded.
        model = transforms.burn_in(transforms.plan(model, parameters), model)
        parameters = {}
    plan = transforms.plan(model, parameters, activations=activations)
    grads, records = run(plan, model, gold["input"], jnp.asarray(gold["loss/output"]))
    return SimpleNamespace(settings=settings, gold=gold, plan=plan, grads=grads, records=records)


def test_the_cases_are_those_that_the_issue_of_training_through_rounding_names():
    every = [load("rockpool_qat", name)[0] for name in NAMES]
    found = {(c["weights"] is not None, c["activations"] is not None) for c in every}
    assert found == {(False, False), (True, False), (False, True), (True, True)}
    assert {c["rounded"] for c in every} == {None, "t_decay", "round_passthrough"}


@pytest.mark.few(1)
def test_outputs_are_equal(case):
    np.testing.assert_array_equal(case.records["layers[4].output"], case.gold["output"])
    assert case.gold["output"].max() > 1


@pytest.mark.few(2)
def test_spikes_of_every_layer_are_equal(case):
    for layer in ("lif/0", "lif/1", "lif/2"):
        mine = case.records[f"{PATHS[layer]}.output"]
        np.testing.assert_array_equal(mine, case.gold[f"out/{layer}/output"])


@pytest.mark.few(2)
def test_states_of_every_layer_agree(case):
    for layer in ("lif/0", "lif/1", "lif/2"):
        for name in ("vmem", "isyn"):
            mine = case.records[f"{PATHS[layer]}.{name}"]
            wanted = case.gold[f"out/{layer}/{name}"]
            assert np.abs(mine - wanted).max() < STATE_TOLERANCE, (layer, name)


@pytest.mark.few(2, slow=10)
def test_activations_agree_and_have_the_levels_asked_for(case):
    for layer in ("linear/0", "linear/1", "linear/2"):
        mine, wanted = case.records[f"{PATHS[layer]}.output"], case.gold[f"out/{layer}/output"]
        assert deviation(mine, wanted) < 1e-5, layer
        levels = case.settings["activations"]
        for sequence in mine if levels else ():
            step = 2 * np.abs(sequence).max() / (levels - 1)
            assert len(np.unique(np.round((sequence - sequence.min()) / step))) <= levels


@pytest.mark.few(2, slow=10)
def test_gradients_agree(case):
    worst = {}
    for key in case.gold:
        if key.startswith("grad/"):
            layer, _, name = key.removeprefix("grad/").rpartition("/")
            node = case.grads
            for index in PATHS[layer].removeprefix("layers[").split("].layers["):
                node = node.layers[int(index.rstrip("]"))]
            value = getattr(node, name, None)
            value = getattr(node.leak, name) if value is None else value
            worst[key] = deviation(value.T if name == "weight" else value, case.gold[key])
    assert len(worst) == 3 * 5 + 1 + 3 * case.settings["biases"]
    assert max(worst.values()) < GRADIENT_TOLERANCE, worst


@pytest.mark.slow
def test_the_transforms_make_a_difference():
    """What is compared is the rounding too: without it the outputs are others."""
    for name in NAMES:
        settings, gold = load("rockpool_qat", name)
        model = network(gold, settings["leak"])
        _, records = run(transforms.plan(model), model, gold["input"], gold["loss/output"])
        same = np.array_equal(records["layers[4].vmem"], gold["out/lif/2/vmem"])
        close = np.abs(records["layers[4].vmem"] - gold["out/lif/2/vmem"]).max() < STATE_TOLERANCE
        assert (same or close) == name.startswith("float"), name
