"""Audio 3's digital microphone: pulse density modulation to samples of 14 bits."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from ...._checks import explained
from ._samples import as_array
from ._sound import BITS, CLOCK

BITS_PER_SAMPLE = 32
PDM_CLOCK = CLOCK * BITS_PER_SAMPLE
"""Bits per second of the microphone."""

_TAPS = 256
_TAP_BITS = 16
_CUTOFF = 20e3


def _low_pass() -> tuple[Int[np.ndarray, " taps"], int]:
    """The filter's taps, a windowed sinc in 16 bits, and the shift of its sum to 14 bits.

    Taps scaled to the largest that 16 bits hold are scaled down, so that the largest sum of them
    is one less than a power of two. Source: Rockpool 3.1, by its results.
    """
    n = np.arange(_TAPS) - (_TAPS - 1) / 2
    width = 2 * _CUTOFF / PDM_CLOCK
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(_TAPS) / (_TAPS - 1))
    taps = np.sinc(width * n) * hamming
    # A little less than full scale, which 16 bits with a sign do not hold.
    full = taps / (np.abs(taps).max() * (1 + 1e-10)) * 2.0 ** (_TAP_BITS - 1)
    largest = np.abs(np.trunc(full)).sum()
    bits = int(np.log2(largest)) + 1
    return np.trunc(full * ((2.0 ** (bits - 1) - 1) / largest)).astype(np.int32), bits - BITS


class DecimationState(NamedTuple):
    """State of the filter between two blocks of bits.

    Attributes:
        bits: the last 255 bits, the oldest first.
        phase: bits since the last sample was begun.
    """

    bits: Int[Array, "*batch 255"]
    phase: Int[Array, ""] | np.integer[Any]


class Decimation(eqx.Module):
    """The low-pass filter from the microphone's bits to samples, one for 32 bits.

        sample[m] = (sum over k of taps[k]*(2*bit[32*m - k] - 1)) >> shift

    The 256 taps are a low-pass of 20 kHz at 1.5625 MHz. Bits before the first one are 0.
    `Audio3` takes the samples: `front_end(decimation(bits)[0])`. Source: Rockpool 3.1,
    `PolyPhaseFIR`, which goes on for 8 samples after the last bit, as if there were zeros.
    """

    @explained
    def __call__(
        self, bits: ArrayLike, state: DecimationState | None = None, *, checked: bool = True
    ) -> tuple[Int[Array, "*batch samples"], DecimationState]:
        """Samples of a block of bits of any length; blocks give the same as all bits at once.

        A sample is done with its bit 32*m. Inside of a program a block must hold whole samples,
        32 bits each.

        Args:
            bits: zeros and ones, `(time,)` or `(batch, time)`.
            state: where to continue; only zeros so far if None.
            checked: look for other values than 0 and 1 inside of a program.

        Raises:
            ValueError: if `bits` has another shape or other values, or `state` does not fit.
        """
        x = _require_bits(bits, checked)
        state = self.initial_state(x.shape[:-1]) if state is None else state
        if jnp.shape(state.bits) != (*x.shape[:-1], _TAPS - 1):
            raise ValueError(
                f"`state.bits` must have the shape {(*x.shape[:-1], _TAPS - 1)}; got "
                f"{jnp.shape(state.bits)}"
            )
        length, phase = x.shape[-1], state.phase
        if isinstance(phase, jax.core.Tracer):
            if length % BITS_PER_SAMPLE:
                raise ValueError(
                    f"inside of a program, `bits` must be a multiple of {BITS_PER_SAMPLE}; got "
                    f"{length}"
                )
            if checked:
                x = eqx.error_if(x, phase != 0, "`state` is within a sample")
            first = 0
        else:
            first = -int(phase) % BITS_PER_SAMPLE
            phase = np.int32((int(phase) + length) % BITS_PER_SAMPLE)
        line = jnp.concatenate([state.bits, x], axis=-1)
        return _decimate(line, first), DecimationState(line[..., length:], phase)

    def initial_state(self, batch: tuple[int, ...] = ()) -> DecimationState:
        """Only zeros so far."""
        return DecimationState(jnp.zeros((*batch, _TAPS - 1), jnp.int32), np.int32(0))


@eqx.filter_jit
def _decimate(line: Int[Array, "*batch time"], first: int) -> Int[Array, "*batch samples"]:
    taps, shift = _low_pass()
    starts = np.arange(first, line.shape[-1] - _TAPS + 1, BITS_PER_SAMPLE)
    frames = line[..., starts[:, None] + np.arange(_TAPS)]
    return ((2 * frames - 1) @ jnp.asarray(taps[::-1])) >> shift


def _require_bits(bits: ArrayLike, checked: bool) -> Int[Array, "*batch time"]:
    array = as_array(bits)
    if array.ndim not in (1, 2):
        raise ValueError(f"`bits` must be (time,) or (batch, time); got {array.shape}")
    if array.dtype == bool:
        array = array.astype(np.int32)
    wrong = (array != 0) & (array != 1)
    if isinstance(array, jax.core.Tracer):
        if checked:
            array = eqx.error_if(array, wrong, "`bits` must be 0 or 1")
    elif wrong.any():
        found = np.asarray(array)[np.asarray(wrong)][0]
        raise ValueError(f"`bits` must be 0 or 1; got {found}")
    return jnp.asarray(array).astype(jnp.int32)


@explained
def sigma_delta(sound: Float[ArrayLike, "*batch time"], rate: float) -> Int[Array, "*batch bits"]:
    """Bits as a digital microphone might make them, to try out `Decimation`.

    A modulator of second order in float32, of no particular microphone: both integrators take half
    of the difference to the last bit, as +-1, and a bit is whether the second one is above 0. It
    follows sound up to about 0.8.

    Args:
        sound: samples from -1 to 1.
        rate: samples per second.

    Returns:
        Bits at 1.5625 MHz, of the sound interpolated linearly.
    """
    x = jnp.asarray(sound, jnp.float32)
    length = int((x.shape[-1] - 1) * PDM_CLOCK / rate)
    at = np.arange(length) * (rate / PDM_CLOCK)
    left = at.astype(np.int32)
    share = jnp.asarray(at - left, jnp.float32)
    return _modulate(x[..., left] * (1 - share) + x[..., left + 1] * share)


@eqx.filter_jit
def _modulate(x: Float[Array, "*batch bits"]) -> Int[Array, "*batch bits"]:
    def clock(state, u):  # type: ignore[no-untyped-def]
        first, second, last = state
        first = first + 0.5 * (u - last)
        second = second + 0.5 * (first - last)
        last = jnp.where(second > 0, 1.0, -1.0)
        return (first, second, last), last > 0

    zero = jnp.zeros(x.shape[:-1], jnp.float32)
    _, bits = lax.scan(clock, (zero, zero, zero - 1), jnp.moveaxis(x, -1, 0))
    return jnp.moveaxis(bits, 0, -1).astype(jnp.int32)
