"""What events do to the neurons of one core, one event after another."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int

from .._family import bounds
from ._chips import Chip
from ._spec import Core

_SMALL, _LARGE = 64, 4096
"""Events in a compiled call. What is left over is filled up: two sizes to compile, not many."""

_MASK = 2**25
"""Most entries of the mask of spikes that a compiled call returns."""


class Run(NamedTuple):
    """What a core did.

    Attributes:
        spikes: cause, channel, y and x of each, in order.
        vmem: the membrane potentials after the last event.
        saturated: how often one was cut to its bits.
    """

    spikes: tuple[np.ndarray, ...]
    vmem: Int[np.ndarray, "out y x"]
    saturated: int


class _Axis(NamedTuple):
    """Geometry along one axis; an event reaches at most `reach` of the `neurons`."""

    kernel: int
    stride: int
    padding: int
    neurons: int

    @property
    def reach(self) -> int:
        return min(-(-self.kernel // self.stride), self.neurons)


class _Rules(NamedTuple):
    """What a visit needs to know. Channels are last, so that they are contiguous."""

    weight: Int[Array, "in ky kx out"]
    bias: Int[Array, " out"]
    threshold: Int[Array, ""]
    min_vmem: Int[Array, ""]
    low: int
    high: int
    zero: bool


class _Visit(NamedTuple):
    """Neurons after a visit, whether each emitted a spike, and how many were cut to 16 bits."""

    vmem: Int[Array, "y x out"]
    spikes: Bool[Array, "y x out"]
    saturated: Int[Array, ""]


def run(
    core: Core,
    chip: Chip,
    vmem: Int[Array, "out y x"],
    arriving: Sequence[np.ndarray],
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
    rules = _rules(core, chip)
    axes, size = _axes(core), _chunk(core)
    state = jnp.transpose(vmem, (1, 2, 0))
    found: list[Sequence[np.ndarray]] = [[np.zeros(0, np.int64)] * 4]
    lost = 0
    if not np.any(np.asarray(rules.bias)):
        ticks = ticks[:0]
    for span, tick in _spans(arriving[0], ticks):
        for start in range(span.start, span.stop, size):
            part = [array[start : min(start + size, span.stop)] for array in arriving]
            state, spikes, cut = _run_part(rules, axes, state, part, size)
            found.append(spikes)
            lost += cut
        if tick is not None:
            after = _tick(rules, state)
            y, x, channel = _places(np.asarray(after.spikes)[None])[1:]
            found.append((np.full(len(y), tick), channel, y, x))
            state, lost = after.vmem, lost + int(after.saturated)
    joined = tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return Run(joined, np.transpose(np.asarray(state), (2, 0, 1)), lost)


def _rules(core: Core, chip: Chip) -> _Rules:
    low, high = bounds(chip.state_bits)
    return _Rules(
        weight=jnp.transpose(core.weight, (1, 2, 3, 0)),
        bias=jnp.zeros(len(core.weight), jnp.int32) if core.bias is None else core.bias,
        threshold=core.threshold,
        min_vmem=jnp.int32(low) if core.min_vmem is None else core.min_vmem,
        low=low,
        high=high,
        zero=core.reset == "zero",
    )


def _axes(core: Core) -> tuple[_Axis, _Axis]:
    y, x = zip(core.kernel_size, core.stride, core.padding, core.output_shape[1:], strict=True)
    return _Axis(*y), _Axis(*x)


def _chunk(core: Core) -> int:
    y, x = _axes(core)
    reached = y.reach * x.reach * core.output_shape[0]
    return max(min(_LARGE, _MASK // reached), 1)


def _spans(causes: np.ndarray, ticks: np.ndarray) -> Iterator[tuple[slice, int | None]]:
    """The events before each tick, with the tick; and those after the last one."""
    begin = 0
    for tick in ticks:
        end = int(np.searchsorted(causes, tick))
        yield slice(begin, end), int(tick)
        begin = end
    yield slice(begin, len(causes)), None


def _run_part(
    rules: _Rules,
    axes: tuple[_Axis, _Axis],
    vmem: Int[Array, "y x out"],
    part: Sequence[np.ndarray],
    size: int,
) -> tuple[Array, Sequence[np.ndarray], int]:
    """Some events of a core: the state after them, their spikes, and how often it was cut."""
    cause, *place = part
    padded = min(_SMALL, size) if len(cause) <= _SMALL else size
    entries = np.zeros((padded, 4), np.int32)
    entries[: len(cause), :3] = np.stack(place, axis=1)
    entries[: len(cause), 3] = 1
    vmem, fired, corner, saturated = _scan(rules, axes, vmem, entries)
    number, y, x, channel = _places(np.asarray(fired))
    corner = np.asarray(corner)[number]
    spikes = cause[number], channel, y + corner[:, 0], x + corner[:, 1]
    return vmem, spikes, int(saturated)


def _places(fired: Bool[np.ndarray, "n y x out"]) -> tuple[np.ndarray, ...]:
    """Where it is true: n, y, x and out, in the order of n, out, y and x."""
    n, out, y, x = np.nonzero(np.transpose(fired, (0, 3, 1, 2)))
    return n, y, x, out


@eqx.filter_jit
def _tick(rules: _Rules, vmem: Int[Array, "y x out"]) -> _Visit:
    """A tick of the clock for biases, which visits every neuron."""
    return _visit(rules, vmem, rules.bias, jnp.bool_(True))


@eqx.filter_jit
def _scan(
    rules: _Rules,
    axes: tuple[_Axis, _Axis],
    vmem: Int[Array, "y x out"],
    entries: Int[np.ndarray, "n 4"],
) -> tuple[Array, Array, Array, Array]:
    """Channel, y, x and whether it is one, for each event in turn."""

    def step(carry, entry):  # type: ignore[no-untyped-def]
        vmem, saturated = carry
        channel, y, x, valid = entry
        (y0, ky, in_y), (x0, kx, in_x) = (
            _reached(*pair) for pair in zip(axes, (y, x), strict=True)
        )
        inside = (in_y[:, None] & in_x & (valid > 0))[..., None]
        shape = (axes[0].reach, axes[1].reach, vmem.shape[2])
        old = lax.dynamic_slice(vmem, (y0, x0, jnp.int32(0)), shape)
        seen = _visit(rules, old, rules.weight[channel][ky][:, kx], inside)
        vmem = lax.dynamic_update_slice(vmem, seen.vmem, (y0, x0, jnp.int32(0)))
        return (vmem, saturated + seen.saturated), (seen.spikes, jnp.stack([y0, x0]))

    (vmem, saturated), (fired, corner) = lax.scan(step, (vmem, jnp.int32(0)), jnp.asarray(entries))
    return vmem, fired, corner, saturated


def _reached(axis: _Axis, place: Int[Array, ""]) -> tuple[Array, Array, Array]:
    """The first of the neurons to look at, their place in the kernel, and which are reached.

    Neuron Y sees what is at Y*stride - padding + k, for k from 0 to kernel - 1.
    """
    first = -(-(place + axis.padding - axis.kernel + 1) // axis.stride)
    first = jnp.clip(first, 0, axis.neurons - axis.reach)
    k = place + axis.padding - (first + jnp.arange(axis.reach)) * axis.stride
    return first, jnp.clip(k, 0, axis.kernel - 1), (k >= 0) & (k < axis.kernel)


def _visit(rules: _Rules, old: Array, weight: Array, inside: Array) -> _Visit:
    total = old + jnp.where(inside, weight, 0)
    vmem = jnp.clip(total, rules.low, rules.high)
    saturated = jnp.sum(vmem != total, dtype=jnp.int32)
    spikes = inside & (vmem >= rules.threshold)
    after = 0 if rules.zero else vmem - rules.threshold
    vmem = jnp.maximum(jnp.where(spikes, after, vmem), rules.min_vmem)
    return _Visit(jnp.where(inside, vmem, old), spikes, saturated)
