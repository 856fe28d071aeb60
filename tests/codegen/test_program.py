"""Networks as programs of `jax.export`, run in a process that has no snnjax."""

import equinox as eqx
import jax
import jax.export
import numpy as np
import optax
import pytest

from snnjax import IAF, LIF, Sequential, nn
from snnjax.codegen import program
from snnjax.hardware import dynapcnn, xylo

from .elsewhere import run_elsewhere

pytest.importorskip("flatbuffers")


def dense():
    keys = jax.random.split(jax.random.key(0), 2)
    return Sequential(
        eqx.nn.Linear(3, 8, use_bias=False, key=keys[0]),
        LIF(8, threshold=0.3, bias=None),
        eqx.nn.Linear(8, 4, use_bias=False, key=keys[1]),
        LIF(4, threshold=0.3, bias=None, max_spikes=1),
    )


def convolutional():
    key = jax.random.key(0)
    return Sequential(
        eqx.nn.Conv2d(2, 4, 3, key=key), IAF((4, 4, 4), threshold=0.5, min_vmem=-1.0), nn.Flatten()
    )


CHIPS = {
    "xylo": (xylo, dense, (3,), {}),
    "dynapcnn": (dynapcnn, convolutional, (2, 6, 6), {"input_shape": (2, 6, 6)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHIPS)
def test_simulators_emulations_and_networks_run_without_snnjax(name, tmp_path):
    chip, make, shape, options = CHIPS[name]
    model = make()
    spec = chip.quantize(chip.map_network(model, **options))
    x = np.random.default_rng(0).poisson(1.0, (2, 7, *shape)).astype(np.int32)
    floats = x.astype(np.float32)
    made = {
        "simulator": (program.simulator(spec), x),
        "emulator": (program.emulator(model, chip, **options), floats),
        "network": (program.network(model, shape), floats),
    }
    for file, (exported, _) in made.items():
        assert exported.platforms == ("cpu", "cuda", "tpu")
        program.save(exported, tmp_path / file)
    found = run_elsewhere({tmp_path / file: [x] for file, (_, x) in made.items()})
    trace = chip.simulate(spec, x)
    wanted = [getattr(trace, each) for each in ("spikes_out", "vmem_out")[: len(found[0])]]
    for arrays in found[:2]:
        for one, other in zip(arrays, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(*found[2], jax.vmap(model)(floats)[0], atol=1e-5)


@pytest.mark.slow
def test_a_step_of_training_runs_without_snnjax(tmp_path):
    model, optimizer = dense(), optax.sgd(0.1)
    state = model, optimizer.init(eqx.filter(model, eqx.is_inexact_array))
    x = np.random.default_rng(0).poisson(2.0, (4, 6, 3)).astype(np.float32)

    def run(state, batch):
        model, before = state
        value, gradient = eqx.filter_value_and_grad(lambda m: jax.vmap(m)(batch)[0].mean())(model)
        updates, after = optimizer.update(gradient, before)
        return (eqx.apply_updates(model, updates), after), value

    (shape,) = program.shapes((3,))
    exported = program.step(run, state, jax.ShapeDtypeStruct(shape, np.float32))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    program.save(exported, tmp_path / "step")
    arrays = jax.tree.leaves(eqx.filter(state, eqx.is_array))
    ((*found, value),) = run_elsewhere({tmp_path / "step": (arrays, x)})
    (trained, _), wanted = eqx.filter_jit(run)(state, x)
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    assert wanted != 0
    assert not eqx.tree_equal(trained, model)
    for one, other in zip(found, jax.tree.leaves(eqx.filter(trained, eqx.is_array)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
