"""Golden vectors of Rockpool's files, written to rockpool_files.npz.

The networks below are saved by `net.save`; the vendor's own file, `to_deploy_inXylo.json` in
DATA = shared/data/xylo-audio3, is mapped, quantised and run by XyloSim, of which only digests are
kept. With BACK, a folder from `python -m tests.interop._rockpool_files BACK`, the files that snnjax
wrote are loaded into the same networks and run.

Run by rockpool 3.1.0, xylosim 0.1.3, torch 2.13.0 (CPU) and numpy 2.3.5 on Python 3.11:

    python tests/parity/make_rockpool_files.py DATA [BACK]
"""

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from _digest import digest
from _samna import torch
from rockpool.devices.xylo.syns65302 import XyloSim, mapper
from rockpool.nn.combinators import Residual, Sequential
from rockpool.nn.modules import (
    ExpSynTorch,
    LIFNeuronTorch,
    LIFTorch,
    LinearTorch,
)
from rockpool.nn.networks import SynNet
from rockpool.transform.quantize_methods import channel_quantize

TARGET = Path(__file__).with_name("rockpool_files.npz")
SOUNDS = ("background", "glass", "gun", "scream")


def taus(rng, *shape):
    return torch.tensor(rng.uniform(4e-3, 30e-3, shape), dtype=torch.float32)


def sequential(rng):
    return Sequential(
        LinearTorch((5, 16), has_bias=True),
        LIFTorch((16, 8), tau_mem=taus(rng, 8), tau_syn=taus(rng, 8, 2), has_rec=True),
        LinearTorch((8, 4)),
        LIFTorch((4, 4), bias=torch.tensor([0.05, 0.0, 0.1, 0.02]), threshold=0.8, dt=1e-3),
    )


def residual(rng):
    inner = Residual(LinearTorch((8, 8)), LIFTorch((8, 8), tau_mem=taus(rng, 8)))
    return Sequential(
        LinearTorch((5, 8)), LIFTorch((8, 8)), inner, LinearTorch((8, 3)), LIFTorch(3)
    )


def decays(rng):
    leak = {"leak_mode": "decays", "has_rec": True, "max_spikes_per_dt": torch.tensor(3.0)}
    alpha = torch.tensor(rng.uniform(0.7, 0.95, 8), dtype=torch.float32)
    return Sequential(LinearTorch((5, 8)), LIFTorch((8, 8), alpha=alpha, **leak))


def bitshifts(rng):
    return Sequential(LinearTorch((5, 8)), LIFTorch((8, 8), leak_mode="bitshifts", dt=2e-3))


def membranes(rng):
    return Sequential(
        LinearTorch((5, 8)),
        ExpSynTorch(8, tau=taus(rng, 8)),
        LinearTorch((8, 6)),
        LIFNeuronTorch(
            6, tau_mem=taus(rng, 6), bias=torch.tensor(0.03), threshold=torch.tensor(0.7)
        ),
    )


def synnet(rng):
    return SynNet(
        3, 5, [10, 8], [4, 2], p_dropout=0.1, dt=1e-3, threshold=0.2, threshold_out=[0.1, 0.15, 0.2]
    )


def synnet_vmem(rng):
    times = {"tau_syn_base": 10e-3, "tau_mem": 20e-3, "tau_syn_out": 20e-3}
    return SynNet(3, 5, [10], [4], output="vmem", dt=5e-3, threshold=0.3, **times)


CASES = (sequential, residual, decays, bitshifts, membranes, synnet, synnet_vmem)


def made(case):
    """A network that is the same at every run."""
    torch.manual_seed(0)
    net = case(np.random.default_rng(0))
    net.eval()
    freeze(net)
    if case not in (synnet, synnet_vmem):
        calm(net)
    return net


def calm(module):
    """Weights with which the neurons fire some spikes in a step, and no more."""
    for name, scale in {"weight": 0.4, "w_rec": 0.05}.items():
        if isinstance(getattr(module, name, None), torch.Tensor):
            getattr(module, name).data *= scale
    for inner in module.modules().values():
        calm(inner)


def freeze(module):
    """Switch dropout off."""
    if hasattr(module, "training"):
        module.training = False
    for inner in module.modules().values():
        freeze(inner)


def run(net, x):
    net.reset_state()
    y, _, _ = net(torch.tensor(x)[None])
    return y.detach().numpy()[0].astype(np.float32)


def vendor(data):
    """Digests of all that Rockpool makes of the vendor's network."""
    times = dict.fromkeys(("tau_syn_base", "tau_mem", "tau_syn_out"), 0.02)
    net = SynNet(4, 16, [63, 63, 63], [3, 5, 7], dt=0.009994, **times)
    net.load(data / "to_deploy_inXylo.json")
    found = {}
    rasters = {name: np.load(data / f"AFESimExternalSample_{name}.npy") for name in SOUNDS}
    for name, raster in rasters.items():
        net.reset_state()
        y, _, rec = net(torch.tensor(raster, dtype=torch.float32)[None], record=True)
        found[f"float/{name}/output"] = digest(y.detach().numpy()[0])
        for layer in ("0", "1", "2"):
            spikes = rec[f"{layer}_neurons"]["spikes"].detach().numpy()[0]
            found[f"float/{name}/{layer}_neurons"] = digest(spikes)
    spec = mapper(net.as_graph(), weight_dtype="float", threshold_dtype="float", dash_dtype="float")
    spec.pop("mapped_graph")
    spec |= channel_quantize(**spec)
    for key, value in spec.items():
        if isinstance(value, np.ndarray):
            found[f"spec/{key}"] = digest(value)
    found["spec/dt"] = spec["dt"]
    spec.pop("mapped_graph", None)
    sim = XyloSim.from_specification(**spec, output_mode="Spike")
    for name, raster in rasters.items():
        sim.reset_state()
        out, _, rec = sim(np.clip(raster, 0, 15), record=True)
        found[f"sim/{name}/output"] = digest(out)
        for key in ("Spikes", "Vmem", "Isyn", "Isyn2", "Vmem_out", "Isyn_out"):
            if key in rec:
                found[f"sim/{name}/{key}"] = digest(np.asarray(rec[key]).squeeze())
    return found


def main(data, back=None):
    arrays = {}
    for case in CASES:
        net, name = made(case), case.__name__
        rng = np.random.default_rng(1)
        x = rng.poisson(1.0, (60, 5)).astype(np.float32)
        with tempfile.NamedTemporaryFile() as file:
            net.save(file.name)
            text = Path(file.name).read_text()
        arrays |= {
            f"{name}/json": np.array(text),
            f"{name}/input": x,
            f"{name}/output": run(net, x),
        }
        print(name, arrays[f"{name}/output"].sum())
        if back is not None and (back / f"{name}.json").exists():
            net.load(back / f"{name}.json")
            freeze(net)
            arrays[f"{name}/back"] = run(net, x)
            print("  back", np.abs(arrays[f"{name}/back"] - arrays[f"{name}/output"]).max())
    versions = {name: version(name) for name in ("rockpool", "xylosim", "torch", "numpy")}
    manifest = {"script": Path(__file__).name, "versions": versions, "vendor": vendor(data)}
    np.savez_compressed(TARGET, manifest=np.array(json.dumps(manifest)), **arrays)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
