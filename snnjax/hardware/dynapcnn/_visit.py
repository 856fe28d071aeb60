"""Events and ticks of one core, each applied on its own: the compiled loop of `simulate_events`.

Neurons of a core do not affect each other, and those at one place of the map see the same events.
So a round applies the next event of every place at once. Ticks between two events of a place are
skipped as long as no neuron there fires: without spikes, k biases are one sum.
"""

from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from .._family import bounds
from . import _kernel
from ._chips import Chip
from ._spec import Core

_ROUNDS = (64, 1024, 16384)
"""Rounds of a compiled call."""

_TABLE = 4096
"""Entries of the smallest table of a compiled call; larger ones are 8 times as long, and so on."""

_MASK = 2**24
"""Most neurons times rounds of a compiled call."""

_VISITS = 2**21
"""Most events times places that are listed at a time."""


class Run(NamedTuple):
    """Spikes and end of a core.

    Attributes:
        spikes: cause, channel, y and x of each, in order.
        vmem: the membrane potentials after the last event.
        saturated: number of times that one was cut to its bits.
    """

    spikes: tuple[np.ndarray, ...]
    vmem: Int[np.ndarray, "out y x"]
    saturated: int


class _Visits(NamedTuple):
    """The events of each place, one place after another; each place ends with an entry without one.

    Attributes:
        row: weights of the event, by row of the kernel; -1 for none.
        ticks: number of ticks before it, since the entry before.
        event: number of the event, of those listed.
        first: the first entry of each place.
        last: the last entry of each place, without an event.
    """

    row: Int[np.ndarray, " n"]
    ticks: Int[np.ndarray, " n"]
    event: Int[np.ndarray, " n"]
    first: Int[np.ndarray, " places"]
    last: Int[np.ndarray, " places"]


class _Rules(NamedTuple):
    """Numbers of a core. Channels are last, so that they are contiguous."""

    weight: Int[Array, "rows out"]
    bias: Int[Array, " out"]
    threshold: Int[Array, ""]
    min_vmem: Int[Array, ""]


class _Places(NamedTuple):
    """Progress of some places.

    Attributes:
        vmem: membrane potentials.
        entry: the next entry of each place.
        ticks: ticks that are left before it.
        done: ticks that are done.
        cut: skipped ticks that cut a potential to its bits.
    """

    vmem: Int[Array, "places out"]
    entry: Int[Array, " places"]
    ticks: Int[Array, " places"]
    done: Int[Array, " places"]
    cut: Int[Array, "places out"]


def run(
    core: Core,
    chip: Chip,
    vmem: Int[Array, "out y x"],
    arriving: tuple[np.ndarray, ...],
    ticks: Int[np.ndarray, " ticks"],
) -> Run:
    """All events of a core, and the ticks of its biases.

    Args:
        core: with integers.
        chip: its bits.
        vmem: membrane potentials to begin with.
        arriving: cause, channel, y and x of the events, ascending by cause.
        ticks: the causes that are ticks, ascending; each comes before the events it causes.
    """
    out, height, width = core.output_shape
    rules, limits = _rules(core, chip), bounds(chip.state_bits)
    if not np.any(np.asarray(rules.bias)):
        ticks = ticks[:0]
    state = np.asarray(vmem).reshape(out, -1).T
    cause = arriving[0]
    before = np.searchsorted(ticks, cause, "right")
    found, saturated = [np.zeros(0, np.int64)], 0
    for part in _parts(core, len(cause)):
        done = int(before[part.start]) if part.start else 0
        end = len(ticks) if part.stop == len(cause) else int(before[part.stop])
        visits = _visits(core, [a[part] for a in arriving[1:]], before[part] - done, end - done)
        state, keys, cut = _run_part(core, rules, limits, state, visits, len(ticks) > 0)
        number, channel, place = keys
        is_tick = number < 0
        tick, event = done - number[is_tick] - 1, number[~is_tick] + part.start
        # From here on numbered together, in the order of time.
        number[is_tick] = tick + np.searchsorted(before, tick, "right")
        number[~is_tick] = event + before[event]
        found.append((number * out + channel) * (height * width) + place)
        saturated += cut
    key = np.sort(np.concatenate(found))
    number, rest = np.divmod(key, out * height * width)
    channel, place = np.divmod(rest, height * width)
    merged = np.sort(np.concatenate([ticks, cause]))
    spikes = (merged[number], channel, *np.divmod(place, width))
    return Run(spikes, state.T.reshape(out, height, width), saturated)


def _rules(core: Core, chip: Chip) -> _Rules:
    low, _ = bounds(chip.state_bits)
    out = len(core.weight)
    return _Rules(
        weight=jnp.transpose(core.weight, (1, 2, 3, 0)).reshape(-1, out),
        bias=jnp.zeros(out, jnp.int32) if core.bias is None else core.bias,
        threshold=core.threshold,
        min_vmem=jnp.int32(low) if core.min_vmem is None else core.min_vmem,
    )


def _parts(core: Core, events: int) -> Iterator[slice]:
    size = max(_VISITS // int(np.prod(_kernel.reach(core))), 1)
    for start in range(0, max(events, 1), size):
        yield slice(start, min(start + size, events))


def _visits(
    core: Core, places: list[np.ndarray], before: Int[np.ndarray, " n"], ticks: int
) -> _Visits:
    """The events of each place.

    Args:
        core: the core.
        places: channel, y and x of the events.
        before: number of ticks before each event.
        ticks: number of all ticks.
    """
    channel, *at = (array.astype(np.int32) for array in places)
    (_, height, width), (rows, columns) = core.output_shape, core.kernel_size
    to_y, k_y = _kernel.reached(core, 0, at[0])
    to_x, k_x = _kernel.reached(core, 1, at[1])
    place = (to_y * width)[:, :, None] + to_x[:, None, :]
    inside = np.flatnonzero((to_y >= 0)[:, :, None] & (to_x >= 0)[:, None, :])
    kernel = (channel[:, None] * rows + k_y)[:, :, None] * columns + k_x[:, None, :]
    event = inside // max(to_y.shape[1] * to_x.shape[1], 1)
    # Each place ends with an entry after all events.
    ends = np.arange(height * width)
    place = np.concatenate([place.ravel()[inside], ends])
    row = np.concatenate([kernel.ravel()[inside], np.full(len(ends), -1)])
    event = np.concatenate([event, np.full(len(ends), len(channel))])
    order = np.argsort(place.astype(np.min_scalar_type(height * width)), kind="stable")
    last = np.cumsum(np.bincount(place, minlength=len(ends))) - 1
    first = np.concatenate([[0], last[:-1] + 1])
    reached = np.concatenate([before, [ticks]])[event[order]]
    since = np.diff(reached, prepend=0)
    since[first] = reached[first]
    return _Visits(row[order], since, event[order], first, last)


def _run_part(
    core: Core,
    rules: _Rules,
    limits: tuple[int, int],
    vmem: Int[np.ndarray, "places out"],
    visits: _Visits,
    ticking: bool,
) -> tuple[Int[np.ndarray, "places out"], tuple[np.ndarray, ...], int]:
    """The potentials after all visits; event or tick, channel and place of spikes; and the cuts.

    Ticks are numbered -1, -2 and so on.
    """
    out, zero = vmem.shape[1], core.reset == "zero"
    vmem, entry, left = vmem.copy(), visits.first.copy(), visits.ticks[visits.first]
    done = np.zeros(len(entry), np.int64)
    found: list[tuple[np.ndarray, ...]] = [(np.zeros(0, np.int64),) * 3]
    saturated = 0
    table = _padded(visits.row), _padded(visits.ticks)
    while (active := np.flatnonzero((entry < visits.last) | (left > 0))).size:
        size = len(entry)
        while size >= 4 * active.size:
            size = -(-size // 4)
        # Ticks that are skipped need no round, so only those that are left after some count.
        ahead = visits.last - entry + (left if done.any() else 0)
        longest = int(ahead[active].max())
        rounds = max(n for n in _ROUNDS if n == _ROUNDS[0] or n <= longest)
        rounds = min(rounds, max(_MASK // (size * out), 1))
        pad = [(0, size - active.size)]
        state = _Places(
            vmem=jnp.asarray(np.pad(vmem[active], [*pad, (0, 0)])),
            entry=jnp.asarray(np.pad(entry[active], pad, constant_values=visits.last[-1])),
            ticks=jnp.asarray(np.pad(left[active], pad)),
            done=jnp.asarray(np.pad(done[active], pad)),
            cut=jnp.zeros((size, out), jnp.int32),
        )
        after, *seen = _rounds(rules, limits, zero, ticking, table, state, rounds)
        outcome, cause = (np.asarray(array) for array in seen)
        fired = np.flatnonzero((outcome & 1).view(np.bool_))
        at_round, at_place, channel = np.unravel_index(fired, outcome.shape)
        causes = cause[at_round, at_place].astype(np.int64)
        causes = np.where(causes < 0, causes, visits.event[np.maximum(causes, 0)])
        found.append((causes, channel, active[at_place]))
        saturated += int(np.count_nonzero(outcome & 2))
        saturated += int(np.asarray(after.cut, np.int64).sum())
        n = active.size
        vmem[active], entry[active] = np.asarray(after.vmem)[:n], np.asarray(after.entry)[:n]
        left[active], done[active] = np.asarray(after.ticks)[:n], np.asarray(after.done)[:n]
    joined = tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return vmem, joined, saturated


def _padded(values: Int[np.ndarray, " n"]) -> Int[Array, " padded"]:
    """An array in int32 of one of a few lengths, each of which is compiled for."""
    size = _TABLE
    while size < len(values):
        size *= 8
    return jnp.asarray(np.pad(values, (0, size - len(values))).astype(np.int32))


@eqx.filter_jit
def _rounds(
    rules: _Rules,
    limits: tuple[int, int],
    zero: bool,
    ticking: bool,
    table: tuple[Int[Array, " n"], Int[Array, " n"]],
    start: _Places,
    rounds: int,
) -> tuple[_Places, Array, Array]:
    """Rounds of some places: 1 for a spike and 2 for a cut of each, and the entry or tick of it."""
    rows, ticks = table

    def step(at: _Places, _: None) -> tuple[_Places, tuple[Array, Array]]:
        row = rows[at.entry]
        weight = rules.weight[jnp.maximum(row, 0)]
        if not ticking:
            valid = row >= 0
            vmem, outcome = _visit(rules, limits, zero, at.vmem, weight, valid[:, None])
            entry = at.entry + valid.astype(jnp.int32)
            return at._replace(vmem=vmem, entry=entry), (outcome, at.entry)
        skipped, before, cut = _skip(rules, limits, at.vmem, at.ticks)
        left = at.ticks - skipped
        is_tick = left > 0
        weight = jnp.where(is_tick[:, None], rules.bias, weight)
        valid = is_tick | (row >= 0)
        vmem, outcome = _visit(rules, limits, zero, before, weight, valid[:, None])
        done = at.done + skipped + is_tick.astype(jnp.int32)
        entry = at.entry + (~is_tick & (row >= 0)).astype(jnp.int32)
        left = jnp.where(is_tick, left - 1, jnp.where(row >= 0, ticks[entry], 0))
        after = _Places(vmem, entry, left, done, at.cut + cut)
        return after, (outcome, jnp.where(is_tick, -done, at.entry))

    after, (outcome, cause) = lax.scan(step, start, length=rounds)
    return after, outcome, cause


def _visit(
    rules: _Rules, limits: tuple[int, int], zero: bool, old: Array, weight: Array, valid: Array
) -> tuple[Array, Array]:
    """Potentials after one event or tick, and 1 for a spike plus 2 for a cut."""
    total = old + weight
    vmem = jnp.clip(total, *limits)
    spikes = vmem >= rules.threshold
    outcome = spikes.astype(jnp.int8) + 2 * (vmem != total).astype(jnp.int8)
    after = jnp.zeros_like(vmem) if zero else vmem - rules.threshold
    vmem = jnp.maximum(jnp.where(spikes, after, vmem), rules.min_vmem)
    return jnp.where(valid, vmem, old), jnp.where(valid, outcome, jnp.int8(0))


def _skip(
    rules: _Rules,
    limits: tuple[int, int],
    vmem: Int[Array, "places out"],
    ticks: Int[Array, " places"],
) -> tuple[Int[Array, " places"], Int[Array, "places out"], Int[Array, "places out"]]:
    """Ticks that pass without a spike, the potentials after them, and how often they were cut."""
    low = limits[0]
    lowest = jnp.maximum(rules.min_vmem, low)
    gain = jnp.maximum(rules.bias, 1)
    quiet = jnp.where(rules.bias > 0, (rules.threshold - vmem - 1) // gain, 2**16)
    quiet = jnp.where((vmem >= lowest) & (vmem < rules.threshold), quiet, 0)
    skipped = jnp.minimum(jnp.min(quiet, axis=1), ticks)
    n = skipped[:, None]
    total = vmem + n * rules.bias
    after = jnp.where(n > 0, jnp.maximum(total, lowest), vmem)
    # Negative biases: the tick that goes below the lowest potential, and those after it.
    loss = jnp.maximum(-rules.bias, 1)
    through = (vmem - lowest) // loss + 1
    passes = (rules.bias < 0) & (through <= n)
    at_end = (lowest + rules.bias < low).astype(jnp.int32) * (n - through)
    cut = (vmem + through * rules.bias < low).astype(jnp.int32) + at_end
    return skipped, after, jnp.where(passes, cut, 0)
