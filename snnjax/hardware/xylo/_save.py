"""Quantised networks as files to read and compare."""

import os
from typing import Any

import numpy as np

from ..._checks import explained
from ..._files import write_whole
from .. import _files
from .._family import name_of
from ._check import require, require_integers
from ._chips import CHIPS, get_chip
from ._spec import DIMENSIONS, OPTIONAL, Part, Spec

_FORMAT = "snnjax-xylo"
_VERSION = 2
_SIZES = ("n_inputs", "n_hidden", "n_outputs", "n_synapses")
_SHIFTS = ("weight_shift_in", "weight_shift_rec", "weight_shift_out")
_FIELDS = ("format", "version", "chip", "dt", *_SIZES, *_SHIFTS, *DIMENSIONS)


@explained
def save(spec: Spec, path: str | os.PathLike[str]) -> None:
    """Write a quantised network to a file, in the format of `to_json`.

    Raises:
        ValueError: if the network is not quantised or breaks a limit of its chip; see `to_json`.
    """
    write_whole(path, to_json(spec))


@explained
def load(path: str | os.PathLike[str]) -> Spec:
    """Read a file of `save`.

    Sizes are not held against the chip's limits, see `check`; values are.

    Returns:
        A spec identical to the one that was saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a directory or anything but a whole and valid network; the message
            names the file and the field.
    """
    return from_json(_files.read(path), source=str(path))


@explained
def to_json(spec: Spec) -> str:
    """A quantised network as JSON, with short lists on a line of their own.

    Arrays have the axes that `Spec` gives them, except that those with an axis for synapses have it
    first: `w_in` is a list with an (inputs, hidden) matrix for each synapse. `layers` has the path
    in the model and the number of neurons of each layer.

    Raises:
        ValueError: if the network is not quantised, breaks a limit of its chip, or is for a chip
            that is not in `CHIPS`.
    """
    require_integers(spec)
    chip = name_of(spec.chip, CHIPS)
    require(spec)
    content: dict[str, Any] = {"format": _FORMAT, "version": _VERSION, "chip": chip, "dt": spec.dt}
    content |= {name: getattr(spec, name) for name in (*_SIZES, *_SHIFTS)}
    content["layers"] = [list(part) for part in spec.layers]
    for name, axes in DIMENSIONS.items():
        array = getattr(spec, name)
        if array is not None and axes[-1] == "synapses":
            array = np.moveaxis(np.asarray(array), -1, 0)
        content[name] = None if array is None else np.asarray(array).tolist()
    return _files.to_text(content) + "\n"


@explained
def from_json(text: str, *, source: str = "the text") -> Spec:
    """The network in a text of `to_json`.

    Args:
        text: JSON.
        source: where it is from, for the messages of errors.

    Raises:
        ValueError: if `text` is not a whole and valid network; the message names the field.
    """
    return _files.parse(text, _spec_of, source)


def _spec_of(content: Any) -> Spec:
    version = _files.require_format(content, _FORMAT, (1, _VERSION))
    fields = _FIELDS if version == 1 else (*_FIELDS, "layers")
    spec = _from_fields(_files.fields(content, fields, "the network"))
    require_integers(spec)
    return spec


def _from_fields(fields: dict[str, Any]) -> Spec:
    dt = fields["dt"]
    if type(dt) not in (int, float):
        raise ValueError(f"`dt` must be a number of seconds; got {dt!r}")
    values: dict[str, Any] = {name: _array(fields, name) for name in DIMENSIONS}
    values |= {name: _files.whole(fields[name], name) for name in _SHIFTS}
    chip = get_chip(_files.text_of(fields["chip"], "chip"))
    return Spec(**values, layers=_layers(fields.get("layers", [])), dt=dt, chip=chip)


def _layers(value: Any) -> tuple[Part, ...]:
    found = []
    for i, entry in enumerate(_files.list_of(value, "layers")):
        name = f"layers[{i}]"
        if len(_files.list_of(entry, name)) != 2:
            raise ValueError(f"`{name}` must be a path and a number of neurons; got {entry!r}")
        size = _files.whole(entry[1], f"{name}[1]")
        found.append(Part(_files.text_of(entry[0], f"{name}[0]"), size))
    return tuple(found)


def _array(fields: dict[str, Any], name: str) -> np.ndarray | None:
    """The array of that name, with its axes as `Spec` has them."""
    value, axes = fields[name], DIMENSIONS[name]
    if value is None and name in OPTIONAL:
        return None
    per_synapse = axes[-1] == "synapses"
    if per_synapse:
        axes = ("synapses", *axes[:-1])
    shape = tuple(_files.whole(fields[f"n_{axis}"], f"n_{axis}") for axis in axes)
    wanted = f"`{name}` must be lists of whole numbers, {shape} = ({', '.join(axes)})"
    array = np.array(list(_files.numbers(value, shape, wanted)), np.int32).reshape(shape)
    return np.moveaxis(array, 0, -1) if per_synapse else array
