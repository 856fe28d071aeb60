"""Golden vectors of sinabs' DYNAP-CNN backend, written to sinabs_dynapcnn.npz.

Discretised tensors and scales; configuration dictionaries, memory figures and core numbers of
networks; and the spikes of every layer of the discretised networks.

Run by sinabs 3.1.3, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_sinabs_dynapcnn.py

Its import asks for a vendor package, so stubs of samna are put in sys.modules first.
"""

import itertools
import json
import sys
from unittest.mock import MagicMock

import numpy as np
from _golden import array, save, tensor, torch

for stubbed in (
    "samna",
    "samnagui",
    *(f"samna.{part}" for part in ("speck2e", "speck2f", "specksim", "specksim.nodes")),
    *(f"samna.{chip}.configuration" for chip in ("speck2e", "speck2f")),
):
    sys.modules.setdefault(stubbed, MagicMock(name=stubbed))

from sinabs import activation, layers as sl  # noqa: E402
from sinabs.backend.dynapcnn import DynapcnnNetwork, discretize  # noqa: E402
from sinabs.backend.dynapcnn.chips import Speck2FConfigBuilder  # noqa: E402
from sinabs.backend.dynapcnn.dvs_layer import DVSLayer  # noqa: E402
from torch import nn  # noqa: E402

RESETS = {"subtract": activation.MembraneSubtract, "zero": activation.MembraneReset}
SPIKES = {None: activation.MultiSpike, 1: activation.SingleSpike}
STEPS = 10


# --- discretisation -------------------------------------------------------------------------


def drawn(kind, rng, shape):
    """Weights of a kind."""
    x = rng.normal(0, 0.3, shape)
    magnitude = np.abs(x)
    if kind == "edge":  # min and max at the very ratio of the integers, 128 to 127
        x = np.clip(x, -0.5, 0.5)
        x.flat[:2] = -128 / 127, 1.0
    return {
        "normal": x,
        "edge": x,
        "tiny": x * 1e-6,
        "huge": x * 1e5,
        "positive": magnitude + 0.01,
        "negative": -magnitude - 0.01,
        "narrow": -0.999 - magnitude / 1e4,  # negative, all nearly the same
        "outlier": np.where(np.arange(x.size).reshape(shape) == 7, -9.0, x),
        "sparse": np.where(rng.random(shape) < 0.1, x, 0.0),
        "zeros": np.zeros(shape),
        "halves": rng.integers(-20, 21, shape) / 2,  # ties, rounded to even
    }[kind]


KINDS = (
    *("normal", "edge", "tiny", "huge", "positive", "negative"),
    *("narrow", "outlier", "sparse", "zeros", "halves"),
)


def discretized(kind, bias, min_vmem, vmem, number):
    """One setting: what goes in, and what sinabs makes of it."""
    rng = np.random.default_rng((5, number))
    conv = nn.Conv2d(2, 4, 3, bias=bias)
    conv.weight.data = tensor(drawn(kind, rng, (4, 2, 3, 3)))
    if bias:
        size = float(np.abs(array(conv.weight)).max()) or 1.0
        conv.bias.data = tensor(rng.normal(0, rng.choice([0.1, 3.0]), 4) * size)
    threshold = rng.choice([1.0, 0.3, 2.5]) * (1e-6 if kind == "tiny" else 1.0)
    lowest = None if min_vmem is None else min_vmem * threshold
    neuron = sl.IAF(spike_threshold=torch.tensor(np.float32(threshold)), min_v_mem=lowest)
    given = {"weight": array(conv.weight), "threshold": np.float32(threshold)}
    if bias:
        given["bias"] = array(conv.bias)
    if lowest is not None:
        given["min_vmem"] = np.float32(lowest)
    if vmem:
        neuron.init_state_with_shape((1, 4, 5, 5))
        neuron.v_mem.data = tensor(rng.normal(0, 4 * threshold, (1, 4, 5, 5)))
        given["vmem"] = array(neuron.v_mem)[0]
    scales = [discretize.determine_discretization_scale(conv.weight, 8)]
    out_conv, out_neuron = discretize.discretize_conv_spike(conv, neuron)
    out = {
        "weight": array(out_conv.weight),
        "threshold": np.float32(float(out_neuron.spike_threshold)),
        "min_vmem": np.float32(float(out_neuron.min_v_mem)),
        "scale_of_weight": array(scales[0]),
    }
    if bias:
        out["bias"] = array(out_conv.bias)
        out["scale_of_bias"] = array(discretize.determine_discretization_scale(conv.bias, 8))
    if vmem:
        out["vmem"] = array(out_neuron.v_mem)[0]
        scale = discretize.determine_discretization_scale(neuron.v_mem, 16)
        out["scale_of_vmem"] = array(scale)
    groups = {"in": given, "out": out}
    return {f"{group}/{k}": v for group, values in groups.items() for k, v in values.items()}


def settings():
    """Yield the name and the settings of every discretisation."""
    for kind, bias, min_vmem, vmem in itertools.product(
        KINDS, (False, True), (None, -1.0), (False, True)
    ):
        tags = f"{'bias' * bias}{'-bounded' * (min_vmem is not None)}{'-vmem' * vmem}"
        case = {"kind": "discretize", "tensor": kind, "bias": bias, "vmem": vmem}
        yield f"{kind}-{tags}", {**case, "min_vmem": min_vmem}


# --- networks -------------------------------------------------------------------------------


def conv(n_in, n_out, kernel, *, stride=(1, 1), padding=(0, 0), bias=False, gain=1.6):
    return {
        "layer": "conv",
        "in": n_in,
        "out": n_out,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "bias": bias,
        "gain": gain,
    }


def linear(n_in, n_out, *, bias=False):
    return {"layer": "linear", "in": n_in, "out": n_out, "bias": bias, "gain": 1.6}


def iaf(threshold=1.0, min_vmem=-1.0, reset="subtract", max_spikes=None, vmem=None):
    return {
        "layer": "iaf",
        "threshold": threshold,
        "min_vmem": min_vmem,
        "reset": reset,
        "max_spikes": max_spikes,
        "vmem": vmem,
    }


def pool(kind, size):
    return {"layer": kind, "size": size}


def residual(*inner):
    return {"layer": "residual", "layers": list(inner)}


FLATTEN, DROPOUT = {"layer": "flatten"}, {"layer": "dropout"}


def norm(channels):
    return {"layer": "norm", "channels": channels}


NETWORKS = {
    "lenet": ((1, 28, 28), [
        conv(1, 6, 5), iaf(), pool("avg", 2), conv(6, 8, 5), iaf(), pool("avg", 2), DROPOUT,
        FLATTEN, linear(128, 24), iaf(), linear(24, 10), iaf(),
    ]),
    "lenet_biases": ((1, 20, 20), [
        conv(1, 4, 5, bias=True), iaf(), pool("avg", 2), conv(4, 6, 3, bias=True), iaf(),
        pool("avg", 2), FLATTEN, linear(54, 10, bias=True), iaf(),
    ]),
    "strides": ((2, 30, 22), [
        conv(2, 5, 3, stride=(2, 1), padding=(1, 2)), iaf(),
        conv(5, 7, 4, stride=(4, 2), padding=(0, 3)), iaf(min_vmem=-0.5),
        conv(7, 6, 2, stride=(1, 8)), iaf(), conv(6, 4, 1), iaf(),
    ]),
    "sum_pools": ((2, 34, 34), [
        conv(2, 4, 3, padding=(1, 1)), iaf(2.0), pool("sum", 4), conv(4, 9, 3), iaf(1.5),
        pool("sum", 2), conv(9, 5, 3), iaf(),
    ]),
    "chained_pools": ((1, 19, 19), [
        conv(1, 3, 2), iaf(), pool("avg", 2), pool("sum", 2), conv(3, 5, 2), iaf(),
        pool("sum", 1), pool("avg", 2), FLATTEN, linear(5, 3), iaf(),
    ]),
    "average_of_four": ((1, 24, 24), [
        conv(1, 4, 5, bias=True), iaf(0.4), pool("avg", 4), conv(4, 6, 3, bias=True), iaf(0.5),
    ]),
    "dense": ((1, 8, 8), [
        FLATTEN, linear(64, 30, bias=True), iaf(), linear(30, 20), iaf(), linear(20, 4), iaf(),
    ]),
    "residual": ((2, 16, 16), [
        conv(2, 4, 3, padding=(1, 1)), iaf(), residual(conv(4, 4, 3, padding=(1, 1)), iaf()),
        conv(4, 3, 3, stride=(2, 2)), iaf(),
    ]),
    "two_residuals": ((1, 12, 12), [
        conv(1, 4, 3), iaf(), residual(conv(4, 3, 3, padding=(1, 1)), iaf(), conv(3, 4, 1), iaf()),
        conv(4, 6, 3), iaf(4.0), residual(conv(6, 6, 5, padding=(2, 2), bias=True), iaf(3.0)),
        conv(6, 4, 3, padding=(1, 1)), iaf(5.0), pool("avg", 2), FLATTEN, linear(64, 5), iaf(),
    ]),
    "norms": ((2, 14, 14), [
        conv(2, 5, 3, bias=True), norm(5), iaf(), pool("avg", 2), conv(5, 4, 3), norm(4), iaf(),
    ]),
    "single_spikes": ((1, 16, 16), [
        conv(1, 4, 3, bias=True), iaf(0.7, -0.7, "zero", 1), pool("sum", 2), conv(4, 4, 3),
        iaf(1.0, -2.0, "zero", 1),
    ]),
    "reset_to_zero": ((1, 16, 16), [
        conv(1, 4, 3), iaf(0.5, -1.0, "zero"), pool("sum", 2), conv(4, 4, 3),
        iaf(1.0, -0.1, "zero"),
    ]),
    "unbounded": ((1, 12, 12), [
        conv(1, 4, 3, gain=90), iaf(60.0, None), pool("sum", 2), conv(4, 4, 3, gain=300),
        iaf(200.0, None),
    ]),
    "with_state": ((1, 10, 10), [
        conv(1, 3, 3), iaf(vmem=0.8), conv(3, 4, 3, bias=True), iaf(vmem=0.5),
    ]),
    "nine_cores": ((1, 24, 24), [
        layer for i in range(9) for layer in (conv(1 if i == 0 else 2, 2, 2), iaf(0.6))
    ]),
    "memory": ((2, 64, 64), [
        conv(2, 16, 3, padding=(1, 1)), iaf(4.0), pool("sum", 4),
        conv(16, 40, 3, padding=(1, 1)), iaf(9.0), pool("sum", 2),
        conv(40, 60, 3), iaf(4.0), conv(60, 16, 6), iaf(3.0),
    ]),
}  # fmt: skip

SENSORS = {
    "sensor_merged": {"size": (40, 48), "merge": True, "pool": (2, 2)},
    "sensor_cropped": {
        "size": (40, 48),
        "pool": (2, 4),
        "crop": ((3, 17), (1, 11)),
        "mirror_x": True,
        "mirror_y": True,
    },
    "sensor_turned": {"size": (20, 20), "mirror_x": True, "mirror_diagonal": True},
}
ON_SENSOR = {
    "sensor_merged": [conv(1, 4, 3), iaf(), conv(4, 3, 3), iaf()],
    "sensor_cropped": [conv(2, 4, 3), iaf(), conv(4, 3, 3), iaf()],
    "sensor_turned": [conv(2, 4, 3), iaf(), conv(4, 3, 3), iaf()],
}


def module(layer, rng, shape):
    """The torch layer of a description, and its parameters by name."""
    kind = layer["layer"]
    if kind in ("conv", "linear"):
        shapes = [layer["in"], layer["out"]]
        if kind == "conv":
            keywords = {"stride": layer["stride"], "padding": layer["padding"]}
            made = nn.Conv2d(*shapes, layer["kernel"], bias=layer["bias"], **keywords)
        else:
            made = nn.Linear(*shapes, bias=layer["bias"])
        fan_in = made.weight[0].numel()
        size = layer["gain"] / fan_in**0.5
        made.weight.data = tensor(rng.normal(0.15, 1, made.weight.shape) * size)
        if layer["bias"]:
            made.bias.data = tensor(rng.normal(0, 0.1, layer["out"]))
        return made, {name: array(p) for name, p in made.named_parameters()}
    if kind == "iaf":
        made = sl.IAFSqueeze(
            batch_size=1,
            spike_threshold=torch.tensor(layer["threshold"]),
            min_v_mem=layer["min_vmem"],
            reset_fn=RESETS[layer["reset"]](),
            spike_fn=SPIKES[layer["max_spikes"]],
        )
        if layer["vmem"] is None:
            return made, {}
        made.init_state_with_shape((1, *shape))
        made.v_mem.data = tensor(rng.normal(0, layer["vmem"], (1, *shape)))
        return made, {"vmem": array(made.v_mem)[0]}
    if kind == "norm":
        made = nn.BatchNorm2d(layer["channels"]).eval()
        n = layer["channels"]
        values = {
            "weight": rng.uniform(0.5, 1.5, n),
            "bias": rng.normal(0, 0.2, n),
            "running_mean": rng.normal(0, 0.3, n),
            "running_var": rng.uniform(0.5, 2.0, n),
        }
        for name, value in values.items():
            getattr(made, name).data = tensor(value)
        return made, {name: np.float32(value) for name, value in values.items()}
    makers = {
        "avg": lambda: nn.AvgPool2d(layer["size"]),
        "sum": lambda: sl.SumPool2d(layer["size"]),
        "flatten": nn.Flatten,
        "dropout": lambda: nn.Dropout(0.5),
    }
    return makers[kind](), {}


class Net(nn.Module):
    """A network of descriptions; its torch layers are flat, as sinabs needs them."""

    def __init__(self, layers, shape, rng, sensor=None):
        super().__init__()
        self.program, self.param, self.neurons = [], {}, []
        x = torch.zeros(1, *shape)
        if sensor is not None:
            self.sensor = sensor
            self.program.append((sensor, None))
            x = sensor(x)
        self._extend(layers, x, rng, "")
        self.eval()

    def _extend(self, layers, x, rng, prefix):
        for i, layer in enumerate(layers):
            path = f"{prefix}{i}"
            if layer["layer"] == "residual":
                start = len(self.program)
                self.program.append(("save", None))
                x = self._extend(layer["layers"], x, rng, f"{path}.")
                merge = sl.Merge()
                self.add_module(f"merge{start}", merge)
                self.program.append(("merge", merge))
                continue
            made, param = module(layer, rng, tuple(x.shape[1:]))
            name = "layer" + path.replace(".", "_")
            self.add_module(name, made)
            self.program.append((made, None))
            self.param |= {f"{path}/{k}": v for k, v in param.items()}
            if layer["layer"] == "iaf":
                self.neurons.append(made)
            else:
                x = made.eval()(x)
        return x

    def forward(self, x):
        saved = []
        for layer, merge in self.program:
            if layer == "save":
                saved.append(x)
            elif layer == "merge":
                x = merge(saved.pop(), x)
            else:
                x = layer(x)
        return x


def sensor_layer(size, merge=False, pool=(1, 1), crop=None, **mirror):
    names = {"mirror_x": "flip_x", "mirror_y": "flip_y", "mirror_diagonal": "swap_xy"}
    flips = {names[k]: v for k, v in mirror.items()}
    return DVSLayer(size, pool=pool, crop=crop, merge_polarities=merge, **flips)


def plain(value):
    """Tensors as numbers, for JSON."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value.item() if hasattr(value, "item") else value


def packed(value):
    """JSON as bytes, which compress well in the file."""
    return np.frombuffer(json.dumps(plain(value)).encode(), np.uint8)


def network(shape, layers, number, sensor):
    """One network: parameters, configuration of each core, and the spikes of each."""
    rng = np.random.default_rng((6, number))
    dvs = None if sensor is None else sensor_layer(**sensor)
    net = Net(layers, shape, rng, dvs)
    twin = DynapcnnNetwork(net, input_shape=shape, discretize=True)
    cores = Speck2FConfigBuilder.map_layers_to_cores(twin.dynapcnn_layers)
    chip_layers, destinations = twin.dynapcnn_layers, twin.layer_destination_map
    config = {
        cores[i]: Speck2FConfigBuilder.get_dynapcnn_layer_config_dict(layer, cores, destinations[i])
        for i, layer in chip_layers.items()
    }
    spikes = {}
    for i, layer in chip_layers.items():
        layer.spk.register_forward_hook(lambda m, x, y, i=i: spikes.__setitem__(i, array(y)))
    polarities = 2 if sensor is not None else shape[0]
    raster = rng.poisson(0.25, (STEPS, polarities, *shape[1:]))
    twin(tensor(raster))
    counts = {i: int(s.sum()) for i, s in spikes.items()}
    assert min(counts.values()) > 5, f"a silent layer: {counts}"
    # Before the reset, vmem is below (spikes + 1)*threshold. sinabs has no 16 bits to keep.
    peak = max(
        (spikes[i].max() + 1) * float(layer.spk.spike_threshold) for i, layer in chip_layers.items()
    )
    assert peak < 2**15, f"beyond 16 bits: {peak}"
    arrays = {f"param/{k}": v for k, v in net.param.items()}
    arrays |= {f"spikes/{n}": spikes[i].astype(np.uint16) for n, i in enumerate(sorted(spikes))}
    arrays |= {"input": raster.astype(np.uint8), "config": packed(config)}
    order = sorted(chip_layers)
    case = {
        "kind": "network",
        "shape": shape,
        "layers": layers,
        "sensor": sensor,
        "sensor_config": None if dvs is None else dvs.get_config_dict(),
        "sensor_shape": None if dvs is None else dvs.get_output_shape(),
        "cores": [cores[i] for i in order],
        "sensor_cores": [] if dvs is None else [cores[i] for i in destinations["dvs"]],
        "memory": plain([chip_layers[i].memory_summary() for i in order]),
        "counts": [counts[i] for i in order],
    }
    return case, arrays


def networks():
    for name, (shape, layers) in NETWORKS.items():
        yield name, shape, layers, None
    for name, sensor in SENSORS.items():
        channels = 1 if sensor.get("merge") else 2
        yield name, (channels, *sensor["size"]), ON_SENSOR[name], sensor


def main():
    cases, arrays = {}, {}
    for number, (name, case) in enumerate(settings()):
        bias, min_vmem, vmem = case["bias"], case["min_vmem"], case["vmem"]
        found = discretized(case["tensor"], bias, min_vmem, vmem, number)
        cases[name] = case
        arrays |= {f"{name}/{key}": value for key, value in found.items()}
    for number, (name, shape, layers, sensor) in enumerate(networks()):
        cases[name], found = network(shape, layers, number, sensor)
        print(f"{name}: cores {cases[name]['cores']}, spikes {cases[name]['counts']}")
        arrays |= {f"{name}/{key}": value for key, value in found.items()}
    save(__file__, ["sinabs"], cases, arrays)


if __name__ == "__main__":
    main()
