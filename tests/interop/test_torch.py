"""A state_dict into a network of the same layers."""

import json
import struct

import equinox as eqx
import jax
import numpy as np
import pytest

from snnjax import IAF, LI, PLIF, Graph, Leaky, Sequential
from snnjax.interop._firing import Strict
from snnjax.interop._neuron import NIRIntegrator, NIRNeuron
from snnjax.interop._snntorch import LeakyAtOnce, SynapticAtOnce
from snnjax.interop.torch import load_state_dict
from snnjax.nn import Flatten

from . import _modules
from ._arrays import arrays
from .test_modules import GOLDEN, assert_runs_as

KEY = jax.random.key(0)


def linear(n_in, n_out, **settings):
    return eqx.nn.Linear(n_in, n_out, key=KEY, **settings)


def conv(n_in, n_out, **settings):
    return eqx.nn.Conv2d(n_in, n_out, 3, key=KEY, **settings)


def leaky(shape, alpha_mem, **settings):
    return Leaky(shape, alpha_mem, surrogate=Strict(), **settings)


def norse(shape, **settings):
    found = {"tau_mem": 1e-2, "tau_syn": 5e-3, "w_in": 5.0, "start": "v_leak", "v_reset": 0.0}
    return NIRNeuron(shape, dt=1e-3, **(found | settings))


def box(shape, **settings):
    return norse(shape, tau_syn=None, **settings)


def iaf(shape):
    return NIRNeuron(shape, dt=1e-3, r=1e3, v_reset=0.0)


def jelly(shape, **settings):
    return NIRNeuron(shape, dt=1.0, strict=False, **settings)


AT_ONCE = {"reset_delay": False, "surrogate": Strict()}

OURS = {
    "snntorch_leaky": lambda: [
        linear(6, 10),
        leaky(10, 0.5),
        linear(10, 4),
        leaky(4, 0.5, reset="zero"),
    ],
    "snntorch_recurrent": lambda: [
        linear(6, 8),
        leaky(8, 0.5, w_rec=np.zeros((8, 8))),
        linear(8, 4, use_bias=False),
        leaky(4, 0.5, alpha_syn=0.5),
    ],
    "snntorch_at_once": lambda: [
        linear(6, 6, use_bias=False),
        SynapticAtOnce(6, 0.5, 0.5, **AT_ONCE),
        linear(6, 6, use_bias=False),
        LeakyAtOnce(6, 0.5, w_rec=np.zeros((6, 6)), **AT_ONCE),
        linear(6, 6, use_bias=False),
        LeakyAtOnce(6, 0.5, **AT_ONCE),
        linear(6, 6, use_bias=False),
        SynapticAtOnce(6, 0.5, 0.5, **AT_ONCE),
    ],
    "snntorch_conv": lambda: [
        conv(2, 4, padding=1, use_bias=False),
        leaky((4, 8, 8), 0.5),
        eqx.nn.AvgPool2d(2, 2),
        conv(4, 3, stride=2, padding=1),
        leaky((3, 2, 2), 0.9),
        Flatten(),
        linear(12, 4),
        leaky(4, 0.1, reset="none"),
    ],
    "sinabs_from_model_conv": lambda: [
        conv(2, 4, padding=1, use_bias=False),
        IAF((4, 8, 8), min_vmem=-1.0),
        eqx.nn.AvgPool2d(2, 2),
        conv(4, 6, stride=2, padding=1),
        IAF((6, 2, 2), min_vmem=-1.0),
        Flatten(),
        linear(24, 5),
        IAF(5, min_vmem=-1.0),
    ],
    "sinabs_iaf": lambda: [
        linear(6, 10),
        IAF(10, min_vmem=-0.5),
        linear(10, 4, use_bias=False),
        LI(4, tau_mem=7e-3),
    ],
    "sinabs_lif": lambda: [
        linear(6, 10),
        NIRNeuron(
            10,
            dt=1.0,
            tau_mem=10.0,
            tau_syn=5.0,
            threshold=0.4,
            membrane="exact",
            synapse="decayed",
            strict=False,
            reset="subtract",
            max_spikes=None,
        ),
        linear(10, 4),
        NIRNeuron(
            4,
            dt=1.0,
            tau_mem=6.0,
            min_vmem=-1.0,
            membrane="sum",
            strict=False,
            reset="subtract",
            max_spikes=None,
        ),
    ],
    "spikingjelly_lif": lambda: [
        linear(6, 10),
        jelly(10, tau_mem=2.5, r=2.5, reset="subtract"),
        linear(10, 4, use_bias=False),
        jelly(4, tau_mem=3.0, threshold=0.3, v_leak=-0.1, v_reset=-0.1, start="v_reset"),
    ],
    "spikingjelly_plif": lambda: [
        linear(6, 10),
        PLIF(10, decay_input=False),
        linear(10, 4),
        jelly(4, threshold=0.8, reset="subtract"),
    ],
    "spikingjelly_conv": lambda: [
        conv(2, 4, padding=1, use_bias=False),
        jelly((4, 8, 8), threshold=1.5),
        eqx.nn.AvgPool2d(2, 2),
        Flatten(),
        linear(64, 4),
        jelly(4, tau_mem=2.0, threshold=0.2),
    ],
    "norse_lif": lambda: [
        linear(6, 10),
        norse(10, tau_mem=1 / np.linspace(60, 200, 10, dtype="f4"), threshold=0.4, v_reset=-0.1),
        linear(10, 4, use_bias=False),
        norse(4, threshold=0.3, v_leak=0.05),
    ],
    "norse_box": lambda: [
        linear(6, 10),
        box(10, tau_mem=1 / 150, threshold=0.3),
        linear(10, 4),
        NIRIntegrator(4, dt=1e-3, tau_mem=1e-2),
    ],
    "norse_iaf_conv": lambda: [
        conv(2, 4, padding=1, use_bias=False),
        iaf((4, 8, 8)),
        eqx.nn.AvgPool2d(2, 2),
        Flatten(),
        linear(64, 4),
        iaf(4),
    ],
}


@pytest.fixture(scope="module")
def golden():
    return arrays(GOLDEN)


def state_of(golden, name):
    prefix = f"{name}/state/"
    return {key.removeprefix(prefix): golden[key] for key in golden if key.startswith(prefix)}


@pytest.mark.few(4)
@pytest.mark.parametrize("name", OURS)
def test_with_the_weights_of_a_state_dict_the_spikes_are_the_tools(name, golden):
    state = state_of(golden, name)
    if name == "sinabs_from_model_conv":
        state = in_order(state)
    model = load_state_dict(Sequential(*OURS[name]()), state)
    assert_runs_as(model, name, golden)


def in_order(state):
    """As torch has them: the modules by their numbers."""
    return dict(sorted(state.items(), key=lambda item: int(item[0].split(".")[0])))


@pytest.fixture
def model():
    return Sequential(*OURS["snntorch_leaky"]())


@pytest.fixture
def state(golden):
    return state_of(golden, "snntorch_leaky")


def written(state, path):
    """The arrays in a file, as numpy and as safetensors write them."""
    if path.suffix == ".npz":
        np.savez(path, **state)
        return path
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, value in state.items():
        data = np.ascontiguousarray(value, np.float32).tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.mark.parametrize("name", ["net.npz", "net.safetensors"])
def test_files_hold_the_same(name, model, state, tmp_path):
    loaded = load_state_dict(model, written(state, tmp_path / name))
    assert eqx.tree_equal(loaded, load_state_dict(model, state))


@pytest.mark.parametrize("name", ["net.npz", "net.safetensors"])
def test_every_cut_of_a_file_is_one_error_that_names_it(name, model, state, tmp_path):
    path = written(state, tmp_path / name)
    content = path.read_bytes()
    for size in range(0, len(content) - 1, max(1, len(content) // 40)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=rf"{name} is (damaged \(|no \.npz file of arrays)"):
            load_state_dict(model, path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("[" * 5000, "lists are more than 32 deep"),
        ('{"fc.weight": {}, "fc.weight": {}}', "stands there twice"),
        ("[]", "its header is no dictionary"),
        (
            '{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
            "whole numbers as shape",
        ),
        ('{"a": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}', r"'a' has the dtype \[\]"),
        ('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 9]}}', "outside of the file"),
    ],
)
def test_a_damaged_header_is_one_error_that_names_the_file(header, message, model, tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(4))
    with pytest.raises(ValueError, match=rf"net\.safetensors is damaged .*{message}"):
        load_state_dict(model, path)


def test_pickles_are_not_read(model, tmp_path):
    (tmp_path / "net.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"net\.pt must be an \.npz or a \.safetensors file; save"):
        load_state_dict(model, tmp_path / "net.pt")
    np.savez(tmp_path / "net.npz", weight=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"net\.npz: weight.npy has a header .* got '|O'"):
        load_state_dict(model, tmp_path / "net.npz")
    with pytest.raises(FileNotFoundError, match=r"none\.npz does not exist"):
        load_state_dict(model, tmp_path / "none.npz")


def test_a_mapping_says_which_module_is_which_layer():
    first, last = linear(3, 3), linear(3, 3)
    model = Graph({"b": last, "a": first}, [("input", "a"), ("a", "b"), ("b", "output")])
    weights = {name: i * np.ones((3, 3)) for i, name in enumerate(["out", "hidden"], 1)}
    state = {}
    for name, weight in weights.items():
        state |= {f"{name}.weight": weight, f"{name}.bias": np.zeros(3)}
    loaded = load_state_dict(model, state, {"layers[1]": "hidden"})
    assert loaded["a"].weight[0, 0] == 2
    assert loaded["b"].weight[0, 0] == 1
    with pytest.raises(ValueError, match=r"`mapping`: 'layers\[7\]' is not a layer"):
        load_state_dict(model, state, {"layers[7]": "hidden"})
    with pytest.raises(ValueError, match="`mapping`: 'fc' is not a module of `state`"):
        load_state_dict(model, state, {"layers[1]": "fc"})


def test_every_difference_is_named(model, state):
    state = dict(state)
    del state["0.bias"], state["1.beta"]
    state["2.weight"] = np.zeros((4, 9))
    state["2.scale"] = np.zeros(4)
    with pytest.raises(ValueError, match="does not fit") as error:
        load_state_dict(model, state)
    assert str(error.value).splitlines() == [
        "`state` does not fit the network:",
        "  layers[0].bias gets nothing: there is no 0.bias",
        "  layers[2].weight is (4, 10); 2.weight is (4, 9)",
        "  2.scale has no place",
        "  layers[1].alpha_mem gets nothing: there is no 1.beta",
    ]


def test_numbers_of_layers_that_differ_are_named(model, state):
    state = {key: value for key, value in state.items() if not key.startswith("2.")}
    with pytest.raises(ValueError, match=r"has 2 layers with weights, .*; `state` has 1, 0"):
        load_state_dict(model, state)
    with pytest.raises(ValueError, match="it holds no weights"):
        load_state_dict(Sequential(IAF(3)), {})


def test_outputs_are_those_of_the_golden_networks():
    assert OURS.keys() == {
        name for name in _modules.NETWORKS if name.partition("_")[0] not in ("spyx", "jaxpike")
    }
