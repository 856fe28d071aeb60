"""The files of Rockpool's `Module.save`, written."""

import json
import os
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

from ..._checks import explained
from ..._files import write_whole
from ...nn import LIF, Chain, Residual, Sequential, TimeStepDropout
from .._neuron import NIRNeuron
from ._load import LEAKS_OF_FILES


@explained
def save(network: Chain, path: str | os.PathLike[str]) -> None:
    """Write a network as a file that Rockpool's `net.load` reads.

    `net` is the same network made with Rockpool: a `SynNet` for a `SynNet`, or a `Sequential` of
    `LinearTorch`, `LIFTorch`, `LIFNeuronTorch`, `ExpSynTorch`, `TimeStepDropout` and `Residual` for
    a `Sequential` of their like.

    Args:
        network: a network of `eqx.nn.Linear`, `LIF`, `TimeStepDropout`, `Sequential`, `Residual`,
            and the layers as which `load` reads a `LIFNeuronTorch` or an `ExpSynTorch`.
        path: the file.

    Raises:
        ValueError: if Rockpool has no such layer; the message has its path.
    """
    if not isinstance(network, Chain):
        raise TypeError(f"`network` must be a Sequential or a SynNet; got {type(network).__name__}")
    names = _names(network)
    content = _modules(network, names, "network")
    if names[-1] == "out_neurons":
        content = {"seq": content}
    write_whole(path, json.dumps(content))


def _names(network: Chain) -> list[str]:
    """The names of the modules: those of the layers, SynNet's, or Rockpool's own."""
    if all(network.names):
        return [str(name) for name in network.names]
    kinds = [_kind(layer) for layer in network.layers]
    if type(network).__name__ == "SynNet":
        return _synnet_names(kinds)
    return [f"{i}_{kind}" for i, kind in enumerate(kinds)]


_KIND: Mapping[type, str] = {
    eqx.nn.Linear: "LinearTorch",
    LIF: "LIFTorch",
    TimeStepDropout: "TimeStepDropout",
    Residual: "TorchResidual",
    Sequential: "TorchSequential",
}


def _kind(layer: Any) -> str:
    """The name of the module of a layer."""
    if isinstance(layer, NIRNeuron):
        return "ExpSynTorch" if layer.threshold is None else "LIFNeuronTorch"
    return _KIND.get(type(layer), type(layer).__name__)


def _synnet_names(kinds: list[str]) -> list[str]:
    last = len([kind for kind in kinds if kind == "LinearTorch"]) - 1
    words = {"LinearTorch": "linear", "LIFTorch": "neurons", "TimeStepDropout": "dropout"}
    names, number = [], -1
    for kind in kinds:
        number += kind == "LinearTorch"
        names.append(f"{'out' if number == last else number}_{words[kind]}")
    return names


def _modules(network: Chain, names: list[str], path: str) -> dict[str, Any]:
    if network.on_output is not None:
        raise ValueError(f"`{path}`: its outputs have transforms, which Rockpool does not have")
    found = {}
    for i, (name, layer) in enumerate(zip(names, network.layers, strict=True)):
        place = f"{path}.layers[{i}]"
        if isinstance(layer, Chain):
            found[name] = _modules(layer, _names(layer), place)
        elif isinstance(layer, eqx.nn.Linear):
            fields = {"weight": np.asarray(layer.weight).T}
            found[name] = _texts(fields if layer.bias is None else {**fields, "bias": layer.bias})
        elif isinstance(layer, LIF):
            found[name] = _texts(_lif_fields(layer, place))
        elif isinstance(layer, NIRNeuron):
            found[name] = _texts(_part_fields(layer, place))
        elif isinstance(layer, TimeStepDropout):
            found[name] = _texts({"p": layer.p, "training": not layer.inference})
        else:
            raise ValueError(f"`{place}`: Rockpool has no {type(layer).__name__}")
    return found


def _lif_fields(layer: LIF, path: str) -> dict[str, Any]:
    if layer.on_state is not None:
        raise ValueError(f"`{path}`: its states have transforms, which Rockpool does not have")
    neurons, synapses = layer.shape[0], layer.synapses
    kind = {"Taus": "taus", "Decays": "decays", "Bitshifts": "bitshifts"}[type(layer.leak).__name__]
    values = {"taus": layer.taus, "decays": layer.alphas, "bitshifts": layer.dashes}[kind]()
    mem, syn = (np.asarray(value) for value in values)
    zeros = np.zeros((neurons, neurons * synapses))
    return {
        "_has_rec": layer.w_rec is not None,
        "w_rec": zeros if layer.w_rec is None else np.asarray(layer.w_rec),
        "threshold": np.broadcast_to(layer.threshold, (neurons,)),
        "bias": np.zeros(neurons)
        if layer.bias is None
        else np.broadcast_to(layer.bias, (neurons,)),
        LEAKS_OF_FILES[kind][0]: np.broadcast_to(mem, (neurons,)),
        LEAKS_OF_FILES[kind][1]: np.broadcast_to(syn, (neurons, synapses)),
        "leak_mode": kind,
        "dt": layer.dt,
        "noise_std": layer.noise_std,
        **_firing_fields(layer),
    }


def _firing_fields(layer: LIF | NIRNeuron) -> dict[str, Any]:
    return {
        "max_spikes_per_dt": min(float(layer.settings.max_spikes), 2.0**16),
        "learning_window": float(getattr(layer.settings.surrogate, "window", 0.5)),
        "spike_generation_fn": None,
    }


def _part_fields(layer: NIRNeuron, path: str) -> dict[str, Any]:
    """The fields of a membrane or a synapse alone."""
    if layer.on_state is not None:
        raise ValueError(f"`{path}`: its states have transforms, which Rockpool does not have")
    alone = len(layer.shape) == 1 and layer.tau_syn is None and layer.w_rec is None
    if not alone or layer.tau_mem is None or layer.membrane != "sum":
        raise ValueError(f"`{path}`: Rockpool has no such {type(layer).__name__}")
    tau = np.asarray(layer.tau_mem, float)
    r, v_leak = np.asarray(layer.r), np.asarray(layer.v_leak, float)
    common = {"noise_std": 0.0, "dt": layer.dt}
    if layer.threshold is None:
        decay = np.exp(-layer.dt / tau)
        if not np.allclose(r, decay, rtol=1e-6) or v_leak.any():
            raise ValueError(f"`{path}`: Rockpool's synapses have r = exp(-dt/tau) and no v_leak")
        return {"tau": tau, **common}
    fires = not layer.strict and layer.settings.reset == "subtract" and layer.min_vmem is None
    if not fires or not (r == 1).all():
        raise ValueError(
            f"`{path}`: Rockpool's neurons fire at the threshold, subtract it, have no lower bound "
            "and r = 1"
        )
    return {
        "tau_mem": tau,
        "bias": v_leak * -np.expm1(-layer.dt / tau),
        "threshold": np.asarray(layer.threshold),
        "n_neurons": layer.shape[0],
        **common,
        **_firing_fields(layer),
    }


def _texts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as Rockpool writes them: JSON in texts, and null for a function."""

    def plain(value: Any) -> Any:
        return np.asarray(value).tolist() if hasattr(value, "shape") else value

    return {k: None if v is None else json.dumps(plain(v)) for k, v in fields.items()}
