"""A family of one's own goes through every verb and command, with no edit but its registration."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnjax import LI, Sequential, hardware, transforms
from snnjax.train import Run

from . import leaky


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(hardware.FAMILIES, "leaky", leaky.__name__)


@pytest.fixture(scope="module")
def model():
    linear = eqx.nn.Linear(6, 3, use_bias=False, key=jax.random.key(0))
    return Sequential(linear, LI(3, tau_mem=np.array([3e-3, 9e-3, 2e-2]), leak="decays"))


@pytest.fixture(scope="module")
def raster():
    return np.random.default_rng(0).poisson(1.0, (4, 30, 6))


@pytest.fixture(scope="module")
def spec(model):
    return leaky.quantize(leaky.map_network(model))


def test_its_chip_names_it(spec):
    for of in ("leaky", "leaky6", leaky.LEAKY_6, spec):
        assert hardware.family(of) is leaky
    assert hardware.family("audio3").__name__ == "snnjax.hardware.xylo"


def test_the_simulation_is_its_definition_and_the_emulation_is_the_simulation(model, spec, raster):
    weight, dash = np.asarray(spec.weight), np.asarray(spec.dash)
    assert np.abs(weight).max() == 31
    vmem, expected = np.zeros((4, 3), int), []
    for counts in raster.swapaxes(0, 1):
        vmem = np.clip(vmem - (vmem >> dash) + counts @ weight, -(2**15), 2**15 - 1)
        expected.append(vmem)
    trace = leaky.simulate(spec, raster)
    np.testing.assert_array_equal(trace.vmem_out, np.stack(expected, axis=1))
    emulation = leaky.emulate(model)(raster)
    np.testing.assert_array_equal(emulation.vmem_out, trace.vmem_out)
    first = leaky.simulate(spec, raster[0, :12])
    last = leaky.simulate(spec, raster[0, 12:], state=first.state)
    np.testing.assert_array_equal(last.vmem_out, trace.vmem_out[0, 12:])


@pytest.mark.few(1)
@pytest.mark.parametrize("through", ["chip", "plan"])
def test_its_gradient_lowers_a_loss(model, raster, through):
    labels, plan = jnp.array([0, 1, 2, 0]), leaky.plan(model)

    def loss(model):
        if through == "chip":
            potentials = leaky.emulate(model)(raster).vmem_out / 100
        else:
            seen = transforms.apply(plan, model)
            potentials = jax.vmap(seen)(jnp.asarray(raster, jnp.float32))[0]
        logits = potentials.mean(1)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    step = eqx.filter_jit(eqx.filter_value_and_grad(loss))
    before, _ = step(model)
    for _ in range(20):
        value, gradient = step(model)
        model = eqx.apply_updates(model, jax.tree.map(lambda g: -0.05 * g, gradient))
    assert value < 0.9 * before


def test_the_plan_has_the_weights_of_the_chip(model, spec):
    seen = transforms.apply(leaky.plan(model), model)
    unit = np.abs(np.asarray(model.layers[0].weight)).max() / 31
    np.testing.assert_allclose(seen.layers[0].weight.T / unit, spec.weight, atol=1e-4)


def test_limits_usage_and_reports(model, spec):
    assert leaky.check(spec) == ()
    assert [str(row) for row in leaky.usage(spec)] == ["inputs: 6 of 32", "neurons: 3 of 8"]
    weight, dash = leaky.report(leaky.map_network(model))
    assert max(map(abs, weight.integers)) == 31
    assert 1 <= dash.integers[0] <= dash.integers[1] <= 7
    wide = eqx.nn.Linear(33, 3, use_bias=False, key=jax.random.key(0))
    with pytest.raises(ValueError, match="inputs: 33 of 32"):
        leaky.map_network(Sequential(wide, LI(3)))
    (violation,) = leaky.check(eqx.tree_at(lambda s: s.weight, spec, spec.weight.at[2, 1].set(40)))
    assert violation.message == "`weight[2, 1]` is 40; must be from -32 to 31"


def test_fidelity(model, spec, raster):
    report = leaky.fidelity(model, spec, raster, [0, 1, 2, 0])
    assert report.recordings == 4
    assert report.agreement == 1
    assert report.layers[0].sqnr > 20
    assert leaky.fidelity(model, spec, raster[0]).recordings == 1
    assert leaky.fidelity(spec, spec, raster).layers[0].sqnr == np.inf
    seen = leaky.fidelity(model, spec, raster, plan=leaky.plan(model)).through_plan
    assert seen.layers[0].sqnr > report.layers[0].sqnr


def test_cost(spec, raster):
    found = leaky.cost(spec, raster)
    assert found.total("synops") == found.total("reads") == raster.sum() * 3 / 4
    assert found.workload.dense == 30 * 6 * 3
    assert "Leaky 6: a recording, 30 steps, mean of 4" in str(found)
    with pytest.raises(ValueError, match="`dt` must be given to `cost`"):
        found.power(hardware.Device(idle=1e-3))


def test_files_and_the_command(spec, tmp_path):
    pytest.importorskip("typer", reason="the command line needs the extra cli")
    from ..cli._commands import call

    run = Run.create(tmp_path / "run", "mine", {"chip": "leaky6"})
    leaky.save(spec, run.spec)
    assert eqx.tree_equal(leaky.load(run.spec), spec)
    assert leaky.export(spec)["chip"] == "leaky6"
    with pytest.raises(ValueError, match="`format` must be one of dict; got 'json'"):
        leaky.export(spec, format="json")
    result = call("check", run.path)
    assert result.exit_code == 0, result.output
    assert "fits Leaky 6" in result.output
    assert "neurons" in result.output
