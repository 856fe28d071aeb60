"""Golden vectors of NIR files written by snnjax and run in the tools they are for.

The files and the inputs come from `python -m tests.interop._written DIR`. Run by snntorch 1.0.0,
sinabs 3.1.3, norse 1.1.0, rockpool 3.1.0, spikingjelly 2.0.0, nir 1.0.8 and torch 2.13.0 (CPU), and
by spyx 1.0.0, jaxpike 0.1.4 and jax 0.10.2, on Python 3.11; each run adds the tools that it finds:

    python tests/parity/make_nir_written.py DIR
"""

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

import nir
import numpy as np

TARGET = Path(__file__).with_name("nir_written.npz")


def snntorch(graph, x):
    import torch
    from snntorch.import_nir import import_from_nir

    net, state, out = import_from_nir(graph), None, []
    for x_t in torch.from_numpy(x):
        y, state = net(x_t[None], state)
        out.append(y)
    return torch.cat(out)


def sinabs(graph, x):
    import torch
    from sinabs.nir import from_nir

    net = from_nir(graph, batch_size=1)
    y = net(torch.from_numpy(x))
    return y[0] if isinstance(y, tuple) else y


def norse(graph, x):
    import torch
    from norse.torch.utils.import_nir import from_nir

    net, state, out = from_nir(graph), None, []
    for x_t in torch.from_numpy(x):
        y, state = net(x_t[None], state)
        out.append(y)
    return torch.cat(out)


def rockpool(graph, x):
    import torch
    from rockpool.nn.modules.torch.nir import from_nir

    y, _ = from_nir(graph)(torch.from_numpy(x)[None])
    return y[0]


def spikingjelly(graph, x):
    import torch
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    net, state, out = import_from_nir(graph), None, []
    for x_t in torch.from_numpy(x):
        y, state = net(x_t[None], state)
        out.append(y)
    return torch.cat(out)


def jaxpike(graph, x):
    import jaxpike.nir

    net = jaxpike.nir.from_nir(graph, dt_seconds=1e-3)
    y, _ = jaxpike.unroll(net, np.transpose(x, (0, 2, 3, 1))[:, None])
    return np.asarray(y)[:, 0]


def spyx(graph, x):
    from spyx.nir import from_nir

    _, y = from_nir(graph, np.transpose(x, (0, 2, 3, 1))[:, None], dt=1)
    return np.asarray(y)[:, 0]


TOOLS = {f.__name__: f for f in (snntorch, sinabs, norse, rockpool, spikingjelly, jaxpike, spyx)}


def places(graph, inside=""):
    """The numbers of a graph, by node and name."""
    found = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            found |= places(node, f"{inside}{name}/")
            continue
        for key, value in node.to_dict().items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                found[f"{inside}{name}:{key}"] = value
    return found


def main(directory):
    old = dict(np.load(TARGET)) if TARGET.exists() else {}
    manifest = json.loads(str(old.pop("manifest"))) if old else {"versions": {}}
    for name, run in TOOLS.items():
        if importlib.util.find_spec(name) is None:
            continue
        graph = nir.read(directory / f"{name}.nir")
        held = places(graph)
        x = np.load(directory / f"{name}.npy")
        out = run(graph, x)
        out = np.asarray(out.detach() if hasattr(out, "detach") else out, np.float32)
        old |= {f"{name}/graph/{place}": value for place, value in held.items()}
        old |= {f"{name}/output": out.reshape(len(x), -1)}
        manifest["versions"][name] = importlib.metadata.version(name)
        print(name, out.shape, float(out.sum()))
    manifest["script"] = Path(__file__).name
    manifest["versions"] = dict(sorted(manifest["versions"].items()))
    np.savez_compressed(TARGET, **dict(sorted(old.items())), manifest=json.dumps(manifest))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
