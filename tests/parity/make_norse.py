"""Golden vectors of Norse, written to norse.npz: LIF, feed-forward, recurrent and refractory.

Norse writes time constants as inverses. A refractory neuron's gradient in Norse also runs through
the spike function of the counter of steps, which is no membrane; only its values are stored.

Run by norse 1.1.0, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_norse.py
"""

from _golden import collect, events, flaw, result, save, tensor, torch
from norse.torch.functional import lif, lif_refrac

BASE = {"time": 40, "shape": [2, 5], "dt": 1e-3, "v_leak": 0.0, "v_reset": 0.0, "drive": 9.0}


def settings():
    """Yield the name and the settings of every case."""
    forward = BASE | {"kind": "feed_forward"}
    for name, changed in {
        "default": {},
        "potentials": {"v_leak": 0.2, "v_reset": -0.3},
        "fine_dt": {"dt": 2.5e-4, "drive": 25.0},
        "coarse_dt": {"dt": 4e-3, "drive": 4.0},
    }.items():
        yield f"lif_{name}", forward | changed
    yield "lif_recurrent", BASE | {"kind": "recurrent"}
    yield "lif_refractory", BASE | {"kind": "refractory", "steps": 3, "drive": 14.0}


def draw(case, rng):
    shape, n = (case["time"], *case["shape"]), case["shape"][-1]
    weights = {name: rng.standard_normal(shape) for name in ("spikes", "vmem")}
    param = {
        "rate_mem": 1 / rng.uniform(6e-3, 20e-3, n),
        "rate_syn": 1 / rng.uniform(5e-3, 10e-3, n),
        "threshold": rng.uniform(0.7, 1.3, n),
    }
    if case["kind"] == "recurrent":
        param["w_rec"] = rng.uniform(-3, 3, (n, n))
    return events(rng, shape, 0.3 * case["drive"], -0.1 * case["drive"]), weights, param


def evolve(case, drawn, shift):
    x, weights = tensor(drawn[0], grad=True), drawn[1]
    param = {name: tensor(value) for name, value in drawn[2].items()}
    param["threshold"] *= shift
    param = {name: value.requires_grad_() for name, value in param.items()}
    p = lif.LIFParameters(
        tau_syn_inv=param["rate_syn"],
        tau_mem_inv=param["rate_mem"],
        v_leak=torch.tensor(case["v_leak"]),
        v_th=param["threshold"],
        v_reset=torch.tensor(case["v_reset"]),
    )
    zeros = torch.zeros_like(x[0])
    state = lif.LIFFeedForwardState(v=zeros, i=zeros)
    if case["kind"] == "recurrent":
        state = lif.LIFState(z=zeros, v=zeros, i=zeros)
        # Norse's weights are target first.
        into = torch.eye(x.shape[-1]), param["w_rec"].T
    elif case["kind"] == "refractory":
        p = lif_refrac.LIFRefracParameters(p, torch.tensor(float(case["steps"])))
        state = lif_refrac.LIFRefracFeedForwardState(state, zeros)
    out = {"spikes": [], "vmem": [], "isyn": []}
    for x_t in x:
        if case["kind"] == "recurrent":
            y, state = lif.lif_step(x_t, state, *into, p, case["dt"])
        elif case["kind"] == "refractory":
            y, state = lif_refrac.lif_refrac_feed_forward_step(x_t, state, p, case["dt"])
        else:
            y, state = lif.lif_feed_forward_step(x_t, state, p, case["dt"])
        inner = state.lif if case["kind"] == "refractory" else state
        for name, value in {"spikes": y, "vmem": inner.v, "isyn": inner.i}.items():
            out[name].append(value)
    return result(x, param, {name: torch.stack(values) for name, values in out.items()}, weights)


def main():
    """Compute every case and save them."""
    cases, arrays = collect(settings(), draw, evolve, flaw)
    arrays = {k: v for k, v in arrays.items() if not k.startswith("lif_refractory/grad/")}
    save(__file__, ("norse",), cases, arrays)


if __name__ == "__main__":
    main()
