"""Networks as NIR files: back bit for bit, and to the tools that read them."""

from pathlib import Path

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import (
    ALIF,
    DSRLIF,
    IAF,
    LI,
    LIF,
    PLIF,
    Concatenate,
    CubaLIF,
    Graph,
    Leaky,
    LIFEuler,
    Parallel,
    Recurrent,
    Residual,
    Sequential,
    Synaptic,
    SynNet,
    nn,
    quant,
    record,
    surrogate,
    transforms,
)
from snnjax.interop._snntorch import LeakyAtOnce, SynapticAtOnce
from snnjax.interop.nir import WRITERS, Delay, load, save, to_graph

from . import _written
from ._arrays import arrays
from ._peers import BY_HAND, PEERS, TOLD

GOLDEN = Path(__file__).parents[1] / "parity/nir_written.npz"
KEYS = jax.random.split(jax.random.key(0), 10)


def linear(n_in, n_out, seed=0, **settings):
    return eqx.nn.Linear(n_in, n_out, key=KEYS[seed], **settings)


def conv(n_in, n_out, size=3, seed=0, **settings):
    return eqx.nn.Conv2d(n_in, n_out, size, key=KEYS[seed], **settings)


def lif():
    readout = LIF(2, output="vmem", max_spikes=1)
    return Sequential(linear(3, 4), LIF(4, tau_mem=5e-3), linear(4, 2, use_bias=False), readout)


def lif_recurrent():
    shifted = LIF(4, leak="bitshifts", bias=0.1, surrogate=surrogate.Sigmoid(slope=3.0))
    return Sequential(linear(3, 4), LIF(4, recurrent=True, key=KEYS[5], leak="decays"), shifted)


def synnet():
    return SynNet(4, 3, [6, 5], [2, 2], p_dropout=0.1, key=KEYS[3])


def convolutions():
    return Sequential(
        conv(2, 4, padding=1, use_bias=False, groups=2),
        IAF((4, 6, 6), min_vmem=-1.0, threshold=0.3),
        nn.SumPool2d(2),
        conv(4, 3, (1, 2), 1, padding="SAME"),
        PLIF((3, 3, 3)),
        eqx.nn.AvgPool2d((2, 1), 1, padding=(0, 1)),
        nn.Flatten(),
        linear(30, 4),
        IAF(4, max_spikes=3),
    )


def leaky():
    first = Leaky(4, 0.9, recurrent=True, key=KEYS[2], refractory=2)
    second = Leaky(4, np.array([0.8, 0.9, 0.5, 1.0]), alpha_syn=0.7, reset="zero", v_reset=-0.1)
    third = SynapticAtOnce(4, 0.7, 0.9, reset_delay=False)
    last = LeakyAtOnce(4, 0.9, reset_delay=False)
    return Sequential(
        ("in", linear(3, 4)), ("hidden", first), second, third, last, Synaptic(4, 0.7, 0.9)
    )


def euler():
    return Sequential(
        linear(3, 4), LIFEuler(4, r=1.2), CubaLIF(4), LI(4), LI(4, tau_syn=1e-2, norm_input=True)
    )


def branches():
    inner = Sequential(linear(4, 3, 3), IAF(3), linear(3, 2, 4))
    return Sequential(
        linear(3, 4), Residual(linear(4, 4, 1), LIF(4)), Parallel(linear(4, 2, 2), inner)
    )


def recurrent():
    return Sequential(linear(3, 4), Recurrent(LIF(4), linear(4, 4, 3)), Recurrent(LIF(4)))


def graph():
    nodes = {"rec": linear(4, 4), "w": linear(3, 4, 1), "lif": LIF(4), "skip": linear(5, 4, 2)}
    edges = [("a", "w"), ("w", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "y")]
    edges += [("b", "skip"), ("skip", "z"), ("skip", "lif")]
    return Graph(nodes, edges, inputs=("a", "b"), outputs=("y", "z"))


def recurrent_convolution():
    return Sequential(conv(2, 3, 1), IAF((3, 5, 5), recurrent=True, key=KEYS[1]))


OWN = [lif, lif_recurrent, synnet, convolutions, leaky, euler, branches, recurrent, graph]
OWN += [recurrent_convolution]
OPTIONS = {
    "convolutions": {"dt": 1e-3, "input_shape": (2, 6, 6)},
    "leaky": {"dt": 1e-3},
    "recurrent_convolution": {"dt": 1e-3, "input_shape": (2, 5, 5)},
}


@pytest.mark.few(4)
@pytest.mark.parametrize("build", OWN, ids=lambda build: build.__name__)
def test_a_network_comes_back_bit_for_bit(build, tmp_path):
    model, path = build(), tmp_path / "net.nir"
    save(model, path, **OPTIONS.get(build.__name__, {}))
    loaded = load(path)
    assert (loaded.dialect, loaded.dt, loaded.losses) == ("snnjax", 1e-3, {})
    assert eqx.tree_equal(loaded.network, model)


@pytest.mark.parametrize("build", OWN, ids=lambda build: build.__name__)
def test_nirs_own_reader_takes_the_files(build, tmp_path):
    nir = pytest.importorskip("nir")
    save(build(), tmp_path / "net.nir", **OPTIONS.get(build.__name__, {}))
    cyclic = build in (recurrent, graph, leaky, lif_recurrent, recurrent_convolution)
    # It takes the channels of all groups for those of one.
    typed = not cyclic and build is not convolutions
    assert nir.read(tmp_path / "net.nir", type_check=typed).nodes


def test_a_layer_alone_is_a_network_of_one():
    loaded = load(to_graph(LIF(3)))
    assert eqx.tree_equal(loaded.network["layer"], LIF(3))


@pytest.mark.few(8, slow=10)
@pytest.mark.skipif(not PEERS.exists(), reason="needs shared/data/nir")
@pytest.mark.parametrize("name", [*TOLD, *(f"hand_{name}" for name in BY_HAND)])
def test_what_came_from_a_peers_file_comes_back_from_ours(name):
    options = TOLD.get(name, {"dialect": "exact", "dt": 1e-3})
    network = load(PEERS / f"{name}.nir", **options).network
    shape = arrays(PEERS / f"{name}.npz")["input"].shape[1:]
    again = load(to_graph(network, dt=_dt(network), input_shape=shape)).network
    assert eqx.tree_equal(again, network)


def _dt(network):
    found = {layer.dt for layer in network.layers if isinstance(getattr(layer, "dt", None), float)}
    return None if found else 1e-3


@pytest.mark.parametrize(
    "layer",
    [
        Leaky(3, np.array([0.5, 0.9, 1.0]), threshold=1e3),
        Leaky(3, 0.8, alpha_syn=0.6, threshold=1e3),
        IAF(3, threshold=1e3),
        PLIF(3, tau=3.0, threshold=1e3),
        PLIF(3, tau=3.0, threshold=1e3, decay_input=False),
        LIFEuler(3, r=1.3, v_leak=0.2, threshold=1e3),
        CubaLIF(3, w_in=0.7, threshold=1e3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_below_the_threshold_the_equation_of_a_file_is_the_layer(layer, key):
    x = jax.random.normal(key, (20, 3))
    equation = load(to_graph(layer, dt=1e-3), dialect="euler", dt=1e-3).network
    _, _, wanted = record(layer, x)
    found = record(equation, x)[2]["layers[0].vmem"]
    np.testing.assert_allclose(found, wanted["vmem"], rtol=2e-4, atol=1e-6)


# ----- to the tools


@pytest.mark.few(6)
@pytest.mark.parametrize("name", _written.NETWORKS)
def test_a_tool_runs_the_file_as_the_same_network(name):
    """The golden outputs are the tools' own, from the very numbers that are written today."""
    golden = arrays(GOLDEN)
    network = _written.NETWORKS[name]()
    graph = to_graph(network, dialect=name, input_shape=_written.SHAPES.get(name))
    wanted = {
        key.removeprefix(f"{name}/graph/"): golden[key]
        for key in golden
        if key.startswith(f"{name}/graph/")
    }
    held = _places(graph)
    assert held.keys() == wanted.keys()
    for place, value in wanted.items():
        np.testing.assert_allclose(held[place], value, rtol=1e-6, err_msg=place)
    y, _, records = eqx.filter_jit(record)(network, _written.inputs(name))
    spikes = [value for path, value in records.items() if path.endswith(".spikes")]
    assert all(value.sum() > 10 for value in spikes)
    if name == "sinabs":  # It ends with a leaky integrator.
        np.testing.assert_allclose(y, golden[f"{name}/output"], rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(y, golden[f"{name}/output"])


def _places(graph, inside=""):
    found = {}
    for name, node in graph.nodes.items():
        if hasattr(node, "nodes"):
            found |= _places(node, f"{inside}{name}/")
            continue
        for key, value in node.to_dict().items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                found[f"{inside}{name}:{key}"] = value
    return found


CANNOT = [
    ("snntorch", Leaky(3, 0.9), "at most one spike|reset to a potential"),
    ("snntorch", Leaky(3, 0.9, reset="zero"), "Leaky without `reset_delay` from a file"),
    ("snntorch", LIF(3), "only Leaky among neurons; got LIF"),
    ("sinabs", IAF(3), "IAF with `min_vmem` = -threshold"),
    ("sinabs", IAF(3, min_vmem=-1.0, max_spikes=1), "subtract, without a cap"),
    ("norse", LIFEuler(3, r=2.0), "r = 1 and v_leak = 0"),
    ("norse", LIFEuler(3, dt=2e-3), "neurons with dt=0.001; this layer has 0.002"),
    ("rockpool", LIF(3, max_spikes=1), "`max_spikes` = 65536"),
    ("rockpool", LIF(3, synapses=2, max_spikes=2**16), "one synapse; this layer has 2"),
    ("spikingjelly", LIFEuler(3, tau_mem=[1e-3, 2e-3, 3e-3], dt=1e-4), "one tau for all"),
    ("spikingjelly", LIFEuler(3, r=2.0, tau_mem=1e-3, dt=1e-4), "r = 1 or r = tau/dt"),
    ("jaxpike", LIFEuler(3), "only NIRNeuron among neurons"),
    ("spyx", Leaky(3, 0.9, reset="zero"), "reset by subtraction"),
    ("spyx", Leaky(3, 0.9, reset_delay=False), "Leaky with `reset_delay`"),
    ("spyx", Delay(2, (3,)), "delays of one step"),
]


@pytest.mark.parametrize(("dialect", "layer", "message"), CANNOT)
def test_what_a_tool_would_read_wrong_is_refused_by_name(dialect, layer, message):
    model = Sequential(linear(2, 3), layer)
    with pytest.raises(ValueError, match=rf"`network\.layers\[1\]`: .*({message})"):
        to_graph(model, dialect=dialect)


def test_primitives_that_a_tool_does_not_read_are_refused_by_name():
    model = Sequential(eqx.nn.AvgPool2d(2), IAF((2, 1, 1), min_vmem=-1.0))
    with pytest.raises(ValueError, match=r"node '0': .* does not read AvgPool2d right"):
        to_graph(model, dialect="sinabs", input_shape=(2, 2, 2))


def test_a_file_for_spyx_comes_back_as_the_network():
    network = _written.spyx()
    loaded = load(to_graph(network, dialect="spyx", input_shape=(2, 8, 8)))
    assert (loaded.dialect, loaded.dt) == ("spyx", 1.0)
    x = _written.inputs("spyx")
    np.testing.assert_array_equal(loaded.network(x)[0], network(x)[0])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Leaky(3, 0.9)], "node 'output': .* a delay of one step must follow"),
        ([Delay(1, (3,))], "node '1': .* a delay of one step must follow"),
        ([Residual(linear(3, 3))], "only chains; node '1/input' leads to"),
    ],
)
def test_what_spyx_has_no_chain_for_is_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        to_graph(Sequential(linear(2, 3), *layers), dialect="spyx")


# ----- refused


def growing():
    return eqx.tree_at(lambda m: m[0].alpha_mem, Sequential(Leaky(4, 0.9)), jnp.full(4, 1.1))


def hooked():
    model = lif()
    return transforms.apply(transforms.plan(model, {}, activations={"LIF": quant.Int(4)}), model)


def hooked_states():
    model = lif()
    return transforms.apply(transforms.plan(model, {}, states={"LIF.vmem": quant.Int(4)}), model)


REFUSED = [
    (Sequential(linear(3, 4), ALIF(4)), {}, r"layers\[1\]`: NIR has no threshold that adapts"),
    (Sequential(DSRLIF(4)), {"dt": 1e-3}, r"layers\[0\]`: a DSR layer .* `fold_dsr`"),
    (
        Sequential(linear(3, 4), jnp.tanh, LIF(4)),
        {},
        r"layers\[1\]`: NIR has no primitive for tanh",
    ),
    (Sequential(linear(3, 4), LIF(2, synapses=2)), {}, "one synapse; this layer has 2 for each"),
    (Concatenate(LIF(4), LIF(4)), {}, "`network`: NIR has no Concatenate"),
    (
        Sequential(LIF(4), eqx.nn.BatchNorm(4, "time", mode="batch")),
        {},
        "no primitive for BatchNorm",
    ),
    (Sequential(Leaky(4, 0.9)), {}, "`dt` is needed"),
    (Sequential(LIF(4), LIF(4, dt=2e-3)), {}, r"`dt` must be that of all layers; got \[0.001"),
    (Sequential(LIF(4)), {"dt": 2e-3}, r"`dt` must be that of all layers"),
    (Sequential(conv(2, 3), IAF((3, 4, 4))), {"dt": 1e-3}, "`input_shape` is needed"),
    (Sequential(linear(3, 4), LIF(5)), {}, "does not take an input|must have the shape"),
    (growing(), {"dt": 1e-3}, "no membrane that grows by itself; alpha is 1.1"),
    (hooked(), {}, "`network`: its outputs have transforms"),
    (hooked_states(), {}, "its states have transforms"),
    (lif(), {"dialect": "brian"}, "`dialect` must be one of snntorch, sinabs, .*'brian'"),
]


@pytest.mark.parametrize(("model", "options", "message"), REFUSED)
def test_what_nir_cannot_say_is_refused_by_name(model, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save(model, tmp_path / "net.nir", **options)
    assert not list(tmp_path.iterdir())


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match="`network` must be a network; got Linear"):
        to_graph(linear(2, 3))


def test_every_writer_has_a_golden_file():
    assert WRITERS.keys() == _written.NETWORKS.keys()


# ----- files that were changed since


@pytest.fixture
def written(tmp_path):
    save(lif(), tmp_path / "net.nir")
    return tmp_path / "net.nir"


def edited(path, place, change):
    with h5py.File(path, "r+") as file:
        file[place][...] = change(file[place][...])
    return path


def test_a_weight_that_was_changed_since_is_the_weight(written):
    place = "node/nodes/0/weight"
    loaded = load(edited(written, place, lambda weight: 2 * weight))
    np.testing.assert_array_equal(loaded.network.layers[0].weight, 2 * lif().layers[0].weight)


def test_a_neuron_that_was_changed_since_is_not_passed_over(written):
    place = "node/nodes/1/r"
    with pytest.raises(ValueError, match=r"net\.nir: r of node '1' was changed .* `dialect`"):
        load(edited(written, place, lambda r: 2 * r))
    assert load(written, dialect="euler", dt=1e-3).network


@pytest.mark.parametrize("change", ["{}", "[", '{"version": 9}', '{"version": 1, "network": 3}'])
def test_damaged_notes_are_one_error_that_names_the_file(written, change):
    with h5py.File(written, "r+") as file:
        del file["node/metadata/snnjax/network"]
        file["node/metadata/snnjax/network"] = change
    with pytest.raises(ValueError, match=r"net\.nir: its notes are (damaged|of a later version)"):
        load(written)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["Popen", "snnjax.cli.main", "StateIndex"])
def test_notes_make_only_what_is_known(written, name):
    with h5py.File(written, "r+") as file:
        notes = file["node/metadata/snnjax/network"][()].decode()
        del file["node/metadata/snnjax/network"]
        changed = notes.replace('"class": "LIF"', f'"class": "{name}"')
        file["node/metadata/snnjax/network"] = changed
    with pytest.raises(ValueError, match=f"its notes name '{name}', which this version"):
        load(written)
