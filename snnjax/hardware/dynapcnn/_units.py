"""A core in flat tables, and the compiled loop over its units.

Neurons lie in the order of y, x and channel. So an event reaches a few rows of neurons, each of
which is contiguous. A unit is a piece of such a row: 64 potentials, and 64 weights that are added
to them. Every place of the input map has equally many units. A tick is the units that cover the
whole core, in as many rows of the tables as it takes. Of a core, the loop needs arrays of a few
sizes only, so that nearly all cores share one program.

XLA's CPU backend compiles a loop to one function of machine code if one round of it touches less
than 1 KiB. Otherwise it calls a function for each operation, which takes ten times as long. Hence
units of no more than 64 neurons, and a byte for what happens to four of them.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from .._family import bounds
from . import _kernel
from ._chips import Chip
from ._spec import Core

LANES = 64
"""Neurons of a unit."""

FIRED = np.uint64(0x0F0F0F0F0F0F0F0F)
"""The bits of eight flags that are spikes; the others are cuts."""

LANE = np.insert(np.arange(LANES, dtype=np.int32).reshape(4, 2, 8).T.ravel(), 0, -1)
"""The neuron of each bit of the spikes of a unit, bits counted from 1."""

_TABLE = 4096
"""Entries of the smallest array of a compiled call; larger ones are 4 times as long, and so on."""


class Rules(NamedTuple):
    """The numbers of a core: what a spike takes off is the threshold, or everything if `zero`."""

    threshold: int
    min_vmem: int
    zero: bool


class Tables(NamedTuple):
    """Units of each place of the input map, in the order of channel, y and x, and then of a tick.

    Attributes:
        weight: weights of all units; the lowest number of its type stands for none.
        neurons: the first neuron of each unit.
        weights: where its weights begin.
        order: the place of each neuron in the order of channel, y and x.
        places: number of places of the input map; the further rows are a tick.
        bias: the biases; empty where all are 0, and there is no tick.
        rules: what the neurons do.
        limits: of a potential.
    """

    weight: Int[Array, " weights"]
    neurons: Int[np.ndarray, "rows units"]
    weights: Int[np.ndarray, "rows units"]
    order: Int[np.ndarray, " neurons"]
    places: int
    bias: Int[np.ndarray, " out"]
    rules: Rules
    limits: tuple[int, int]


def tables(core: Core, chip: Chip) -> Tables:
    """The tables of a core with integers."""
    out, height, width = core.output_shape
    limits = bounds(chip.state_bits)
    dtype = np.int16 if chip.state_bits <= 16 else np.int32
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
    bias = np.asarray(() if core.bias is None or not np.any(core.bias) else core.bias, np.int64)
    biases = _in_units(np.tile(bias, height * width).astype(dtype), none)
    tick, units = np.arange(0, biases.size, LANES), math.prod(weights.shape[3:])
    spare, nothing = (0, -len(tick) % units), weight.size + biases.size
    added = np.concatenate([weight.ravel(), biases, np.full(LANES, none, dtype)])
    return Tables(
        weight=jax.device_put(padded(added, len(added)), jax.local_devices(backend="cpu")[0]),
        neurons=_rows(units, neurons, np.pad(tick, spare)),
        weights=_rows(units, weights, np.pad(weight.size + tick, spare, constant_values=nothing)),
        order=np.arange(out * height * width, dtype=np.int32).reshape(out, -1).T.ravel(),
        places=math.prod(core.input_shape),
        bias=bias,
        rules=Rules(
            threshold=int(core.threshold),
            min_vmem=limits[0] if core.min_vmem is None else int(core.min_vmem),
            zero=core.reset == "zero",
        ),
        limits=limits,
    )


def _rows(units: int, places: np.ndarray, tick: np.ndarray) -> Int[np.ndarray, "rows units"]:
    return np.concatenate([places.reshape(-1, units), tick.reshape(-1, units)]).astype(np.int32)


def _in_units(weight: np.ndarray, none: int) -> np.ndarray:
    """Weights along the last axis, filled up to whole units."""
    spare = -weight.shape[-1] % LANES
    return np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(0, spare)], constant_values=none)


def padded(values: np.ndarray, least: int) -> np.ndarray:
    """Numbers with zeros up to one of a few lengths, each of which is compiled for."""
    found = np.zeros(length(least), values.dtype)
    found[: len(values)] = values
    return found


def length(least: int) -> int:
    """The shortest of these lengths that is not below `least`."""
    size = _TABLE
    while size < least:
        size *= 4
    return size


@functools.partial(jax.jit, static_argnames="limits")
def apply(
    weight: Int[Array, " weights"],
    rules: Rules,
    neurons: Int[Array, " units"],
    weights: Int[Array, " units"],
    number: Int[Array, ""],
    vmem: Int[Array, " neurons"],
    *,
    limits: tuple[int, int],
) -> tuple[Int[Array, " neurons"], Int[Array, "units 16"]]:
    """So many units, one by one: the potentials after them, and the flags of each."""
    none = jnp.iinfo(weight.dtype).min

    def look(vmem: Array, unit: Array, neuron: Array) -> tuple[Array, ...]:
        old = _part(vmem, neuron, LANES)
        added = _part(weight, _part(weights, unit, 1)[0], LANES)
        total = old.astype(jnp.int32) + added.astype(jnp.int32)
        charged = jnp.clip(total, *limits).astype(old.dtype)
        return old, added != none, charged - old != added, charged

    def one(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        unit, vmem, flags = carry
        neuron = _part(neurons, unit, 1)[0]
        _, valid, cut, charged = look(vmem, unit, neuron)
        flags = _put(flags, _flags(valid & (charged >= rules.threshold), valid & cut), unit)
        # Adds 0, which makes the update wait until the old potentials are read: no copy is needed.
        neuron = neuron + (flags[0, 0] >> 8).astype(jnp.int32)
        old, valid, _, charged = look(vmem, unit, neuron)
        spent = jnp.where(rules.zero, charged, rules.threshold)
        after = jnp.where(charged >= rules.threshold, charged - spent, charged)
        after = old + jnp.where(valid, jnp.maximum(after, rules.min_vmem) - old, 0)
        return unit + 1, _put(vmem, after, neuron), flags

    flags = jnp.zeros((len(neurons), 16), jnp.uint8)
    return lax.while_loop(lambda at: at[0] < number, one, (jnp.int32(0), vmem, flags))[1:]


def _flags(fired: Array, cut: Array) -> Int[Array, "1 16"]:
    """Bit k of number j: neuron 16*k + j fired; bit k + 4: it was cut."""
    both = (fired.astype(jnp.int16) | (cut.astype(jnp.int16) << 4)).reshape(4, 16)
    number = jnp.sum(both << lax.iota(jnp.int16, 4)[:, None], axis=0, dtype=jnp.int16)
    return number.astype(jnp.uint8)[None]


def _part(values: Array, start: Array, size: int) -> Array:
    return lax.dynamic_slice(values, (start,), (size,), allow_negative_indices=False)


def _put(values: Array, part: Array, start: Array) -> Array:
    at = (start, *(jnp.int32(0) for _ in part.shape[1:]))
    return lax.dynamic_update_slice(values, part, at, allow_negative_indices=False)
