"""The networks that sinabs tests its DYNAP-CNN backend with: same cores, memory and spikes."""

import functools
import itertools
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import Graph
from snnjax.hardware import dynapcnn
from snnjax.nn import IAF, Flatten, Sequential, SumPool2d

from ._compare import golden, load

FILE = "sinabs_networks"


class Builder:
    """Layers with the parameters of a case."""

    def __init__(self, case):
        self.settings, self.arrays = load(FILE, case)

    def conv(self, name, stride=1, padding=0):
        weight = self.arrays[f"param/{name}.weight"]
        out, channels, *kernel = weight.shape
        made = eqx.nn.Conv2d(
            channels, out, kernel, stride, padding, use_bias=False, key=jax.random.key(0)
        )
        return eqx.tree_at(lambda m: m.weight, made, jnp.asarray(weight))

    def linear(self, name):
        weight, bias = (self.arrays.get(f"param/{name}.{k}") for k in ("weight", "bias"))
        keywords = {"use_bias": bias is not None, "key": jax.random.key(0)}
        made = eqx.nn.Linear(*weight.shape[::-1], **keywords)
        made = eqx.tree_at(lambda m: m.weight, made, jnp.asarray(weight))
        return made if bias is None else eqx.tree_at(lambda m: m.bias, made, jnp.asarray(bias))

    def iaf(self, name, min_vmem=-1.0):
        shape = self.arrays[f"spikes/{name}"].shape[1:]
        shape = shape[:1] if shape[1:] == (1, 1) else shape
        return IAF(shape, min_vmem=min_vmem)

    def graph(self, *edges, **nodes):
        """A Graph of layers by name, with edges such as "conv1 > iaf1 > pool1"."""
        pairs = []
        for edge in edges:
            names = edge.split(" > ")
            pairs += itertools.pairwise(names)
        return Graph(nodes, pairs)


def model_1(b, pool=None, factors=(0.25, 0.31)):
    """Averages and plain spikes meet in conv3, whose weights can hold one factor, not two.

    sinabs takes half of the mean of 0.25 and 1, rounded to 0.31, for both: another network. Here
    that network has sum pools and the factors in its weights.
    """
    pool = SumPool2d(2) if pool is None else pool
    scaled = {
        name: eqx.tree_at(lambda m: m.weight, b.conv(name), replace_fn=lambda w, f=f: w * f)
        for name, f in zip(("conv2", "conv3"), factors, strict=True)
    }
    return b.graph(
        "input > conv1 > iaf1 > pool1 > conv2 > iaf2 > conv3 > iaf3 > flat",
        "iaf1 > pool1a > conv3",
        "flat > fc1 > iaf4 > fc2 > iaf5 > output",
        **scaled,
        conv1=b.conv("conv1"),
        **{n: b.linear(n) for n in ("fc1", "fc2")},
        **{n: b.iaf(n) for n in ("iaf1", "iaf2", "iaf3")},
        **{n: IAF(size, min_vmem=-1.0) for n, size in (("iaf4", 200), ("iaf5", 10))},
        **dict.fromkeys(("pool1", "pool1a"), pool),
        flat=Flatten(),
    )


def model_2(b):
    return b.graph(
        "input > conv_A > iaf_A > conv_B > iaf2_B > pool_B > conv_C > iaf_C > pool_C",
        "pool_C > conv_D > iaf_D > flat_D > fc3 > iaf3_fc > output",
        "pool_B > conv_E > iaf3_E > pool_E > conv_F > iaf_F > flat_F > fc3",
        **{f"conv_{n}": b.conv(f"conv_{n}") for n in "ABCDEF"},
        **{n: b.iaf(n) for n in ("iaf_A", "iaf2_B", "iaf_C", "iaf_D", "iaf3_E", "iaf_F")},
        **{f"pool_{n}": SumPool2d(2) for n in "BCE"},
        **{f"flat_{n}": Flatten() for n in "DF"},
        fc3=b.linear("fc3"),
        iaf3_fc=b.iaf("iaf3_fc"),
    )


def model_3(b):
    return b.graph(
        "input > conv_A > iaf_A > conv_B > iaf_B > pool_B > conv_C > iaf_C > pool_C > flat_1 > fc1",
        "input > conv_D > iaf_D > conv_E > iaf_E > pool_E > conv_F > iaf_F > pool_F > flat_2 > fc1",
        "fc1 > iaf1_fc > fc2 > iaf2_fc > fc3 > iaf3_fc > output",
        **{f"conv_{n}": b.conv(f"conv_{n}") for n in "ABCDEF"},
        **{f"iaf_{n}": b.iaf(f"iaf_{n}") for n in "ABCDEF"},
        **{f"pool_{n}": SumPool2d(2) for n in "BCEF"},
        **{f"flat_{n}": Flatten() for n in "12"},
        **{f"fc{n}": b.linear(f"fc{n}") for n in "123"},
        **{f"iaf{n}_fc": b.iaf(f"iaf{n}_fc") for n in "123"},
    )


def model_4(b):
    return b.graph(
        "input > conv1 > iaf1 > conv2 > iaf2 > pool2 > conv4 > iaf4 > pool4 > flat1 > fc2",
        "iaf1 > conv3 > iaf3 > pool3 > conv4",
        "iaf3 > pool3a > conv5 > iaf5 > pool5 > flat2 > fc2 > iaf2_fc > output",
        **{f"conv{n}": b.conv(f"conv{n}") for n in range(1, 6)},
        **{f"iaf{n}": b.iaf(f"iaf{n}") for n in range(1, 6)},
        **{n: SumPool2d(2) for n in ("pool2", "pool3", "pool3a", "pool4", "pool5")},
        **{n: Flatten() for n in ("flat1", "flat2")},
        fc2=b.linear("fc2"),
        iaf2_fc=b.iaf("iaf2_fc"),
    )


def seq_1(b):
    unbound = {"min_vmem": None}
    return Sequential(
        {
            "0": b.conv("0"),
            "1": b.iaf("1", **unbound),
            "2": b.conv("2"),
            "3": b.iaf("3", **unbound),
        }
    )


def seq_2(b):
    unbound = {"min_vmem": None}
    return Sequential(
        {
            "0": b.conv("0"),
            "1": b.iaf("1", **unbound),
            "2": SumPool2d(2),
            "3": eqx.nn.AvgPool2d(2, 2),
            "4": eqx.nn.Dropout(0.5, inference=True),
            "5": b.conv("5"),
            "6": b.iaf("6", **unbound),
            "7": b.conv("7"),
            "8": b.iaf("8", **unbound),
            "9": Flatten(),
            "10": b.linear("10"),
            "11": eqx.nn.Identity(),
            "12": b.iaf("12", **unbound),
        }
    )


def lenet(b):
    pool = eqx.nn.AvgPool2d(2, 2)
    return Sequential(
        {
            **{"0": b.conv("0"), "1": b.iaf("1"), "2": pool},
            **{"3": b.conv("3"), "4": b.iaf("4"), "5": pool},
            **{"6": b.conv("6"), "7": b.iaf("7"), "8": pool},
            **{"9": Flatten(), "10": b.linear("10"), "11": b.iaf("11")},
            **{"12": b.linear("12"), "spike_output": b.iaf("spike_output")},
        }
    )


def large(b):
    names = [key.removeprefix("param/") for key in b.arrays if key.endswith(".weight")]
    layers = {}
    convs = sorted((name.removesuffix(".weight") for name in names), key=int)
    for i, name in enumerate(convs):
        stride, padding = (2, 0) if i == 0 else (1, 1 if i < 6 else 0)
        layers[name] = b.conv(name, stride, padding)
        neurons = str(int(name) + 1)
        shape = b.arrays[f"spikes/{neurons}"].shape[1:]
        layers[neurons] = IAF(shape, min_vmem=-1.0)
        if 0 < i < 6:
            layers[f"pool{name}"] = eqx.nn.AvgPool2d(2, 2)
    return Sequential(layers)


MODELS = {f.__name__: f for f in (model_1, model_2, model_3, model_4, seq_1, seq_2, lenet, large)}
MARKS = {"large": pytest.mark.long, **dict.fromkeys(("model_3", "lenet"), pytest.mark.slow)}

each_network = pytest.mark.parametrize(
    "case", [pytest.param(case, marks=MARKS.get(case, ())) for case in MODELS]
)


@functools.cache
def mapped(case, cores=None):
    """The spec, and the peer's name of the neurons of each of its layers."""
    builder = Builder(case)
    model = MODELS[case](builder)
    shape = tuple(builder.settings["shape"])
    spec = dynapcnn.map_network(model, input_shape=shape)
    names = {model.path(name): name for name in model.names}
    order = [names[layer.path] for layer in spec.layers]
    spec = dynapcnn.place(spec, cores=[builder.settings["cores"][name] for name in order])
    return dynapcnn.quantize(spec, compat="sinabs", min_sqnr=0, max_zeroed=1), order, builder


def test_all_of_them_are_here():
    assert list(golden(FILE)[1]["cases"]) == list(MODELS)


def test_averages_that_meet_plain_spikes_are_refused():
    model = model_1(Builder("model_1"), eqx.nn.AvgPool2d(2, 2), (1, 1))
    with pytest.raises(ValueError, match=r"gets averages .* factors \[0.25, 1.0\], but"):
        dynapcnn.map_network(model, input_shape=(2, 34, 34))


@pytest.mark.few(1)
@each_network
def test_the_peers_cores_hold_it_and_the_memory_is_the_same(case):
    spec, order, builder = mapped(case)
    assert dynapcnn.check(spec) == ()
    for name, layer in zip(order, spec.layers, strict=True):
        assert layer.memory._asdict() == builder.settings["memory"][name]
        assert layer.core == builder.settings["cores"][name]
    assert dynapcnn.check(dynapcnn.place(spec)) == ()


@pytest.mark.few(1)
@each_network
def test_the_cores_that_are_chosen_are_the_peers_or_as_large(case):
    """The same core, or in model_3 and large one with as much memory."""
    spec, _, _ = mapped(case)
    memory = lambda spec: [spec.chip.cores[layer.core] for layer in spec.layers]  # noqa: E731
    assert memory(dynapcnn.place(spec)) == memory(spec)


@pytest.mark.few(2, slow=3)
@each_network
def test_the_configuration_is_the_same(case):
    spec, _, builder = mapped(case)
    wanted = json.loads(bytes(builder.arrays["config"]))
    found = dynapcnn.export(spec)["cnn_layers"]
    assert found.keys() == wanted.keys()
    for core, fields in found.items():
        for both in (fields, wanted[core]):
            both.pop("monitor_enable")
            both["destinations"].sort(key=lambda to: to["layer"])
        assert fields == wanted[core]


@pytest.mark.few(1)
@each_network
def test_the_spikes_are_the_same(case):
    spec, order, builder = mapped(case)
    trace = dynapcnn.simulate(spec, builder.arrays["input"])
    for name, spikes in zip(order, trace.spikes, strict=True):
        np.testing.assert_array_equal(
            spikes, builder.arrays[f"spikes/{name}"].reshape(spikes.shape)
        )
