"""Layers and training on eight devices; `test_devices.py` runs these in a process that has them."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec as P

from snnjax import DSRIF, DSRLIF, LIF, Sequential, nn, quant, record, run_chunked, transforms
from snnjax.hardware.xylo.frontend import Audio3, Imu
from snnjax.train import Sharding, load_checkpoint, losses, make_epoch, save_checkpoint
from snnjax.train._members import Members, _make_epoch
from snnjax.train._sweep import members_of

from ..nn import neurons
from ..nn.test_stream import NETWORKS
from ..train.test_sweep import Bumps
from . import training
from ._meshes import KINDS, assert_same, mesh_of, on_one, shard, values_and_gradients

every_kind = pytest.mark.parametrize("kind", KINDS)


def batch_of(*shape, seed=0):
    """Eight sequences of five steps."""
    return jnp.asarray(np.random.default_rng(seed).normal(0.5, 1, (8, 5, *shape)), jnp.float32)


def outputs_of(model, run=lambda model, x: model(x)):
    """The parameters of a model, and its outputs as a function of them and of a batch."""
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return params, lambda params, x: jax.vmap(lambda x: run(eqx.combine(params, static), x))(x)


def assert_same_model(kind, model, x, **run):
    params, f = outputs_of(model, **run)
    assert_same(kind, f, params, x)


WAYS = {
    "plain": {},
    "recurrent": {"recurrent": True, "key": jax.random.key(0)},
    "refractory": {"refractory": 2},
}
CASES = [(name, way) for name in neurons.ALL for way in WAYS if name != "LI" or way == "plain"]


@every_kind
@pytest.mark.parametrize(("name", "way"), CASES, ids="-".join)
def test_every_neuron(kind, name, way):
    assert_same_model(kind, neurons.ALL[name](**WAYS[way]), batch_of(*neurons.SHAPE))


@every_kind
@pytest.mark.parametrize("cls", [DSRIF, DSRLIF])
def test_neurons_trained_by_their_spikes_alone(kind, cls):
    assert_same_model(kind, cls(4), batch_of(4))


@every_kind
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(kind, name):
    model, x = NETWORKS[name]()
    x = jnp.stack([jnp.roll(x, i, axis=0)[:6] for i in range(8)])
    assert_same_model(kind, model, x)


@pytest.mark.quick
@every_kind
def test_a_network(kind):
    assert_same_model(kind, network(), batch_of(3))


@pytest.mark.quick
def test_a_network_that_is_on_no_mesh_yet():
    """Its parameters come to the mesh that is set, as within a bare `lax.scan`."""
    params, f = outputs_of(network())
    wanted, mesh = on_one(f, params, batch_of(3)), mesh_of("explicit")
    with jax.set_mesh(mesh):
        found = jax.jit(values_and_gradients(f))(params, shard(batch_of(3), mesh, "data"))
    for want, got in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(np.asarray(got), want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.quick
def test_arrays_that_are_split_with_no_mesh_set_are_not_gathered():
    layers = (
        eqx.nn.Linear(4, 8, key=jax.random.key(0)),
        LIF(8),
        eqx.nn.Linear(8, 3, key=jax.random.key(1)),
    )
    model = Sequential(*layers, LIF(3))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    x = jax.device_put(jnp.ones((16, 5, 4)), NamedSharding(mesh, P("data")))
    arrays, static = eqx.partition(model, eqx.is_inexact_array)
    arrays = jax.device_put(arrays, NamedSharding(mesh, P()))

    def loss(arrays, x):
        return jax.vmap(eqx.combine(arrays, static))(x)[0].sum()

    text = jax.jit(jax.grad(loss)).lower(arrays, x).compile().as_text()
    assert "all-reduce" in text
    assert not re.search("all-gather|all-to-all|collective-permute", text)


def network(**settings):
    keys = jax.random.split(jax.random.key(0), 3)
    return Sequential(
        eqx.nn.Linear(3, 8, key=keys[0]),
        LIF(8, threshold=0.3, recurrent=True, key=keys[1], **settings),
        eqx.nn.Linear(8, 4, key=keys[2]),
        LIF(4, threshold=0.3),
    )


@every_kind
def test_a_graph(kind):
    nodes = {"a": eqx.nn.Linear(3, 3, key=jax.random.key(0)), "b": LIF(3, threshold=0.3)}
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    graph = nn.Graph(nodes, edges)
    assert_same_model(kind, graph, batch_of(3))


@every_kind
def test_dropout(kind):
    key = jax.random.key(0)
    model = Sequential(eqx.nn.Linear(3, 4, key=key), nn.TimeStepDropout(0.5), LIF(4, threshold=0.3))
    assert_same_model(kind, model, batch_of(3), run=lambda model, x: model(x, key=key)[0])


@every_kind
def test_a_penalty_on_operations(kind):
    def run(model, x):
        work = nn.synops(model, x, record(model, x)[2])
        return losses.synops_penalty(work, 10.0)

    assert_same_model(kind, network(), batch_of(3), run=run)


@every_kind
def test_records(kind):
    assert_same_model(kind, network(), batch_of(3), run=lambda model, x: record(model, x))


@every_kind
def test_steps(kind):
    def run(model, x):
        y, state = model.step(x[0])
        return y, *model.step(x[1], state)

    assert_same_model(kind, network(), batch_of(3), run=run)


@every_kind
def test_chunks(kind):
    assert_same_model(
        kind, network(), batch_of(3), run=lambda model, x: run_chunked(model, x, chunk=2)
    )


PLANS = {
    "Int": {"by_family": {"weights": quant.Int(4)}},
    "IntQuant": {"by_family": {"weights": quant.IntQuant(4)}},
    "Binary": {"by_family": {"weights": quant.Binary()}},
    "Ternary": {"by_family": {"weights": quant.Ternary()}},
    "Prune": {"by_family": {"weights": quant.Prune(0.5)}},
    "Clip": {"by_family": {"weights": quant.Clip(-0.2, 0.2)}},
    "Round": {"by_family": {"weights": quant.Round(0.1)}},
    "DeterministicRounding": {"by_family": {"weights": quant.DeterministicRounding(8)}},
    "StochasticRounding": {"by_family": {"weights": quant.StochasticRounding(8)}},
    "Mismatch": {"by_family": {"weights": quant.Mismatch(0.1), "taus": quant.Mismatch(0.1)}},
    "Dropout": {"by_family": {"weights": quant.Dropout(0.5)}},
    "Bitshift": {"where": {"layers[1].leak.alpha_mem": quant.Bitshift()}},
    "activations": {"activations": {eqx.nn.Linear: quant.Int(4)}},
    "states": {"states": {"LIF.vmem": quant.StateQuant(4)}},
}


@every_kind
@pytest.mark.parametrize("name", PLANS)
def test_transforms(kind, name):
    model = network(leak="decays" if name == "Bitshift" else "taus")
    plan = transforms.plan(model, **PLANS[name])

    def run(model, x):
        applied = transforms.apply(plan, model, key=jax.random.key(1))
        return applied(x, key=jax.random.key(2))[0]

    assert_same_model(kind, model, batch_of(3), run=run)


def spikes_and_label(loss, **settings):
    return lambda y: loss(y, jnp.int32(1), **settings)


LOSSES = {
    name: spikes_and_label(getattr(losses, name), **settings)
    for name, settings in {
        "count_cross_entropy": {},
        "rate_mse": {},
        "latency_cross_entropy": {},
        "max_vmem_cross_entropy": {},
        "mean_vmem_cross_entropy": {},
        "step_cross_entropy": {},
        "peak_mse": {"window": 2, "on": 1.0},
    }.items()
}
LOSSES["rate_penalty"] = losses.rate_penalty
LOSSES["latency"] = losses.latency
LOSSES["ctc"] = lambda y: losses.ctc(y, jnp.array([1, 2]))
LOSSES["van_rossum"] = lambda y: losses.van_rossum(y, jnp.ones_like(y), tau=2e-3, dt=1e-3)


@every_kind
@pytest.mark.parametrize("name", LOSSES)
def test_losses(kind, name):
    loss = LOSSES[name]
    assert_same_model(kind, network(), batch_of(3), run=lambda model, x: loss(model(x)[0]))


FRONT_ENDS = {"audio3": (Audio3(window=20), (8, 100)), "imu": (Imu(), (8, 60, 3))}
ONE = pytest.param("audio3", "auto", marks=pytest.mark.quick)
REST = [(name, kind) for name in FRONT_ENDS for kind in KINDS if (name, kind) != ("audio3", "auto")]


@pytest.mark.parametrize(("name", "kind"), [ONE, *REST])
def test_a_front_end(name, kind):
    front_end, shape = FRONT_ENDS[name]
    signal = np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype(np.float32)
    wanted, _ = front_end(signal)
    assert wanted.sum() > 1000
    mesh, events_of = mesh_of(kind), lambda x: front_end(x, checked=False)[0]
    with jax.set_mesh(mesh):
        if kind == "manual":
            events_of = jax.shard_map(events_of, in_specs=P("data"), out_specs=P("data"))
        events = jax.jit(events_of)(shard(jnp.asarray(signal), mesh, "data"))
        assert {piece.data.shape[0] for piece in events.addressable_shards} == {1}
        np.testing.assert_array_equal(np.asarray(events), wanted)


# ----- training

MESHES = {"data": "data=8", "data and model": "data=4,model=2"}


@pytest.mark.parametrize("through", ["float", "chip"])
@pytest.mark.parametrize("mesh", MESHES)
def test_twenty_steps_on_a_mesh_are_those_on_one_device(mesh, through):
    sharding = Sharding.make(MESHES[mesh], large=100)
    found = training.train(sharding, through)
    if "model" in mesh:
        w_rec = found[0].model.layers[1].w_rec
        assert w_rec.addressable_shards[0].data.shape == (8, 16)
    training.assert_trained_alike(found, training.train(None, through))


@pytest.mark.parametrize("kind", ["explicit", "auto"])
def test_an_epoch_of_data_that_are_split_over_a_mesh(kind):
    wanted = training.train(epochs=1)
    mesh = mesh_of(kind)
    with jax.set_mesh(mesh):
        epoch = make_epoch(training.loss_through("float"), training.OPTIMIZER, 16)
        state = shard(training.start(), mesh)
        data = shard(training.data(), mesh, "data")
        with jax.numpy_dtype_promotion("standard"):
            state, metrics = epoch(state, data, shard(jax.random.key(training.SEED), mesh))
    training.assert_trained_alike((state, [float(metrics["loss"])]), wanted)


def test_a_checkpoint_goes_on_on_another_mesh(tmp_path):
    wanted = training.train()
    on_8 = Sharding.make("data=8")
    half, losses = training.train(on_8, epochs=1)
    save_checkpoint(tmp_path / "checkpoint", on_8.gather(half))
    restored = load_checkpoint(tmp_path / "checkpoint", training.start())
    found, rest = training.train(Sharding.make("data=4,model=2", large=100), state=restored)
    training.assert_trained_alike((found, losses + rest), wanted)


def test_training_that_leads_to_nan_is_an_error():
    ruined = jax.tree.map(lambda x: x * jnp.nan if eqx.is_inexact_array(x) else x, training.start())
    with pytest.raises(FloatingPointError, match="the loss of epoch 1 is nan"):
        training.train(Sharding.make("data=8"), "chip", state=ruined)


def test_a_batch_of_grain_that_leads_to_nan_is_an_error():
    pytest.importorskip("grain")
    with jax.numpy_dtype_promotion("standard"):
        recipe = Bumps(loader="grain", stages="float:1", batch_size=8)
        data = recipe.load_data()
        bad = data._replace(train=(data.train[0] * jnp.nan, data.train[1]))
        steps = recipe.train(bad, recipe.start(data), Sharding.make("data=8"))
        with pytest.raises(FloatingPointError, match="the loss of batch 1 is nan"):
            next(steps)


def test_what_is_no_mesh():
    for text in ("data=4", "model=8", "data=8,data=1", "data", "rows=8", "data=-8"):
        with pytest.raises(ValueError, match="`mesh` must"):
            Sharding.make(text)
    with pytest.raises(ValueError, match="`batch_size` must be a multiple of 8"):
        make_epoch(None, training.OPTIMIZER, 12, sharding=Sharding.make("data=8"))


@pytest.mark.parametrize("loader", ["memory", "grain"])
def test_the_command_on_a_mesh(tmp_path, loader):
    _commands = pytest.importorskip("tests.cli._commands")
    processes = pytest.importorskip("tests.devices.processes")
    options = _commands.settings(**processes.SETTINGS, loader=loader)
    options += ["--mesh", "data=4,model=2"]
    with jax.numpy_dtype_promotion("standard"):
        run, _ = _commands.trained(tmp_path / "run", "digits", *options)
    processes.assert_trained_as_on_one_device(run, loader=loader)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mesh", "data=3"), "whose product is the number of devices, 8; got 'data=3'"),
        (("--mesh", "data=8", "--set", "batch_size=12"), "`batch_size` must be a multiple of 8"),
    ],
)
def test_the_command_refuses_a_mesh_before_there_is_a_folder(tmp_path, options, words):
    _commands = pytest.importorskip("tests.cli._commands")
    found = _commands.call("train", "digits", "--out", tmp_path / "run", *options)
    assert found.exit_code == 2
    assert words in found.output
    assert not (tmp_path / "run").exists()


def test_parts_of_a_batch():
    sharding = Sharding.make("data=4,model=2")
    assert sharding.part() == (0, 1)
    batch = {"x": np.arange(24.0).reshape(8, 3)}
    found = sharding.assemble(batch)["x"]
    np.testing.assert_array_equal(found, batch["x"])
    assert found.addressable_shards[0].data.shape == (2, 3)


def test_members_of_a_sweep_are_split_over_the_devices_and_move_nothing():
    with jax.numpy_dtype_promotion("standard"):
        recipes = members_of(Bumps(stages="plan:1"), {"bits": [2, 8]}, 4)
        group, alone = Members(recipes), Members(recipes[5:6])
        ((state, metrics),) = group.train(group.start())
        ((wanted, one),) = alone.train(alone.start())
        weight = state.model.network.layers[0].weight
        assert {shard.data.shape[0] for shard in weight.addressable_shards} == {1}
        np.testing.assert_allclose(metrics["loss"][5], one["loss"][0], rtol=1e-5)
        np.testing.assert_allclose(
            weight[5], wanted.model.network.layers[0].weight[0], rtol=1e-4, atol=1e-5
        )
        with jax.set_mesh(group._mesh):
            epoch = eqx.filter_jit(_make_epoch(recipes[0], "plan"))
            text = epoch.lower(state, *group._inputs()).compile().compiled.as_text()
        assert not re.search("all-gather|all-reduce|all-to-all|collective-permute", text)
