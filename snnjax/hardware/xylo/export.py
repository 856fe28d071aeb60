"""Quantised networks as files to read and compare, and as arguments for Rockpool."""

import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import _files
from .check import require, require_integers
from .spec import CHIPS, DIMENSIONS, OPTIONAL, Spec, get_chip

_FORMAT = "snnjax-xylo"
_VERSION = 1
_SIZES = ("n_inputs", "n_hidden", "n_outputs", "n_synapses")
_SHIFTS = ("weight_shift_in", "weight_shift_rec", "weight_shift_out")
_FIELDS = ("format", "version", "chip", "dt", *_SIZES, *_SHIFTS, *DIMENSIONS)


def save(spec: Spec, path: str | os.PathLike[str]) -> None:
    """Write a quantised network to a file, in the format of `to_json`.

    Raises:
        ValueError: if `load` would refuse the file; see `to_json`.
    """
    Path(path).write_text(to_json(spec), encoding="utf-8")


def load(path: str | os.PathLike[str]) -> Spec:
    """Read what `save` wrote.

    Returns:
        A spec identical to the one that was saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a directory or anything but a whole and valid network; the message
            names the file and the field.
    """
    return from_json(_files.read(path), source=str(path))


def to_json(spec: Spec) -> str:
    """A quantised network as JSON, with each row of a matrix on a line of its own.

    Arrays have the axes that `Spec` gives them, except that those with an axis for synapses have it
    first: `w_in` is a list with an (inputs, hidden) matrix for each synapse.

    Raises:
        ValueError: if the network is not quantised, has values that its chip cannot hold, or is for
            a chip that is not in `CHIPS`.
    """
    require_integers(spec)
    chips = [name for name, chip in CHIPS.items() if chip == spec.chip]
    if not chips:
        raise ValueError(f"`spec.chip` must be one of {', '.join(CHIPS)}; got {spec.chip}")
    fields = {"format": _FORMAT, "version": _VERSION, "chip": chips[0], "dt": spec.dt}
    fields |= {name: getattr(spec, name) for name in (*_SIZES, *_SHIFTS)}
    lines = [f'  "{name}": {json.dumps(value)}' for name, value in fields.items()]
    for name, axes in DIMENSIONS.items():
        array = getattr(spec, name)
        if array is not None and axes[-1] == "synapses":
            array = np.moveaxis(np.asarray(array), -1, 0)
        lines.append(f'  "{name}": {"null" if array is None else _rows(np.asarray(array), "  ")}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def from_json(text: str, *, source: str = "the text") -> Spec:
    """The network that `to_json` wrote.

    Args:
        text: JSON.
        source: where it is from, for the messages of errors.

    Raises:
        ValueError: if `text` is not a whole and valid network; the message names the field.
    """
    return _files.parse(text, _spec_of, source)


def _spec_of(fields: Any) -> Spec:
    _require_fields(fields)
    spec = _from_fields(fields)
    require_integers(spec)
    return spec


def _require_fields(fields: Any) -> None:
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
        raise ValueError(f'not a network for Xylo: there is no `"format": "{_FORMAT}"`')
    version = _whole(fields, "version")
    if version != _VERSION:
        raise ValueError(f"`version` is {version}; this snnjax reads {_VERSION}, another may do")
    missing = [name for name in _FIELDS if name not in fields]
    extra = [name for name in fields if name not in _FIELDS]
    if missing or extra:
        lacks = f"lacks {', '.join(missing)}" if missing else ""
        has = f"has unknown {', '.join(extra)}" if extra else ""
        raise ValueError(f"it {' and '.join(filter(None, (lacks, has)))}")


def _from_fields(fields: dict[str, Any]) -> Spec:
    chip, dt = fields["chip"], fields["dt"]
    if not isinstance(chip, str):
        raise ValueError(f"`chip` must be the name of a chip; got {chip!r}")
    if type(dt) not in (int, float):
        raise ValueError(f"`dt` must be a number of seconds; got {dt!r}")
    values: dict[str, Any] = {name: _array(fields, name) for name in DIMENSIONS}
    values |= {name: _whole(fields, name) for name in _SHIFTS}
    return Spec(**values, dt=dt, chip=get_chip(chip))


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int:
        raise ValueError(f"`{name}` must be a whole number; got {value!r}")
    return value


def _array(fields: dict[str, Any], name: str) -> np.ndarray | None:
    """The array of that name, with its axes as `Spec` has them."""
    value, axes = fields[name], DIMENSIONS[name]
    if value is None and name in OPTIONAL:
        return None
    per_synapse = axes[-1] == "synapses"
    if per_synapse:
        axes = ("synapses", *axes[:-1])
    shape = tuple(_whole(fields, f"n_{axis}") for axis in axes)
    wanted = f"`{name}` must be lists of whole numbers, {shape} = ({', '.join(axes)})"
    array = np.array(list(_files.numbers(value, shape, wanted)), np.int32).reshape(shape)
    return np.moveaxis(array, 0, -1) if per_synapse else array


def _rows(array: np.ndarray, indent: str) -> str:
    """An array as JSON, a line for each of its rows."""
    if array.ndim == 1:
        return json.dumps(array.tolist())
    deeper = indent + "  "
    rows = ",\n".join(deeper + _rows(row, deeper) for row in array)
    return f"[\n{rows}\n{indent}]"


def to_rockpool(spec: Spec, target: Literal["simulator", "board"] = "simulator") -> dict[str, Any]:
    """A quantised network as keyword arguments for Rockpool, which drives the boards.

    Args:
        spec: a quantised network.
        target: "simulator" for `XyloSim.from_specification`, "board" for
            `config_from_specification`. They differ in the name of the hidden neurons' biases, and
            the latter drops, without a word, arguments that it does not know.

    Raises:
        ValueError: if the network is not quantised or breaks a limit of its chip, or `target` is
            unknown.
    """
    names = {"simulator": "bias", "board": "bias_hidden"}
    if target not in names:
        raise ValueError(f"`target` must be one of {', '.join(names)}; got {target!r}")
    require_integers(spec)
    require(spec)
    dash_syn = np.asarray(spec.dash_syn)
    arguments: dict[str, Any] = {
        "weights_in": np.asarray(spec.w_in),
        "weights_rec": np.asarray(spec.w_rec),
        "weights_out": np.asarray(spec.w_out),
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
        arguments[names[target]] = None if spec.bias is None else np.asarray(spec.bias)
        arguments["bias_out"] = None if spec.bias_out is None else np.asarray(spec.bias_out)
    return arguments | {name: getattr(spec, name) for name in _SHIFTS}


def _alias_lists(spec: Spec) -> list[list[int]] | None:
    if spec.aliases is None:
        return None
    return [[alias] if alias >= 0 else [] for alias in spec.aliases.tolist()]
