"""NeuroBench's metrics of ten networks, written to neurobench.npz.

Run by neurobench 2.3.0, snntorch 1.0.0, torch 2.13.0 (CPU) and numpy 2.3.5 on Python 3.11:

    python tests/parity/make_neurobench.py

Four networks of snnTorch run. Three of Xylo's and three of DYNAP-CNN's integers are layers of torch
with neurons that replay drawn spikes, since the metrics are of any activity. Batches are of one.
"""

import numpy as np
import snntorch
import torch
from _golden import array, save, tensor
from neurobench.metrics.static import ConnectionSparsity, Footprint
from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
from neurobench.models import SNNTorchModel
from torch import nn

STEPS = 12


class Replay(nn.Module):
    """Neurons whose spikes were drawn: `(time, ...)`."""

    def __init__(self, spikes):
        super().__init__()
        self.spikes, self.step = tensor(spikes), 0

    def forward(self, x):
        self.step += 1
        return self.spikes[None, self.step - 1]


def product(weight, **keywords):
    kind = nn.Linear if weight.ndim == 2 else nn.Conv2d
    sizes = weight.shape[1], weight.shape[0]
    layer = kind(*sizes, *weight.shape[2:3], bias=False, **keywords)
    layer.weight.data = tensor(weight)
    return layer


def measured(net, x):
    """The metrics of a network on one sequence."""
    model, data = SNNTorchModel(net), tensor(x)[None]
    model.add_activation_module(Replay)
    model.register_hooks()
    with torch.no_grad():
        model(data)
    batch = data, torch.zeros(1)
    operations = SynapticOperations()(model, None, batch)
    spikes = [torch.cat(hook.activation_outputs) for hook in model.activation_hooks]
    weights = nn.ModuleList(model.connection_layers())
    return {
        "connection_sparsity": ConnectionSparsity()(model),
        "activation_sparsity": ActivationSparsity()(model, None, batch),
        "dense": operations["Dense"],
        "effective_macs": operations["Effective_MACs"],
        "effective_acs": operations["Effective_ACs"],
        # Without what only snnTorch keeps in its neurons.
        "footprint_of_weights": Footprint()(SNNTorchModel(weights)),
    }, [array(s) for s in spikes]


def pruned(rng, shape, gain, share):
    return rng.normal(0, gain / np.sqrt(np.prod(shape[1:])), shape) * (rng.random(shape) < share)


class Chain(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return x, None


def leaky(beta=0.9):
    return snntorch.Leaky(beta=beta, init_hidden=True)


def of_snntorch(number, rng):
    """A network of snnTorch, its input and its weights by layer."""
    if number == 1:  # convolutions
        weights = [pruned(rng, (4, 2, 3, 3), 8, 0.7), pruned(rng, (3, 4, 2, 2), 8, 0.7)]
        weights.append(pruned(rng, (5, 27), 8, 0.9))
        first, second = product(weights[0], padding=1), product(weights[1], stride=2)
        net = Chain(first, leaky(), second, leaky(), nn.Flatten(), product(weights[2]), leaky())
        return net, rng.random((STEPS, 2, 7, 7)) < 0.3, weights
    sizes = {0: (9, 14, 5), 2: (6, 10, 10, 4), 3: (8, 12, 3)}[number]
    shapes = zip(sizes[1:], sizes[:-1], strict=True)
    weights = [pruned(rng, shape, 4, (0.4, 1, 1, 0.8)[number]) for shape in shapes]
    layers = [layer for w in weights for layer in (product(w), leaky())]
    if number == 2:
        layers[3] = snntorch.RLeaky(beta=0.9, linear_features=10, init_hidden=True)
        weights.append(pruned(rng, (10, 10), 2, 0.6))
        layers[3].recurrent = product(weights[-1])
    x = rng.poisson(0.6, (STEPS, sizes[0])) if number == 3 else rng.random((STEPS, sizes[0])) < 0.4
    return Chain(*layers), x, weights


class Xylo(nn.Module):
    def __init__(self, drawn, spikes, out):
        super().__init__()
        n = spikes.shape[1]
        flat = {k: w.reshape(len(w), -1).T for k, w in drawn.items()}
        self.w_in, self.w_rec, self.w_out = (product(flat[k]) for k in ("w_in", "w_rec", "w_out"))
        self.hidden, self.out, self.late = Replay(spikes), Replay(out), torch.zeros(1, n)

    def forward(self, x):
        self.w_in(x), self.w_rec(self.late), self.w_out(self.late)
        self.late = self.hidden(x)
        return self.out(x), None

    def reset(self):
        pass


def of_xylo(number, rng):
    n_in, n, n_out, synapses = ((5, 12, 3, 1), (16, 20, 8, 2), (3, 9, 2, 2))[number]
    shapes = {"w_in": (n_in, n, synapses), "w_rec": (n, n, synapses), "w_out": (n, n_out)}
    drawn = {
        name: rng.integers(-128, 128, shape) * (rng.random(shape) < 0.4)
        for name, shape in shapes.items()
    }
    rate = (0.3, 0.9, 0.05)[number]
    events, spikes = rng.poisson(rate, (STEPS, n_in)), rng.poisson(rate / 2, (STEPS, n))
    out = rng.integers(0, 2, (STEPS, n_out))
    return Xylo(drawn, spikes, out), events, drawn | {"spikes": spikes, "spikes_out": out}


class Cores(nn.Module):
    def __init__(self, layers, spikes, pool):
        super().__init__()
        self.layers, self.pool = nn.ModuleList(layers), pool
        self.neurons = nn.ModuleList(map(Replay, spikes))

    def forward(self, x):
        for layer, neurons in zip(self.layers, self.neurons, strict=True):
            layer(x)
            spikes = neurons(x)
            if layer is self.layers[0]:
                x = self.pool**2 * nn.functional.avg_pool2d(spikes, self.pool)
        return spikes, None

    def reset(self):
        pass


def of_dynapcnn(number, rng):
    stride, padding = ((1, 1), (2, 1), (1, 2))[number], ((1, 1), (0, 2), (2, 0))[number]
    first = rng.integers(-128, 128, (4, 2, 3, 3)) * (rng.random((4, 2, 3, 3)) < 0.6)
    second = rng.integers(-128, 128, (5, 4, 2, 2)) * (rng.random((5, 4, 2, 2)) < 0.8)
    layers = [product(first, stride=stride, padding=padding), product(second)]
    x = rng.poisson((0.2, 0.05, 1.5)[number], (STEPS, 2, 12, 10))
    one = layers[0](tensor(x)).shape
    spikes = [rng.poisson(0.2, one)]
    two = layers[1](nn.functional.avg_pool2d(tensor(spikes[0]), 2)).shape
    spikes.append(rng.poisson(0.3, two))
    drawn = {"weight/0": first, "weight/1": second, "spikes/0": spikes[0], "spikes/1": spikes[1]}
    return Cores(layers, spikes, 2), x, drawn, {"stride": stride, "padding": padding}


cases, arrays = {}, {}
for number in range(10):
    rng = np.random.default_rng((23, number))
    more = {}
    if number < 4:
        kind, (net, x, weights) = "snntorch", of_snntorch(number, rng)
        metrics, spikes = measured(net, x)
        assert all(0.02 < (s != 0).mean() < 0.9 for s in spikes), number
        stored = {f"weight/{i}": w for i, w in enumerate(weights)}
        stored |= {f"spikes/{i}": s for i, s in enumerate(spikes)}
    elif number < 7:
        kind, (net, x, stored) = "xylo", of_xylo(number - 4, rng)
        metrics, _ = measured(net, x)
    else:
        kind, (net, x, stored, more) = "dynapcnn", of_dynapcnn(number - 7, rng)
        metrics, _ = measured(net, x)
    cases[str(number)] = {"kind": kind, **more, **metrics}
    stored = {"input": x, **stored}
    floats = {k: np.float32 if k.startswith("weight") else np.int16 for k in stored}
    arrays |= {f"{number}/{k}": np.asarray(v).astype(floats[k]) for k, v in stored.items()}
    print(number, kind, metrics)
save(__file__, ["neurobench", "snntorch"], cases, arrays)
