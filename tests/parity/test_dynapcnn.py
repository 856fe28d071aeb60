"""Against golden vectors of sinabs' DYNAP-CNN backend. README.md says what the file holds."""

import functools
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware import dynapcnn
from snnjax.nn import IAF, Flatten, Residual, Sequential, SumPool2d

from ._compare import cases, load

FILE = "sinabs_dynapcnn"


def given(arrays, group):
    names = ("weight", "bias", "threshold", "min_vmem", "vmem")
    found = {name: arrays.get(f"{group}/{name}") for name in names}
    return {name: None if x is None else jnp.asarray(x) for name, x in found.items()}


@pytest.mark.few(43)
@pytest.mark.parametrize("case", cases(FILE, "discretize"))
def test_discretised_tensors_and_scales(case):
    _, arrays = load(FILE, case)
    start, wanted = given(arrays, "in"), given(arrays, "out")
    found = dynapcnn.discretize_core(**start, compat="sinabs")
    for name, value in wanted.items():
        if value is None:
            assert getattr(found, name) is None
        else:
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
            assert getattr(found, name).dtype == jnp.int32
    for name, bits in {"weight": 8, "bias": 8, "vmem": 16}.items():
        if start[name] is not None:
            scale = dynapcnn.discretization_scale(start[name], bits, compat="sinabs")
            np.testing.assert_array_equal(scale, arrays[f"out/scale_of_{name}"], err_msg=name)


def test_there_are_enough_cases():
    assert len(cases(FILE, "discretize")) >= 60
    assert len(cases(FILE, "network")) >= 10


def filled(model, values):
    """The network's state with the values of a case, and None for neurons at rest."""
    states = []
    for layer, start, value in zip(model.layers, model.initial_state(), values, strict=True):
        if isinstance(layer, eqx.nn.BatchNorm):
            states.append(start.set(layer.ema_state_index, value))
        else:
            states.append(filled(layer, value) if isinstance(layer, Residual) else value)
    return tuple(states)


class Built:
    """The model of a case, and the state that holds its statistics and membrane potentials."""

    def __init__(self, settings, arrays):
        self.arrays = arrays
        self.shape = tuple(settings["sensor_shape"] or settings["shape"])
        self.model, states, _ = self.sequence(settings["layers"], "", Sequential, self.shape)
        self.state = filled(self.model, states)

    def param(self, path, name):
        value = self.arrays.get(f"param/{path}/{name}")
        return None if value is None else jnp.asarray(value)

    def sequence(self, layers, prefix, cls, shape):
        built, states = [], []
        for i, layer in enumerate(layers):
            made, state, shape = self.layer(layer, f"{prefix}{i}", shape)
            built.append(made)
            states.append(state)
        return cls(*built), tuple(states), shape

    def layer(self, layer, path, shape):
        kind = layer["layer"]
        if kind == "residual":
            return self.sequence(layer["layers"], f"{path}.", Residual, shape)
        if kind == "iaf":
            keys = ("threshold", "min_vmem", "reset", "max_spikes")
            made = IAF(shape, **{k: layer[k] for k in keys})
            vmem = self.param(path, "vmem")
            state = None if vmem is None else made.initial_state()._replace(vmem=vmem)
            return made, state, shape
        if kind == "norm":
            return self.norm(layer, path, shape)
        made = getattr(self, kind)(layer, path)
        return made, None, jax.eval_shape(made, jax.ShapeDtypeStruct(shape, jnp.float32)).shape

    def conv(self, layer, path):
        made = eqx.nn.Conv2d(
            layer["in"],
            layer["out"],
            layer["kernel"],
            stride=layer["stride"],
            padding=layer["padding"],
            use_bias=layer["bias"],
            key=jax.random.key(0),
        )
        return self.filled(made, path, (layer["out"], 1, 1))

    def linear(self, layer, path):
        keywords = {"use_bias": layer["bias"], "key": jax.random.key(0)}
        made = eqx.nn.Linear(layer["in"], layer["out"], **keywords)
        return self.filled(made, path, (layer["out"],))

    def filled(self, layer, path, bias_shape):
        layer = eqx.tree_at(lambda m: m.weight, layer, self.param(path, "weight"))
        if layer.bias is None:
            return layer
        bias = self.param(path, "bias").reshape(bias_shape)
        return eqx.tree_at(lambda m: m.bias, layer, bias)

    def norm(self, layer, path, shape):
        # sinabs folds without the epsilon.
        made = eqx.nn.BatchNorm(layer["channels"], "time", eps=0.0, mode="ema")
        made = eqx.tree_at(
            lambda m: (m.weight, m.bias),
            eqx.nn.inference_mode(made),
            (self.param(path, "weight"), self.param(path, "bias")),
        )
        return made, (self.param(path, "running_mean"), self.param(path, "running_var")), shape

    def avg(self, layer, path):
        return eqx.nn.AvgPool2d(layer["size"], layer["size"])

    def sum(self, layer, path):
        return SumPool2d(layer["size"])

    def flatten(self, layer, path):
        return Flatten()

    def dropout(self, layer, path):
        return eqx.nn.Dropout(0.5, inference=True)


def sensor_of(settings):
    if settings["sensor"] is None:
        return None
    lists = settings["sensor"]
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in lists.items()}
    if "crop" in tuples:
        tuples["crop"] = tuple(map(tuple, tuples["crop"]))
    return dynapcnn.Sensor(**tuples, enabled=False)


@functools.cache
def mapped(case):
    settings, arrays = load(FILE, case)
    built = Built(settings, arrays)
    spec = dynapcnn.map_network(
        built.model,
        chip="speck2f",
        input_shape=built.shape,
        sensor=sensor_of(settings),
        statistics=built.state,
        cores=settings["cores"],
    )
    return spec, dynapcnn.quantize(spec, compat="sinabs", min_sqnr=0), built


@pytest.mark.few(1, slow=8)
@pytest.mark.parametrize("case", cases(FILE, "network"))
def test_spikes_of_every_layer(case):
    _, spec, _ = mapped(case)
    settings, arrays = load(FILE, case)
    trace = dynapcnn.simulate(spec, arrays["input"])
    assert len(spec.layers) == len(settings["counts"])
    for i, spikes in enumerate(trace.spikes):
        np.testing.assert_array_equal(spikes, arrays[f"spikes/{i}"].reshape(spikes.shape))
        assert int(trace.counts[i].sum()) == settings["counts"][i]
    assert not any(map(int, trace.saturated))


@pytest.mark.few(3)
@pytest.mark.parametrize("case", cases(FILE, "network"))
def test_memory(case):
    spec, _, _ = mapped(case)
    settings, _ = load(FILE, case)
    assert [layer.memory._asdict() for layer in spec.layers] == settings["memory"]


@pytest.mark.few(1)
@pytest.mark.parametrize("case", cases(FILE, "network"))
def test_configuration_of_every_core(case):
    _, spec, _ = mapped(case)
    settings, arrays = load(FILE, case)
    wanted = json.loads(bytes(arrays["config"]))
    config = dynapcnn.export(spec)
    assert config["cnn_layers"].keys() == wanted.keys()
    for core, fields in config["cnn_layers"].items():
        # There, monitoring is set in a later step, for the cores that send to no other.
        assert fields.pop("monitor_enable") == (not fields["destinations"])
        assert wanted[core].pop("monitor_enable") is False
        for both in (fields, wanted[core]):
            both["destinations"].sort(key=lambda destination: destination["layer"])
        assert fields == wanted[core]
    sensor = config["dvs_layer"]
    if sensor is not None:
        destinations = sensor.pop("destinations")
        assert sensor == settings["sensor_config"]
        assert [d["layer"] for d in destinations] == settings["sensor_cores"]


@pytest.mark.few(3)
@pytest.mark.parametrize("case", cases(FILE, "network"))
def test_configuration_reads_back(case, tmp_path):
    _, spec, _ = mapped(case)
    dynapcnn.save(spec, tmp_path / "spec.json")
    assert eqx.tree_equal(dynapcnn.load(tmp_path / "spec.json"), spec)
