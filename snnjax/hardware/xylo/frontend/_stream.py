"""Audio 3's front end as a stream: its state, and the step from one block to the next."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from . import _chain
from ._events import MOST_EVENTS
from ._sound import SoundState


class Audio3State(NamedTuple):
    """State of the front end between two blocks; pass it to the next call to continue.

    Integers of 64 bits are two of 32 each, so that JAX's default settings keep them whole.

    Attributes:
        w: the last three values of each filter's recursion, the newest first.
        high: running mean of each filter's output, times 2^k.
        charge: charge of each channel's integrate-and-fire neuron.
        counts: events of the open window so far.
        clock: clocks of the open window so far.
        sound: where resampling stands; None if there is none.
    """

    w: Int[Array, "*batch channels 3"]
    high: Int[Array, "*batch channels 2"]
    charge: Int[Array, "*batch channels 2"]
    counts: Int[Array, "*batch channels"]
    clock: Int[Array, ""] | np.integer[Any]
    sound: SoundState | None = None


class Audio3Trace(NamedTuple):
    """Every stage at every clock, for pictures and comparisons.

    Attributes:
        samples: what the filters take.
        filtered: what they give.
        thresholds: thresholds of the integrate-and-fire neurons, rounded to float32.
        spikes: where they fire.
    """

    samples: Int[Array, "*batch clocks"]
    filtered: Int[Array, "*batch clocks channels"]
    thresholds: Float[Array, "*batch clocks channels"]
    spikes: Bool[Array, "*batch clocks channels"]


def start(channels: int, batch: tuple[int, ...]) -> Audio3State:
    """A chip that was just switched on, or a batch of them."""
    shape = (*batch, channels)
    halves = jnp.zeros((*shape, 2), jnp.int32)
    w, counts = jnp.zeros((*shape, 3), jnp.int32), jnp.zeros(shape, jnp.int32)
    return Audio3State(w, halves, halves, counts, np.int32(0))


def advance(
    chip: _chain.Chip, samples: Int[Array, "*batch clocks"], state: Audio3State, checked: bool
) -> tuple[Int[Array, "*batch steps channels"], Audio3State]:
    """The events of the windows that end within `samples`, and the state after them."""
    x, batch = clocks_first(samples)
    registers = _chain.Packed(*(_inward(r, batch) for r in (state.w, state.high, state.charge)))
    window, done = chip.window, state.clock
    if isinstance(done, jax.core.Tracer):
        if len(x) % window:
            raise ValueError(
                f"inside of a program, `block` must hold whole windows of {window} clocks; got "
                f"{len(x)} clocks"
            )
        if checked:
            registers = eqx.error_if(registers, done != 0, _WITHIN_A_WINDOW)
        return results(_chain.run_windows(chip, registers, x), batch, done, state.sound)
    clock = np.int32((int(done) + len(x)) % window)
    if int(done) == 0:
        return results(_chain.run_windows(chip, registers, x), batch, clock, state.sound)
    counts = _inward(state.counts, batch)
    registers, every, counts = _chain.run_clocks(chip, registers, x, counts, jnp.int32(done))
    made = registers, every[window - int(done) - 1 :: window], counts
    return results(made, batch, clock, state.sound)


_WITHIN_A_WINDOW = "`state` is within a window, where no block can begin inside of a program"


def results(
    made: tuple[_chain.Packed, Any, Any], batch: tuple[int, ...], clock: Any, sound: Any
) -> tuple[Int[Array, "*batch steps channels"], Audio3State]:
    """Counts of windows and the state, from what a loop over clocks made."""
    registers, windows, open_window = made
    w, high, charge, counts = (_outward(r, batch) for r in (*registers, open_window))
    return steps_last(windows, batch), Audio3State(w, high, charge, counts, clock, sound)


def clocks_first(samples: Int[Array, "*batch clocks"]) -> tuple[Any, tuple[int, ...]]:
    """Samples `(clocks, batch)`, and the shape of the batch, () for a single recording."""
    return jnp.atleast_2d(samples).T, samples.shape[:-1]


def _inward(x: Any, batch: tuple[int, ...]) -> Any:
    """`(*batch, channels, ...)` as `(channels, batch, ...)`."""
    return jnp.swapaxes(x if batch else x[None], 0, 1)


def _outward(x: Any, batch: tuple[int, ...]) -> Any:
    """The reverse of `_inward`."""
    x = jnp.swapaxes(x, 0, 1)
    return x if batch else x[0]


def steps_last(x: Any, batch: tuple[int, ...]) -> Any:
    """`(steps, channels, batch)` as `(*batch, steps, channels)`."""
    return jnp.moveaxis(x, 2, 0).reshape(*batch, *x.shape[:2])


def flush(state: Audio3State) -> Int[Array, "*batch steps channels"]:
    """Events of the window that is still open, if it has begun."""
    events = jnp.minimum(state.counts, MOST_EVENTS)[..., None, :]
    return events if int(state.clock) else events[..., :0, :]
