"""A network of the DYNAP-CNN family in C."""

import math
import textwrap
from collections.abc import Mapping

import numpy as np

from ...hardware.dynapcnn import Core, Sensor, Spec
from ._footprint import Footprint, Rendered
from ._layer import Layer, layer
from ._matrix import unpacking
from ._tables import array, require_at_most
from ._template import fill

_MOST = 2**15 - 1
"""Most events of a place in a step that `simulate` takes."""


def render(spec: Spec, values: Mapping[str, object]) -> Rendered:
    """Write a network.

    Args:
        spec: a quantised network whose values fit its chip.
        values: for the templates: what all networks need.

    Raises:
        ValueError: if the chip has larger numbers than the C holds.
    """
    require_at_most(spec.chip, {"state_bits": 16, "weight_bits": 8})
    if spec.sensor is not None and spec.sensor.noise_filter is not None:
        raise ValueError(
            "`spec.sensor.noise_filter` must be None in C, whose steps have no times of single "
            "events: filter the events before they are counted"
        )
    layers = [layer(spec, i, values) for i in range(len(spec.layers))]
    start, start_flash = _start(spec)
    footprint = Footprint(
        flash=start_flash + sum(one.flash for one in layers),
        ram=4 * (sum(map(_neurons, spec.layers)) + len(layers) + 1),
        additions=sum(one.additions for one in layers),
        updates=sum(map(_neurons, spec.layers)),
    )
    channels, height, width = spec.input_shape
    values = {
        **values,
        "chip": spec.chip.name,
        **{"channels": channels, "height": height, "width": width},
        "outputs": _neurons(spec.layers[-1]),
        "stride": spec.readout_stride,
        "layers": "".join(f" *   layer{i}: {one.title}\n" for i, one in enumerate(layers)),
        "state": _state(spec),
        "least_room": f"{min(one.room for one in layers):,}",
        "footprint": footprint.text(),
        "unpack": unpacking([one.matrix for one in layers if one.matrix is not None]),
        "feeds": "\n".join(one.feed for one in layers),
        "neurons": "\n".join(one.run for one in layers),
        "start": start,
        **_step(spec, layers),
        **_sensor(spec.sensor),
    }
    host = {
        "dynapcnn": True,
        "places": channels * height * width,
        "most": _MOST,
        "shape": f"{channels}, {height}, {width}",
        "sizes": f"{channels}, {height}, {width}",
        **{"height": height, "width": width},
    }
    return Rendered(fill("dynapcnn.h", values), fill("dynapcnn.c", values), footprint, host)


def _neurons(core: Core) -> int:
    return math.prod(core.output_shape)


def _state(spec: Spec) -> str:
    """The members of the state."""
    lines = [
        f"    int32_t layer{i}[{_size(core)}];" + (f" /* {core.path} */" if core.path else "")
        for i, core in enumerate(spec.layers)
    ]
    rooms = ", ".join(f"layer{i}_room" for i in range(len(spec.layers)))
    return "\n".join((*lines, f"    int32_t {rooms};", "    int32_t overflow;\n"))


def _size(core: Core) -> str:
    out, height, width = core.output_shape
    return f"{height} * {width} * {out}"


def _start(spec: Spec) -> tuple[str, int]:
    """Code that sets initial potentials other than 0, and the bytes of its tables."""
    text, size = "", 0
    for i, core in enumerate(spec.layers):
        if core.vmem is None or not np.any(np.asarray(core.vmem)):
            continue
        values = np.moveaxis(np.asarray(core.vmem), 0, -1)
        table = array(f"layer{i}_start", values, f"potentials that layer{i} begins with")
        size += table.bytes
        text += textwrap.indent(
            f"{{\n{textwrap.indent(table.text, '    ')}    uint32_t i;\n\n"
            f"    for (i = 0; i < {_size(core)}; i++)\n"
            f"        state->layer{i}[i] = {table.at.format('i')};\n}}\n",
            "    ",
        )
    return text, size


def _step(spec: Spec, layers: list[Layer]) -> dict[str, str]:
    """The statements of a step."""
    event = "(state, e->channel, e->y, e->x, e->count);\n"
    last = len(layers) - 1
    runs = [f"    run_layer{i}(state{', spikes' * (i == last)});\n" for i in range(last + 1)]
    rooms = [f"    state->layer{i}_room = {one.room};\n" for i, one in enumerate(layers)]
    fed = [f"        feed_layer{i}{event}" for i in spec.inputs]
    return {
        "rooms": "".join(rooms),
        "runs": "".join(runs),
        "feed": "".join(fed) if spec.sensor is None else f"        sense{event}",
        "feed_sensed": "".join(
            f"    feed_layer{i}(state, channel, {_turned(spec.sensor)}, count);\n"
            for i in spec.inputs
        ),
    }


def _turned(sensor: Sensor | None) -> str:
    return "x, y" if sensor is not None and sensor.mirror_diagonal else "y, x"


def _sensor(sensor: Sensor | None) -> dict[str, object]:
    """The values for the sensor's layer."""
    if sensor is None:
        return {"sensor": False}
    (top, bottom), (left, right) = sensor.roi
    return {
        "sensor": True,
        "killed": " || ".join(f"(y == {y} && x == {x})" for y, x in sensor.killed),
        "polarity": {"off": 0, "on": 1}.get(sensor.polarity),
        "one_polarity": sensor.polarity != "both",
        "merge": sensor.merge,
        "mirror_y": sensor.mirror_y,
        "mirror_x": sensor.mirror_x,
        **dict(zip(("pool_y", "pool_x"), sensor.pool, strict=True)),
        **{"top": top, "left": left, "cut_height": bottom - top, "cut_width": right - left},
    }
