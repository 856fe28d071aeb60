"""What the scripts share that compute golden vectors of neurons: fair draws, and the file.

These scripts run in an environment of the peers, without snnjax.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

torch.set_num_threads(1)

# A spike must not hang on the last bits of vmem: a draw is fair only if all spikes stay where they
# are with every threshold moved up or down by this fraction.
SHIFT = 2e-4


def tensor(value, grad=False):
    return torch.tensor(np.asarray(value), dtype=torch.float32, requires_grad=grad)


def array(value):
    """A float32 copy, so that later in-place operations cannot reach it."""
    return value.detach().numpy().astype(np.float32).copy()


def events(rng, shape, high, low=-0.3):
    """Input that is 0 at two steps in five, and otherwise uniform."""
    return rng.uniform(low, high, shape) * (rng.random(shape) < 0.6)


def result(x, param, out, loss, **more):
    """The arrays of a case, with the gradients of sum(out * loss) by x and by every parameter."""
    total = sum((out[name] * tensor(weight)).sum() for name, weight in loss.items())
    total.backward()
    gradients = {name: v.grad for name, v in ({"input": x} | param).items() if v.grad is not None}
    groups = {"param": param, "out": out, "grad": gradients, **more}
    arrays = {"input": array(x)} | {f"loss/{k}": np.float32(v) for k, v in loss.items()}
    for group, values in groups.items():
        arrays |= {f"{group}/{name}": array(value) for name, value in values.items()}
    return arrays


def flaw(case, arrays, moved):
    """Say what makes a draw a poor test, or nothing; `moved` has the thresholds moved."""
    spikes = arrays["out/spikes"]
    if any((other["out/spikes"] != spikes).any() for other in moved):
        return "a spike hangs on rounding"
    if not 0.05 < (spikes != 0).mean() < 0.8:
        return "too few or too many spikes"
    for name, value in arrays.items():
        if name.startswith("grad/") and not 1e-4 < np.abs(value).max() < 1e5:
            return f"{name} is nearly zero, or too large"
    return None


def collect(settings, draw, evolve, flaw=flaw):
    """Draw each case anew until it makes a fair test."""
    cases, everything = {}, {}
    for number, (name, case) in enumerate(settings):
        reason = None
        for attempt in range(300):
            drawn = draw(case, np.random.default_rng((number, attempt)))
            arrays = evolve(case, drawn, 1.0)
            moved = [evolve(case, drawn, 1 + shift) for shift in (-SHIFT, SHIFT)]
            reason = flaw(case, arrays, moved)
            if reason is None:
                break
        else:
            raise RuntimeError(f"{name}: no fair draw, the last one: {reason}")
        print(f"{name}: draw {attempt}, {(arrays['out/spikes'] != 0).mean():.2f} of steps spike")
        cases[name] = case
        everything |= {f"{name}/{key}": value for key, value in arrays.items()}
    return cases, everything


def save(script, packages, cases, arrays, **more):
    """Write the arrays, and a manifest of how they were computed, to an .npz next to `script`."""
    path = Path(script)
    path = path.with_name(path.stem.removeprefix("make_") + ".npz")
    versions = {name: version(name) for name in (*packages, "torch", "numpy")}
    manifest = {"script": Path(script).name, "versions": versions, "cases": cases, **more}
    np.savez_compressed(path, manifest=np.array(json.dumps(manifest)), **arrays)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e6:.2f} MB")
