"""Golden vectors of the networks that sinabs tests its DYNAP-CNN backend with.

Parameters, configuration dictionaries, memory figures and core numbers, and the spikes of every
layer of the discretised networks, written to sinabs_networks.npz. Weights are drawn anew, since the
initial ones leave most layers silent.

Run by sinabs 3.1.3, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11, with a checkout of sinabs at
commit 904eb89 for the networks of its tests:

    python tests/parity/make_sinabs_networks.py CHECKOUT
"""

import importlib
import sys
from unittest.mock import MagicMock

import numpy as np
from _golden import array, save, tensor, torch
from make_sinabs_dynapcnn import DynapcnnNetwork, Speck2FConfigBuilder, packed, plain
from sinabs import layers as sl
from sinabs.from_torch import from_model

STEPS = 6
sys.modules.setdefault("pytest", MagicMock(name="pytest"))  # the peers' environment may lack it


def spiking(model, **settings):
    return from_model(model, batch_size=1, **settings).spiking_model


def networks(checkout):
    """Name, network and shape of its input."""
    sys.path.insert(0, checkout)
    for number in range(1, 5):
        module = importlib.import_module(f"tests.test_dynapcnnnetwork.model_dummy_{number}")
        yield f"model_{number}", module.SNN(1), module.input_shape
    module = importlib.import_module("tests.test_dynapcnnnetwork.model_dummy_seq")
    yield "seq_1", module.seq_1, module.input_shape_seq
    yield "seq_2", module.seq_2, module.input_shape_seq
    module = importlib.import_module("tests.test_dynapcnn.test_auto_mapping")
    yield "lenet", spiking(module.ann, add_spiking_output=True), module.input_shape
    module = importlib.import_module("tests.test_dynapcnn.test_large_net")
    yield "large", spiking(module.DynapCnnNetA(n_out=3).seq), (2, 128, 128)


def draw(net, rng, mean):
    """Weights of some mean, in their standard deviations."""
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            size = 1.6 / module.weight[0].numel() ** 0.5
            module.weight.data = tensor(rng.normal(mean, 1, module.weight.shape) * size)
            if module.bias is not None:
                module.bias.data = tensor(rng.normal(0, 0.1, module.bias.shape))


def neurons(net, shape):
    """The name of the neurons that each product feeds."""
    names, found = {id(module): name for name, module in net.named_modules()}, {}

    def mark(module, _, y):
        y.product = names[id(module)]

    def look(module, x):
        found[x[0].product] = names[id(module)]

    hooks = []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            hooks.append(module.register_forward_hook(mark))
        elif isinstance(module, sl.IAFSqueeze):
            hooks.append(module.register_forward_pre_hook(look))
    net(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return found


def cosine(x, y):
    return float(x @ y / (np.linalg.norm(x) * max(np.linalg.norm(y), 1e-9)))


def named(layers, param, neurons):
    """The names of the neurons of each layer of the chip, found by their weights."""
    found = {}
    for i, layer in layers.items():
        weight = array(layer.conv.weight)
        fitting = {
            name: param[f"{name}.weight"]
            for name in neurons
            if param[f"{name}.weight"].shape[0] == weight.shape[0]
            and param[f"{name}.weight"].size == weight.size
        }
        alike = {name: cosine(w.ravel(), weight.ravel()) for name, w in fitting.items()}
        found[i] = neurons[max(alike, key=alike.get)]
    assert len(set(found.values())) == len(found), found
    return found


def case(name, net, shape, number):
    """The first draw in which no layer is silent, or beyond 16 bits.

    The averages and the missing lower bounds of seq_2 leave sinabs a scale at which all weights of
    its second layer round to 0.
    """
    for attempt in range(40):
        rng = np.random.default_rng((7, number, attempt))
        draw(net, rng, (0.15, 0.1, 0.05, 0.0)[attempt % 4])
        found, arrays, peak = run(net, shape, rng)
        awake = name == "seq_2" or min(found["counts"].values()) > 5
        if awake and peak < 2**15:
            return found, arrays
    raise RuntimeError(f"no fair draw, the last one: {found['counts']}, peak {peak}")


def run(net, shape, rng):
    net.eval()
    param = {name: array(value) for name, value in net.named_parameters()}
    pairs = neurons(net, shape)
    for module in net.modules():
        if isinstance(module, sl.IAFSqueeze):
            module.reset_states()
    twin = DynapcnnNetwork(net, input_shape=shape, discretize=True)
    layers, destinations = twin.dynapcnn_layers, twin.layer_destination_map
    cores = Speck2FConfigBuilder.map_layers_to_cores(layers)
    build = Speck2FConfigBuilder.get_dynapcnn_layer_config_dict
    config = {cores[i]: build(layer, cores, destinations[i]) for i, layer in layers.items()}
    spikes = {}
    for i, layer in layers.items():
        layer.spk.register_forward_hook(lambda m, x, y, i=i: spikes.__setitem__(i, array(y)))
    raster = rng.poisson(0.25, (STEPS, *shape))
    twin(tensor(raster))
    names = named(layers, param, pairs)
    # Before the reset, vmem is below (spikes + 1)*threshold. sinabs has no 16 bits to keep.
    peak = max(
        (spikes[i].max() + 1) * float(layer.spk.spike_threshold) for i, layer in layers.items()
    )
    arrays = {f"param/{name}": value for name, value in param.items()}
    arrays |= {f"spikes/{names[i]}": s.astype(np.uint16) for i, s in spikes.items()}
    arrays |= {"input": raster.astype(np.uint8), "config": packed(config)}
    found = {
        "shape": shape,
        "cores": {names[i]: cores[i] for i in layers},
        "memory": plain({names[i]: layer.memory_summary() for i, layer in layers.items()}),
        "counts": {names[i]: int(s.sum()) for i, s in spikes.items()},
    }
    return found, arrays, peak


def main(checkout):
    cases, arrays = {}, {}
    for number, (name, net, shape) in enumerate(networks(checkout)):
        cases[name], found = case(name, net, shape, number)
        print(f"{name}: cores {cases[name]['cores']}, spikes {cases[name]['counts']}", flush=True)
        arrays |= {f"{name}/{key}": value for key, value in found.items()}
    save(__file__, ["sinabs"], cases, arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
