"""What the two scripts that run Rockpool share: a stub, the margin of a draw, and the file.

Import `rockpool` only after this module: its import tries to install a vendor package (samna), so
a stub is put in `sys.modules` first.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np

sys.modules.setdefault("samna", MagicMock(name="samna"))

import torch  # noqa: E402

torch.set_num_threads(1)

# Rockpool's names of the decay factors, and the names used in the files.
RENAMED = {"alpha": "alpha_mem", "beta": "alpha_syn"}

# A spike must not hang on the last bits of vmem / threshold: they differ between two correct
# implementations, by up to 2e-4 at the end of the cases with long time constants.
MARGIN = 1e-3


def array(tensor):
    """A float32 copy, so that later in-place operations cannot reach it."""
    return tensor.detach().numpy().astype(np.float32).copy()


def margin(vmem, spikes, threshold, max_spikes, edge=None):
    """How near vmem before the reset comes to a value where the result jumps, in thresholds.

    The result jumps where one more spike is fired, and the gradient at `edge`, the lower end of a
    piecewise linear surrogate.
    """
    threshold = np.asarray(threshold, np.float64)
    ratio = (vmem + spikes * threshold) / threshold
    jump = np.clip(np.round(ratio), 1, max_spikes)
    gaps = [np.abs(ratio - jump).min()]
    if edge is not None:
        gaps.append(np.abs(ratio - edge / threshold).min())
    return float(min(gaps))


def save(script, cases, arrays, **more):
    """Write the arrays, and a manifest of how they were computed, to an .npz next to `script`."""
    path = Path(script)
    path = path.with_name(path.stem.removeprefix("make_") + ".npz")
    versions = {name: version(name) for name in ("rockpool", "torch", "numpy")}
    manifest = {"script": Path(script).name, "versions": versions, "cases": cases, **more}
    np.savez_compressed(path, manifest=np.array(json.dumps(manifest)), **arrays)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e6:.2f} MB")
