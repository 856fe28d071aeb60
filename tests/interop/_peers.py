"""The recorded NIR files of the peers, and what must be told of each."""

from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np

from snnjax import record

NIR = Path(__file__).parents[3] / "shared/data/nir"
PEERS = NIR / "peers"

LATE = {"reset_delay": True}
SINABS = {"reset": "subtract", "max_spikes": None, "min_vmem": None}
TOLD = {
    "snntorch_leaky_subtract": {"nodes": {"*": {**LATE, "reset": "subtract"}}},
    "snntorch_rleaky": {
        "nodes": {"*": LATE, "1.lif": {"reset": "subtract"}, "3.lif": {"reset": "zero"}}
    },
    "sinabs_iaf_conv": {"nodes": {"*": SINABS, "1": {"min_vmem": -1}, "7": {"max_spikes": 1}}},
    "sinabs_lif_mlp": {"nodes": {"*": {**SINABS, "tau_syn": None, "norm_input": True}}},
    "norse_lif_cuba": {"nodes": {"1": {"v_reset": 0.0}, "3": {"v_reset": -0.1}}},
    "norse_lifbox_li": {"nodes": {"1": {"v_reset": -0.2}}},
    "rockpool_lif_mlp": {"nodes": {"*": {"bias": 0.0, "w_rec": None, "max_spikes": 2**16}}},
    "rockpool_lif_scalar": {"nodes": {"*": {"bias": 0.0, "w_rec": None, "max_spikes": 2**16}}},
    "spikingjelly_lif": {},
    "spyx_lif": {},
    "spyx_rlif": {},
    "jaxpike_conv": {"dialect": "jaxpike", "dt": 1e-3},
}
"""By file: the settings that the data's README gives."""

BY_HAND = ["branch_merge", "conv2d", "delay", "lif_li", "nested", "pools", "recurrent"]


def run(network, x):
    """What a network records of an input, in its own precision, by the name of the node."""
    dtype = next(leaf.dtype for leaf in jax.tree.leaves(network) if eqx.is_inexact_array(leaf))
    y, _, records = eqx.filter_jit(record)(network, np.asarray(x, dtype))
    names = {f"layers[{i}]": name for i, name in enumerate(network.names)}
    by_node = {}
    for path, value in records.items():
        layer, _, state = path.partition(".")
        by_node.setdefault(f"{names[layer]}.{state}", value)
    return np.asarray(y), {name: np.asarray(value) for name, value in by_node.items()}


class Found(NamedTuple):
    """A network beside what its tool recorded: spikes, those that differ, all else at most."""

    spikes: int
    differ: int
    apart: float


def compare(network, recorded, prefix=""):
    """The network beside the recorded numbers, at every node and step."""
    y, records = run(network, recorded["input"])
    spikes, differ, apart = 0, 0, 0.0
    for name in recorded:
        if not name.startswith(prefix) or name.startswith("lost"):
            continue
        what, _, node = name.removeprefix(prefix).partition("_")
        if what == "output":
            found = y
        elif what in ("spikes", "out", "v"):
            found = _of(records, node, "vmem" if what == "v" else "output")
        else:
            continue
        wanted = recorded[name]
        found = found.reshape(wanted.shape)
        if what == "spikes":
            spikes, differ = spikes + int(wanted.sum()), differ + int((found != wanted).sum())
        else:
            apart = max(apart, float(np.abs(found - wanted).max()))
    return Found(spikes, differ, apart)


def assert_as_recorded(network, recorded, prefix=""):
    """Spikes are equal, and all else to 1e-4, at every node and step."""
    found = compare(network, recorded, prefix)
    assert found.spikes > 0
    assert found.differ == 0
    assert found.apart <= 1e-4


def _of(records, node, state):
    if f"{node}.{state}" in records:
        return records[f"{node}.{state}"]
    # A node of Spyx is a layer and a delay, in a graph of its own if it is recurrent.
    within = [f"{node}.layers[0].{state}", f"{node}/{node}.lif.layers[0].{state}"]
    if state == "output":
        within = [f"{node}/{node}.lif.output"]
    return next(records[name] for name in within if name in records)
