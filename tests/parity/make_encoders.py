"""Golden vectors of the peers' deterministic encoders, written to encoders.npz.

Run by norse 1.1.0, snntorch 1.0.0, spikingjelly 2.0.0, torch 2.13.0 (CPU) and numpy 2.3.5 on
Python 3.11:

    python tests/parity/make_encoders.py
"""

import numpy as np
import torch
from _golden import array, save, tensor
from norse.torch.functional.encode import population_encode
from snntorch import spikegen
from spikingjelly.activation_based import encoding

STEPS = 9
CASES = {
    "linear": {"threshold": 0.05, "tau": None},
    "leaky": {"threshold": 0.1, "tau": 3.0},
    "spikingjelly": {"threshold": 0.0, "tau": None},
}
POPULATION = {"neurons": 7, "low": -1.0, "high": 2.0, "width": 0.4}


def numbers(rng, shape):
    """Numbers whose spikes do not hang on rounding, and both ends."""
    x = rng.random((400,)).astype(np.float32)
    times = [(STEPS - 1) * (1 - x), 3 * np.log(x / np.maximum(x - 0.1, 1e-6))]
    fair = np.all([np.abs(t % 1 - 0.5) > 1e-3 for t in times], axis=0)
    return np.concatenate([[0, 1], x[fair]])[: np.prod(shape)].reshape(shape).astype(np.float32)


def main():
    """Compute everything and save it."""
    rng = np.random.default_rng(0)
    x, signal = numbers(rng, (3, 20)), np.cumsum(rng.standard_normal((40, 3)), 0).astype(np.float32)
    arrays = {"x": x, "signal": signal}
    linear = {"num_steps": STEPS, "threshold": 0.05, "normalize": True, "linear": True}
    leaky = {"num_steps": STEPS, "threshold": 0.1, "tau": 3.0, "bypass": True}
    coder = encoding.LatencyEncoder(STEPS)
    found = {
        "linear": spikegen.latency(tensor(x), clip=True, **linear),
        "leaky": spikegen.latency(tensor(x), clip=True, **leaky),
        "spikingjelly": torch.stack([coder(tensor(x)) for _ in range(STEPS)]),
        "delta": spikegen.delta(tensor(signal), threshold=0.7, padding=True, off_spike=True),
        "norse": population_encode(tensor(x), 5),
    }
    settings = {
        "obs_dim": 20,
        "pop_dim": POPULATION["neurons"],
        "mean_range": (POPULATION["low"], POPULATION["high"]),
        "std": POPULATION["width"],
    }
    mean, std = encoding._population_parameters(**settings)
    activity = encoding._population_activity(tensor(x), 20, mean, std)
    found["population"] = activity.reshape(3, 20, -1)
    arrays |= {f"out/{name}": array(value) for name, value in found.items()}
    save(__file__, ("norse", "snntorch", "spikingjelly"), CASES, arrays, population=POPULATION)


if __name__ == "__main__":
    main()
