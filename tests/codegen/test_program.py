"""Networks as programs of `jax.export`, run in a process that has no snnjax."""

import subprocess
import sys

import equinox as eqx
import jax
import jax.export
import numpy as np
import optax
import pytest

from snnjax import IAF, LIF, Sequential, nn
from snnjax.codegen import program
from snnjax.hardware import dynapcnn, xylo

pytest.importorskip("flatbuffers")

RUN = """
import sys
import numpy as np
from jax import export
program = export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
found = program.call(np.load(sys.argv[2]))
np.savez(sys.argv[3], **(found if isinstance(found, dict) else {"y": found}))
assert not [name for name in sys.modules if name.startswith(("snnjax", "equinox"))]
"""


def elsewhere(exported, x, folder):
    """The outputs of a program in another process."""
    program.save(exported, folder / "program")
    np.save(folder / "x.npy", x)
    files = [str(folder / name) for name in ("program", "x.npy", "y.npz")]
    subprocess.run([sys.executable, "-c", RUN, *files], check=True, cwd=folder)
    with np.load(folder / "y.npz") as found:
        return dict(found)


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
def test_simulators_and_networks_run_without_snnjax(name, tmp_path):
    chip, make, shape, options = CHIPS[name]
    model = make()
    spec = chip.quantize(chip.map_network(model, **options))
    x = np.random.default_rng(0).poisson(1.0, (2, 7, *shape)).astype(np.int32)
    exported = program.simulator(spec)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    wanted = chip.simulate(spec, x)
    for field, found in elsewhere(exported, x, tmp_path).items():
        np.testing.assert_array_equal(found, getattr(wanted, field), field)
    floats = x.astype(np.float32)
    emulated = elsewhere(program.emulator(model, chip, **options), floats, tmp_path)
    np.testing.assert_array_equal(emulated["spikes_out"], wanted.spikes_out)
    y = elsewhere(program.network(model, shape), floats, tmp_path)["y"]
    np.testing.assert_allclose(y, jax.vmap(model)(floats)[0], atol=1e-5)


def test_a_step_of_training_is_that_of_the_program_it_came_from():
    model, optimizer = dense(), optax.sgd(0.1)
    state = model, optimizer.init(eqx.filter(model, eqx.is_inexact_array))
    x = np.random.default_rng(0).poisson(2.0, (4, 6, 3)).astype(np.float32)

    def run(state, batch):
        model, before = state
        value, gradient = eqx.filter_value_and_grad(lambda m: jax.vmap(m)(batch)[0].mean())(model)
        updates, after = optimizer.update(gradient, before)
        return (eqx.apply_updates(model, updates), after), value

    exported = program.step(run, state, x, platforms=("cpu",))
    arrays = jax.tree.leaves(eqx.filter(state, eqx.is_array))
    found, value = jax.export.deserialize(exported.serialize()).call(arrays, x)
    (trained, _), wanted = eqx.filter_jit(run)(state, x)
    assert value == wanted != 0
    assert not eqx.tree_equal(trained, model)
    for one, other in zip(found, jax.tree.leaves(eqx.filter(trained, eqx.is_array)), strict=True):
        np.testing.assert_array_equal(one, other)
