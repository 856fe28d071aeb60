"""Golden vectors of Rockpool's transformation in training, written to rockpool_qat.npz.

The network of its tutorial on the subject, Sequential(Linear(3, 5), LIF(5), Residual(Linear(5, 5),
LIF(5, recurrent)), Linear(5, 3), LIF(3)), with weights, activations (the outputs of the Linear
layers), decays or bit shifts transformed by its pipeline, `rockpool.transform.torch_transform`:
outputs, states and gradients. Sequences go in one at a time, since Rockpool takes the range of an
activation from the whole batch.

Run by rockpool 3.1.0, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_rockpool_qat.py

Its import tries to install a vendor package, so a stub of samna is put in sys.modules first (by
`_rockpool`).
"""

import warnings
from itertools import pairwise

import numpy as np
from _rockpool import MARGIN, RENAMED, array, margin, save, torch
from rockpool.nn.combinators import Residual, Sequential
from rockpool.nn.modules import LIFTorch, LinearTorch
from rockpool.transform import torch_transform as tt

BATCH, STEPS, SIZES, WINDOW = 2, 40, (3, 5, 5, 3), 0.5
LEAKS = {
    "taus": ("tau_mem", "tau_syn"),
    "decays": ("alpha", "beta"),
    "bitshifts": ("dash_mem", "dash_syn"),
}
# Which of two levels a number goes to must not hang on the last bits of the sums before it: in
# units of a step, as a share of the number of levels.
LEVEL_MARGIN = 2e-6

# Levels of the weights and of the outputs of the Linear layers; what the leaks are rounded with.
# With an even number of levels zero lies halfway between two of them, and the last bit of the range
# decides; the Linear layers have biases then, so that a silent step does not make a zero.
CASES = {
    "float": {},
    "float_decays": {"leak": "decays"},
    "weights_4": {"weights": 4},
    "weights_15": {"weights": 15},
    "weights_16": {"weights": 16},
    "weights_256": {"weights": 256},
    "activations_15": {"activations": 15},
    "activations_16": {"activations": 16, "biases": True},
    "activations_256": {"activations": 256, "biases": True},
    "weights_16_activations_255": {"weights": 16, "activations": 255},
    "decays": {"leak": "decays", "rounded": "t_decay"},
    "bitshifts": {"leak": "bitshifts", "rounded": "round_passthrough"},
}
DEFAULTS = {
    "leak": "taus",
    "biases": False,
    "weights": None,
    "activations": None,
    "rounded": None,
}


def draw(rng, case):
    """Draw the parameters by layer, the input and the weights of the loss."""
    param = {}
    convert = {
        "taus": lambda tau: tau,
        "decays": lambda tau: np.exp(-1e-3 / tau),
        "bitshifts": lambda tau: -np.log2(1 - np.exp(-1e-3 / tau)),
    }[case["leak"]]
    mem, syn = LEAKS[case["leak"]]
    for i, (n_in, n, size) in enumerate(zip(SIZES[:-1], SIZES[1:], (0.2, 0.12, 0.1), strict=True)):
        param[f"linear/{i}"] = {"weight": rng.normal(0.2 * size, size, (n_in, n))}
        if case["biases"]:
            param[f"linear/{i}"]["bias"] = rng.uniform(-0.05, 0.05, n)
        param[f"lif/{i}"] = {
            mem: convert(rng.uniform(3e-3, 20e-3, n)),
            syn: convert(rng.uniform(2e-3, 12e-3, (n, 1))),
            "bias": rng.uniform(-0.1, 0.1, n),
            "threshold": rng.uniform(0.6, 1.4, n),
        }
    param["lif/1"]["w_rec"] = rng.normal(0, 0.08, (SIZES[2], SIZES[2]))
    x = rng.poisson(0.7, (BATCH, STEPS, SIZES[0]))
    loss = rng.standard_normal((BATCH, STEPS, SIZES[-1]))
    layers = {
        layer: {k: torch.tensor(v, dtype=torch.float32) for k, v in values.items()}
        for layer, values in param.items()
    }
    return layers, *(torch.tensor(v, dtype=torch.float32) for v in (x, loss))


def build(param, case):
    """The network."""
    linears = [
        LinearTorch(shape, has_bias=case["biases"], **param[f"linear/{i}"])
        for i, shape in enumerate(pairwise(SIZES))
    ]
    lifs = [
        LIFTorch(n, leak_mode=case["leak"], has_rec=i == 1, dt=1e-3, **param[f"lif/{i}"])
        for i, n in enumerate(SIZES[1:])
    ]
    return Sequential(linears[0], lifs[0], Residual(linears[1], lifs[1]), linears[2], lifs[2])


def transformed(net, case, seen):
    """The network with the transforms of the case; `seen` gets every array that is rounded."""

    def rounding(levels):
        def apply(x):
            seen.append((levels, array(x)))
            return tt.deterministic_rounding(x, num_levels=levels)

        return apply

    if case["rounded"] is not None:
        config = tt.make_param_T_config(net, getattr(tt, case["rounded"]), case["leak"])
        return tt.make_param_T_network(net, config)
    if case["weights"] is not None:
        config = tt.make_param_T_config(net, rounding(case["weights"]), "weights")
        net = tt.make_param_T_network(net, config)
        if case["activations"] is not None:
            # A network cannot be patched for both, so the rounded weights are burned in.
            net = tt.remove_T_net(tt.apply_T(net))
    if case["activations"] is not None:
        config = tt.make_act_T_config(net, rounding(case["activations"]), LinearTorch)
        net = tt.make_act_T_network(net, config)
    return net


def by_layer(tree, end=""):
    """What a tree of the network holds for each layer; wrappers put a level of their own in."""
    inner = tree["2_TorchResidual"]
    places = (tree, tree, inner, inner, tree, tree)
    names = ("0_Linear", "1_LIF", "0_Linear", "1_LIF", "3_Linear", "4_LIF")
    found = {}
    for i, (place, name) in enumerate(zip(places, names, strict=True)):
        value = place.get(f"{name}Torch{end}", {})
        value = value.get("_mod", value) if isinstance(value, dict) else value
        found[f"{('linear', 'lif')[i % 2]}/{i // 2}"] = value
    return found


def evolve(case, param, x, loss):
    """Run the network and its gradients; give the arrays of the case, and what was rounded."""
    seen, runs, arrays = [], [], {}
    for one, weight in zip(x, loss, strict=True):
        # Anew for each sequence: a network keeps its state.
        net = transformed(build(param, case), case, seen)
        output, _, record = net(one[None], record=True)
        (output[0] * weight).sum().backward()
        for layer, values in by_layer(net.parameters()).items():
            for name, value in values.items():
                key = f"grad/{layer}/{RENAMED.get(name, name)}"
                arrays[key] = arrays.get(key, 0) + array(value.grad)
        run = {"output": output}
        for layer, value in by_layer(record, "_output").items():
            run[f"out/{layer}/output"] = value
        for layer, states in by_layer(record).items():
            run |= {f"out/{layer}/{n}": states[n] for n in states if n in ("vmem", "isyn")}
        runs.append({key: array(value)[0] for key, value in run.items()})
    arrays |= {key: np.stack([run[key] for run in runs]) for key in runs[0]}
    arrays |= {
        f"param/{layer}/{RENAMED.get(name, name)}": array(value)
        for layer, values in param.items()
        for name, value in values.items()
    }
    return arrays | {"input": array(x), "loss/output": array(loss)}, seen


def hangs(levels, x):
    """Whether another last bit in the sums before would change a level, or whose range it is.

    The gradient into the range goes to whatever is the largest. With rounded weights different
    inputs may have the very same sum, and then the last bit alone says which of them that is.
    """
    rows, top = x.reshape(-1, x.shape[-1]), np.abs(x).max()
    largest = np.abs(rows) >= top * (1 - 1e-5)
    if largest.sum(1).max() > 1 or np.ptp(rows[largest.any(1)], axis=0).max() > 1e-5 * top:
        return True
    level = (x.astype(np.float64) + top) * (levels - 1) / (2 * float(top))
    gap = 0.5 - np.abs(level - np.round(level))
    return gap.min() < LEVEL_MARGIN * levels


def flaw(arrays, seen):
    """Say what makes a draw a poor test, or nothing."""
    if any(hangs(levels, x) for levels, x in seen):
        return "a level hangs on rounding"
    for i in range(3):
        spikes, vmem = (arrays[f"out/lif/{i}/{name}"] for name in ("output", "vmem"))
        threshold = arrays[f"param/lif/{i}/threshold"]
        if margin(vmem, spikes, threshold, 2**16, threshold - WINDOW) < MARGIN:
            return "a spike hangs on rounding"
        if spikes.max() < 2 or not 0.2 < (spikes == 0).mean() < 0.9:
            return "too many or too few spikes"
    for name, value in arrays.items():
        if name.startswith("grad/") and not np.abs(value).max() > 1e-3:
            return f"{name} is nearly zero"
    return None


def main():
    """Draw each case anew until it makes a fair test, and save all of them."""
    warnings.simplefilter("ignore")  # t_decay builds a tensor of a tensor
    cases, everything = {}, {}
    for number, (name, changed) in enumerate(CASES.items()):
        case, reason = DEFAULTS | changed, None
        for attempt in range(4000):
            rng = np.random.default_rng((number, attempt))
            arrays, seen = evolve(case, *draw(rng, case))
            reason = flaw(arrays, seen)
            if reason is None:
                break
        else:
            raise RuntimeError(f"{name}: no fair draw, the last one: {reason}")
        rates = [f"{arrays[f'out/lif/{i}/output'].mean():.2f}" for i in range(3)]
        print(f"{name}: draw {attempt}, spikes a step {', '.join(rates)}", flush=True)
        cases[name] = case
        everything |= {f"{name}/{key}": value for key, value in arrays.items()}
    save(__file__, cases, everything)


if __name__ == "__main__":
    main()
