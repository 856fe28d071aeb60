"""Golden vectors of snnTorch, written to snntorch.npz: Leaky, Synaptic, RLeaky, all surrogates.

`LSO` cannot be called (it calls another operator, with too few arguments), so its operator's
backward pass is called alone. `SSO` is random, and left out.

Run by snntorch 1.0.0, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_snntorch.py
"""

from itertools import product
from types import SimpleNamespace

import numpy as np
import snntorch
from _golden import array, collect, events, flaw, result, save, tensor, torch
from snntorch import surrogate

SURROGATES = {
    "atan": surrogate.atan(),
    "fast_sigmoid": surrogate.fast_sigmoid(),
    "fast_sigmoid_5": surrogate.fast_sigmoid(slope=5),
    "heaviside": surrogate.heaviside(),
    "sigmoid": surrogate.sigmoid(),
    "SFS": surrogate.SFS(),
    "SFS_low": surrogate.SFS(slope=3, B=-0.5),
    "spike_rate_escape": surrogate.spike_rate_escape(),
    "straight_through_estimator": surrogate.straight_through_estimator(),
    "triangular": surrogate.triangular(),
}
BASE = {"time": 30, "shape": [2, 5], "surrogate": "atan", "drive": 1.6}


def settings():
    """Yield the name and the settings of every case."""
    kinds = ("Leaky", "Synaptic", "RLeaky")
    for kind, reset, delay in product(kinds, ("subtract", "zero", "none"), (True, False)):
        if reset == "none" and not delay:
            continue  # no reset, so no delay of it
        chosen = {"kind": kind, "reset": reset, "reset_delay": delay}
        chosen |= {"drive": {"Leaky": 1.6, "Synaptic": 0.9, "RLeaky": 1.4}[kind]}
        name = f"{kind.lower()}_{reset}{'' if delay else '_now'}"
        yield name, BASE | chosen | {"connect": "dense" if kind == "RLeaky" else None}
    recurrent = BASE | {"kind": "RLeaky", "reset": "subtract", "reset_delay": True}
    yield "rleaky_one_to_one", recurrent | {"connect": "one_to_one"}
    yield "rleaky_conv", recurrent | {"connect": "conv", "shape": [2, 3, 5, 4], "time": 15}
    fast = BASE | {"kind": "Leaky", "reset": "subtract", "reset_delay": True, "connect": None}
    yield "leaky_fast_sigmoid", fast | {"surrogate": "fast_sigmoid_5"}
    yield "leaky_double", fast | {"reset_delay": False, "drive": 5.0, "double": True}


def draw(case, rng):
    shape = (case["time"], *case["shape"])
    neurons = case["shape"][1:]
    weights = {name: rng.standard_normal(shape) for name in ("spikes", "vmem")}
    per = (neurons[0], 1, 1) if len(neurons) == 3 else tuple(neurons)
    param = {"alpha_mem": rng.uniform(0.4, 0.95, per), "threshold": rng.uniform(0.7, 1.4, per)}
    if case["kind"] == "Synaptic":
        param["alpha_syn"] = rng.uniform(0.3, 0.9, per)
    n = neurons[0]
    match case["connect"]:
        case "dense":
            param |= {"w_rec": rng.uniform(-0.5, 0.5, (n, n)), "b_rec": rng.uniform(-0.1, 0.1, n)}
        case "one_to_one":
            param["w_rec"] = rng.uniform(-0.8, 0.8, n)
        case "conv":
            param["w_rec"] = rng.uniform(-0.3, 0.3, (n, n, 3, 3))
            param["b_rec"] = rng.uniform(-0.1, 0.1, n)
    return events(rng, shape, case["drive"], -0.4), weights, param


def make(case, param, shift):
    """The layer of a case, and its parameters by our names."""
    common = {
        "beta": param["alpha_mem"],
        "threshold": param["threshold"] * shift,
        "spike_grad": SURROGATES[case["surrogate"]],
        "learn_beta": True,
        "learn_threshold": True,
        "reset_mechanism": case["reset"],
        "reset_delay": case["reset_delay"],
    }
    n = case["shape"][1]
    if case["kind"] == "Synaptic":
        layer = snntorch.Synaptic(alpha=param["alpha_syn"], learn_alpha=True, **common)
    elif case["kind"] == "Leaky":
        layer = snntorch.Leaky(**common)
    elif case["connect"] == "one_to_one":
        layer = snntorch.RLeaky(V=param["w_rec"], all_to_all=False, **common)
    elif case["connect"] == "conv":
        layer = snntorch.RLeaky(conv2d_channels=n, kernel_size=3, **common)
    else:
        layer = snntorch.RLeaky(linear_features=n, **common)
    trained = {"alpha_mem": layer.beta, "threshold": layer.threshold}
    if case["kind"] == "Synaptic":
        trained["alpha_syn"] = layer.alpha
    if case["connect"] == "one_to_one":
        trained["w_rec"] = layer.V
    elif case["connect"] is not None:
        layer.recurrent.weight.data = param["w_rec"]
        layer.recurrent.bias.data = param["b_rec"]
        trained |= {"w_rec": layer.recurrent.weight, "b_rec": layer.recurrent.bias}
    return layer, trained


def evolve(case, drawn, shift):
    x, weights = tensor(drawn[0], grad=True), drawn[1]
    layer, param = make(case, {k: tensor(v) for k, v in drawn[2].items()}, shift)
    state = [torch.zeros_like(x[0])] * (1 if case["kind"] == "Leaky" else 2)
    spikes, vmem, isyn = [], [], []
    for x_t in x:
        y, *state = layer(x_t, *state)
        if case["kind"] == "RLeaky":
            state = [y, *state]
        spikes.append(y)
        vmem.append(state[-1])
        isyn.append(state[0])
    out = {"spikes": torch.stack(spikes), "vmem": torch.stack(vmem)}
    if case["kind"] == "Synaptic":
        out["isyn"] = torch.stack(isyn)
    arrays = result(x, param, out, weights)
    above = arrays["out/vmem"] >= arrays["param/threshold"] * (1 - 1e-3)
    # What a reset without delay leaves above the threshold, snnTorch counts as a reset to come.
    arrays["left_above"] = np.float32(0 if case["reset_delay"] else above.mean())
    return arrays


def flaw_snntorch(case, arrays, moved):
    if (arrays.pop("left_above") > 0) != case.get("double", False):
        return "a reset leaves a neuron above its threshold, or none where one is wanted"
    return flaw(case, arrays, moved)


def surrogates():
    """Each surrogate's derivative over x = vmem - threshold."""
    x = np.linspace(-3, 3, 300, dtype=np.float32)
    arrays = {"x": x}
    for name, function in SURROGATES.items():
        shifted = tensor(x, grad=True)
        function(shifted).sum().backward()
        arrays[name] = array(shifted.grad)
    fired = SimpleNamespace(saved_tensors=(tensor(x > 0),), slope=0.1)
    arrays["LSO"] = array(surrogate.LeakySpikeOperator.backward(fired, torch.ones(len(x))))
    far = tensor([-4.0], grad=True)
    SURROGATES["sigmoid"](far).sum().backward()
    arrays["sigmoid_far"] = array(far.grad)
    return {f"surrogates/{name}": value for name, value in arrays.items()}


def main():
    """Compute everything and save it."""
    cases, arrays = collect(settings(), draw, evolve, flaw_snntorch)
    save(__file__, ("snntorch",), cases, arrays | surrogates(), surrogates=[*SURROGATES, "LSO"])


if __name__ == "__main__":
    main()
