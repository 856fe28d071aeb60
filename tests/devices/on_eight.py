"""Tests that need eight devices; `test_devices.py` runs them in a process that has them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from snnjax import DSRIF, DSRLIF, LIF, Sequential, nn, quant, record, run_chunked, transforms
from snnjax.hardware.xylo.frontend import Audio3, Imu
from snnjax.train import losses

from ..nn import neurons
from ..nn.test_stream import NETWORKS
from ._meshes import KINDS, assert_same, mesh_of, shard

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
