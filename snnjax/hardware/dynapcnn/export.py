"""Quantised networks as files to read and compare, with the names of the vendor's objects.

The vendor's driver (samna) has an object for each core, whose fields have the names that
`to_config` writes. This fills them, for a file that `save` wrote, on a machine that has a board:

    import json, samna

    def fill(target, fields):
        for slot, destination in enumerate(fields.pop("destinations")):
            fill(target.destinations[slot], {"destinations": [], **destination})
        for name, value in fields.items():
            setattr(target, name, value)

    with open("speck.json") as file:
        network = json.load(file)
    config = samna.speck2f.configuration.SpeckConfiguration()  # the module of your chip
    config.dvs_layer.pass_sensor_events = False                # unless there is a sensor layer
    if network["dvs_layer"] is not None:
        fill(config.dvs_layer, network["dvs_layer"])
    for number, core in network["cnn_layers"].items():
        fill(config.cnn_layers[int(number)], core)

`setattr` takes dictionaries as they are for `dimensions`, and lists for the arrays. Source of the
names: sinabs, `DynapcnnConfigBuilder`.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array

from .. import _files
from ._chips import CHIPS, bounds
from ._read import FORMAT, VERSION, spec_of
from ._write import to_text
from .check import require, require_integers
from .spec import Core, Shape, Spec


def save(spec: Spec, path: str | os.PathLike[str]) -> None:
    """Write a quantised network to a file, as JSON of `to_config`.

    Raises:
        ValueError: if `load` would refuse the file; see `to_config`.
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
    """`to_config` as JSON, short lists on a line of their own."""
    return to_text(to_config(spec)) + "\n"


def from_json(text: str, *, source: str = "the text") -> Spec:
    """The network that `to_json` wrote.

    Args:
        text: JSON.
        source: where it is from, for the messages of errors.

    Raises:
        ValueError: if `text` is not a whole and valid network; the message names the field.
    """
    return _files.parse(text, from_config, source)


def to_config(spec: Spec) -> dict[str, Any]:
    """A quantised network as plain dictionaries and lists.

    Under `cnn_layers`, for each core by its number: `dimensions`, `weights` [out][in][kx][ky],
    `biases`, `leak_enable`, `return_to_zero`, `threshold_high`, `threshold_low`,
    `neurons_initial_value` [out][x][y], `destinations` and `monitor_enable`. Note that x comes
    before y, as the vendor has it. Under `dvs_layer` the same for the event sensor. Under
    `snnjax`, what the chip has no field for: the order of the layers, their paths in the model,
    spike caps, and which arrays are absent rather than zero.

    Raises:
        ValueError: if the network is not quantised, has values or sizes that its chip cannot hold,
            or is for a chip that is not in `CHIPS`.
    """
    require_integers(spec)
    chips = [name for name, chip in CHIPS.items() if chip == spec.chip]
    if not chips:
        raise ValueError(f"`spec.chip` must be one of {', '.join(CHIPS)}; got {spec.chip}")
    unplaced = [spec.name(i) for i, layer in enumerate(spec.layers) if layer.core is None]
    if unplaced:
        raise ValueError(f"`core` must be set; {', '.join(unplaced)} has none: use `map_network`")
    require(spec)
    return {
        "format": FORMAT,
        "version": VERSION,
        "chip": chips[0],
        "snnjax": {
            "inputs": [spec.layers[i].core for i in spec.inputs],
            "readout_stride": spec.readout_stride,
            "sensor_size": None if spec.sensor is None else list(spec.sensor.size),
            "layers": [_extra(layer) for layer in spec.layers],
        },
        "dvs_layer": None if spec.sensor is None else _sensor(spec),
        "cnn_layers": {
            str(layer.core): core_config(spec, i) for i, layer in enumerate(spec.layers)
        },
    }


def from_config(config: Any) -> Spec:
    """The network that `to_config` gave.

    Raises:
        ValueError: if it is not a whole and valid network; the message names the field.
    """
    spec = spec_of(config)
    require_integers(spec)
    require(spec)
    return spec


def core_config(spec: Spec, layer: int) -> dict[str, Any]:
    """What the vendor's object of one core is filled with."""
    core = spec.layers[layer]
    bias = np.zeros(core.output_shape[0], int) if core.bias is None else np.asarray(core.bias)
    lowest = bounds(spec.chip.state_bits)[0]
    return {
        "dimensions": {
            "input_shape": _shape(core.input_shape),
            "output_shape": _shape(core.output_shape),
            "padding": _xy(core.padding),
            "stride": _xy(core.stride),
            "kernel_size": core.kernel_size[0],
        },
        "weights": _transposed(core.weight),
        "biases": bias.tolist(),
        "leak_enable": bool(bias.any()),
        "return_to_zero": core.reset == "zero",
        "threshold_high": int(core.threshold),
        "threshold_low": lowest if core.min_vmem is None else int(core.min_vmem),
        "neurons_initial_value": _initial(core),
        "destinations": [
            {"layer": spec.layers[to].core, "enable": True, "pooling": pool}
            for to, pool in core.destinations
        ],
        "monitor_enable": core.monitor,
    }


def _shape(shape: Shape) -> dict[str, Any]:
    channels, height, width = shape
    return {"size": {"x": width, "y": height}, "feature_count": channels}


def _xy(pair: tuple[int, int]) -> dict[str, int]:
    return {"x": pair[1], "y": pair[0]}


def _transposed(array: Array) -> list[Any]:
    return np.swapaxes(np.asarray(array), -1, -2).tolist()


def _initial(core: Core) -> list[Any]:
    if core.vmem is not None:
        return _transposed(core.vmem)
    out, height, width = core.output_shape
    return np.zeros((out, width, height), int).tolist()


def _extra(core: Core) -> dict[str, Any]:
    return {
        "core": core.core,
        "path": core.path,
        "max_spikes": core.max_spikes,
        "absent": [name for name in ("bias", "min_vmem", "vmem") if getattr(core, name) is None],
    }


def _sensor(spec: Spec) -> dict[str, Any]:
    sensor = spec.sensor
    assert sensor is not None
    (top, bottom), (left, right) = sensor.roi
    return {
        "merge": sensor.merge,
        "mirror": {"x": sensor.mirror_x, "y": sensor.mirror_y},
        "mirror_diagonal": sensor.mirror_diagonal,
        "cut": {"x": right - 1, "y": bottom - 1},
        "origin": {"x": left, "y": top},
        "pooling": _xy(sensor.pool),
        "pass_sensor_events": sensor.enabled,
        "destinations": [{"layer": spec.layers[i].core, "enable": True} for i in spec.inputs],
    }
