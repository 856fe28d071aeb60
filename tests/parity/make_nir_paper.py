"""Golden vectors of the convolutional graph of NIR's paper, cnn_sinabs.nir, run in sinabs.

sinabs' own reader does not give the network back (it loses the reset), so its layers are made here
from the weights of the file. Run by sinabs 3.1.3, nir 1.0.8 and torch 2.13.0 (CPU) on Python 3.11:

    python tests/parity/make_nir_paper.py FILE
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import nir
import numpy as np
import sinabs.layers as sl
import torch

TARGET = Path(__file__).with_name("nir_paper.npz")


def layer(node):
    kind = type(node).__name__
    if kind == "IF":
        threshold = torch.tensor(float(node.v_threshold.flat[0]))
        return sl.IAFSqueeze(spike_threshold=threshold, min_v_mem=-1.0, batch_size=1)
    if kind == "SumPool2d":
        return sl.SumPool2d(tuple(node.kernel_size), tuple(node.stride))
    if kind == "Flatten":
        return torch.nn.Flatten()
    weight = torch.from_numpy(node.weight)
    if kind == "Affine":
        made = torch.nn.Linear(weight.shape[1], weight.shape[0])
    else:
        sizes = weight.shape[1], weight.shape[0], tuple(weight.shape[2:])
        settings = {"stride": tuple(node.stride), "padding": tuple(node.padding)}
        made = torch.nn.Conv2d(*sizes, **settings)
    made.weight.data, made.bias.data = weight, torch.from_numpy(node.bias)
    return made


def main():
    graph = nir.read(sys.argv[1])
    names = sorted((name for name in graph.nodes if name.isdigit()), key=int)
    x = np.random.default_rng(0).poisson(0.1, (30, 2, 34, 34)).astype(np.float32)
    found = {"input": x.astype(np.uint8)}
    with torch.no_grad():
        y = torch.from_numpy(x)
        for name in names:
            y = layer(graph.nodes[name])(y)
            if type(graph.nodes[name]).__name__ == "IF":
                found[f"spikes_{name}"] = y.numpy().astype(np.uint8)
                print(name, tuple(y.shape), float(y.sum()), float(y.max()))
    versions = {name: importlib.metadata.version(name) for name in ("nir", "sinabs", "torch")}
    manifest = json.dumps({"script": Path(__file__).name, "versions": versions})
    np.savez_compressed(TARGET, manifest=np.array(manifest), **found)


if __name__ == "__main__":
    main()
