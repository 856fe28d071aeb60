"""Reads a network from plain dictionaries and lists, and names what is wrong with them."""

from typing import Any, Literal

import numpy as np

from .. import _files
from ._chips import get_chip
from ._sensor import Sensor
from .spec import Core, Destination, Shape, Spec

FORMAT = "snnjax-dynapcnn"
VERSION = 1

_FIELDS = {
    "": ("format", "version", "chip", "snnjax", "dvs_layer", "cnn_layers"),
    "snnjax": ("inputs", "readout_stride", "sensor_size", "layers"),
    "layer": ("core", "path", "max_spikes", "absent"),
    "core": (
        *("dimensions", "weights", "biases", "leak_enable", "return_to_zero", "threshold_high"),
        *("threshold_low", "neurons_initial_value", "destinations", "monitor_enable"),
    ),
    "dimensions": ("input_shape", "output_shape", "padding", "stride", "kernel_size"),
    "shape": ("size", "feature_count"),
    "xy": ("x", "y"),
    "destination": ("layer", "enable", "pooling"),
    "dvs_layer": (
        *("merge", "mirror", "mirror_diagonal", "cut", "origin", "pooling"),
        *("pass_sensor_events", "destinations"),
    ),
}
_ABSENT = ("bias", "min_vmem", "vmem")


def spec_of(config: Any) -> Spec:
    """The network of dictionaries and lists such as `to_config` gives.

    Raises:
        ValueError: if something is missing, unknown or of the wrong kind; the message names it.
    """
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ValueError(f'not a network for DYNAP-CNN: there is no `"format": "{FORMAT}"`')
    version = config.get("version")
    if version != VERSION:
        raise ValueError(f"`version` is {version!r}; this snnjax reads {VERSION}, another may do")
    _fields(config, "", "the network")
    chip = config["chip"]
    if not isinstance(chip, str):
        raise ValueError(f"`chip` must be the name of a chip; got {chip!r}")
    extra = _fields(config["snnjax"], "snnjax", "snnjax")
    entries = [
        _fields(entry, "layer", f"snnjax.layers[{i}]")
        for i, entry in enumerate(_list(extra["layers"], "snnjax.layers"))
    ]
    order = [_whole(entry["core"], f"snnjax.layers[{i}].core") for i, entry in enumerate(entries)]
    cores = config["cnn_layers"]
    if not isinstance(cores, dict) or sorted(cores) != sorted(map(str, order)):
        raise ValueError(f"`cnn_layers` must have the cores {order}, which `snnjax.layers` names")
    layers = tuple(_core(cores[str(e["core"])], e, order) for e in entries)
    fed = _list(extra["inputs"], "snnjax.inputs")
    inputs = tuple(_layer_on(core, order, "snnjax.inputs") for core in fed)
    return Spec(
        layers=layers,
        inputs=inputs,
        sensor=_sensor(config["dvs_layer"], extra["sensor_size"], [order[i] for i in inputs]),
        readout_stride=_whole(extra["readout_stride"], "snnjax.readout_stride"),
        chip=get_chip(chip),
    )


def _core(config: Any, extra: dict[str, Any], order: list[int]) -> Core:
    where = f"cnn_layers[{extra['core']}]"
    _fields(config, "core", where)
    dimensions = _fields(config["dimensions"], "dimensions", f"{where}.dimensions")
    size = _whole(dimensions["kernel_size"], f"{where}.dimensions.kernel_size")
    shapes = [_shape(dimensions[f"{k}_shape"], f"{where}.{k}_shape") for k in ("input", "output")]
    (channels, *_), (out, height, width) = shapes
    kernels = _array(config["weights"], (out, channels, size, size), f"{where}.weights")
    initial = f"{where}.neurons_initial_value"
    vmem = _array(config["neurons_initial_value"], (out, width, height), initial)
    values: dict[str, Any] = {
        "weight": np.swapaxes(kernels, 2, 3),
        "threshold": np.int32(_whole(config["threshold_high"], f"{where}.threshold_high")),
        "bias": _array(config["biases"], (out,), f"{where}.biases"),
        "min_vmem": np.int32(_whole(config["threshold_low"], f"{where}.threshold_low")),
        "vmem": np.swapaxes(vmem, 1, 2),
    }
    for name in _list(extra["absent"], f"{where}: `absent`"):
        if name not in _ABSENT:
            raise ValueError(f"`absent` of {where} must be of {', '.join(_ABSENT)}; got {name!r}")
        values.pop(name)
    core = Core(
        **values,
        input_shape=shapes[0],
        stride=_pair(dimensions["stride"], f"{where}.stride"),
        padding=_pair(dimensions["padding"], f"{where}.padding"),
        reset=_reset(config, where),
        max_spikes=_cap(extra["max_spikes"], where),
        destinations=_destinations(config["destinations"], order, where),
        core=extra["core"],
        monitor=_flag(config["monitor_enable"], f"{where}.monitor_enable"),
        path=_text(extra["path"], f"{where}: `path`"),
    )
    if core.output_shape != shapes[1]:
        raise ValueError(
            f"`{where}.dimensions.output_shape` is {shapes[1]}, but its input and kernel give "
            f"{core.output_shape}"
        )
    leaks = bool(np.any(values.get("bias", 0)))
    if _flag(config["leak_enable"], f"{where}.leak_enable") != leaks:
        raise ValueError(f"`{where}.leak_enable` must be {leaks}, as its biases are")
    return core


def _destinations(value: Any, order: list[int], where: str) -> tuple[Destination, ...]:
    found = []
    for i, entry in enumerate(_list(value, f"{where}.destinations")):
        name = f"{where}.destinations[{i}]"
        _fields(entry, "destination", name)
        if not _flag(entry["enable"], f"{name}.enable"):
            raise ValueError(f"`{name}.enable` must be true; leave out what is not used")
        layer = _layer_on(entry["layer"], order, f"{name}.layer")
        found.append(Destination(layer, _whole(entry["pooling"], f"{name}.pooling")))
    return tuple(found)


def _sensor(config: Any, size: Any, cores: list[int]) -> Sensor | None:
    if config is None:
        return None
    _fields(config, "dvs_layer", "dvs_layer")
    wanted = [{"layer": core, "enable": True} for core in cores]
    if config["destinations"] != wanted:
        raise ValueError(
            f"`dvs_layer.destinations` must be {wanted}, the cores that `snnjax.inputs` names; got "
            f"{config['destinations']!r}"
        )
    height, width = (_whole(n, "snnjax.sensor_size") for n in _two(size, "snnjax.sensor_size"))
    top, left = _pair(config["origin"], "dvs_layer.origin")
    bottom, right = _pair(config["cut"], "dvs_layer.cut")
    mirror = _fields(config["mirror"], "xy", "dvs_layer.mirror")
    return Sensor(
        size=(height, width),
        merge=_flag(config["merge"], "dvs_layer.merge"),
        pool=_pair(config["pooling"], "dvs_layer.pooling"),
        crop=((top, bottom + 1), (left, right + 1)),
        mirror_x=_flag(mirror["x"], "dvs_layer.mirror.x"),
        mirror_y=_flag(mirror["y"], "dvs_layer.mirror.y"),
        mirror_diagonal=_flag(config["mirror_diagonal"], "dvs_layer.mirror_diagonal"),
        enabled=_flag(config["pass_sensor_events"], "dvs_layer.pass_sensor_events"),
    )


def _layer_on(core: Any, order: list[int], name: str) -> int:
    if _whole(core, name) not in order:
        raise ValueError(f"`{name}` is core {core}, but the network is on the cores {order}")
    return order.index(core)


def _fields(value: Any, kind: str, name: str) -> dict[str, Any]:
    """`value`, once it is known to have the fields of its kind and no others."""
    if not isinstance(value, dict):
        raise ValueError(f"`{name}` must have the fields {', '.join(_FIELDS[kind])}; got {value!r}")
    missing = [field for field in _FIELDS[kind] if field not in value]
    extra = [field for field in value if field not in _FIELDS[kind]]
    if missing or extra:
        lacks = f"lacks {', '.join(missing)}" if missing else ""
        has = f"has unknown {', '.join(extra)}" if extra else ""
        raise ValueError(f"`{name}` {' and '.join(filter(None, (lacks, has)))}")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"`{name}` must be a list; got {value!r}")
    return value


def _two(value: Any, name: str) -> list[Any]:
    if len(_list(value, name)) != 2:
        raise ValueError(f"`{name}` must be two numbers; got {value!r}")
    return value


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or abs(value) > _files.MAX_INTEGER:
        raise ValueError(f"`{name}` must be a whole number of at most 32 bits; got {value!r}")
    return value


def _flag(value: Any, name: str) -> bool:
    if type(value) is not bool:
        raise ValueError(f"`{name}` must be true or false; got {value!r}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{name}` must be text; got {value!r}")
    return value


def _cap(value: Any, where: str) -> int | None:
    return None if value is None else _whole(value, f"{where}: `max_spikes`")


def _reset(config: dict[str, Any], where: str) -> Literal["subtract", "zero"]:
    zero = _flag(config["return_to_zero"], f"{where}.return_to_zero")
    return "zero" if zero else "subtract"


def _pair(value: Any, name: str) -> tuple[int, int]:
    """(y, x)."""
    _fields(value, "xy", name)
    return _whole(value["y"], f"{name}.y"), _whole(value["x"], f"{name}.x")


def _shape(value: Any, name: str) -> Shape:
    _fields(value, "shape", name)
    channels = _whole(value["feature_count"], f"{name}.feature_count")
    shape = (channels, *_pair(value["size"], f"{name}.size"))
    if min(shape) < 1:
        raise ValueError(f"`{name}` must be at least 1 along each axis; got {shape}")
    return shape


def _array(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    wanted = f"`{name}` must be lists of whole numbers of the shape {shape}"
    return np.array(list(_files.numbers(value, shape, wanted)), np.int32).reshape(shape)
