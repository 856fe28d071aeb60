"""A core in flat tables, for the loop of `_visit`.

Neurons lie in the order of y, x and channel. So an event reaches a few rows of neurons, each of
which is contiguous. A unit is a piece of such a row: 32 potentials, and 32 weights that are added
to them. A tick is the units that cover the whole core.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from . import _kernel
from ._spec import Core

LANES = 32
"""Neurons of a unit."""


class Tables(NamedTuple):
    """Units of each place of the input map, in the order of channel, y and x, and then of a tick.

    Attributes:
        weight: weights of all units; the lowest number of its type stands for none.
        neuron: the first neuron that a place reaches.
        row: where the weights of that neuron begin.
        first: the first unit of a place.
        stop: the unit after its last one.
        neurons: of each unit, the distance of its neurons from `neuron`.
        weights: the distance of its weights from `row`.
    """

    weight: Int[np.ndarray, " weights"]
    neuron: Int[np.ndarray, " places"]
    row: Int[np.ndarray, " places"]
    first: Int[np.ndarray, " places"]
    stop: Int[np.ndarray, " places"]
    neurons: Int[np.ndarray, " units"]
    weights: Int[np.ndarray, " units"]


def tables(core: Core, dtype: type, *, ticking: bool) -> Tables:
    """The tables of a core; a tick has units if `ticking`."""
    out, height, width = core.output_shape
    none = np.iinfo(dtype).min
    (to_y, k_y), (to_x, k_x) = (
        _kernel.reached(core, axis, np.arange(size))
        for axis, size in enumerate(core.input_shape[1:])
    )
    # Rows of weights: for each channel, row of the kernel and way that a place is seen in a row.
    ways, way = np.unique(np.where(to_x >= 0, k_x, -1), axis=0, return_inverse=True)
    weight: np.ndarray = np.asarray(core.weight, dtype).transpose(1, 2, 3, 0)
    weight = np.pad(weight, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=none)[:, :, ways]
    weight = _in_units(weight.reshape(*weight.shape[:3], -1), none)
    size = weight.shape[-1]
    bias: np.ndarray = np.asarray(core.bias if ticking else (), dtype)
    bias = _in_units(np.tile(bias, height * width), none)
    # Units: of all rows that an event may reach, of a tick, and one without weights.
    block, row = np.arange(0, size, LANES), np.arange(to_y.shape[1])[:, None]
    tick = np.arange(0, len(bias), LANES)
    neurons = (row * (width * out) + block).ravel()
    weights = (block - row * (core.stride[0] * len(ways) * size)).ravel()
    # Places: neuron Y sees the places Y*stride - padding + k.
    y, x = (
        (np.arange(len(k)) + padding - k[:, 0]) // stride
        for k, padding, stride in zip((k_y, k_x), core.padding, core.stride, strict=True)
    )
    channel = np.arange(core.input_shape[0])[:, None, None] * core.kernel_size[0]
    seen = to_y >= 0
    first, number = seen.argmax(axis=1)[:, None], seen.sum(axis=1)[:, None]
    sees = (to_x >= 0).any(axis=1) & (number > 0)
    empty, nothing = len(neurons) + len(tick), weight.size + len(bias)
    row_of = ((channel + k_y[:, :1]) * len(ways) + way.ravel()) * size
    of_places = {
        "neuron": (np.where(sees, (y[:, None] * width + x) * out, 0), 0),
        "row": (np.where(sees, row_of, nothing), weight.size),
        "first": (np.where(sees, first * len(block), empty), len(neurons)),
        "stop": (np.where(sees, (first + number) * len(block), empty + 1), empty),
    }
    return Tables(
        weight=np.concatenate([weight.ravel(), bias, np.full(LANES, none, dtype)]),
        **{name: _of_places(core, *of) for name, of in of_places.items()},
        neurons=np.concatenate([neurons, tick, [0]]).astype(np.int32),
        weights=np.concatenate([weights, tick, [0]]).astype(np.int32),
    )


def _of_places(core: Core, places: np.ndarray, tick: int) -> Int[np.ndarray, " places"]:
    flat = np.broadcast_to(places, core.input_shape).ravel()
    return np.append(flat, tick).astype(np.int32)


def _in_units(weight: np.ndarray, none: int) -> np.ndarray:
    """Weights along the last axis, filled up to whole units."""
    spare = -weight.shape[-1] % LANES
    return np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(0, spare)], constant_values=none)
