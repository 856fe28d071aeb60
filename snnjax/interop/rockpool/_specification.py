"""The specifications of Rockpool's mapper, as networks for Xylo."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..._checks import explained
from ...hardware.xylo import Chip, Spec, get_chip

_NAMES = {
    "dash_mem": "dash_mem",
    "dash_mem_out": "dash_mem_out",
    "dash_syn_out": "dash_syn_out",
    "threshold": "threshold",
    "threshold_out": "threshold_out",
}
"""Our names, and Rockpool's."""

_SHIFTS = ("weight_shift_in", "weight_shift_rec", "weight_shift_out")
_KNOWN = {
    *_NAMES.values(),
    *_SHIFTS,
    "weights_in",
    "weights_rec",
    "weights_out",
    "dash_syn",
    "dash_syn_2",
    "bias",
    "bias_hidden",
    "bias_out",
    "aliases",
    "dt",
    "mapped_graph",
}


@explained
def from_specification(
    specification: Mapping[str, Any], *, chip: Chip | str, dt: float | None = None
) -> Spec:
    """A network for Xylo from what Rockpool's `mapper`, or its quantisation of that, gives.

    Args:
        specification: the dictionary, real numbers or integers. Weights may lack the axis of the
            synapses, and a network without recurrence `weights_rec`. `weights_in` may be those of
            the first hidden neurons only, and `weights_out` those of the last.
        chip: the chip that it was mapped for, as "audio3".
        dt: length of a step in seconds, where the dictionary has none.

    Returns:
        The same network. With integers it is one that `xylo.simulate` takes; with real numbers,
        one for `xylo.quantize`.

    Raises:
        ValueError: if an entry is missing, unknown or of a shape that does not fit.
    """
    unknown = sorted(set(specification) - _KNOWN)
    if unknown:
        raise ValueError(f"`specification` has unknown entries: {', '.join(unknown)}")
    given = {k: v for k, v in specification.items() if v is not None}
    step = given.get("dt", dt)
    if step is None:
        raise ValueError("`dt` is needed: the specification has none")
    w_in = _per_synapse(_entry(given, "weights_in"))
    hidden, synapses = _entry(given, "threshold").size, w_in.shape[2]
    w_out = _entry(given, "weights_out")
    unused = hidden - w_in.shape[1], hidden - len(w_out)
    if min(unused) < 0:
        raise ValueError(f"`specification` has weights of more than its {hidden} hidden neurons")
    w_in = np.pad(w_in, ((0, 0), (0, unused[0]), (0, 0)))
    none = np.zeros((hidden, hidden, synapses), w_in.dtype)
    second = given.get("dash_syn_2", np.zeros_like(_entry(given, "dash_syn")))
    dashes = [_entry(given, "dash_syn"), _whole(second)][:synapses]
    bias = given.get("bias", given.get("bias_hidden"))
    arrays: dict[str, Any] = {ours: _entry(given, theirs) for ours, theirs in _NAMES.items()}
    arrays |= {"w_in": w_in, "w_out": np.pad(w_out, ((unused[1], 0), (0, 0)))}
    w_rec = _per_synapse(_whole(given["weights_rec"])) if "weights_rec" in given else none
    ends = [(0, max(0, hidden - n)) for n in w_rec.shape[:2]]
    arrays["w_rec"] = np.pad(w_rec, (*ends, (0, 0)))
    arrays["dash_syn"] = np.stack(dashes, -1)
    arrays["bias"] = None if bias is None else _whole(bias)
    arrays["bias_out"] = _whole(given["bias_out"]) if "bias_out" in given else None
    arrays["aliases"] = _aliases(given.get("aliases"), hidden)
    shifts: dict[str, Any] = {name: int(given.get(name, 0)) for name in _SHIFTS}
    return Spec(dt=float(step), chip=get_chip(chip), **arrays, **shifts)


def _entry(given: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in given:
        raise ValueError(f"`specification` has no {name!r}")
    return _whole(given[name])


def _whole(value: Any) -> np.ndarray:
    """An array; integers of any width become those of 32 bits."""
    array = np.asarray(value)
    if array.dtype.kind in "iu":
        return array.astype(np.int32)
    return array.astype(np.float32)


def _per_synapse(weights: np.ndarray) -> np.ndarray:
    return weights[..., None] if weights.ndim == 2 else weights


def _aliases(given: Sequence[Sequence[int]] | None, hidden: int) -> np.ndarray | None:
    if given is None or not any(len(targets) for targets in given):
        return None
    if len(given) != hidden or any(len(targets) > 1 for targets in given):
        raise ValueError(
            f"`aliases` must have at most one target for each of the {hidden} hidden neurons"
        )
    return np.array([targets[0] if len(targets) else -1 for targets in given], np.int32)
