"""Networks from files that `save` wrote; errors name the field that is wrong."""

import os
from typing import Any, Literal

import numpy as np

from ..._checks import explained
from .. import _files
from .._family import bounds, find_chip
from .._files import fields, flag, list_of, text_of, whole
from ._check import require, require_integers
from ._chips import CHIPS
from ._save import FORMAT
from ._sensor import NoiseFilter, Sensor
from ._spec import Core, Destination, Shape, Spec

_VERSIONS = (1, 2)
"""Version 1 lacks the shift of channels, and the switches and filter of the sensor."""

_CORE = (
    *("dimensions", "weights", "biases", "leak_enable", "return_to_zero", "threshold_high"),
    *("threshold_low", "neurons_initial_value", "destinations", "monitor_enable"),
)
_SENSOR = (
    *("merge", "mirror", "mirror_diagonal", "cut", "origin", "pooling"),
    *("pass_sensor_events", "destinations"),
)


@explained
def load(path: str | os.PathLike[str]) -> Spec:
    """Read a network that `save` wrote.

    Returns:
        A spec identical to the one that was saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a directory or anything but a whole and valid network; the message
            names the file and the field.
    """
    return _files.parse(_files.read(path), spec_of, str(path))


def spec_of(config: Any) -> Spec:
    """The network of dictionaries and lists such as `export` gives.

    Raises:
        ValueError: if something is missing, unknown or of the wrong kind; the message names it.
    """
    _files.require_format(config, FORMAT, _VERSIONS)
    names = ("format", "version", "chip", "snnjax", "dvs_layer", "cnn_layers")
    fields(config, names, "the network")
    chip = find_chip(text_of(config["chip"], "chip"), CHIPS)
    extra = fields(
        config["snnjax"],
        ("inputs", "readout_stride", "sensor_size", "layers"),
        "snnjax",
        optional=("killed_pixels", "noise_filter"),
    )
    entries = [
        fields(entry, ("core", "path", "max_spikes", "absent"), f"snnjax.layers[{i}]")
        for i, entry in enumerate(list_of(extra["layers"], "snnjax.layers"))
    ]
    order = [whole(entry["core"], f"snnjax.layers[{i}].core") for i, entry in enumerate(entries)]
    cores = config["cnn_layers"]
    if not isinstance(cores, dict) or sorted(cores) != sorted(map(str, order)):
        raise ValueError(f"`cnn_layers` must have the cores {order}, which `snnjax.layers` names")
    lowest = bounds(chip.state_bits)[0]
    layers = tuple(_core(cores[str(e["core"])], e, order, lowest) for e in entries)
    fed = list_of(extra["inputs"], "snnjax.inputs")
    inputs = tuple(_layer_on(core, order, "snnjax.inputs") for core in fed)
    spec = Spec(
        layers=layers,
        inputs=inputs,
        sensor=_sensor(config["dvs_layer"], extra, [order[i] for i in inputs]),
        readout_stride=whole(extra["readout_stride"], "snnjax.readout_stride"),
        chip=chip,
    )
    require_integers(spec)
    require(spec)
    return spec


def _core(config: Any, extra: dict[str, Any], order: list[int], lowest: int) -> Core:
    where = f"cnn_layers[{extra['core']}]"
    fields(config, _CORE, where)
    names = ("input_shape", "output_shape", "padding", "stride", "kernel_size")
    dimensions = fields(config["dimensions"], names, f"{where}.dimensions")
    size = whole(dimensions["kernel_size"], f"{where}.dimensions.kernel_size")
    shapes = [_shape(dimensions[f"{k}_shape"], f"{where}.{k}_shape") for k in ("input", "output")]
    (channels, *_), (out, height, width) = shapes
    kernels = _array(config["weights"], (out, channels, size, size), f"{where}.weights")
    initial = f"{where}.neurons_initial_value"
    vmem = _array(config["neurons_initial_value"], (out, width, height), initial)
    values: dict[str, Any] = {
        "weight": np.swapaxes(kernels, 2, 3),
        "threshold": np.int32(whole(config["threshold_high"], f"{where}.threshold_high")),
        "bias": _array(config["biases"], (out,), f"{where}.biases"),
        "min_vmem": np.int32(whole(config["threshold_low"], f"{where}.threshold_low")),
        "vmem": np.swapaxes(vmem, 1, 2),
    }
    neutral = {"bias": 0, "min_vmem": lowest, "vmem": 0}
    for name in list_of(extra["absent"], f"{where}: `absent`"):
        if name not in list(neutral):
            raise ValueError(f"`absent` of {where} must be of {', '.join(neutral)}; got {name!r}")
        if np.any(values.pop(name, neutral[name]) != neutral[name]):
            raise ValueError(
                f"`absent` of {where} names {name}, but the file has values of it other than "
                f"{neutral[name]}"
            )
    core = Core(
        **values,
        input_shape=shapes[0],
        stride=_pair(dimensions["stride"], f"{where}.stride"),
        padding=_pair(dimensions["padding"], f"{where}.padding"),
        reset=_reset(config, where),
        max_spikes=_cap(extra["max_spikes"], where),
        destinations=_destinations(config["destinations"], order, where),
        core=extra["core"],
        monitor=flag(config["monitor_enable"], f"{where}.monitor_enable"),
        path=text_of(extra["path"], f"{where}: `path`"),
    )
    if core.output_shape != shapes[1]:
        raise ValueError(
            f"`{where}.dimensions.output_shape` is {shapes[1]}, but its input and kernel give "
            f"{core.output_shape}"
        )
    leaks = bool(np.any(values.get("bias", 0)))
    if flag(config["leak_enable"], f"{where}.leak_enable") != leaks:
        raise ValueError(f"`{where}.leak_enable` must be {leaks}, as its biases are")
    return core


def _destinations(value: Any, order: list[int], where: str) -> tuple[Destination, ...]:
    found = []
    for i, entry in enumerate(list_of(value, f"{where}.destinations")):
        name = f"{where}.destinations[{i}]"
        fields(entry, ("layer", "enable", "pooling"), name, optional=("feature_shift",))
        if not flag(entry["enable"], f"{name}.enable"):
            raise ValueError(f"`{name}.enable` must be true; leave out what is not used")
        layer = _layer_on(entry["layer"], order, f"{name}.layer")
        shift = whole(entry.get("feature_shift", 0), f"{name}.feature_shift")
        found.append(Destination(layer, whole(entry["pooling"], f"{name}.pooling"), shift))
    return tuple(found)


def _sensor(config: Any, extra: dict[str, Any], cores: list[int]) -> Sensor | None:
    if config is None:
        return None
    fields(config, _SENSOR, "dvs_layer", optional=("on_channel", "off_channel"))
    wanted = [{"layer": core, "enable": True} for core in cores]
    if config["destinations"] != wanted:
        raise ValueError(
            f"`dvs_layer.destinations` must be {wanted}, the cores that `snnjax.inputs` names; got "
            f"{config['destinations']!r}"
        )
    height, width = (whole(n, "snnjax.sensor_size") for n in _two(extra["sensor_size"]))
    top, left = _pair(config["origin"], "dvs_layer.origin")
    bottom, right = _pair(config["cut"], "dvs_layer.cut")
    mirror = fields(config["mirror"], ("x", "y"), "dvs_layer.mirror")
    killed = list_of(extra.get("killed_pixels", []), "snnjax.killed_pixels")
    return Sensor(
        size=(height, width),
        killed=tuple(_pair(p, f"snnjax.killed_pixels[{i}]") for i, p in enumerate(killed)),
        noise_filter=_noise_filter(extra.get("noise_filter")),
        polarity=_polarity(config),
        merge=flag(config["merge"], "dvs_layer.merge"),
        pool=_pair(config["pooling"], "dvs_layer.pooling"),
        crop=((top, bottom + 1), (left, right + 1)),
        mirror_x=flag(mirror["x"], "dvs_layer.mirror.x"),
        mirror_y=flag(mirror["y"], "dvs_layer.mirror.y"),
        mirror_diagonal=flag(config["mirror_diagonal"], "dvs_layer.mirror_diagonal"),
        enabled=flag(config["pass_sensor_events"], "dvs_layer.pass_sensor_events"),
    )


def _noise_filter(value: Any) -> NoiseFilter | None:
    if value is None:
        return None
    fields(value, ("size", "period"), "snnjax.noise_filter")
    size = _pair(value["size"], "snnjax.noise_filter.size")
    return NoiseFilter(size=size, period=whole(value["period"], "snnjax.noise_filter.period"))


def _polarity(config: dict[str, Any]) -> Literal["both", "off", "on"]:
    on, off = (
        flag(config.get(name, True), f"dvs_layer.{name}") for name in ("on_channel", "off_channel")
    )
    if not on and not off:
        raise ValueError("`dvs_layer.on_channel` or `off_channel` must be true: nothing gets in")
    return "both" if on and off else "on" if on else "off"


def _layer_on(core: Any, order: list[int], name: str) -> int:
    if whole(core, name) not in order:
        raise ValueError(f"`{name}` is core {core}, but the network is on the cores {order}")
    return order.index(core)


def _two(value: Any) -> list[Any]:
    if len(list_of(value, "snnjax.sensor_size")) != 2:
        raise ValueError(f"`snnjax.sensor_size` must be two numbers; got {value!r}")
    return value


def _cap(value: Any, where: str) -> int | None:
    return None if value is None else whole(value, f"{where}: `max_spikes`")


def _reset(config: dict[str, Any], where: str) -> Literal["subtract", "zero"]:
    zero = flag(config["return_to_zero"], f"{where}.return_to_zero")
    return "zero" if zero else "subtract"


def _pair(value: Any, name: str) -> tuple[int, int]:
    """(y, x)."""
    fields(value, ("x", "y"), name)
    return whole(value["y"], f"{name}.y"), whole(value["x"], f"{name}.x")


def _shape(value: Any, name: str) -> Shape:
    fields(value, ("size", "feature_count"), name)
    channels = whole(value["feature_count"], f"{name}.feature_count")
    shape = (channels, *_pair(value["size"], f"{name}.size"))
    if min(shape) < 1:
        raise ValueError(f"`{name}` must be at least 1 along each axis; got {shape}")
    return shape


def _array(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    wanted = f"`{name}` must be lists of whole numbers of the shape {shape}"
    return np.array(list(_files.numbers(value, shape, wanted)), np.int32).reshape(shape)
