"""Sound of any rate as the samples of 14 bits that Audio 3's filters take."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from ._exact import exact

CLOCK = 50e6 / 1024
"""Samples per second of Audio 3's filters, whose clock is that of the chip by 1,024."""

BITS = 14
"""Bits of a sample, with its sign."""

LARGEST = (1 << (BITS - 1)) - 1
"""The filters take samples from -LARGEST to LARGEST."""


class SoundState(NamedTuple):
    """What resampling carries from one block of sound to the next.

    Attributes:
        last: the last sample of the sound, if there was one; None at the beginning.
        heard: samples of the sound so far.
        made: samples at the chip's clock so far.
    """

    last: Float[Any, "*batch last"] | None = None
    heard: int = 0
    made: int = 0


def to_samples(
    signal: ArrayLike, rate: float | None, scale: float, state: SoundState | None, checked: bool
) -> tuple[Int[Array, "*batch clocks"], SoundState | None]:
    """Sound at `rate`, or samples at the chip's clock, as samples that the filters take.

    Sound is resampled, unless `rate` is None or the chip's, and becomes
    trunc(scale * sound * 2^13), towards zero, in float64. Source: Rockpool 3.1.

    Args:
        signal: floating-point numbers or integers, `(time,)` or `(batch, time)`.
        rate: samples per second of the sound.
        scale: see above.
        state: where resampling stands; the beginning if None.
        checked: whether what is out of range raises where only a running program knows it.

    Returns:
        The samples, and where resampling stands after them, None where there is none.

    Raises:
        ValueError: if `signal` has another shape or type, or values that are out of range or no
            numbers.
    """
    array: Any = signal if isinstance(signal, jax.Array) else np.asarray(signal)
    if array.ndim not in (1, 2):
        raise ValueError(f"`signal` must be (time,) or (batch, time); got {array.shape}")
    if rate is None or rate == CLOCK:
        rate = state = None
    if np.issubdtype(array.dtype, np.integer):
        if rate is not None:
            raise ValueError(
                "`signal` holds integers, which are samples at the chip's clock, but `rate` is "
                f"{rate}; divide sound of 16 bits by 2^15, or set `rate` to None"
            )
        samples, after = _clip(array), None
    elif jnp.issubdtype(array.dtype, jnp.floating):
        state = _known(array, state)
        # A block goes on where the last one ended, so a compiled program would fit only it.
        eager = isinstance(array, np.ndarray) or (state is not None and not _traced(array))
        array = np.asarray(array) if eager else array
        samples, after = (_convert if eager else _compiled)(array, rate, scale, state)
    else:
        raise ValueError(f"`signal` must hold real numbers; got {array.dtype}")
    return _within_range(samples, checked), after


def _traced(*arrays: Any) -> bool:
    return any(isinstance(array, jax.core.Tracer) for array in arrays)


def _known(sound: Any, state: SoundState | None) -> SoundState | None:
    if state is None:
        return None
    if _traced(state.heard, state.made):
        raise ValueError(
            "inside of a program sound is resampled as a whole, without `state`; resample before "
            "the program, or give blocks at the chip's clock, with `rate` None"
        )
    return SoundState(state.last, int(state.heard), int(state.made))


def _convert(
    sound: Any, rate: float | None, scale: float, state: SoundState | None
) -> tuple[Any, SoundState | None]:
    after = None
    if rate is not None:
        sound, after = _resample(sound, rate, SoundState() if state is None else state)
    return _quantize(sound, scale), after


_compiled = exact(eqx.filter_jit(_convert))


def _resample(sound: Any, rate: float, state: SoundState) -> tuple[Any, SoundState]:
    """Sound at the chip's clock, by linear interpolation, to the last bit as `numpy.interp` does.

    Sample m lies at m/CLOCK seconds; there are those before the last sample of the sound.
    """
    first = state.heard
    if state.last is not None:
        first -= state.last.shape[-1]
        sound = _numpy_of(sound).concatenate([state.last, sound], axis=-1)
    heard = first + sound.shape[-1]
    step = 1 / CLOCK
    until = max(state.made, int(np.ceil((heard - 1) / rate / step)))
    time = np.arange(state.made, until) * step
    left = np.floor(time * rate).astype(np.int64)
    # Rounding may have put a time on the wrong side of a sample.
    left += (left + 1) / rate <= time
    left -= left / rate > time
    before, after = left / rate, (left + 1) / rate
    early, late = (sound[..., at - first].astype(np.float64) for at in (left, left + 1))
    # One operation each: a compiler would make one of two, with another rounding.
    slope = (late - early) / (after - before)
    samples = _apart(slope * (time - before)) + early
    return samples, SoundState(sound[..., -1:], heard, until)


def _quantize(sound: Any, scale: float) -> Any:
    """See `to_samples`. What is out of range, or no number, becomes 2^13, also out of range."""
    xp = _numpy_of(sound)
    scaled = _apart(scale * sound.astype(np.float64)) * 2.0 ** (BITS - 1)
    return xp.trunc(xp.where(abs(scaled) < LARGEST + 1, scaled, LARGEST + 1.0)).astype(np.int32)


def _numpy_of(array: Any) -> Any:
    return jnp if isinstance(array, jax.Array) else np


def _apart(x: Any) -> Any:
    return lax.optimization_barrier(x) if isinstance(x, jax.Array) else x


@exact
def _clip(samples: Any) -> Any:
    """Integers of any type as int32; what is far out of range stays out of range."""
    xp = _numpy_of(samples)
    return xp.clip(samples.astype(np.int64), -LARGEST - 1, LARGEST + 1).astype(np.int32)


_OUT_OF_RANGE = (
    f"`signal` must stay within full scale: samples from {-LARGEST} to {LARGEST}, sound above -1 "
    "and below 1 after `scale`"
)


def _within_range(samples: Any, checked: bool) -> Int[Array, "*batch clocks"]:
    outside = abs(samples) > LARGEST
    if not _traced(samples):
        if outside.any():
            where = np.argwhere(np.asarray(outside))[0].tolist()
            raise ValueError(
                f"{_OUT_OF_RANGE}; {int(outside.sum())} samples at the chip's clock are not, the "
                f"first one at {where}; lower `scale`"
            )
        return jnp.asarray(samples)
    return eqx.error_if(samples, outside, _OUT_OF_RANGE) if checked else samples
