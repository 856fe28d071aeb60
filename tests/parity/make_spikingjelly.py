"""Golden vectors of SpikingJelly, written to spikingjelly.npz: DSR, IF, LIF and PLIF neurons.

The DSR cases vary every setting, with a threshold above, at and below its lower bound, neurons
without input, and inputs whose means lie below, in and above the range that has a gradient.

Run by spikingjelly 2.0.0, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_spikingjelly.py
"""

from _golden import collect, events, flaw, result, save, tensor
from spikingjelly.activation_based import neuron, surrogate

SURROGATES = {"Sigmoid": surrogate.Sigmoid(4.0), "ATan": surrogate.ATan(2.0)}

DSR_IF = {"kind": "DSRIF", "theta": 6.0, "ratio": 0.5, "lower_bound": 0.01, "scale": 1.0}
DSR_LIF = DSR_IF | {
    "kind": "DSRLIF",
    "theta": 1.0,
    "ratio": 0.3,
    "lower_bound": 0.1,
    "tau": 2.0,
    "dt": 0.05,
}


def settings():
    """Yield the name and the settings of every case."""
    both = {
        "default": {},
        "one_step": {"time": 1},
        "long": {"time": 60},
        "theta_small": {"theta": 0.4},
        "theta_at_bound": {"theta": 0.5, "lower_bound": 0.5},
        "theta_below_bound": {"theta": 0.3, "lower_bound": 0.7},
        "ratio_low": {"ratio": 0.1},
        "ratio_one": {"ratio": 1.0},
        "scale": {"scale": 0.001},
        "images": {"shape": [2, 3, 4, 4], "time": 8},
    }
    for name, changed in both.items():
        yield f"dsr_if_{name}", {"time": 20, "shape": [3, 6]} | DSR_IF | changed
        yield f"dsr_lif_{name}", {"time": 20, "shape": [3, 6]} | DSR_LIF | changed
    official = {"tau": 1.0, "theta": 0.3, "lower_bound": 5e-4}
    for name, changed in {
        "official": official,
        "fast": {"tau": 0.1, "dt": 0.1},
        "slow": {"tau": 20.0, "dt": 0.01},
    }.items():
        yield f"dsr_lif_{name}", {"time": 20, "shape": [3, 6]} | DSR_LIF | changed

    base = {"time": 30, "shape": [2, 5], "v_threshold": 1.0, "surrogate": "Sigmoid"}
    resets = {"zero": 0.0, "subtract": None, "v_reset": -0.25}
    for name, v_reset in resets.items():
        chosen = base | {"v_reset": v_reset, "detach_reset": False}
        yield f"if_{name}", chosen | {"kind": "IF"}
        for decay_input in (True, False):
            more = chosen | {"decay_input": decay_input, "tau": 2.5}
            end = "" if decay_input else "_undecayed"
            yield f"lif_{name}{end}", more | {"kind": "LIF"}
            yield f"plif_{name}{end}", more | {"kind": "PLIF", "surrogate": "ATan"}
    lif = base | {"kind": "LIF", "decay_input": True, "tau": 2.5, "detach_reset": False}
    for name in ("zero", "subtract"):
        yield f"lif_{name}_detached", lif | {"v_reset": resets[name], "detach_reset": True}
    other = {"v_threshold": 0.6, "tau": 7.0, "v_reset": 0.1, "surrogate": "ATan"}
    yield "lif_threshold", lif | other


def draw(case, rng):
    shape = (case["time"], *case["shape"])
    weight = {"spikes": rng.standard_normal(shape)}
    if not case["kind"].startswith("DSR"):
        gain = case["tau"] if case.get("decay_input") else 1.0
        weight["vmem"] = rng.standard_normal(shape)
        return events(rng, shape, 1.6 * case["v_threshold"]) * gain, weight
    theta = max(case["theta"], case["lower_bound"])
    limit = theta * case["tau"] / case["dt"] if "tau" in case else theta
    mean = rng.uniform(-0.3, 1.5, shape[1:]) * limit
    x = mean + rng.standard_normal(shape) * limit / 3
    x[:, 0, 0] = 0  # where the range begins: inside for an IF, outside for a LIF
    return x, weight


def evolve_dsr(case, drawn, shift):
    x, weight = tensor(drawn[0], grad=True), drawn[1]
    arguments = {
        "v_threshold": max(case["theta"], case["lower_bound"]),
        "alpha": case["ratio"],
        "v_threshold_grad_scaling": case["scale"],
        "v_threshold_lower_bound": case["lower_bound"],
    }
    if case["kind"] == "DSRIF":
        node = neuron.DSRIFNode(T=case["time"], **arguments)
    else:
        node = neuron.DSRLIFNode(T=case["time"], tau=case["tau"], delta_t=case["dt"], **arguments)
    node.v_threshold.data.fill_(case["theta"] * shift)
    (y,), _ = node.multi_step_functional_forward((x,), ())
    return result(x, {"theta": node.v_threshold}, {"spikes": y}, weight)


def evolve_neuron(case, drawn, shift):
    x, weight = tensor(drawn[0], grad=True), drawn[1]
    arguments = {
        "v_threshold": case["v_threshold"] * shift,
        "v_reset": case["v_reset"],
        "surrogate_function": SURROGATES[case["surrogate"]],
        "detach_reset": case["detach_reset"],
        "step_mode": "m",
        "store_v_seq": True,
    }
    param = {}
    if case["kind"] == "IF":
        node = neuron.IFNode(**arguments)
    elif case["kind"] == "LIF":
        node = neuron.LIFNode(tau=case["tau"], decay_input=case["decay_input"], **arguments)
    else:
        node = neuron.ParametricLIFNode(
            init_tau=case["tau"], decay_input=case["decay_input"], **arguments
        )
        param = {"w": node.w}
    spikes = node(x)
    return result(x, param, {"spikes": spikes, "vmem": node.v_seq}, weight)


def evolve(case, drawn, shift):
    return (evolve_dsr if case["kind"].startswith("DSR") else evolve_neuron)(case, drawn, shift)


def flaw_dsr(case, arrays, moved):
    """As for the others, but spikes have the height of theta, and theta may have no gradient."""
    if not case["kind"].startswith("DSR"):
        return flaw(case, arrays, moved)
    if any(((other["out/spikes"] != 0) != (arrays["out/spikes"] != 0)).any() for other in moved):
        return "a spike hangs on rounding"
    passed = arrays["grad/input"] != 0
    if any(((other["grad/input"] != 0) != passed).any() for other in moved):
        return "an input's mean is too near an end of the range"
    if not 0.2 < passed.mean() < 0.9:
        return "the range is not probed"
    return None


def main():
    """Compute every case and save them."""
    cases, arrays = collect(settings(), draw, evolve, flaw_dsr)
    for name in cases:
        if name.startswith("dsr"):
            below = cases[name]["theta"] < cases[name]["lower_bound"]
            assert (arrays[f"{name}/grad/theta"] == 0) == below, name
    save(__file__, ("spikingjelly",), cases, arrays)


if __name__ == "__main__":
    main()
