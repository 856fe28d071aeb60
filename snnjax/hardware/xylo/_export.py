"""Quantised networks in the formats of the vendor's software."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ..._checks import explained
from .. import _files
from ._check import require, require_integers
from ._save import to_json
from ._spec import Spec

_SHIFTS = ("weight_shift_in", "weight_shift_rec", "weight_shift_out")


@explained
def export(spec: Spec, *, format: str = "rockpool-board") -> Any:
    """A quantised network as another program takes it.

    - "rockpool-simulator": keyword arguments of Rockpool's `XyloSim.from_specification`.
    - "rockpool-board": keyword arguments of Rockpool's `config_from_specification`, which drives
      the boards. The input and recurrent weights end with the last neurons that have any, as that
      function counts the rows of arrays rather than the neurons in use.
    - "json": the text of a file of `save`.

    From there to a board, with the module of the chip among Rockpool's devices:

        config, valid, message = config_from_specification(**xylo.export(spec))
        XyloSamna(board, config, dt=spec.dt)

    Args:
        spec: a quantised network.
        format: one of `FORMATS`.

    Raises:
        ValueError: if the network is not quantised or breaks a limit of its chip, or `format` is
            unknown.
    """
    write = _files.find_format(FORMATS, format)
    require_integers(spec)
    require(spec)
    return write(spec)


def _simulator(spec: Spec) -> dict[str, Any]:
    return {
        "weights_in": np.asarray(spec.w_in),
        "weights_out": np.asarray(spec.w_out),
        **_others(spec, "bias"),
    }


def _board(spec: Spec) -> dict[str, Any]:
    arguments = {**_simulator(spec), **_others(spec, "bias_hidden")}
    arguments.pop("bias", None)
    if spec.chip.max_input_neurons is not None:
        fed = np.flatnonzero(np.asarray(spec.w_in).any((0, 2)))
        arguments["weights_in"] = np.asarray(spec.w_in)[:, : max(fed, default=0) + 1]
    if spec.chip.max_output_neurons is not None:
        read = np.flatnonzero(np.asarray(spec.w_out).any(1))
        arguments["weights_out"] = np.asarray(spec.w_out)[min(read, default=spec.n_hidden - 1) :]
    return arguments


def _others(spec: Spec, bias: str) -> dict[str, Any]:
    """All arguments but the weights of inputs and outputs; `bias` is the name of the biases."""
    dash_syn = np.asarray(spec.dash_syn)
    arguments: dict[str, Any] = {
        "weights_rec": np.asarray(spec.w_rec),
        "dash_mem": np.asarray(spec.dash_mem),
        "dash_mem_out": np.asarray(spec.dash_mem_out),
        "dash_syn": dash_syn[:, 0],
        "dash_syn_2": dash_syn[:, 1] if spec.n_synapses > 1 else None,
        "dash_syn_out": np.asarray(spec.dash_syn_out),
        "threshold": np.asarray(spec.threshold),
        "threshold_out": np.asarray(spec.threshold_out),
        "aliases": _alias_lists(spec),
        "dt": spec.dt,
    }
    if spec.chip.has_bias:
        arguments[bias] = None if spec.bias is None else np.asarray(spec.bias)
        arguments["bias_out"] = None if spec.bias_out is None else np.asarray(spec.bias_out)
    return arguments | {name: getattr(spec, name) for name in _SHIFTS}


def _alias_lists(spec: Spec) -> list[list[int]] | None:
    if spec.aliases is None:
        return None
    return [[alias] if alias >= 0 else [] for alias in spec.aliases.tolist()]


FORMATS: Mapping[str, Callable[[Spec], Any]] = MappingProxyType(
    {"rockpool-board": _board, "rockpool-simulator": _simulator, "json": to_json}
)
"""The formats of `export`."""
