"""Quantised networks as files, with the names of the vendor's objects."""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Array

from ..._checks import explained
from ..._files import write_whole
from .. import _files
from .._family import bounds, name_of
from ._check import require, require_integers
from ._chips import CHIPS
from ._sensor import Sensor
from ._spec import Core, Destination, Shape, Spec

FORMAT, VERSION = "snnjax-dynapcnn", 2


@explained
def save(spec: Spec, path: str | os.PathLike[str]) -> None:
    """Write a quantised network to a file, as JSON of `export(spec)`.

    Raises:
        ValueError: if `load` would refuse the file: the network is not quantised or not placed, has
            values or sizes that its chip cannot hold, or is for a chip that is not in `CHIPS`.
        OSError: if the file cannot be written; one that was there before stays.
    """
    write_whole(path, _files.to_text(export(spec)) + "\n")


@explained
def export(spec: Spec, *, format: str = "samna") -> dict[str, Any]:
    """A quantised network in the form that a vendor's tool takes.

    The vendor's driver (samna) has an object for each core, with the field names that are written
    here. On a machine with a board, these lines fill the objects from a file that `save` wrote:

        import json, samna

        def fill(target, fields):
            for slot, destination in enumerate(fields.pop("destinations", [])):
                fill(target.destinations[slot], destination)
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

    `setattr` takes dictionaries as they are for `dimensions`, and lists for the arrays. Source of
    the names: sinabs, `DynapcnnConfigBuilder`.

    Args:
        spec: a quantised network.
        format: one of `FORMATS`. "samna": plain dictionaries and lists. Under `cnn_layers`, for
            each core by its number: `dimensions`, `weights` [out][in][kx][ky], `biases`,
            `leak_enable`, `return_to_zero`, `threshold_high`, `threshold_low`,
            `neurons_initial_value` [out][x][y], `destinations` and `monitor_enable`. Note that x
            comes before y, as the vendor has it. Under `dvs_layer` the same for the event sensor.
            Under `snnjax`, what the chip has no field for: the order of the layers, their paths in
            the model, spike caps, arrays that are absent rather than zero, and killed pixels and
            the noise filter of the sensor, which are set on the board.

    Raises:
        ValueError: if the network is not quantised or not placed, has values or sizes that its chip
            cannot hold, or is for a chip that is not in `CHIPS`; or if there is no such format.
    """
    write = _files.find_format(FORMATS, format)
    require_integers(spec)
    name_of(spec.chip, CHIPS)
    unplaced = [spec.name(i) for i, layer in enumerate(spec.layers) if layer.core is None]
    if unplaced:
        raise ValueError(f"`core` must be set; {', '.join(unplaced)} has none: use `place`")
    require(spec)
    return write(spec)


def _samna(spec: Spec) -> dict[str, Any]:
    extra: dict[str, Any] = {
        "inputs": [spec.layers[i].core for i in spec.inputs],
        "readout_stride": spec.readout_stride,
        "sensor_size": None if spec.sensor is None else list(spec.sensor.size),
        "layers": [_extra(layer) for layer in spec.layers],
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "chip": name_of(spec.chip, CHIPS),
        "snnjax": extra if spec.sensor is None else extra | _on_the_board(spec.sensor),
        "dvs_layer": None if spec.sensor is None else _sensor(spec, spec.sensor),
        "cnn_layers": {
            str(layer.core): core_config(spec, i) for i, layer in enumerate(spec.layers)
        },
    }


FORMATS: Mapping[str, Callable[[Spec], dict[str, Any]]] = MappingProxyType({"samna": _samna})
"""The forms that `export` writes, by name."""


def core_config(spec: Spec, layer: int) -> dict[str, Any]:
    """The fields of the vendor's object of one core."""
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
        "destinations": [_destination(spec, to) for to in core.destinations],
        "monitor_enable": core.monitor,
    }


def _destination(spec: Spec, to: Destination) -> dict[str, Any]:
    fields = {"layer": spec.layers[to.layer].core, "enable": True, "pooling": to.pool}
    return fields | ({"feature_shift": to.shift} if to.shift else {})


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


def _sensor(spec: Spec, sensor: Sensor) -> dict[str, Any]:
    (top, bottom), (left, right) = sensor.roi
    fields = {
        "merge": sensor.merge,
        "mirror": {"x": sensor.mirror_x, "y": sensor.mirror_y},
        "mirror_diagonal": sensor.mirror_diagonal,
        "cut": {"x": right - 1, "y": bottom - 1},
        "origin": {"x": left, "y": top},
        "pooling": _xy(sensor.pool),
        "pass_sensor_events": sensor.enabled,
        "destinations": [{"layer": spec.layers[i].core, "enable": True} for i in spec.inputs],
    }
    if sensor.polarity == "both":
        return fields
    on = sensor.polarity == "on"
    return fields | {"on_channel": on, "off_channel": not on}


def _on_the_board(sensor: Sensor) -> dict[str, Any]:
    """Settings of the sensor that are no part of its layer's object."""
    found: dict[str, Any] = {}
    if sensor.killed:
        found["killed_pixels"] = [_xy(pixel) for pixel in sensor.killed]
    if sensor.noise_filter is not None:
        size, period = sensor.noise_filter.size, sensor.noise_filter.period
        found["noise_filter"] = {"size": _xy(size), "period": period}
    return found
