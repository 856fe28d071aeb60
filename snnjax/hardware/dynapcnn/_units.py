"""A core in flat tables, for the loop of `_visit`.

Neurons lie in the order of y, x and channel. So an event reaches a few rows of neurons, each of
which is contiguous. A unit is a piece of such a row: 64 potentials, and 64 weights that are added
to them. Every place of the input map has equally many units. A tick is the units that cover the
whole core, in as many rows of the tables as it takes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from . import _kernel
from ._spec import Core

LANES = 64
"""Neurons of a unit."""


class Tables(NamedTuple):
    """Units of each place of the input map, in the order of channel, y and x, and then of a tick.

    Attributes:
        weight: weights of all units; the lowest number of its type stands for none.
        neurons: the first neuron of each unit.
        weights: where its weights begin.
    """

    weight: Int[np.ndarray, " weights"]
    neurons: Int[np.ndarray, "rows units"]
    weights: Int[np.ndarray, "rows units"]


def tables(core: Core, dtype: type, *, ticking: bool) -> Tables:
    """The tables of a core; a tick has units if `ticking`."""
    out, height, width = core.output_shape
    none = np.iinfo(dtype).min
    (to_y, k_y), (to_x, k_x) = (
        _kernel.reached(core, axis, np.arange(size))
        for axis, size in enumerate(core.input_shape[1:])
    )
    y, x = (
        (np.arange(len(k)) + padding - k[:, 0]) // stride
        for k, padding, stride in zip((k_y, k_x), core.padding, core.stride, strict=True)
    )
    # Rows of weights: for each channel, row of the kernel and way that a place is seen in a row.
    ways, way = np.unique(np.where(to_x >= 0, k_x, -1), axis=0, return_inverse=True)
    weight: np.ndarray = np.asarray(core.weight, dtype).transpose(1, 2, 3, 0)
    weight = np.pad(weight, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=none)[:, :, ways]
    weight = _in_units(weight.reshape(*weight.shape[:3], -1), none)
    row_of_places = np.arange(0, weight.size, LANES).reshape(*weight.shape[:3], -1)
    weights = row_of_places[:, np.where(to_y >= 0, k_y, -1)][:, :, :, way.ravel()].swapaxes(2, 3)
    row = y[:, None, None, None] + np.arange(to_y.shape[1])[:, None]
    neurons = (row * width + x[:, None, None]) * out + np.arange(0, weight.shape[-1], LANES)
    neurons = np.broadcast_to(neurons, weights.shape)
    # A tick, filled up with units without weights.
    bias: np.ndarray = np.asarray(core.bias if ticking else (), dtype)
    bias = _in_units(np.tile(bias, height * width), none)
    tick, units = np.arange(0, bias.size, LANES), int(np.prod(weights.shape[3:]))
    spare, nothing = (0, -len(tick) % units), weight.size + bias.size
    return Tables(
        weight=np.concatenate([weight.ravel(), bias, np.full(LANES, none, dtype)]),
        neurons=_rows(units, neurons, np.pad(tick, spare)),
        weights=_rows(units, weights, np.pad(weight.size + tick, spare, constant_values=nothing)),
    )


def _rows(units: int, places: np.ndarray, tick: np.ndarray) -> Int[np.ndarray, "rows units"]:
    return np.concatenate([places.reshape(-1, units), tick.reshape(-1, units)]).astype(np.int32)


def _in_units(weight: np.ndarray, none: int) -> np.ndarray:
    """Weights along the last axis, filled up to whole units."""
    spare = -weight.shape[-1] % LANES
    return np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(0, spare)], constant_values=none)
