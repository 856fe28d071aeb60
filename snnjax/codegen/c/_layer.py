"""One layer of a network of the DYNAP-CNN family in C."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ...hardware.dynapcnn import Core, Spec
from ._matrix import Matrix, matrix
from ._tables import array
from ._template import fill

_LARGEST = 2**31 - 1


class Layer(NamedTuple):
    """A layer in the source.

    Attributes:
        title: what it is, in a line.
        feed: the weights, and the function that takes events.
        run: the other tables, and the function that fires.
        matrix: the weights; None if all are 0.
        flash: bytes of all tables.
        room: most events of a step, of which sums are sure to fit in 32 bits.
        additions: most additions of a weight in a step, when there are events everywhere.
    """

    title: str
    feed: str
    run: str
    matrix: Matrix | None
    flash: int
    room: int
    additions: int


def layer(spec: Spec, index: int, values: Mapping[str, object]) -> Layer:
    """Write one layer; `values` are those of all networks."""
    core, name = spec.layers[index], f"layer{index}"
    # A row for each weight of a place of the input map, so that output channels, which come last in
    # the state too, are next to each other.
    weight = np.moveaxis(np.asarray(core.weight), 0, -1).reshape(-1, core.output_shape[0])
    title = _title(core)
    sum_ = "*one + count * {}"
    types = {"target_type": "int32_t", "count_type": "int32_t"}
    found = None
    if weight.any():
        found = matrix(
            f"{name}_weight",
            weight,
            f"Weights of {name}: {title}. A row for each weight of a kernel",
            sum_,
            types,
        )
    (rows, columns), (out, height, width) = core.kernel_size, core.output_shape
    values = {
        **values,
        "layer": name,
        "matrix": "" if found is None else found.text + "\n",
        "empty": found is None,
        "convolution": found is not None and not _is_whole(core),
        **dict(zip(("in", "map_height", "map_width"), core.input_shape, strict=True)),
        **{"out": out, "height": height, "width": width, "kernel_y": rows, "kernel_x": columns},
        **dict(zip(("stride_y", "stride_x"), core.stride, strict=True)),
        "strided": core.stride != (1, 1),
        **{
            f"from_{axis}": f"{axis} + {p}" if p else axis
            for axis, p in zip("yx", core.padding, strict=True)
        },
    }
    run, flash = _run(spec, index, values)
    return Layer(
        title=title,
        feed=fill("feed.c", values),
        run=run,
        matrix=found,
        flash=flash + (0 if found is None else found.bytes),
        room=_room(spec, core, weight),
        additions=0 if found is None else _additions(core, found.row_weights),
    )


def _title(core: Core) -> str:
    (out, height, width), (rows, columns) = core.output_shape, core.kernel_size
    path = f"{core.path}, " if core.path else ""
    if _is_whole(core):
        return f"{path}{out} neurons that see all of a {'x'.join(map(str, core.input_shape))} map"
    return f"{path}{out} channels of {height}x{width} neurons, kernels of {rows}x{columns}"


def _is_whole(core: Core) -> bool:
    return core.kernel_size == core.input_shape[1:] and core.padding == (0, 0)


def _room(spec: Spec, core: Core, weight: Int[np.ndarray, "rows out"]) -> int:
    bias = 0 if core.bias is None else int(np.abs(np.asarray(core.bias)).max())
    return (_LARGEST - 2 ** (spec.chip.state_bits - 1) - bias) // max(1, int(np.abs(weight).max()))


def _additions(core: Core, row_weights: Int[np.ndarray, " rows"]) -> int:
    """Weights that events at every place of the input map add, zeros in the table included."""
    per_place = row_weights.reshape(core.input_shape[0], *core.kernel_size).sum(axis=0)
    reached = [
        _reached(*sizes)
        for sizes in zip(
            core.input_shape[1:],
            core.output_shape[1:],
            core.kernel_size,
            core.stride,
            core.padding,
            strict=True,
        )
    ]
    return int(reached[0] @ per_place @ reached[1])


def _reached(
    size: int, out: int, kernel: int, stride: int, padding: int
) -> Int[np.ndarray, " kernel"]:
    """Along one axis: how many neurons each weight of the kernel connects to the map."""
    place = stride * np.arange(out) - padding + np.arange(kernel)[:, None]
    return np.sum((place >= 0) & (place < size), axis=1)


def _run(spec: Spec, index: int, values: Mapping[str, object]) -> tuple[str, int]:
    """The function that fires, with its tables, and what these take."""
    core, name = spec.layers[index], f"layer{index}"
    least, most = -(2 ** (spec.chip.state_bits - 1)), 2 ** (spec.chip.state_bits - 1) - 1
    lowest = least if core.min_vmem is None else max(least, int(core.min_vmem))
    bias = None
    if core.bias is not None and np.any(np.asarray(core.bias)):
        bias = array(f"{name}_bias", np.asarray(core.bias), f"Biases of {name}, by channel.")
    cap, to = core.max_spikes, [f"layer{d.layer}" for d in core.destinations]
    last, read = index == len(spec.layers) - 1, f"{' ' * 16}*spikes++ = (uint32_t)count;\n"
    values = {
        **values,
        "tables": "" if bias is None else bias.text + "\n",
        "biased": bias is not None,
        "bias": "" if bias is None else bias.at.format("channel"),
        "threshold": int(core.threshold),
        "single": cap == 1,
        "capped": cap is not None,
        "max_spikes": cap,
        "to_zero": core.reset == "zero",
        "lowest": lowest,
        "high": most,
        "what_follows": f" and feeds {' and '.join(to)}" if to else "",
        "spikes_parameter": ", uint32_t *spikes" if last else "",
        "send": "".join(_sent(core, to) for to in core.destinations) + read * last,
    }
    return fill("run.c", values), 0 if bias is None else bias.bytes


def _sent(core: Core, to: tuple[int, int, int]) -> str:
    """Sends the spikes of a neuron to a destination."""
    index, pool, shift = to
    channel = f"channel + {shift}" if shift else "channel"
    _, height, width = core.pooled(pool)
    inside = []
    for axis, size, limit in zip("yx", core.output_shape[1:], (height, width), strict=True):
        if size > limit * pool:
            inside.append(f" && {axis} < {limit * pool}")
    y, x = ("y", "x") if pool == 1 else (f"y / {pool}", f"x / {pool}")
    return (
        f"                if (count > 0{''.join(inside)})\n"
        f"                    feed_layer{index}(state, {channel}, {y}, {x}, count);\n"
    )
