"""Sound of any rate as the samples of 14 bits that Audio 3's filters take."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from ._exact import exact
from ._samples import apart, as_array, integers_of, numpy_of, quantize, within_range

CLOCK = 50e6 / 1024
"""Samples per second of Audio 3's filters, whose clock is that of the chip by 1,024."""

BITS = 14
"""Bits of a sample, with its sign."""


class SoundState(NamedTuple):
    """State of resampling between two blocks of sound.

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
    array = as_array(signal)
    if array.ndim not in (1, 2):
        raise ValueError(f"`signal` must be (time,) or (batch, time); got {array.shape}")
    if rate is None or rate == CLOCK:
        return integers_of(array, scale, BITS, checked), None
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(
            f"`signal` must hold sound in floating-point numbers, since `rate` is {rate}; got "
            f"{array.dtype}. Divide sound of 16 bits by 2^15; samples at the chip's clock take a "
            "`rate` of None"
        )
    state = _known(state)
    # A block goes on where the last one ended, so a compiled program would fit only it.
    eager = not isinstance(array, jax.core.Tracer) and state is not None
    array = np.asarray(array) if eager else array
    convert = _compiled if isinstance(array, jax.Array) else _convert
    samples, after = convert(array, rate, scale, state)
    return within_range(samples, BITS, checked), after


def _known(state: SoundState | None) -> SoundState | None:
    if state is None:
        return None
    if isinstance(state.heard, jax.core.Tracer):
        raise ValueError(
            "inside of a program sound is resampled as a whole, without `state`; resample before "
            "the program, or give blocks at the chip's clock, with a `rate` of None"
        )
    return SoundState(state.last, int(state.heard), int(state.made))


def _convert(
    sound: Any, rate: float, scale: float, state: SoundState | None
) -> tuple[Any, SoundState]:
    sound, after = _resample(sound, rate, SoundState() if state is None else state)
    return quantize(sound, scale, BITS), after


_compiled = exact(eqx.filter_jit(_convert))


def _resample(sound: Any, rate: float, state: SoundState) -> tuple[Any, SoundState]:
    """Sound at the chip's clock, by linear interpolation, to the last bit as `numpy.interp` does.

    Sample m lies at m/CLOCK seconds; there are those before the last sample of the sound.
    """
    first = state.heard
    if state.last is not None:
        first -= state.last.shape[-1]
        sound = numpy_of(sound).concatenate([state.last, sound], axis=-1)
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
    samples = apart(slope * (time - before)) + early
    return samples, SoundState(sound[..., -1:], heard, until)
