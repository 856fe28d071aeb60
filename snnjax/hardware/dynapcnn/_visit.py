"""Events and ticks of one core, each applied on its own: the compiled loop of `simulate_events`.

The loop takes one unit after the other, see `_units`. Of a core it needs the sizes of a few tables
only, which are padded, so that nearly all cores share one program.

XLA's CPU backend compiles a loop to one function of machine code if one round of it touches less
than 1 KiB. Otherwise it calls a function for each operation, which takes ten times as long. Hence
units of no more than 32 neurons.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from .._family import bounds
from ._chips import Chip
from ._spec import Core
from ._units import LANES, Tables, tables

_RECORDS = 2**15
"""Units with spikes that a compiled call returns at most."""

_WORTH = 2**15
"""Units of a silence from which on it pays to skip ticks."""

_TABLE = 4096
"""Entries of the smallest table of a compiled call; larger ones are 8 times as long, and so on."""


class Run(NamedTuple):
    """Spikes and end of a core.

    Attributes:
        cause: cause of each spike, ascending.
        neuron: its neuron, in the order of channel, y and x.
        vmem: the membrane potentials after the last event.
        saturated: number of times that one was cut to its bits.
    """

    cause: Int[np.ndarray, " spikes"]
    neuron: Int[np.ndarray, " spikes"]
    vmem: Int[np.ndarray, "out y x"]
    saturated: int


class _Rules(NamedTuple):
    """The numbers of a core: what a spike takes off is the threshold, or everything if `zero`."""

    threshold: int
    min_vmem: int
    zero: bool


class _Progress(NamedTuple):
    """The entry that comes next, how many of its units are done, and the potentials."""

    entry: Int[Array, ""]
    unit: Int[Array, ""]
    vmem: Int[Array, " neurons"]


class _Records(NamedTuple):
    """Units with spikes: which entry, the first neuron, and a bit for each that fired."""

    entry: Int[Array, " records"]
    neuron: Int[Array, " records"]
    mask: Int[Array, " records"]


_Numbers: TypeAlias = Array | np.ndarray

_Carry: TypeAlias = tuple[_Progress, Array, Array, _Records]


def run(
    core: Core,
    chip: Chip,
    vmem: Int[Array, "out y x"],
    cause: Int[np.ndarray, " events"],
    place: Int[np.ndarray, " events"],
    ticks: Int[np.ndarray, " ticks"],
) -> Run:
    """All events of a core, and the ticks of its biases.

    Args:
        core: with integers.
        chip: its bits.
        vmem: membrane potentials to begin with.
        cause: the cause of each event, ascending.
        place: its place in the input map, in the order of channel, y and x.
        ticks: the causes that are ticks, ascending; each comes before the events it causes.
    """
    out, height, width = core.output_shape
    ticking = core.bias is not None and bool(np.any(np.asarray(core.bias)))
    ticks = ticks if ticking else ticks[:0]
    # One entry for each tick and event, in the order of time.
    at_event = np.arange(len(cause)) + np.searchsorted(ticks, cause, "right")
    at_tick = np.arange(len(ticks)) + np.searchsorted(cause, ticks)
    entries = np.empty(len(cause) + len(ticks), np.int32)
    entries[at_event], entries[at_tick] = place, np.prod(core.input_shape)
    causes = np.empty(len(entries), np.int64)
    causes[at_event], causes[at_tick] = cause, ticks
    loop = _Loop(core, chip, np.asarray(vmem).transpose(1, 2, 0), entries, ticking)
    for start, stop in _silences(at_event, len(entries), loop.units_of_a_tick):
        loop.run(start)
        loop.rest(stop)
    loop.run(len(entries))
    # Spikes of one entry leave in the order of channel, y and x; most are in order.
    order = np.arange(out * height * width).reshape(out, -1).T.ravel()
    bits = len(order).bit_length()
    entry, neuron = loop.spikes()
    key = np.sort((entry << bits) | order[neuron], kind="stable")
    end = loop.vmem().reshape(height, width, out).transpose(2, 0, 1)
    return Run(causes[key >> bits], key & ((1 << bits) - 1), end, loop.saturated)


def _silences(
    events: Int[np.ndarray, " events"], entries: int, units: int
) -> Iterator[tuple[int, int]]:
    """First and last entry of ticks in a row that are so many that some may be skipped."""
    if units:
        edges = np.concatenate([[-1], events, [entries]])
        for i in np.flatnonzero(np.diff(edges) - 1 >= max(_WORTH // units, 2)):
            yield int(edges[i]) + 1, int(edges[i + 1])


class _Loop:
    """A core on its way through its entries: what happened so far."""

    saturated: int

    def __init__(
        self,
        core: Core,
        chip: Chip,
        vmem: Int[np.ndarray, "y x out"],
        entries: Int[np.ndarray, " entries"],
        ticking: bool,
    ) -> None:
        low, _ = self._limits = bounds(chip.state_bits)
        self._dtype = np.int16 if chip.state_bits <= 16 else np.int32
        of_core = tables(core, self._dtype, ticking=ticking)
        self._bias = np.asarray(core.bias, np.int64) if ticking else np.zeros(1, np.int64)
        self._rules = _Rules(
            threshold=int(core.threshold),
            min_vmem=low if core.min_vmem is None else int(core.min_vmem),
            zero=core.reset == "zero",
        )
        self.units_of_a_tick = int(of_core.stop[-1] - of_core.first[-1])
        self._size = vmem.size
        self._cpu = jax.local_devices(backend="cpu")[0]
        self._fixed = Tables(*map(_padded, of_core)), self._rules, _padded(entries)
        self._at = self._placed(0, vmem)
        self._spikes = [(np.zeros(0, np.int64),) * 2]
        self.saturated = 0

    def _placed(self, entry: int, vmem: np.ndarray) -> _Progress:
        # A unit may reach beyond the last neuron; it changes nothing there.
        flat = _padded(np.pad(vmem.ravel(), (0, LANES)).astype(self._dtype))
        return _Progress(*jax.device_put((np.int32(entry), np.int32(0), flat), self._cpu))

    def vmem(self) -> Int[np.ndarray, " neurons"]:
        return np.asarray(self._at.vmem)[: self._size].astype(np.int32)

    def spikes(self) -> tuple[np.ndarray, ...]:
        """Entry and neuron of each, in any order."""
        return tuple(np.concatenate(parts) for parts in zip(*self._spikes, strict=True))

    def run(self, stop: int) -> None:
        """Apply the entries before `stop`, one by one."""
        before: list[Any] = []
        while int(self._at.entry) < stop:
            args = *self._fixed, np.int32(stop), self._at
            with jax.default_device(self._cpu):
                self._at, *found = _units(*args, limits=self._limits, capacity=_RECORDS)
            self._take(*before)  # the compiled call goes on meanwhile
            before = found
        self._take(*before)

    def _take(self, *found: Any) -> None:
        if not found:
            return
        cut, number, records = found
        self.saturated += int(cut)
        entry, neuron, mask = (np.asarray(array)[: int(number)] for array in records)
        entry, mask = entry.astype(np.int64), mask.view(np.uint32)
        while len(mask):
            lowest = mask & -mask
            self._spikes.append((entry, neuron + np.bitwise_count(lowest - np.uint32(1))))
            mask = mask ^ lowest
            more = np.flatnonzero(mask)
            entry, neuron, mask = entry[more], neuron[more], mask[more]

    def rest(self, stop: int) -> None:
        """Apply ticks up to `stop`; those without a spike at once."""
        stretch = max(_WORTH // self.units_of_a_tick, 1)
        while (entry := int(self._at.entry)) < stop:
            vmem = self.vmem().reshape(-1, len(self._bias)).astype(np.int64)
            ticks, vmem, cut = _skip(self._rules, self._bias, self._limits, vmem, stop - entry)
            self._at = self._placed(entry + ticks, vmem)
            self.saturated += cut
            self.run(min(entry + ticks + stretch, stop))


@functools.partial(jax.jit, static_argnames=("limits", "capacity"))
def _units(
    tables: Tables,
    rules: _Rules,
    entries: Int[Array, " entries"],
    stop: Int[Array, ""],
    start: _Progress,
    *,
    limits: tuple[int, int],
    capacity: int,
) -> tuple[_Progress, Int[Array, ""], Int[Array, ""], _Records]:
    """Units one by one, up to the entry `stop` or until the records are full.

    Returns:
        Where it ended, how often a potential was cut, the number of records, and these.
    """
    none = jnp.iinfo(tables.weight.dtype).min

    def look(vmem: Array, neuron: Array, weight: Array) -> tuple[Array, ...]:
        old = _part(vmem, neuron, LANES)
        added = _part(tables.weight, weight, LANES)
        total = old.astype(jnp.int32) + added.astype(jnp.int32)
        charged = jnp.clip(total, *limits)
        return old, added != none, total != charged, charged

    def one(carry: _Carry) -> _Carry:
        (entry, unit, vmem), cut, number, records = carry
        place = _at(entries, entry)
        at = _at(tables.first, place) + unit
        neuron = _at(tables.neuron, place) + _at(tables.neurons, at)
        weight = _at(tables.row, place) + _at(tables.weights, at)

        _, valid, is_cut, charged = look(vmem, neuron, weight)
        fired = (valid & (charged >= rules.threshold)).astype(jnp.int32)
        mask = jnp.sum(fired << lax.iota(jnp.int32, LANES), dtype=jnp.int32)
        cut = cut + jnp.sum((valid & is_cut).astype(jnp.int32), dtype=jnp.int32)
        seen = entry, neuron, mask
        records = _Records(*(_put(r, x[None], number) for r, x in zip(records, seen, strict=True)))
        number = number + (mask != 0).astype(jnp.int32)

        # Adds 0, which makes the update wait until the old potentials are read: no copy is needed.
        neuron = neuron + jnp.minimum(number | cut, 0)
        old, valid, _, charged = look(vmem, neuron, weight)
        spent = jnp.where(rules.zero, charged, rules.threshold)
        after = jnp.where(charged >= rules.threshold, charged - spent, charged)
        after = jnp.maximum(after, rules.min_vmem).astype(old.dtype)
        vmem = _put(vmem, jnp.where(valid, after, old), neuron)

        last = at + 1 == _at(tables.stop, place)
        unit = jnp.where(last, 0, unit + 1)
        return _Progress(entry + last.astype(jnp.int32), unit, vmem), cut, number, records

    def goes_on(carry: _Carry) -> Array:
        at, _, number, _ = carry
        return (at.entry < stop) & (number < capacity)

    nothing = jnp.int32(0)
    records = _Records(*(jnp.zeros(capacity, jnp.int32) for _ in range(3)))
    return lax.while_loop(goes_on, one, (start, nothing, nothing, records))


def _part(values: _Numbers, start: Array, size: int) -> Array:
    return lax.dynamic_slice(values, (start,), (size,), allow_negative_indices=False)


def _at(values: _Numbers, index: Array) -> Array:
    return _part(values, index, 1)[0]


def _put(values: Array, part: Array, start: Array) -> Array:
    return lax.dynamic_update_slice(values, part, (start,), allow_negative_indices=False)


def _skip(
    rules: _Rules,
    bias: Int[np.ndarray, " out"],
    limits: tuple[int, int],
    vmem: Int[np.ndarray, "places out"],
    most: int,
) -> tuple[int, Int[np.ndarray, "places out"], int]:
    """Ticks that pass without a spike, the potentials after them, and how many cuts there were."""
    low = limits[0]
    lowest = max(rules.min_vmem, low)
    quiet = np.where(bias > 0, (rules.threshold - vmem - 1) // np.maximum(bias, 1), most)
    quiet = np.where((vmem >= lowest) & (vmem < rules.threshold), quiet, 0)
    n = min(int(quiet.min()), most)
    after = np.maximum(vmem + n * bias, lowest) if n else vmem
    # Negative biases: the tick that goes below the lowest potential, and those after it.
    loss = np.maximum(-bias, 1)
    through = (vmem - lowest) // loss + 1
    at_end = (lowest + bias < low) * (n - through)
    cut = (vmem + through * bias < low) + at_end
    return n, after, int(np.sum(np.where((bias < 0) & (through <= n), cut, 0)))


def _padded(values: np.ndarray) -> np.ndarray:
    """An array of one of a few lengths, each of which is compiled for."""
    size = _TABLE
    while size < len(values):
        size *= 8
    return np.pad(values, (0, size - len(values)))
