"""From sound to events: mel bands, compression, counts per step."""

import math
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import count, explained, positive, require
from .._typing import FloatArray
from ..passthrough import round_passthrough


@explained
def resample(
    audio: Float[Array, " samples"], rate: int, new_rate: int
) -> Float[Array, " new_samples"]:
    """Resample sound by the Fourier method. A lower rate drops the frequencies above its half.

    Args:
        audio: samples.
        rate: samples per second.
        new_rate: samples per second of the result.

    Returns:
        round(samples * new_rate / rate) samples.

    Raises:
        ValueError: if the sound is not of one channel, or a rate is not above 0.
    """
    if jnp.ndim(audio) != 1 or not jnp.size(audio):
        raise ValueError(f"`audio` must be (samples,), of one channel; got {jnp.shape(audio)}")
    if min(rate, new_rate) <= 0:
        raise ValueError(f"`rate` and `new_rate` must be above 0; got {rate} and {new_rate}")
    samples = round(len(audio) * new_rate / rate)
    spectrum = jnp.fft.rfft(audio)
    kept = spectrum[: samples // 2 + 1]
    missing = samples // 2 + 1 - len(kept)
    return jnp.fft.irfft(jnp.pad(kept, (0, missing)), samples) * (samples / len(audio))


@explained
def mel_filters(
    rate: int, window: int, bands: int, low: float, high: float
) -> Float[np.ndarray, "frequencies bands"]:
    """Weights of triangular bands, evenly spaced on the mel scale, over the bins of a spectrum.

    mel(f) = 2595*log10(1 + f/700). Every triangle has a peak of 1. Source: S. Young et al., "The
    HTK Book", 2006, section 5.4.

    Args:
        rate: samples per second.
        window: samples of a spectrum's window.
        bands: number of bands.
        low: lower end of the lowest band in Hz.
        high: upper end of the highest band in Hz.

    Raises:
        ValueError: if a band is so narrow that no bin of the spectrum falls into it.
    """
    mel = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequencies = np.fft.rfftfreq(window, 1 / rate)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    weights = np.clip(np.minimum(rising, falling), 0, None)
    if (weights.sum(0) == 0).any():
        raise ValueError(
            f"`bands` is {bands}, too many for a window of {window} samples at {rate} Hz: a band "
            "holds no frequency of the spectrum; take fewer, or a longer `window`"
        )
    return weights.astype(np.float32)


class MelState(NamedTuple):
    """State of a stream of sound between two steps.

    Attributes:
        samples: the sound of the last window.
        loudest: the loudest level so far, in dB.
    """

    samples: Float[Array, " window"]
    loudest: Float[Array, ""]


class MelEvents(eqx.Module):
    """Sound to event counts of a bank of mel bands, one step every `dt` seconds.

    A step uses the `window` seconds before its end: the power spectrum under a Hann window, summed
    into bands (`mel_filters`), in dB. Events increase linearly with the level, rounded, from 0 at
    `floor` dB below the reference to `max_events` at the reference and above. The reference is the
    gain control: the loudest band so far ("running", which streams), or of the whole recording
    ("recording"). Levels below `noise` dB, relative to a full-scale sine, are silence at any gain.
    The gradient passes straight through the rounding.

    >>> import jax.numpy as jnp
    >>> from snnjax.datasets import MelEvents
    >>> front = MelEvents(rate=8000, bands=4)
    >>> events = front(jnp.sin(jnp.arange(800.0)))  # 0.1 s of 1273 Hz
    >>> events.shape, int(events.sum(0).argmax())
    ((10, 4), 1)

    Attributes:
        rate: samples per second.
        bands: number of channels.
        dt: seconds between steps.
        window: seconds of sound of a step's spectrum.
        low: lower end of the lowest band in Hz.
        high: upper end of the highest band in Hz; half of `rate` if None.
        floor: dB below the reference at which events begin.
        noise: dB of the quietest sound.
        gain: "running" or "recording".
        release: dB per second by which the running reference falls, until a band is louder: a soft
            word after a loud one gets its events after some time. 0 keeps it for good.
        max_events: most events of a channel in one step. A Xylo chip takes up to 15.
    """

    rate: int = eqx.field(static=True)
    bands: int = eqx.field(default=16, static=True)
    dt: float = eqx.field(default=10e-3, static=True)
    window: float = eqx.field(default=32e-3, static=True)
    low: float = eqx.field(default=100.0, static=True)
    high: float | None = eqx.field(default=None, static=True)
    floor: float = eqx.field(default=40.0, static=True)
    noise: float = eqx.field(default=-80.0, static=True)
    gain: Literal["running", "recording"] = eqx.field(default="running", static=True)
    release: float = eqx.field(default=10.0, static=True)
    max_events: int = eqx.field(default=4, static=True)

    @explained
    def __check_init__(self) -> None:
        if self.gain not in ("running", "recording"):
            raise ValueError(f"`gain` must be 'running' or 'recording'; got {self.gain!r}")
        for name in ("rate", "bands", "max_events"):
            count(name, getattr(self, name))
        for name in ("dt", "window", "floor"):
            positive(name, getattr(self, name))
        require(self.noise < math.inf, "noise", self.noise, "a number of dB, or -inf")
        for name in ("dt", "window"):
            if round(getattr(self, name) * self.rate) < 1:
                raise ValueError(
                    f"`{name}` must be a sample or more, {1 / self.rate} s at {self.rate} Hz; "
                    f"got {getattr(self, name)}"
                )
        if not self.release >= 0:
            raise ValueError(f"`release` must be at least 0; got {self.release}")
        if not 0 <= self.low < self._high <= self.rate / 2:
            raise ValueError(
                f"`low` and `high` must be from 0 to half of the rate, {self.rate / 2} Hz, the "
                f"lower one first; got {self.low} and {self._high}"
            )

    @property
    def _high(self) -> float:
        return self.rate / 2 if self.high is None else self.high

    @property
    def hop(self) -> int:
        """Samples between steps."""
        return round(self.dt * self.rate)

    @explained
    def __call__(self, audio: Float[Array, " samples"]) -> Float[Array, "time bands"]:
        """Event counts of one recording, of samples // hop steps."""
        return self.counts(self.levels(audio))

    def initial_state(self) -> MelState:
        """Silence before the first sample."""
        window = round(self.window * self.rate)
        return MelState(jnp.zeros(window), jnp.full((), self.noise))

    @explained
    @eqx.filter_jit
    def step(
        self, x: Float[Array, " hop"], state: MelState | None = None
    ) -> tuple[Float[Array, " bands"], MelState]:
        """One step of a stream, bit for bit equal to that step of a call on the whole sound.

        Args:
            x: the next `hop` samples.
            state: the state before the step; None is the initial one.

        Returns:
            Event counts of the step, and the state after it.

        Raises:
            ValueError: if `gain` is "recording", which needs the end of the recording, or `x` has
                another shape.
        """
        if self.gain != "running":
            raise ValueError(
                "`gain` is 'recording', which knows the loudest level only when a recording is "
                "over; to stream, take gain='running', and train with it"
            )
        if jnp.shape(x) != (self.hop,):
            raise ValueError(
                f"`x` must be the next {self.hop} samples, {self.dt} s at {self.rate} Hz; "
                f"got the shape {jnp.shape(x)}"
            )
        state = self.initial_state() if state is None else state
        samples = jnp.concatenate([state.samples, x])[self.hop :]
        levels = self._levels(samples)
        loudest = self._reference(state.loudest, levels.max())
        return self.events(levels, loudest[None]), MelState(samples, loudest)

    def counts(self, levels: Float[Array, "time bands"]) -> Float[Array, "time bands"]:
        """Event counts of the levels of one recording: `front(audio)` is `counts(levels(audio))`.

        Changes of the levels, such as `Augment`, go in between.
        """
        loudest = levels.max(axis=1, keepdims=True, initial=self.noise)
        if self.gain == "running":

            def step(before, level):  # type: ignore[no-untyped-def]
                after = self._reference(before, level)
                return after, after

            start = jnp.full((1,), self.noise, levels.dtype)
            _, reference = jax.lax.scan(step, start, loudest)
        else:
            reference = loudest.max(axis=0, keepdims=True, initial=self.noise)
        return self.events(levels, reference)

    def _reference(self, before: FloatArray, level: FloatArray) -> FloatArray:
        return jnp.maximum(before - self.release * self.dt, level)

    def levels(self, audio: Float[Array, " samples"]) -> Float[Array, "time bands"]:
        """Power of each band in dB, relative to a sine of amplitude 1.

        Raises:
            ValueError: if the sound is not of one channel, or not of floating-point numbers.
        """
        audio = jnp.asarray(audio)
        if audio.ndim != 1 or not jnp.issubdtype(audio.dtype, jnp.floating):
            raise ValueError(
                "`audio` must be of one channel, (samples,), in floating-point numbers from -1 to "
                f"1; got {audio.dtype} of the shape {audio.shape}"
            )
        window = round(self.window * self.rate)
        ends = (1 + np.arange(len(audio) // self.hop)) * self.hop
        padded = jnp.pad(audio, (window, 0))
        return self._levels(padded[ends[:, None] + np.arange(window)])

    @eqx.filter_jit
    def _levels(self, frames: Float[Array, "*time window"]) -> Float[Array, "*time bands"]:
        """Levels of windows of sound, bit for bit independent of the number of windows.

        The order of the sums in a matrix product depends on its size, and a compiler may fuse a
        product with a sum, without rounding between. So the sum over frequencies is a loop, and
        its factors are rounded to 12 bits, 0.002 dB, which makes their products exact.
        """
        window = frames.shape[-1]
        hann = np.hanning(window)
        spectrum = jnp.fft.rfft(frames * (hann / (hann.sum() / 2)).astype(np.float32))
        power = jnp.square(_short(spectrum.real)) + jnp.square(_short(spectrum.imag))
        power = _short(power)
        filters = mel_filters(self.rate, window, self.bands, self.low, self._high)
        terms = jnp.moveaxis(power, -1, 0)[..., None], _short(jnp.asarray(filters))
        silent = jnp.zeros((*frames.shape[:-1], self.bands))
        banks, _ = jax.lax.scan(
            lambda banks, term: (banks + term[0] * term[1], None), silent, terms
        )
        quietest = np.float32(10 ** (self.noise / 10))
        # One constant factor, since a compiler would combine two.
        return jnp.log(jnp.maximum(banks, quietest)) * np.float32(10 / np.log(10))

    def events(
        self, levels: Float[Array, "*time bands"], reference: Float[Array, "*time 1"]
    ) -> Float[Array, "*time bands"]:
        """Event counts of levels in dB relative to a reference level in dB."""
        bottom = jnp.maximum(reference - self.floor, self.noise)
        counts = (levels - bottom) * (self.max_events / self.floor)
        return round_passthrough(jnp.clip(counts, 0, self.max_events))


def _short(x: FloatArray) -> FloatArray:
    """`x` rounded to 12 bits, so that the product of two such numbers is exact."""
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=11)
