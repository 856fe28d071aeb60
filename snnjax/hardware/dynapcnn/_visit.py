"""Events and ticks of one core, each applied on its own, for `simulate_events`.

Events and ticks become units, which a compiled loop takes one after the other, see `_units`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int

from .._family import bounds
from ._chips import Chip
from ._spec import Core
from ._units import FIRED, LANE, LANES, Rules, apply, tables

_UNITS = 2**15
"""Units of a compiled call, if a tick has no more."""

_WORTH = 2**15
"""Units of a silence from which on it pays to skip ticks."""

_TABLE = 4096
"""Entries of the smallest array of a compiled call; larger ones are 8 times as long, and so on."""


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


class _Done(NamedTuple):
    """Units of a compiled call: the entry of each row, the first neuron of each unit, its flags."""

    entry: Int[np.ndarray, " rows"]
    neurons: Int[np.ndarray, " units"]
    flags: Int[Array, "units 16"]


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
    # One entry for each tick and event, in the order of time.
    at = np.searchsorted(cause, ticks if ticking else ticks[:0])
    tick = np.prod(core.input_shape)
    causes, entries = np.insert(cause, at, ticks[: len(at)]), np.insert(place, at, tick)
    loop = _Loop(core, chip, np.asarray(vmem).transpose(1, 2, 0), entries, ticking)
    if ticking:
        for start, stop in _silences(np.flatnonzero(entries < tick), len(entries), loop.tick):
            loop.run(start)
            loop.rest(stop)
    loop.run(len(entries))
    entry, neuron = loop.spikes()
    end = loop.vmem().reshape(height, width, out).transpose(2, 0, 1)
    return Run(causes[entry], neuron, end, loop.saturated)


def _silences(
    events: Int[np.ndarray, " events"], entries: int, tick: int
) -> Iterator[tuple[int, int]]:
    """First and last entry of ticks in a row that are so many that some may be skipped."""
    edges = np.concatenate([[-1], events, [entries]])
    for i in np.flatnonzero(np.diff(edges) - 1 >= max(_WORTH // tick, 2)):
        yield int(edges[i]) + 1, int(edges[i + 1])


class _Loop:
    """A core on its way through its entries.

    Attributes:
        tick: number of units of a tick.
        saturated: number of times that a potential was cut so far.
    """

    tick: int
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
        self._bias = np.asarray(core.bias, np.int64) if ticking else np.zeros(1, np.int64)
        self._rules = Rules(
            threshold=int(core.threshold),
            min_vmem=low if core.min_vmem is None else int(core.min_vmem),
            zero=core.reset == "zero",
        )
        weight, *self._tables = tables(core, self._dtype, ticking=ticking)
        rows, self._units = self._tables[0].shape
        places = int(np.prod(core.input_shape))
        self.tick = (rows - places) * self._units
        self._entry, self._entries = 0, entries
        self._before = np.arange(len(entries) + 1)
        if ticking:
            self._before[1:] = np.cumsum(np.where(entries < places, 1, rows - places))
        self._most = max(_UNITS // self._units, rows - places, 1)
        self._cpu = jax.local_devices(backend="cpu")[0]
        self._weight = jax.device_put(_padded(weight), self._cpu)
        self._vmem = self._placed(vmem)
        self._order = np.arange(vmem.size).reshape(vmem.shape[-1], -1).T.ravel()
        self._bits = vmem.size.bit_length()
        self._keys = [np.zeros(0, np.int64)]
        self._done: _Done | None = None
        self.saturated = 0

    def _placed(self, vmem: np.ndarray) -> Array:
        # A unit may reach beyond the last neuron; it changes nothing there.
        flat = _padded(np.pad(vmem.ravel(), (0, LANES)).astype(self._dtype))
        return jax.device_put(flat, self._cpu)

    def vmem(self) -> Int[np.ndarray, " neurons"]:
        return np.asarray(self._vmem)[: len(self._order)].astype(np.int32)

    def spikes(self) -> tuple[np.ndarray, np.ndarray]:
        """Entry and neuron of each, in order."""
        self._take()
        key = np.concatenate(self._keys)
        return key >> self._bits, key & ((1 << self._bits) - 1)

    def run(self, stop: int) -> None:
        """Apply the entries before `stop`, one by one."""
        while self._entry < stop:
            most = self._before[self._entry] + self._most
            end = min(int(np.searchsorted(self._before, most, "right")) - 1, stop)
            entry, row = self._rows(self._entry, end)
            neurons, weights = (self._of_rows(table, row) for table in self._tables)
            number = np.int32(row.size * self._units)
            with jax.default_device(self._cpu):
                args = self._weight, self._rules, neurons, weights, number, self._vmem
                self._vmem, flags = apply(*args, limits=self._limits)
            self._take()  # the compiled call goes on meanwhile
            self._entry, self._done = end, _Done(entry, neurons, flags)

    def _rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the tables for some entries: the entry of each row, and the row."""
        entry, row = np.arange(start, stop), self._entries[start:stop]
        if self.tick:
            before = self._before[start : stop + 1]
            entry = np.repeat(entry, np.diff(before))
            row = row[entry - start] + np.arange(before[0], before[-1]) - self._before[entry]
        return entry, row

    def _of_rows(self, table: np.ndarray, row: np.ndarray) -> Int[np.ndarray, " units"]:
        units = np.zeros(_length(self._most * self._units), np.int32)
        out = units[: row.size * self._units].reshape(-1, self._units)
        table.take(row, axis=0, out=out, mode="clip")
        return units

    def _take(self) -> None:
        """The spikes and cuts of the call before, in order of entry, channel, y and x."""
        if self._done is None:
            return
        entry, neurons, flags = self._done
        self._done = None
        found = np.asarray(flags)[: entry.size * self._units].view(np.uint64)
        seen = np.flatnonzero((found[:, 0] | found[:, 1]) != 0)
        found = found.take(seen, axis=0)
        cut = found & ~FIRED
        if cut.any():
            self.saturated += int(np.bitwise_count(cut).sum())
            found &= FIRED
            fires = np.flatnonzero(found.any(axis=1))
            seen, found = seen[fires], found[fires]
        fired = found[:, 0] | (found[:, 1] << np.uint64(4))
        keys = []
        entry, neuron = entry[seen // self._units] << self._bits, neurons[seen]
        while len(fired):
            lowest = fired & -fired
            lane = LANE[np.bitwise_count(lowest - np.uint64(1))]
            keys.append(entry | self._order[neuron + lane])
            fired ^= lowest
            more = np.flatnonzero(fired != 0)
            entry, neuron, fired = entry[more], neuron[more], fired[more]
        if keys:
            self._keys.append(np.sort(np.concatenate(keys), kind="stable"))

    def rest(self, stop: int) -> None:
        """Apply ticks up to `stop`; those without a spike at once."""
        stretch = max(_WORTH // self.tick, 1)
        while self._entry < stop:
            vmem = self.vmem().reshape(-1, len(self._bias)).astype(np.int64)
            most = stop - self._entry
            ticks, vmem, cut = _skip(self._rules, self._bias, self._limits, vmem, most)
            self._vmem = self._placed(vmem)
            self._entry += ticks
            self.saturated += cut
            self.run(min(self._entry + stretch, stop))


def _skip(
    rules: Rules,
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
    return np.pad(values, (0, _length(len(values)) - len(values)))


def _length(least: int) -> int:
    size = _TABLE
    while size < least:
        size *= 8
    return size
