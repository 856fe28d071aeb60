"""From filter outputs to event counts: divisive normalisation and windows, clock by clock.

Arrays are `(channels, batch)`, in 64 bits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from ...._mesh import scan
from ...._typing import PyTree

Wide = Int[Array, "channels batch"]

MOST_EVENTS = 15
"""The input of a Xylo's core counts no further."""


class Encoder(NamedTuple):
    """Settings of the divisive normalisation, one for each channel, and whether it is joint."""

    k: tuple[int, ...]
    b1: tuple[int, ...]
    b2: tuple[int, ...]
    eps: tuple[int, ...]
    threshold: tuple[int, ...]
    normalise: tuple[bool, ...]
    joint: bool


class Integrals(NamedTuple):
    """Running mean of |y| times 2^k, and charge of the integrate-and-fire neurons."""

    high: Wide
    charge: Wide


def encode(encoder: Encoder, state: Integrals, y: Wide) -> tuple[Integrals, Wide, Bool[Array, ""]]:
    """One clock of the divisive normalisation.

        a = |y|, low = high >> k, high = high - low + a, level = max(low, eps)
        threshold = (level << b1) - (level << b2), jointly the largest of all channels
        charge += a; a spike where charge >= threshold, which then takes off threshold

    Channels that are not normalised have thresholds of their own.

    Returns:
        The state after it, the thresholds and the spikes.
    """
    k, b1, b2, eps, fixed = (jnp.array(x, jnp.int64)[:, None] for x in encoder[:5])
    a = jnp.abs(y)
    low = state.high >> k
    level = jnp.maximum(low, eps)
    threshold = (level << b1) - (level << b2)
    if encoder.joint:
        threshold = jnp.max(threshold, axis=0, keepdims=True)
    threshold = jnp.where(jnp.array(encoder.normalise)[:, None], threshold, fixed)
    charge = state.charge + a
    spikes = charge >= threshold
    charge = jnp.where(spikes, charge - threshold, charge)
    return Integrals(state.high - low + a, charge), threshold, spikes


Clock = Callable[[Any, Any], tuple[Any, Bool[Array, "channels batch"]]]
Counts = Int[Array, "channels batch"]


def count_windows(
    clock: Clock, state: PyTree, inputs: PyTree, window: int, empty: Counts
) -> tuple[PyTree, Int[Array, "windows channels batch"], Counts]:
    """Spikes of each window of clocks, of which the first begins with the first input.

    Args:
        clock: (state, input of one clock) -> (state, spikes).
        state: the state before the first clock.
        inputs: arrays with the clocks first.
        window: clocks per window.
        empty: zeros.

    Returns:
        The state after the last clock, the counts of the windows that are complete, and those of
        the one that is not.
    """

    def each_clock(before, x):  # type: ignore[no-untyped-def]
        state, spikes = clock(before[0], x)
        return (state, before[1] + spikes.astype(jnp.int32)), None

    def each_window(state, xs):  # type: ignore[no-untyped-def]
        (state, counts), _ = scan(each_clock, (state, empty), xs)
        return state, jnp.minimum(counts, MOST_EVENTS)

    whole = len(inputs) // window
    cut = whole * window
    windows = inputs[:cut].reshape(whole, window, *inputs.shape[1:])
    state, counts = scan(each_window, state, windows)
    (state, rest), _ = scan(each_clock, (state, empty), inputs[cut:])
    return state, counts, rest


def count_clocks(
    clock: Clock, state: PyTree, inputs: PyTree, window: int, counts: Counts, done: Int[Array, ""]
) -> tuple[PyTree, Int[Array, "clocks channels batch"], Counts]:
    """The same from any clock of a window on; the counts so far are given at every clock.

    Args:
        clock: see `count_windows`.
        state: see `count_windows`.
        inputs: see `count_windows`.
        window: clocks per window.
        counts: spikes of the window so far.
        done: clocks of the window so far.
    """

    def each(before, x):  # type: ignore[no-untyped-def]
        state, counts, done = before
        state, spikes = clock(state, x)
        counts, done = counts + spikes.astype(jnp.int32), done + 1
        full = done == window
        after = (state, jnp.where(full, 0, counts), jnp.where(full, 0, done))
        return after, jnp.minimum(counts, MOST_EVENTS)

    (state, counts, _), made = scan(each, (state, counts, done), inputs)
    return state, made, counts
