"""Golden vectors of Rockpool's LIFTorch, written to rockpool_lif.npz: spikes, states and gradients.

Every leak mode, one and two synapses, feed-forward and recurrent, both surrogates, and then the
settings that change the rules: spike caps, learning windows, short and long time constants,
another dt, a state to start from.

Run by rockpool 3.1.0, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_rockpool_lif.py

Its import tries to install a vendor package, so a stub of samna is put in sys.modules first (by
`_rockpool`).
"""

from itertools import product

import numpy as np
from _rockpool import MARGIN, RENAMED, array, margin, save, torch
from rockpool.nn.modules import LIFTorch
from rockpool.nn.modules.torch.lif_torch import PeriodicExponential, StepPWL

SURROGATES = {"StepPWL": StepPWL, "PeriodicExponential": PeriodicExponential}
LEAKS = {
    "taus": ("tau_mem", "tau_syn"),
    "decays": ("alpha", "beta"),
    "bitshifts": ("dash_mem", "dash_syn"),
}
DEFAULTS = {
    "leak": "taus",
    "n_synapses": 1,
    "recurrent": False,
    "surrogate": "StepPWL",
    "learning_window": 0.5,
    "max_spikes": 2**16,
    "dt": 1e-3,
    "tau_mem_range": [4e-3, 40e-3],
    "tau_syn_range": [2e-3, 30e-3],
    "drive": 4.0,
    "initial_state": False,
    "batch": 2,
    "time": 40,
    "n_neurons": 5,
}


def settings():
    """Yield the name and the settings of every case."""
    for leak, n_synapses, recurrent, surrogate in product(LEAKS, (1, 2), (False, True), SURROGATES):
        name = f"{leak}_s{n_synapses}_{'rec' if recurrent else 'ff'}_{surrogate}"
        chosen = {"leak": leak, "n_synapses": n_synapses, "recurrent": recurrent}
        yield name, DEFAULTS | chosen | {"surrogate": surrogate}
    two = {"n_synapses": 2, "recurrent": True}
    short = {"tau_mem_range": [0.4e-3, 1.4e-3], "tau_syn_range": [0.4e-3, 1.4e-3]}
    long = {"tau_mem_range": [0.1, 0.6], "tau_syn_range": [0.1, 0.6], "drive": 30.0}
    special = {
        "cap1": {"max_spikes": 1, "drive": 3.0},
        "cap3": {"max_spikes": 3, "drive": 6.0, "leak": "bitshifts"} | two,
        "window_narrow": {"learning_window": 0.15, "leak": "decays"},
        "window_wide": {"learning_window": 1.75, "recurrent": True},
        "short_taus": short | two,
        "short_bitshifts": short | {"leak": "bitshifts"},
        "long_taus": long,
        "long_decays": long | {"leak": "decays"},
        "fine_dt": {"dt": 2.5e-4} | two,
        "initial_state": {"initial_state": True, "leak": "decays", "batch": 3} | two,
    }
    for (name, changed), surrogate in product(special.items(), SURROGATES):
        yield f"{name}_{surrogate}", DEFAULTS | changed | {"surrogate": surrogate}


def draw(rng, case):
    """Draw the parameters, the input, the state to start from and the weights of the loss."""
    n, s, dt = case["n_neurons"], case["n_synapses"], case["dt"]
    tau_mem = np.exp(rng.uniform(*np.log(case["tau_mem_range"]), n))
    tau_syn = np.exp(rng.uniform(*np.log(case["tau_syn_range"]), (n, s)))
    mem, syn = LEAKS[case["leak"]]
    convert = {
        "taus": lambda tau: tau,
        "decays": lambda tau: np.exp(-dt / tau),
        "bitshifts": lambda tau: -np.log2(1 - np.exp(-dt / tau)),
    }[case["leak"]]
    threshold = rng.uniform(0.5, 1.6, n)
    param = {mem: convert(tau_mem), syn: convert(tau_syn), "threshold": threshold}
    param["bias"] = rng.uniform(-0.12, 0.12, n)
    # One unit of input, held, makes isyn settle at one threshold, so `drive` is about the number of
    # spikes per step of the busiest neuron.
    unit = threshold[:, None] * np.expm1(dt / tau_syn) / s
    if case["recurrent"]:
        param["w_rec"] = (rng.uniform(-0.8, 0.8, (n, n, s)) * unit / n).reshape(n, n * s)
    shape = (case["batch"], case["time"], n, s)
    rate = rng.permutation(np.linspace(-0.5, case["drive"], n))[:, None]
    events = rng.poisson(0.3, shape) / 0.3
    x = events * rng.uniform(0.5, 1.5, shape) * rate * unit
    start = {
        "vmem": rng.uniform(-1.5, 0.9, n),
        "isyn": rng.uniform(-1.0, 2.0, (n, s)),
        "spikes": rng.integers(0, 4, n).astype(float),
    }
    if not case["initial_state"]:
        start = {name: np.zeros_like(value) for name, value in start.items()}
    loss = {name: rng.standard_normal(shape[:3]) for name in ("spikes", "vmem")}
    groups = ({"": x}, param, start, loss)
    return ({k: torch.tensor(v, dtype=torch.float32) for k, v in g.items()} for g in groups)


def evolve(case, x, param, start, loss):
    """Run LIFTorch and its gradients; give the arrays of the case."""
    x = x[""].requires_grad_()
    n, s = case["n_neurons"], case["n_synapses"]
    module = LIFTorch(
        (n * s, n),
        leak_mode=case["leak"],
        has_rec=case["recurrent"],
        spike_generation_fn=SURROGATES[case["surrogate"]],
        learning_window=case["learning_window"],
        max_spikes_per_dt=case["max_spikes"],
        dt=case["dt"],
        **param,
    )
    for name, value in start.items():
        setattr(module, name, value)
    spikes, _, states = module(x.flatten(2), record=True)
    (spikes * loss["spikes"] + states["vmem"] * loss["vmem"]).sum().backward()

    trained = module.parameters()
    assert set(trained) == set(param)
    leaks = {name for pair in LEAKS.values() for name in pair}
    groups = {
        "param": trained,
        "derived": {name: getattr(module, name) for name in leaks - set(trained)},
        "start": start,
        "out": {"spikes": spikes, "vmem": states["vmem"], "isyn": states["isyn"]},
        "loss": loss,
        "grad": {name: value.grad for name, value in trained.items()} | {"input": x.grad},
    }
    arrays = {
        f"{group}/{RENAMED.get(name, name)}": array(values[name])
        for group, values in groups.items()
        for name in sorted(values)
    }
    return {"input": array(x)} | arrays


def flaw(case, arrays):
    """Say what makes a draw a poor test, or nothing."""
    spikes, threshold = arrays["out/spikes"], arrays["param/threshold"]
    cap = case["max_spikes"]
    edge = threshold - case["learning_window"] if case["surrogate"] == "StepPWL" else None
    if margin(arrays["out/vmem"], spikes, threshold, cap, edge) < MARGIN:
        return "a spike hangs on rounding"
    if spikes.max() < min(3, cap) or not 0.2 < (spikes == 0).mean() < 0.9:
        return "too many or too few spikes"
    if cap < 2**16 and (arrays["out/vmem"] > threshold).mean() < 0.05:
        return "the cap is not felt"
    for name in (name.removeprefix("grad/") for name in arrays if name.startswith("grad/")):
        value = arrays["input" if name == "input" else f"param/{name}"]
        if not 1e-3 < np.abs(arrays[f"grad/{name}"] * value).max() < 1e4:
            return f"a gradient of {name} that is nearly zero, or too large"
    return None


def main():
    """Draw each case anew until it makes a fair test, and save all of them."""
    cases, everything = {}, {}
    for number, (name, case) in enumerate(settings()):
        for attempt in range(500):
            arrays = evolve(case, *draw(np.random.default_rng((number, attempt)), case))
            reason = flaw(case, arrays)
            if reason is None:
                break
        else:
            raise RuntimeError(f"{name}: no fair draw, the last one: {reason}")
        spikes = arrays["out/spikes"]
        print(f"{name}: draw {attempt}, spikes a step {spikes.mean():.2f}, max {spikes.max():.0f}")
        cases[name] = case
        everything |= {f"{name}/{key}": value for key, value in arrays.items()}
    save(__file__, cases, everything)


if __name__ == "__main__":
    main()
