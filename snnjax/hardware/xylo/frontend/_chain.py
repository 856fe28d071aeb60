"""Audio 3's clock from samples to spikes, and the compiled loops over it.

Arrays are `(channels, batch)`, the clocks before that, in 64 bits inside.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from ...._mesh import scan
from ._events import Counts, Encoder, Integrals, Wide, count_clocks, count_windows, encode
from ._exact import exact, from_halves, to_halves
from ._filters import BandPass, recursion

Samples = Int[Array, "clocks batch"]


class Registers(NamedTuple):
    """All that the chip holds: the last three w of every filter, and the encoder's integrals."""

    w: tuple[Wide, Wide, Wide]
    integrals: Integrals


class Packed(NamedTuple):
    """The same in 32 bits, with halves or the age of w as the last axis."""

    w: Int[Array, "channels batch 3"]
    high: Int[Array, "channels batch 2"]
    charge: Int[Array, "channels batch 2"]


class Chip(NamedTuple):
    """Settings of the chain."""

    filters: tuple[BandPass, ...]
    encoder: Encoder
    window: int


def rest(channels: int, batch: int) -> Packed:
    """The registers of a chip that was just switched on."""
    halves = jnp.zeros((channels, batch, 2), jnp.int32)
    return Packed(jnp.zeros((channels, batch, 3), jnp.int32), halves, halves)


@exact
@eqx.filter_jit
def run_windows(
    chip: Chip, registers: Packed, samples: Samples
) -> tuple[Packed, Int[Array, "windows channels batch"], Counts]:
    """Events of each whole window of `samples`, and of the one that is open at the end."""
    state, counts, rest = count_windows(
        _clock(chip), _unpack(registers), samples, chip.window, _none(registers)
    )
    return _pack(state), counts, rest


@exact
@eqx.filter_jit
def run_clocks(
    chip: Chip, registers: Packed, samples: Samples, counts: Counts, done: Int[Array, ""]
) -> tuple[Packed, Int[Array, "clocks channels batch"], Counts]:
    """Events of the window so far at every clock, from a clock within a window on."""
    state, made, counts = count_clocks(
        _clock(chip), _unpack(registers), samples, chip.window, counts, done
    )
    return _pack(state), made, counts


@exact
@eqx.filter_jit
def run_mirrored(
    chip: Chip, registers: Packed, samples: Samples
) -> tuple[Packed, Int[Array, "windows channels batch"], Counts]:
    """Like `run_windows`, but begun with the reversed recording before each of both stages."""
    start = _unpack(registers)
    w, _ = scan(_filter(chip), start.w, samples[::-1])
    w, filtered = scan(_filter(chip), w, samples)
    integrals, _ = scan(_encode(chip), start.integrals, filtered[::-1])
    integrals, counts, rest = count_windows(
        _encode(chip), integrals, filtered, chip.window, _none(registers)
    )
    return _pack(Registers(w, integrals)), counts, rest


class Stages(NamedTuple):
    """Filter outputs, thresholds and spikes at every clock."""

    filtered: Int[Array, "clocks channels batch"]
    thresholds: Any
    spikes: Bool[Array, "clocks channels batch"]


@exact
@eqx.filter_jit
def run_stages(chip: Chip, registers: Packed, samples: Samples, *, mirrored: bool) -> Stages:
    """Every stage at every clock; thresholds as float32."""

    def normalise(state: Integrals, y: Wide) -> tuple[Integrals, Any]:
        state, threshold, spikes = encode(chip.encoder, state, y.astype(jnp.int64))
        return state, (threshold.astype(jnp.float32), spikes)

    w, integrals = _unpack(registers)
    if mirrored:
        w, _ = scan(_filter(chip), w, samples[::-1])
    _, filtered = scan(_filter(chip), w, samples)
    if mirrored:
        integrals, _ = scan(normalise, integrals, filtered[::-1])
    _, (thresholds, spikes) = scan(normalise, integrals, filtered)
    return Stages(filtered, jnp.broadcast_to(thresholds, spikes.shape), spikes)


def _filter(chip: Chip) -> Callable[[Any, Any], tuple[Any, Counts]]:
    """One clock of the filters. Their outputs come a clock late."""

    def clock(w, x):  # type: ignore[no-untyped-def]
        newest = recursion(chip.filters, x.astype(jnp.int64)[None], w[0], w[1])
        return (newest, w[0], w[1]), (w[0] - w[2]).astype(jnp.int32)

    return clock


def _encode(chip: Chip) -> Callable[[Any, Any], tuple[Any, Bool[Array, "channels batch"]]]:
    def clock(state, y):  # type: ignore[no-untyped-def]
        state, _, spikes = encode(chip.encoder, state, y.astype(jnp.int64))
        return state, spikes

    return clock


def _clock(chip: Chip) -> Callable[[Any, Any], tuple[Any, Bool[Array, "channels batch"]]]:
    """One clock of both. Fused, no filter output is ever stored."""
    filters, encoder = _filter(chip), _encode(chip)

    def clock(state, x):  # type: ignore[no-untyped-def]
        w, y = filters(state.w, x)
        integrals, spikes = encoder(state.integrals, y)
        return Registers(w, integrals), spikes

    return clock


def _none(registers: Packed) -> Counts:
    return jnp.zeros(registers.w.shape[:2], jnp.int32)


def _unpack(packed: Packed) -> Registers:
    w = packed.w.astype(jnp.int64)
    integrals = Integrals(from_halves(packed.high), from_halves(packed.charge))
    return Registers((w[..., 0], w[..., 1], w[..., 2]), integrals)


def _pack(registers: Registers) -> Packed:
    w = jnp.stack(registers.w, axis=-1).astype(jnp.int32)
    high, charge = registers.integrals
    # A channel that always fires too rarely gains less than 2^28 a clock: this is days away, and
    # what is cut off changes no spike for longer still.
    return Packed(w, to_halves(high), to_halves(jnp.minimum(charge, 1 << 61)))
