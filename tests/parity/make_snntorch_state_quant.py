"""Golden vectors of snnTorch's state_quant, written to snntorch_state_quant.npz.

The levels and the output for 1 to 8 bits, uniform or not, both centres, two pairs of limits with
thresholds of their own; ties between two levels; and a Leaky neuron with a quantised state over 100
steps.

Run by snntorch 1.0.0, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_snntorch_state_quant.py
"""

import inspect
from itertools import product

import numpy as np
from _golden import save, torch
from snntorch import Leaky
from snntorch.functional.quant import state_quant

LIMITS = {
    "low": {"threshold": 1.0, "lower_limit": 0.0, "upper_limit": 0.2},
    "high": {"threshold": 1.7, "lower_limit": 0.3, "upper_limit": 0.5},
}
# Which of two levels a number goes to must not hang on the last bits.
MARGIN = 2e-6
NEURONS, STEPS, COUNT = 4, 100, 400


def settings():
    """Yield the name and the settings of every transform."""
    names = product(range(1, 9), (True, False), (True, False), LIMITS)
    for bits, uniform, centered, limits in names:
        kind = "uniform" if uniform else "crowded"
        name = f"{bits}_{kind}_{'threshold' if centered else 'zero'}_{limits}"
        case = {"num_bits": bits, "uniform": uniform, "thr_centered": centered}
        yield name, case | LIMITS[limits]
    for m in (0.4, 1.0):
        case = {"num_bits": 4, "uniform": False, "thr_centered": False, "multiplier": m}
        yield f"multiplier_{m}", case | LIMITS["high"]


def neurons():
    """Yield the name and the settings of every neuron."""
    for bits, uniform, centered in product((2, 4, 8), (True, False), (True, False)):
        if uniform and not centered:
            continue  # the same levels
        kind = "uniform" if uniform else "crowded"
        case = {"num_bits": bits, "uniform": uniform, "thr_centered": centered}
        name = f"leaky_{bits}_{kind}_{'threshold' if centered else 'zero'}"
        yield name, case | LIMITS["low"] | {"beta": 0.9}


def levels_of(quantise):
    """The levels that the function holds."""
    return inspect.getclosurevars(quantise).nonlocals["levels"].numpy().astype(np.float32)


def gap(levels, x):
    """How near each number is to halfway between two levels."""
    levels = levels.astype(np.float64)
    halfways = (levels[1:] + levels[:-1]) / 2
    return np.abs(halfways - x[..., None].astype(np.float64)).min(-1)


def numbers(rng, levels, threshold):
    """Numbers all over the range and beyond it, around the levels, and the levels themselves."""
    spread = rng.uniform(-2.5, 2.5, 60) * threshold
    near = np.repeat(levels, max(1, 60 // len(levels)))
    near = near + rng.normal(0, 0.01, near.shape)
    x = np.concatenate([spread, near, levels, [0.0, threshold]]).astype(np.float32)
    x = x[gap(levels, x) > MARGIN]
    return np.resize(rng.permutation(x), COUNT)


def transformed(number, case):
    """The levels, numbers, and what becomes of them and of their gradients."""
    quantise = state_quant(**case)
    levels = levels_of(quantise)
    x = torch.tensor(numbers(np.random.default_rng(number), levels, case["threshold"]))
    x.requires_grad_()
    y = quantise(x)
    y.sum().backward()
    assert (x.grad == 1).all()
    return {"levels": levels, "x": x.detach().numpy(), "out": y.detach().numpy()}


def ties():
    """Numbers halfway between two levels, to the last bit."""
    case = {"num_bits": 2, "uniform": True, "threshold": 1.0, "lower_limit": 0, "upper_limit": 1.0}
    quantise = state_quant(**case)
    x = torch.tensor([-0.5, 0.5, 1.5])
    arrays = {"levels": levels_of(quantise), "x": x.numpy(), "out": quantise(x).numpy()}
    return case, arrays


def run(number, case):
    """A neuron over time, drawn until no state is near to where it would go to another level."""
    case = dict(case)
    beta = case.pop("beta")
    quantise = state_quant(**case)
    levels = levels_of(quantise)
    for attempt in range(2000):
        rng = np.random.default_rng((number, attempt))
        x = torch.tensor(rng.normal(0.12, 0.3, (STEPS, NEURONS)), dtype=torch.float32)
        raw = []

        def record(mem, raw=raw):
            raw.append(mem.numpy().copy())
            return quantise(mem)

        neuron = Leaky(beta=beta, threshold=case["threshold"], state_quant=record)
        mem, out = torch.zeros(NEURONS), []
        with torch.no_grad():
            for now in x:
                spikes, mem = neuron(now, mem)
                out.append((mem.numpy().copy(), spikes.numpy().copy()))
        mems, spikes = (np.stack(part) for part in zip(*out, strict=True))
        if gap(levels, np.stack(raw)).min() > MARGIN and spikes.sum(0).min() >= 2:
            return {"input": x.numpy(), "mem": mems, "spikes": spikes}
    raise RuntimeError(f"{case}: no fair draw")


def main():
    """Run everything and save it."""
    cases, everything = {}, {}
    for number, (name, case) in enumerate(settings()):
        cases[name] = case
        everything |= {f"{name}/{k}": v for k, v in transformed(number, case).items()}
    cases["ties"], arrays = ties()
    everything |= {f"ties/{k}": v for k, v in arrays.items()}
    for number, (name, case) in enumerate(neurons()):
        cases[name] = case
        arrays = run(1000 + number, case)
        print(f"{name}: spikes a step {arrays['spikes'].mean():.2f}")
        everything |= {f"{name}/{k}": v for k, v in arrays.items()}
    save(__file__, ("snntorch",), cases, everything)


if __name__ == "__main__":
    main()
