"""Networks from other tools' modules, where the tool is installed."""

import json
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import numpy as np
import pytest

from snnjax import Leaky
from snnjax.interop.modules import from_modules
from snnjax.surrogate import Sigmoid

from . import _modules
from ._arrays import arrays

GOLDEN = Path(__file__).parents[1] / "parity/modules.npz"
REAL = {"sinabs_iaf", "norse_box", "jaxpike_readout"}
"""Networks that end with potentials, not with spikes."""


def assert_runs_as(model, name, golden):
    y, _ = eqx.filter_jit(model)(_modules.inputs(name))
    y = np.asarray(y).reshape(_modules.STEPS, -1)
    assert abs(y).sum() > 5
    if name in REAL:
        np.testing.assert_allclose(y, golden[f"{name}/output"], rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(y, golden[f"{name}/output"])


@pytest.fixture(scope="module")
def golden():
    return arrays(GOLDEN)


def built(name):
    packages, _, _ = _modules.TOOLS[name.partition("_")[0]]
    if not _modules.installed(*packages):
        pytest.skip(f"needs {' and '.join(packages)}")
    return _modules.NETWORKS[name]()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", _modules.NETWORKS)
def test_a_network_of_modules_runs_as_in_its_tool(name, golden):
    net = built(name)
    model = from_modules(net, _modules.inputs(name).shape[1:])
    assert_runs_as(model, name, golden)


def test_every_tool_has_three_golden_networks(golden):
    manifest = json.loads(str(golden["manifest"]))
    assert manifest["versions"].keys() == _modules.TOOLS.keys()
    for tool in _modules.TOOLS:
        names = [name for name in _modules.NETWORKS if name.startswith(f"{tool}_")]
        assert len(names) >= 3
        assert all(f"{name}/output" in golden for name in names)


# Modules as the tools have them, without the tools.


def module(package, name, **attributes):
    return type(name, (SimpleNamespace,), {"__module__": package})(**attributes)


def torch_linear():
    weight = np.ones((3, 2), np.float32)
    return module("torch.nn.modules.linear", "Linear", weight=weight, bias=None)


def leaky(name="Leaky", **attributes):
    found = {"beta": 0.9, "threshold": 1.0, "reset_mechanism": "subtract", "reset_delay": True}
    found |= {"state_quant": False, "graded_spikes_factor": 1.0, "inhibition": False}
    return module(f"snntorch._neurons.{name.lower()}", name, **(found | attributes))


def test_a_surrogate_is_given_and_is_that_of_all_neurons():
    model = from_modules([torch_linear(), leaky()], 2, surrogate=Sigmoid(slope=3.0))
    assert model.layers[1].settings.surrogate.inner.slope == 3.0


@pytest.mark.parametrize(
    ("integrator", "expected"),
    [
        (module("spyx.nn", "LI", beta=0.9), [1.0, 0.9, 0.31, 2.279, 2.0511]),
        (
            module(
                "norse.torch.module.leaky_integrator",
                "LICell",
                p=SimpleNamespace(tau_mem_inv=100.0, tau_syn_inv=200.0, v_leak=0.1),
                dt=0.001,
            ),
            [0.2, 0.27, 0.267, 0.4615, 0.59431],
        ),
    ],
    ids=["spyx 1.0.0", "norse 1.1.0"],
)
def test_a_readout_of_potentials_steps_as_its_tool_printed(integrator, expected):
    y, _ = from_modules([integrator], 1)(np.array([[1.0], [0.0], [-0.5], [2.0], [0.0]]))
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        ("Leaky", {}, "Leaky"),
        ("Synaptic", {"alpha": 0.8}, "Synaptic"),
        ("Leaky", {"reset_delay": False}, "LeakyAtOnce"),
        ("Synaptic", {"alpha": 0.8, "reset_delay": False}, "SynapticAtOnce"),
        ("Leaky", {"reset_delay": False, "reset_mechanism": "zero"}, "Leaky"),
    ],
)
def test_layers_of_snntorch_have_its_names(name, settings, kind):
    model = from_modules([leaky(name=name, **settings)], 2)
    assert str(model).splitlines()[1].split()[1:3] == [kind, "2"]


def test_without_a_delay_a_neuron_above_two_thresholds_is_held_back_as_in_snntorch():
    model = from_modules([leaky(reset_delay=False)], 1)
    y, state = model(np.array([[2.5], [0.0], [1.0], [0.0]], np.float32))
    # 1.5 is left, 1.35 a step later; 1.35 - 1 does not fire, and 2.215 - 1 does.
    np.testing.assert_array_equal(y[:, 0], [1, 0, 1, 0])
    np.testing.assert_allclose(state[0].vmem, [0.9 * 1.215], rtol=1e-5)


def test_a_class_that_is_only_made_otherwise_is_its_base_and_any_other_is_refused():
    base = leaky()
    own = type("MyLeaky", (type(base),), {"__module__": "mine"})
    own.__init__ = lambda self: type(base).__init__(self, **vars(base))
    assert isinstance(from_modules([own()], 2).layers[0], Leaky)
    own.forward = lambda self, x: x
    with pytest.raises(ValueError, match="number 0, MyLeaky: there is no layer for it"):
        from_modules([own()], 2)


def test_dropout_is_off_where_the_module_evaluates():
    layers = [module("torch.nn", "Dropout", p=0.5, training=on) for on in (True, False)]
    assert [m.inference for m in from_modules(layers, 2).layers] == [False, True]


def max_pool(**settings):
    found = {"kernel_size": 3, "stride": (2, 1), "padding": 1, "dilation": 1, "ceil_mode": False}
    return module("torch.nn.modules.pooling", "MaxPool2d", **(found | settings))


def test_pools_of_maxima_are_torchs():
    model = from_modules([max_pool()], (1, 4, 3))
    x = np.arange(-12, 0, dtype=np.float32).reshape(1, 1, 4, 3)
    y, _ = model(x)
    # torch 2.13.0
    np.testing.assert_array_equal(y[0, 0], [[-8, -7, -7], [-2, -1, -1]])


def test_lists_within_lists_are_opened():
    model = from_modules([[torch_linear()], [[leaky()]]], 2)
    assert [type(layer).__name__ for layer in model.layers] == ["Linear", "Leaky"]


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([torch_linear(), leaky(state_quant=True)], r"number 1, Leaky: `state_quant` must be off"),
        ([leaky(inhibition=True)], "number 0, Leaky: `inhibition` must be off"),
        ([leaky(graded_spikes_factor=2.0)], "`graded_spikes_factor` must be 1; got 2.0"),
        (
            [
                leaky(
                    name="RSynaptic", alpha=0.5, recurrent=SimpleNamespace(V=0.1), reset_delay=False
                )
            ],
            "number 0, RSynaptic: `reset_delay` must be on: snnTorch's RSynaptic does not run",
        ),
        ([max_pool(ceil_mode=True)], "number 0, MaxPool2d: `ceil_mode` must be off"),
        (
            [torch_linear(), module("torch.nn.modules.batchnorm", "BatchNorm1d")],
            "number 1, BatchNorm1d: fold it into the layer before it .*fuse_linear_bn_eval",
        ),
        ([leaky(beta=0.0)], "decays must be above 0"),
        (
            [[torch_linear(), module("torch.nn", "LSTM")]],
            "number 0.1, LSTM: there is no layer .* Li",
        ),
        ([module("lava.lib", "LIF")], "number 0, LIF: .* there are layers of torch"),
        ([torch_linear(), leaky(beta=np.ones(4))], "number 1, Leaky: "),
        ([torch_linear(), torch_linear()], "number 1, Linear: "),
    ],
)
def test_what_has_no_layer_is_refused_by_number_and_class(modules, message):
    with pytest.raises(ValueError, match=message):
        from_modules(modules, 2)
