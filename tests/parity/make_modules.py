"""Golden vectors of networks of other tools, written to modules.npz: weights, outputs.

The networks are those of `tests/interop/_modules.py`. Run by snntorch 1.0.0, sinabs 3.1.3,
spikingjelly 2.0.0, norse 1.1.0 and torch 2.13.0 (CPU), and by spyx 1.0.0, jaxpike 0.1.4 and jax
0.10.2, on Python 3.11; each run adds the tools that it finds:

    python tests/parity/make_modules.py
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "interop"))

import _modules

TARGET = Path(__file__).with_name("modules.npz")


def main():
    old = dict(np.load(TARGET)) if TARGET.exists() else {}
    versions = json.loads(str(old.pop("manifest")))["versions"] if old else {}
    for name, build in _modules.NETWORKS.items():
        tool = name.partition("_")[0]
        packages, _, state = _modules.TOOLS[tool]
        if not _modules.installed(*packages):
            continue
        net = build()
        held = state(net)
        out = _modules.outputs(name, net)
        old = {key: value for key, value in old.items() if not key.startswith(f"{name}/")}
        old |= {f"{name}/state/{key}": value for key, value in held.items()}
        old[f"{name}/output"] = out
        versions[tool] = importlib.metadata.version(tool)
        print(name, out.shape, float(np.abs(out).sum()))
    manifest = {"script": Path(__file__).name, "versions": dict(sorted(versions.items()))}
    np.savez_compressed(
        TARGET, manifest=np.array(json.dumps(manifest)), **dict(sorted(old.items()))
    )


if __name__ == "__main__":
    main()
