"""Golden vectors of Rockpool's SynNet, written to rockpool_synnet.npz.

The layers as constructed, outputs, states and gradients. Also the time constants alone of more
shapes, where the tiling, the cut at the end and the rounding show.

Run by rockpool 3.1.0, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_rockpool_synnet.py

Its import tries to install a vendor package, so a stub of samna is put in sys.modules first (by
`_rockpool`).
"""

import numpy as np
from _rockpool import MARGIN, array, margin, save, torch
from rockpool.nn.modules.torch.lif_torch import StepPWL
from rockpool.nn.networks import SynNet

# Each case: the arguments of SynNet that differ from its defaults. "StepPWL" is a class's name.
CASES = {
    "one_hidden": {
        "n_classes": 3,
        "n_channels": 4,
        "size_hidden_layers": [7],
        "time_constants_per_layer": [3],
    },
    "two_hidden_trained": {
        "n_classes": 3,
        "n_channels": 5,
        "size_hidden_layers": [8, 7],
        "time_constants_per_layer": [3, 4],
        "quantize_time_constants": False,
        "train_time_constants": True,
        "train_threshold": True,
        "threshold": 0.6,
        "tau_mem": 7e-3,
        "tau_syn_out": 5e-3,
    },
    "vmem": {
        "n_classes": 4,
        "n_channels": 4,
        "size_hidden_layers": [8],
        "time_constants_per_layer": [3],
        "train_time_constants": True,
        "tau_mem": 5e-3,
        "tau_syn_out": 9e-3,
        "output": "vmem",
    },
    "three_hidden_capped": {
        "n_classes": 3,
        "n_channels": 6,
        "size_hidden_layers": [8, 6, 7],
        "time_constants_per_layer": [5, 4, 2],
        "tau_syn_base": 1.7e-3,
        "threshold": 0.4,
        "threshold_out": [0.15, 0.3, 0.2],
        "train_threshold": True,
        "max_spikes_per_dt": 3,
        "max_spikes_per_dt_out": 2,
    },
    "vmem_fine_dt": {
        "n_classes": 2,
        "n_channels": 4,
        "size_hidden_layers": [7, 6],
        "time_constants_per_layer": [2, 4],
        "tau_syn_base": 0.8e-3,
        "tau_mem": 3e-3,
        "tau_syn_out": 4e-3,
        "quantize_time_constants": False,
        "train_threshold": True,
        "threshold": 0.5,
        "dt": 5e-4,
        "output": "vmem",
    },
    "piecewise_linear": {
        "n_classes": 3,
        "n_channels": 4,
        "size_hidden_layers": [6, 7],
        "time_constants_per_layer": [4, 3],
        "tau_mem": 11e-3,
        "train_time_constants": True,
        "threshold": 0.7,
        "neuron_kwargs": {"spike_generation_fn": "StepPWL", "learning_window": 0.3},
    },
}
# Only the time constants of these are stored.
SHAPES = {
    "defaults": {},
    "defaults_not_quantized": {"quantize_time_constants": False},
    "more_constants_than_neurons": {
        "size_hidden_layers": [3, 2],
        "time_constants_per_layer": [5, 8],
    },
    "one_constant": {"size_hidden_layers": [4], "time_constants_per_layer": [1]},
    "exact_tiling": {"size_hidden_layers": [12, 8], "time_constants_per_layer": [4, 2]},
    "cut": {"size_hidden_layers": [13, 11], "time_constants_per_layer": [4, 3]},
    "short_base": {"tau_syn_base": 1.1e-3, "tau_mem": 1.2e-3, "tau_syn_out": 1.5e-3},
    "long_base": {"tau_syn_base": 4.6e-3, "time_constants_per_layer": [6], "tau_mem": 0.1},
    "coarse_dt": {"dt": 10e-3, "tau_syn_base": 25e-3, "tau_mem": 40e-3, "tau_syn_out": 30e-3},
}
LEAKS = ("tau_mem", "tau_syn")


def build(arguments):
    """Make a SynNet, and list its linear layers and its neuron layers."""
    neuron = dict(arguments.get("neuron_kwargs", {}))
    if "spike_generation_fn" in neuron:
        neuron["spike_generation_fn"] = StepPWL
    net = SynNet(**arguments | {"neuron_kwargs": neuron})
    linears = [net.seq[name.replace("neurons", "linear")] for name in net.lif_names]
    return net, linears, [net.seq[name] for name in net.lif_names]


def evolve(arguments, rng):
    """Run SynNet and its gradients; give the arrays of the case."""
    torch.manual_seed(int(rng.integers(2**31)))
    net, linears, neurons = build(arguments)
    params, constants = {}, {}
    for i, (linear, lif) in enumerate(zip(linears, neurons, strict=True)):
        params[f"linear/{i}/weight"] = linear.weight
        for name in (*LEAKS, "threshold"):
            trained = isinstance(getattr(lif, name), torch.nn.Parameter)
            (params if trained else constants)[f"lif/{i}/{name}"] = getattr(lif, name)
    assert {id(value) for _, value in net.named_parameters()} == {id(p) for p in params.values()}
    stored = {f"param/{name}": array(value) for name, value in (params | constants).items()}

    # Counts up to 15, which is what the chip takes, some of the channels busier than the others.
    busy = rng.uniform(1.0, 5.0, arguments["n_channels"])
    counts = np.minimum(rng.poisson(busy, (2, 40, arguments["n_channels"])), 15)
    x = torch.tensor(counts, dtype=torch.float32, requires_grad=True)
    output, _, states = net(x, record=True)
    loss = torch.tensor(rng.standard_normal(output.shape), dtype=torch.float32)
    (output * loss).sum().backward()

    stored |= {"input": array(x), "output": array(output), "loss/output": array(loss)}
    for i, name in enumerate(net.lif_names):
        for state in ("vmem", "isyn", "spikes"):
            stored[f"out/lif/{i}/{state}"] = array(states[name][state])
    stored |= {f"grad/{name}": array(value.grad) for name, value in params.items()}
    return stored | {"grad/input": array(x.grad)}


def flaw(arguments, stored):
    """Say what makes a draw a poor test, or nothing."""
    n_layers = len(arguments["size_hidden_layers"]) + 1
    for i in range(n_layers):
        last = i == n_layers - 1
        cap = arguments.get("max_spikes_per_dt_out", 1) if last else 31
        cap = cap if last else arguments.get("max_spikes_per_dt", cap)
        spikes, threshold = stored[f"out/lif/{i}/spikes"], stored[f"param/lif/{i}/threshold"]
        edge = None
        if "neuron_kwargs" in arguments:
            edge = threshold - arguments["neuron_kwargs"]["learning_window"]
        if margin(stored[f"out/lif/{i}/vmem"], spikes, threshold, cap, edge) < MARGIN:
            return f"a spike of layer {i} hangs on rounding"
        silent = last and arguments.get("output") == "vmem"
        if not silent and not 0.05 < (spikes > 0).mean() < 0.9:
            return f"too many or too few spikes in layer {i}"
        if not last and spikes.max() < 2:
            return f"no more than one spike a step in layer {i}"
    for name in (name for name in stored if name.startswith("grad/")):
        if not 1e-4 < np.abs(stored[name]).max() < np.inf:
            return f"{name} is nearly zero"
    return None


def main():
    """Draw each case anew until it makes a fair test, and save all of them."""
    everything = {}
    for number, (case, arguments) in enumerate(CASES.items()):
        for attempt in range(2000):
            stored = evolve(arguments, np.random.default_rng((number, attempt)))
            reason = flaw(arguments, stored)
            if reason is None:
                break
        else:
            raise RuntimeError(f"{case}: no fair draw, the last one: {reason}")
        spikes = [v.mean() for name, v in stored.items() if name.endswith("/spikes")]
        print(f"{case}: draw {attempt}, spikes a step", *(f"{mean:.2f}" for mean in spikes))
        everything |= {f"{case}/{name}": value for name, value in stored.items()}
    shapes = {name: {"n_classes": 3, "n_channels": 4} | more for name, more in SHAPES.items()}
    for name, arguments in shapes.items():
        for i, lif in enumerate(build(arguments)[2]):
            leaks = {f"{name}/param/lif/{i}/{leak}": array(getattr(lif, leak)) for leak in LEAKS}
            everything |= leaks
    save(__file__, CASES, everything, shapes=shapes)


if __name__ == "__main__":
    main()
