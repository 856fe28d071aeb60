"""Chips, and compiled programs, on eight devices; `test_devices.py` runs these, too."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from snnjax import IAF, LIF, Sequential, nn, transforms
from snnjax.hardware import dynapcnn, xylo

from ._meshes import assert_same, mesh_of, shard
from .on_eight import assert_same_model, batch_of, every_kind, network


def xylo_network():
    keys = jax.random.split(jax.random.key(0), 3)
    return Sequential(
        eqx.nn.Linear(3, 8, use_bias=False, key=keys[0]),
        LIF(8, threshold=0.3, recurrent=True, bias=None, key=keys[1]),
        eqx.nn.Linear(8, 4, use_bias=False, key=keys[2]),
        LIF(4, threshold=0.3, bias=None, max_spikes=1),
    )


def dynapcnn_network():
    keys = jax.random.split(jax.random.key(0), 2)
    return Sequential(
        eqx.nn.Conv2d(2, 4, 3, key=keys[0]),
        IAF((4, 4, 4), threshold=0.5, min_vmem=-1.0),
        nn.SumPool2d(2),
        nn.Flatten(),
        eqx.nn.Linear(16, 3, key=keys[1]),
        IAF(3, threshold=0.5, min_vmem=-1.0),
    )


CHIPS = {
    "xylo": (xylo, xylo_network, (3,), {}),
    "dynapcnn": (dynapcnn, dynapcnn_network, (2, 6, 6), {"input_shape": (2, 6, 6)}),
}
spread = pytest.mark.parametrize("kind", ["explicit", "auto"])
every_chip = pytest.mark.parametrize("name", CHIPS)


def counts_of(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).poisson(1.0, (8, 5, *shape)), jnp.int32)


def spec_of(name):
    chip, make, _, options = CHIPS[name]
    return chip.quantize(chip.map_network(make(), **options))


@every_kind
@every_chip
def test_emulate(kind, name):
    chip, make, shape, options = CHIPS[name]
    params, static = eqx.partition(make(), eqx.is_inexact_array)

    def run(params, x):
        return chip.emulate(eqx.combine(params, static), **options)(x)

    assert_same(kind, run, params, counts_of(shape).astype(jnp.float32))


@every_kind
@every_chip
def test_simulate(kind, name):
    chip, _, shape, _ = CHIPS[name]
    spec, x = spec_of(name), counts_of(shape)
    wanted = chip.simulate(spec, x)
    mesh = mesh_of(kind)
    with jax.set_mesh(mesh):
        run = lambda spec, x: chip.simulate(spec, x)  # noqa: E731
        if kind == "manual":
            run = jax.shard_map(run, in_specs=(P(), P("data")), out_specs=P("data"))
        found = eqx.filter_jit(run)(shard(spec, mesh), shard(x, mesh, "data"))
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@every_kind
@every_chip
def test_the_plan_of_a_chip(kind, name):
    chip, make, shape, options = CHIPS[name]
    model = make()
    plan = chip.plan(model, **options)
    x = counts_of(shape).astype(jnp.float32)
    assert_same_model(kind, model, x, run=lambda model, x: transforms.apply(plan, model)(x)[0])


@spread
@every_chip
def test_verbs_that_run_outside_of_programs(kind, name):
    chip, make, shape, options = CHIPS[name]
    mesh = mesh_of(kind)

    def verbs(model, x, labels):
        mapped, plan = chip.map_network(model, **options), chip.plan(model, **options)
        spec = chip.quantize(mapped)
        said = [str(found) for found in (chip.check(spec), chip.usage(spec), chip.report(mapped))]
        fidelity = chip.fidelity(model, spec, x, labels, plan=plan)
        return said, spec, fidelity, chip.cost(spec, x)

    x, labels = counts_of(shape), jnp.arange(8) % 3
    wanted = verbs(make(), x, labels)
    with jax.set_mesh(mesh):
        split = (shard(array, mesh, "data") for array in (x, labels))
        found = verbs(shard(make(), mesh), *split)
    assert found[0] == wanted[0]
    for one, other in zip(*map(jax.tree.leaves, (found[1:], wanted[1:])), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@every_chip
def test_simulate_outside_of_jit_looks_at_each_shard(name):
    chip, _, shape, _ = CHIPS[name]
    spec, x, mesh = spec_of(name), counts_of(shape), mesh_of("auto")
    sharded = shard(x, mesh, "data")
    found = chip.simulate(spec, sharded)
    assert found.spikes_out.sharding.is_equivalent_to(sharded.sharding, found.spikes_out.ndim)
    jax.tree.map(np.testing.assert_array_equal, found, chip.simulate(spec, x))
    at = (5, 2, *[0] * len(shape))
    with pytest.raises(ValueError, match=rf"`raster\[{', '.join(map(str, at))}\]` is -1, negative"):
        chip.simulate(spec, shard(x.at[at].set(-1), mesh, "data"))


@every_kind
@every_chip
def test_what_is_wrong_within_a_program_is_marked(kind, name):
    chip, make, shape, options = CHIPS[name]
    spec, x, mesh = spec_of(name), counts_of(shape), mesh_of(kind)
    good = chip.simulate(spec, x).spikes_out
    x = x.at[(5, 2, *[0] * len(shape))].set(-1)
    ruined = jax.tree.map(lambda w: w * jnp.nan, eqx.filter(make(), eqx.is_inexact_array))
    ruined = eqx.combine(ruined, make())

    def run(spec, model, x):
        emulated = chip.emulate(model, **options)(x)
        return chip.simulate(spec, x).spikes_out, emulated.spikes_out

    with jax.set_mesh(mesh):
        specs = (P(), P(), P("data"))
        if kind == "manual":
            arrays, static = eqx.partition(ruined, eqx.is_array)
            inner = jax.shard_map(
                lambda spec, model, x: run(spec, eqx.combine(model, static), x),
                in_specs=specs,
                out_specs=P("data"),
            )
            program = eqx.filter_jit(lambda spec, model, x: inner(spec, arrays, x))
        else:
            program = eqx.filter_jit(run)
        found, emulated = program(shard(spec, mesh), shard(ruined, mesh), shard(x, mesh, "data"))
    found = np.asarray(found)
    assert (found[5] == np.iinfo(np.int32).min).all()
    np.testing.assert_array_equal(np.delete(found, 5, 0), np.delete(np.asarray(good), 5, 0))
    assert np.isnan(emulated).all()


# ----- the compiled program

BATCH = 88
"""A number that no other axis has, not even several together."""


def assert_data_parallel(kind, run, shared, batch):
    """That a program gathers nothing, and has the batch on no device as a whole."""
    mesh = mesh_of(kind)
    with jax.set_mesh(mesh):
        program = eqx.filter_jit(run).lower(shard(shared, mesh), shard(batch, mesh, "data"))
        text = program.compile().compiled.as_text()
    for word in ("all-gather", "all-to-all", "collective-permute", "callback"):
        assert word not in text, word
    assert not re.search(rf"\[(\d+,)*({BATCH}|{BATCH * 5})[,\]]", text)


def gradient_of(run):
    """The mean loss of a batch and its gradient."""

    def loss(model, x):
        return jnp.square(run(model, x)).mean()

    return eqx.filter_value_and_grad(loss)


@spread
def test_a_step_of_training_is_data_parallel(kind):
    x = jnp.resize(batch_of(3), (BATCH, 5, 3))
    assert_data_parallel(kind, gradient_of(lambda m, x: jax.vmap(m)(x)[0]), network(), x)


@spread
@every_chip
def test_simulate_and_emulate_are_data_parallel(kind, name):
    chip, make, shape, options = CHIPS[name]
    x = jnp.resize(counts_of(shape), (BATCH, 5, *shape))
    assert_data_parallel(kind, chip.simulate, spec_of(name), x)
    emulated = gradient_of(lambda model, x: chip.emulate(model, **options)(x).spikes_out)
    assert_data_parallel(kind, emulated, make(), x.astype(jnp.float32))
