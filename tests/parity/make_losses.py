"""Golden vectors of the peers' losses, written to losses.npz: values and gradients of batches.

Run by rockpool 3.1.0, snntorch 1.0.0, spikingjelly 2.0.0, torch 2.13.0 (CPU) and numpy 2.3.5 on
Python 3.11:

    python tests/parity/make_losses.py
"""

import numpy as np
import snntorch.functional as snntorch
import torch
from _golden import array, save, tensor
from rockpool.nn.losses import PeakLoss
from spikingjelly.activation_based.functional import temporal_efficient_training_cross_entropy

STEPS, BATCH, CLASSES = 14, 6, 5

# Each takes (time, batch, classes) and the labels.
ON_SPIKES = {
    "ce_rate_loss": snntorch.ce_rate_loss(),
    "ce_count_loss": snntorch.ce_count_loss(),
    "mse_count_loss": snntorch.mse_count_loss(correct_rate=0.5, incorrect_rate=0.0),
}
PEAKS = {
    "one_step": {"max_interval": 1, "weight_nontarget": 1.0, "target_output": 1.0},
    "window": {"max_interval": 4, "weight_nontarget": 0.3, "target_output": 2.0},
    "over_the_end": {"max_interval": 20, "weight_nontarget": 2.0, "target_output": -0.5},
}


def peak(settings):
    loss = PeakLoss(**settings)
    return lambda y, labels: loss(y.transpose(0, 1), labels)


ON_VMEM = {
    "ce_rate_loss": snntorch.ce_rate_loss(),
    "ce_max_membrane_loss": snntorch.ce_max_membrane_loss(),
    "temporal_efficient_training": temporal_efficient_training_cross_entropy,
    **{f"PeakLoss_{name}": peak(settings) for name, settings in PEAKS.items()},
}


def graded(loss, y, *arguments):
    """The value of a loss and its gradient by `y`."""
    y = tensor(y, grad=True)
    value = loss(y, *arguments).sum()
    value.backward()
    return {"value": array(value), "grad": array(y.grad)}


def ctc(rng):
    """Sequences and labels of different lengths, with labels that repeat; one without labels."""
    y = rng.standard_normal((STEPS, BATCH, CLASSES))
    labels = rng.integers(1, CLASSES, (BATCH, 4))
    labels[1, :2] = 3
    steps, said = np.array([14, 9, 11, 14, 8, 5]), np.array([4, 3, 1, 4, 2, 0])
    arguments = [torch.tensor(a) for a in (labels, steps, said)]

    def loss(y, *rest):
        return torch.nn.functional.ctc_loss(y.log_softmax(-1), *rest, reduction="none")

    return {"y": np.float32(y), "labels": labels, "steps": steps, "said": said} | graded(
        loss, y, *arguments
    )


def main():
    """Compute everything and save it."""
    rng = np.random.default_rng(0)
    labels = torch.tensor(rng.integers(0, CLASSES, BATCH))
    inputs = {
        "spikes": (rng.random((STEPS, BATCH, CLASSES)) < 0.4).astype(np.float32),
        "vmem": rng.standard_normal((STEPS, BATCH, CLASSES)).astype(np.float32),
    }
    arrays = {"labels": labels.numpy(), **inputs}
    for name, found in ctc(rng).items():
        arrays[f"ctc/{name}"] = found
    cases = {"ctc": {}}
    for on, losses in (("spikes", ON_SPIKES), ("vmem", ON_VMEM)):
        for name, loss in losses.items():
            cases[f"{on}_{name}"] = PEAKS.get(name.removeprefix("PeakLoss_"), {})
            for key, found in graded(loss, inputs[on], labels).items():
                arrays[f"{on}_{name}/{key}"] = found
    save(__file__, ("rockpool", "snntorch", "spikingjelly"), cases, arrays)


if __name__ == "__main__":
    main()
