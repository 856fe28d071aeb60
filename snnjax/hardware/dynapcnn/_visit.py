"""Events and ticks of one core, each applied on its own, for `simulate_events`.

Events and ticks become units, which a compiled loop takes one after the other, see `_units`.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Int

from ._units import FIRED, LANE, LANES, Rules, Tables, apply, length, padded

_UNITS = 2**16
"""Units of a compiled call, if a tick has no more."""

_WORTH = 2**15
"""Units of a silence from which on it pays to skip ticks."""


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


def run(
    tables: Tables,
    vmem: Int[np.ndarray, "out y x"],
    cause: Int[np.ndarray, " events"],
    place: Int[np.ndarray, " events"],
    ticks: Int[np.ndarray, " ticks"],
    meanwhile: Callable[[], None],
) -> Run:
    """All events of a core, and the ticks of its biases.

    Args:
        tables: of the core.
        vmem: membrane potentials to begin with.
        cause: the cause of each event, ascending.
        place: its place in the input map, in the order of channel, y and x.
        ticks: the causes that are ticks, ascending; each comes before the events it causes.
        meanwhile: work of the caller's, done while the first compiled call goes on.
    """
    out, height, width = vmem.shape
    at = np.searchsorted(cause, ticks) if tables.bias.size else np.zeros(0, np.int64)
    if len(at):  # One entry for each tick and event, in the order of time.
        cause, place = np.insert(cause, at, ticks), np.insert(place, at, tables.places)
    loop = _Loop(tables, vmem.transpose(1, 2, 0).ravel(), cause, place, meanwhile)
    for start, stop in _silences(at, loop.tick):
        loop.run(start)
        loop.rest(stop)
    loop.run(len(place))
    end = loop.vmem().reshape(height, width, out).transpose(2, 0, 1)
    cause, place = loop.spikes()
    return Run(cause, place, end, loop.saturated)


def _silences(at: Int[np.ndarray, " ticks"], tick: int) -> Iterator[tuple[int, int]]:
    """First and last entry of ticks in a row that are so many that some may be skipped.

    Args:
        at: number of events before each tick.
        tick: number of units of a tick.
    """
    first = np.flatnonzero(np.diff(at, prepend=-1))
    number = np.diff(first, append=len(at))
    for i in np.flatnonzero(number >= max(_WORTH // max(tick, 1), 2)):
        start = int(at[first[i]] + first[i])
        yield start, start + int(number[i])


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
        tables: Tables,
        vmem: Int[np.ndarray, " neurons"],
        causes: Int[np.ndarray, " entries"],
        entries: Int[np.ndarray, " entries"],
        meanwhile: Callable[[], None],
    ) -> None:
        self._tables, self._causes, self._entries = tables, causes, entries
        rows, self._units = tables.neurons.shape
        rows -= tables.places
        self.tick, self.saturated = rows * self._units, 0
        if rows:
            number = np.cumsum(np.where(entries < tables.places, 1, rows))
            self._before = np.insert(number, 0, 0)
        self._most = max(_UNITS // self._units, rows, 1)
        self._entry = 0
        self._vmem: Array | np.ndarray = self._placed(vmem)
        self._found = [(causes[:0], np.zeros(0, np.int32))]
        self._meanwhile = meanwhile

    def _placed(self, vmem: np.ndarray) -> Int[np.ndarray, " neurons"]:
        # A unit may reach beyond the last neuron; it changes nothing there.
        return padded(vmem.astype(self._tables.weight.dtype), len(vmem) + LANES)

    def vmem(self) -> Int[np.ndarray, " neurons"]:
        return np.asarray(self._vmem)[: len(self._tables.order)].astype(np.int32)

    def spikes(self) -> Iterator[np.ndarray]:
        """Cause and neuron of each, in order."""
        self._meanwhile()
        return (np.concatenate(parts) for parts in zip(*self._found, strict=True))

    def run(self, stop: int) -> None:
        """Apply the entries before `stop`, one by one."""
        while self._entry < stop:
            end, entry, row = self._rows(stop)
            own = self._tables
            neurons, weights = (self._of_rows(table, row) for table in (own.neurons, own.weights))
            number = np.int32(row.size * self._units)
            args = own.weight, own.rules, neurons, weights, number, np.asarray(self._vmem)
            self._vmem, flags = apply(*args, limits=own.limits)
            self._meanwhile()  # the compiled call goes on in a thread of XLA's
            self._entry = end
            self._meanwhile = functools.partial(self._take, entry, neurons, flags)

    def _rows(self, stop: int) -> tuple[int, np.ndarray, np.ndarray]:
        """The end of what one call takes of the entries; the entry of each row, and the row."""
        start, end = self._entry, min(self._entry + self._most, stop)
        if not self.tick:
            return end, np.arange(start, end), self._entries[start:end]
        most = self._before[start] + self._most
        end = min(int(np.searchsorted(self._before, most, "right")) - 1, end)
        before = self._before[start : end + 1]
        entry = np.repeat(np.arange(start, end), np.diff(before))
        row = self._entries[entry] + np.arange(before[0], before[-1]) - self._before[entry]
        return end, entry, row

    def _of_rows(self, table: np.ndarray, row: np.ndarray) -> Int[np.ndarray, " units"]:
        units = _aligned(length(self._most * self._units))
        out = units[: row.size * self._units].reshape(-1, self._units)
        table.take(row, axis=0, out=out, mode="clip")
        return units

    def _take(
        self,
        entry: Int[np.ndarray, " rows"],
        neurons: Int[np.ndarray, " units"],
        flags: Int[Array, "units 16"],
    ) -> None:
        """The spikes and cuts of a compiled call: from the entries, first neurons and flags."""
        found = np.asarray(flags)[: entry.size * self._units].view(np.uint64)
        seen = np.flatnonzero((found[:, 0] | found[:, 1]) != 0)
        found = found.take(seen, axis=0)
        if np.bitwise_or.reduce(found, axis=None) & ~FIRED:
            self.saturated += int(np.bitwise_count(found & ~FIRED).sum())
            found &= FIRED
            fires = np.flatnonzero(found.any(axis=1))
            seen, found = seen[fires], found[fires]
        if len(seen):
            fired = found[:, 0] | (found[:, 1] << np.uint64(4))
            self._add(entry.take(seen // self._units), neurons.take(seen), fired)

    def _add(
        self,
        entry: Int[np.ndarray, " units"],
        neuron: Int[np.ndarray, " units"],
        fired: Int[np.ndarray, " units"],
    ) -> None:
        """Spikes of units, in the order of entry, channel, y and x."""
        order, first = self._tables.order, int(entry[0])
        bits = len(order).bit_length()
        short = (int(entry[-1]) - first + 1) << bits < 2**31
        entry = np.left_shift(entry - first, bits, dtype=np.int32 if short else np.int64)
        keys = []
        while len(fired):
            others = fired - np.uint64(1)
            lane = LANE.take(np.bitwise_count(fired ^ others))
            keys.append(entry | order.take(neuron + lane))
            fired &= others
            more = np.flatnonzero(fired != 0)
            entry, neuron, fired = (each.take(more) for each in (entry, neuron, fired))
        key = np.sort(np.concatenate(keys), kind="stable")
        self._found.append((self._causes[first:].take(key >> bits), key & ((1 << bits) - 1)))

    def rest(self, stop: int) -> None:
        """Apply ticks up to `stop`; those without a spike at once."""
        stretch = max(_WORTH // self.tick, 1)
        while self._entry < stop:
            rules, limits, bias = self._tables.rules, self._tables.limits, self._tables.bias
            vmem = self.vmem().reshape(-1, len(bias)).astype(np.int64)
            most = stop - self._entry
            ticks, vmem, cut = _skip(rules, bias, limits, vmem, most)
            self._vmem = self._placed(vmem.ravel())
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


def _aligned(size: int) -> Int[np.ndarray, " size"]:
    """Room for 32-bit integers, at a multiple of 64 bytes, so that XLA needs no copy."""
    room = np.empty(4 * size + 64, np.uint8)
    first = -room.ctypes.data % 64
    return room[first : first + 4 * size].view(np.int32)
