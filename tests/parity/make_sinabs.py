"""Golden vectors of sinabs, written to sinabs.npz: IAF, LIF, ALIF, ExpLeak, surrogates, synops.

sinabs' ALIF keeps its normalised current as the state of the synapse, and does not carry that state
from call to call. The cases with both a synapse and a normalised input therefore scale the input by
1 - alpha_mem instead, which is what its equations say; one, `alif_slip`, is as sinabs computes it.
It is stepped by its own function of one step, because the states that the layer records are those
of the step after, before their reset.

Run by sinabs 3.1.3, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_sinabs.py

Its import asks for a vendor package, so a stub of samna is put in sys.modules first.
"""

import math
import sys
from unittest.mock import MagicMock

import numpy as np
from _golden import array, collect, events, flaw, result, save, tensor, torch

for stubbed in ("samna", "samnagui"):
    sys.modules.setdefault(stubbed, MagicMock(name=stubbed))

from sinabs import activation, hooks, layers  # noqa: E402
from sinabs.layers.functional.alif import alif_forward_single  # noqa: E402

SURROGATES = {
    "SingleExponential": activation.SingleExponential,
    "PeriodicExponential": activation.PeriodicExponential,
    "Gaussian": activation.Gaussian,
    "MultiGaussian": activation.MultiGaussian,
    "Heaviside": activation.Heaviside,
}
RESETS = {"subtract": activation.MembraneSubtract, "zero": activation.MembraneReset}
SPIKES = {
    1: activation.SingleSpike,
    3: activation.MaxSpike(3),
    None: activation.MultiSpike,
}
BASE = {
    "time": 30,
    "shape": [2, 5],
    "max_spikes": None,
    "reset": "subtract",
    "min_vmem": None,
    "surrogate": "SingleExponential",
    "threshold": 1.0,
    "drive": 2.2,
}


def settings():
    """Yield the name and the settings of every case."""
    for name, changed in {
        "default": {},
        "bounded": {"min_vmem": -0.4},
        "single": {"max_spikes": 1, "drive": 1.5},
        "capped": {"max_spikes": 3, "drive": 3.5},
        "zero": {"reset": "zero"},
        "zero_bounded": {"reset": "zero", "min_vmem": -0.2, "threshold": 0.7},
        "periodic": {"surrogate": "PeriodicExponential"},
        "multi_gaussian": {"surrogate": "MultiGaussian", "threshold": 1.3},
        "recurrent": {"recurrent": True},
    }.items():
        yield f"iaf_{name}", BASE | {"kind": "IAF"} | changed

    lif = BASE | {"kind": "LIF", "norm_input": True, "synapse": False, "train": "tau"}
    for name, changed in {
        "default": {"drive": 9.0},
        "decays": {"drive": 9.0, "train": "alpha"},
        "unnormalised": {"norm_input": False},
        "bounded": {"norm_input": False, "min_vmem": -0.3, "reset": "zero"},
        "single_periodic": {"max_spikes": 1, "drive": 7.0, "surrogate": "PeriodicExponential"},
        "synapse": {"drive": 4.0, "synapse": True},
        "synapse_decays": {"drive": 4.0, "synapse": True, "train": "alpha"},
        "synapse_unnormalised": {"norm_input": False, "synapse": True, "drive": 0.7},
    }.items():
        yield f"lif_{name}", lif | changed

    alif = lif | {"kind": "ALIF", "max_spikes": 1, "adapt_scale": 1.8, "drive": 7.0}
    for name, changed in {
        "default": {},
        "decays": {"train": "alpha"},
        "bounded": {"min_vmem": -0.2, "adapt_scale": 0.6},
        "multi": {"max_spikes": None, "drive": 12.0},
        "zero": {"reset": "zero", "norm_input": False, "drive": 1.6},
        "synapse": {"synapse": True, "drive": 5.0},
        "synapse_unnormalised": {"synapse": True, "norm_input": False, "drive": 1.2},
        "slip": {"synapse": True, "drive": 9.0, "slip": True},
    }.items():
        yield f"alif_{name}", alif | changed

    leak = lif | {"kind": "ExpLeak", "norm_input": False}
    for name, changed in {
        "default": {},
        "normalised": {"norm_input": True, "train": "alpha"},
        "bounded": {"min_vmem": -0.3},
    }.items():
        yield f"exp_leak_{name}", leak | changed


def draw(case, rng):
    n, shape = case["shape"][-1], (case["time"], *case["shape"])
    x = events(rng, shape, case["drive"] * case["threshold"], -0.3 * case["drive"])
    weights = {name: rng.standard_normal(shape) for name in ("spikes", "vmem")}
    if case.get("recurrent"):
        del weights["vmem"]  # it records none
    param = {"w_rec": rng.uniform(-0.4, 0.4, (n, n))} if case.get("recurrent") else {}
    if case["kind"] != "IAF":
        names = ["mem"] + ["syn"] * case["synapse"] + ["adapt"] * (case["kind"] == "ALIF")
        param |= {f"tau_{name}": rng.uniform(2.0, 9.0, n) for name in names}
    return x, weights, param


def common(case, shift):
    """Arguments that every layer that fires takes."""
    return {
        "spike_threshold": torch.tensor(case["threshold"] * shift),
        "spike_fn": SPIKES[case["max_spikes"]],
        "reset_fn": RESETS[case["reset"]](),
        "surrogate_grad_fn": SURROGATES[case["surrogate"]](),
        "min_v_mem": case["min_vmem"],
    }


def evolve(case, drawn, shift):
    x, weights, param = tensor(drawn[0], grad=True), drawn[1], drawn[2]
    step = evolve_alif if case["kind"] == "ALIF" else evolve_layer
    param, out = step(case, x, {k: tensor(v) for k, v in param.items()}, shift)
    return result(x, param, {k: v for k, v in out.items() if k in (*weights, "isyn")}, weights)


class Dense(torch.nn.Module):
    """All neurons to all, source first."""

    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)

    def forward(self, spikes):
        return spikes @ self.weight


def evolve_layer(case, x, param, shift):
    """Run one of the layers that record their states as they should."""
    arguments = common(case, shift)
    if case["kind"] == "IAF" and case.get("recurrent"):
        connect = Dense(param["w_rec"])
        layer = layers.IAFRecurrent(rec_connect=connect, **arguments)
        return {"w_rec": connect.weight}, {"spikes": layer(x.swapaxes(0, 1)).swapaxes(0, 1)}
    if case["kind"] == "IAF":
        layer = layers.IAF(record_states=True, **arguments)
    else:
        if case["kind"] == "ExpLeak":
            arguments = {"min_v_mem": case["min_vmem"]}
        elif case["synapse"]:
            arguments["tau_syn"] = param["tau_syn"]
        layer = {"LIF": layers.LIF, "ExpLeak": layers.ExpLeak}[case["kind"]](
            tau_mem=param["tau_mem"],
            norm_input=case["norm_input"],
            train_alphas=case["train"] == "alpha",
            record_states=True,
            **arguments,
        )
        names = ["mem"] + ["syn"] * case["synapse"]
        param = {f"{case['train']}_{n}": getattr(layer, f"{case['train']}_{n}") for n in names}
    y = layer(x.swapaxes(0, 1)).swapaxes(0, 1)
    vmem = layer.recordings["v_mem"].swapaxes(0, 1)
    out = {"spikes": y if case["kind"] != "ExpLeak" else torch.zeros_like(y), "vmem": vmem}
    if case.get("synapse"):
        out["isyn"] = layer.recordings["i_syn"].swapaxes(0, 1)
    return param, out


def evolve_alif(case, x, param, shift):
    """Step an ALIF by its own function."""
    if case["train"] == "alpha":
        param = {f"alpha_{k[4:]}": torch.exp(-1 / v) for k, v in param.items()}
    param = {k: v.detach().requires_grad_() for k, v in param.items()}
    alphas = {k.split("_")[1]: v if "alpha" in k else torch.exp(-1 / v) for k, v in param.items()}
    arguments = common(case, shift)
    threshold = arguments.pop("spike_threshold")
    zeros = torch.zeros_like(x[0])
    state = {"v_mem": zeros, "b": zeros, "spike_threshold": zeros, "i_syn": zeros}
    mended = case["synapse"] and case["norm_input"] and not case.get("slip")
    spikes, vmem, isyn = [], [], []
    for x_t in x:
        y, state = alif_forward_single(
            input_data=x_t * (1 - alphas["mem"]) if mended else x_t,
            alpha_mem=alphas["mem"],
            alpha_adapt=alphas["adapt"],
            alpha_syn=alphas.get("syn"),
            adapt_scale=case["adapt_scale"],
            state=dict(state),
            b0=threshold,
            norm_input=case["norm_input"] and not mended,
            **arguments,
        )
        spikes.append(y)
        vmem.append(state["v_mem"])
        isyn.append(state["i_syn"] / (1 - alphas["mem"]) if mended else state["i_syn"])
    out = {"spikes": torch.stack(spikes), "vmem": torch.stack(vmem)}
    if case["synapse"]:
        out["isyn"] = torch.stack(isyn)
    return param, out


def flaw_sinabs(case, arrays, moved):
    return None if case["kind"] == "ExpLeak" else flaw(case, arrays, moved)


def surrogates():
    """Each surrogate's derivative, at its defaults, for two thresholds."""
    vmem = np.linspace(-2.003, 4.003, 301).astype(np.float32)
    arrays, cases = {"vmem": vmem}, {}
    for name, kind in SURROGATES.items():
        for threshold in (1.0, 1.5):
            cases[f"{name}_{threshold}"] = {"surrogate": name, "threshold": threshold}
            value = kind()(torch.tensor(vmem), torch.tensor(threshold))
            arrays[f"{name}_{threshold}"] = array(value)
    return cases, {f"surrogates/{name}": value for name, value in arrays.items()}


def synops():
    """Synaptic operations per step of a dense and of a convolutional network."""
    torch.manual_seed(0)
    steps = 12
    iaf = lambda: layers.IAFSqueeze(batch_size=1)  # noqa: E731
    nets = {
        "dense": torch.nn.Sequential(
            torch.nn.Linear(6, 8, bias=False), iaf(), torch.nn.Linear(8, 4, bias=False), iaf()
        ),
        "conv": torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3, padding=1, bias=False),
            iaf(),
            torch.nn.Conv2d(4, 3, 3, stride=2, bias=False),
            iaf(),
            torch.nn.Flatten(),
            torch.nn.Linear(3 * 3 * 4, 5, bias=False),
            iaf(),
        ),
    }
    shapes = {"dense": (6,), "conv": (2, 8, 10)}
    cases, arrays = {}, {}
    for name, net in nets.items():
        rng = np.random.default_rng(len(name))
        x = x_in = tensor(rng.poisson(0.7, (steps, *shapes[name])))
        for layer in net:
            if hasattr(layer, "weight"):
                layer.weight.data *= 2.5
        hooks.register_synops_hooks(net)
        with torch.no_grad():
            net(x)
            net.apply(lambda m: m.reset_states() if hasattr(m, "reset_states") else None)
            for i, layer in enumerate(net):
                x = layer(x)
                arrays[f"synops_{name}/out/{i}"] = array(x)
                if hasattr(layer, "weight"):
                    arrays[f"synops_{name}/param/{i}/weight"] = array(layer.weight)
        arrays[f"synops_{name}/input"] = array(x_in)
        for i, value in net.hook_data["synops_per_timestep"].items():
            arrays[f"synops_{name}/synops/{i}"] = array(value)
            assert 0 < value < math.inf
        cases[name] = [str(layer) for layer in net]
    return cases, arrays


def main():
    """Compute everything and save it."""
    cases, arrays = collect(settings(), draw, evolve, flaw_sinabs)
    slopes, more = surrogates()
    networks, yet_more = synops()
    for name in networks:
        print(name, {k: float(v) for k, v in yet_more.items() if f"{name}/synops" in k})
    save(
        __file__,
        ("sinabs",),
        cases,
        arrays | more | yet_more,
        surrogates=slopes,
        synops=networks,
    )


if __name__ == "__main__":
    main()
