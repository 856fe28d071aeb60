"""From sound to events: mel bands, compression, counts per step. Pure functions of JAX."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..passthrough import round_passthrough


def resample(
    audio: Float[Array, " samples"], rate: int, new_rate: int
) -> Float[Array, " new_samples"]:
    """Sound at another sampling rate, by the Fourier method; what a lower rate cannot hold goes.

    Args:
        audio: samples.
        rate: samples per second.
        new_rate: samples per second of the result, of round(samples * new_rate / rate) samples.
    """
    samples = round(len(audio) * new_rate / rate)
    spectrum = jnp.fft.rfft(audio)
    kept = spectrum[: samples // 2 + 1]
    missing = samples // 2 + 1 - len(kept)
    return jnp.fft.irfft(jnp.pad(kept, (0, missing)), samples) * (samples / len(audio))


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


class MelEvents(eqx.Module):
    """Sound to event counts of a bank of mel bands, one step every `step` seconds.

    A step sees the `window` seconds up to it: the power spectrum under a Hann window, summed into
    bands (`mel_filters`), in dB. What lies `floor` dB below the reference gives no events, the
    reference and above `max_events`, and in between it is linear and rounded. The reference
    is the gain control: the loudest band so far ("running", which streams), or of the whole
    recording ("recording"). Values below `noise` dB, relative to a full-scale sine, are silence
    whatever the gain. The gradient passes straight through the rounding.

    Attributes:
        rate: samples per second.
        bands: number of channels.
        step: seconds between steps.
        window: seconds of sound that a step sees.
        low: lower end of the lowest band in Hz.
        high: upper end of the highest band in Hz; half of `rate` if None.
        floor: dB below the reference from which on there are no events.
        noise: dB of the quietest sound that counts.
        gain: "running" or "recording".
        max_events: most events of a channel in one step. A Xylo chip takes up to 15.
    """

    rate: int = eqx.field(static=True)
    bands: int = eqx.field(default=16, static=True)
    step: float = eqx.field(default=10e-3, static=True)
    window: float = eqx.field(default=32e-3, static=True)
    low: float = eqx.field(default=100.0, static=True)
    high: float | None = eqx.field(default=None, static=True)
    floor: float = eqx.field(default=40.0, static=True)
    noise: float = eqx.field(default=-80.0, static=True)
    gain: Literal["running", "recording"] = eqx.field(default="running", static=True)
    max_events: int = eqx.field(default=4, static=True)

    @property
    def hop(self) -> int:
        """Samples between steps."""
        return round(self.step * self.rate)

    def __call__(self, audio: Float[Array, " samples"]) -> Float[Array, "time bands"]:
        """Event counts of one recording, of samples // hop steps."""
        return self.counts(self.levels(audio))

    def counts(self, levels: Float[Array, "time bands"]) -> Float[Array, "time bands"]:
        """Event counts of the levels of one recording: the second half of the call on its sound.

        What changes levels, such as `Augment`, comes before it.
        """
        loudest = levels.max(axis=1, keepdims=True, initial=self.noise)
        if self.gain == "running":
            reference = jax.lax.cummax(loudest, axis=0)
        else:
            reference = loudest.max(axis=0, keepdims=True, initial=self.noise)
        return self.events(levels, reference)

    def levels(self, audio: Float[Array, " samples"]) -> Float[Array, "time bands"]:
        """Power of each band in dB, relative to a sine of amplitude 1."""
        window = round(self.window * self.rate)
        steps = len(audio) // self.hop
        ends = (1 + np.arange(steps)) * self.hop
        padded = jnp.pad(audio, (window, 0))
        frames = padded[ends[:, None] + np.arange(window)]
        hann = np.hanning(window).astype(np.float32)
        power = jnp.abs(jnp.fft.rfft(frames * hann)) ** 2 / (hann.sum() / 2) ** 2
        high = self.rate / 2 if self.high is None else self.high
        banks = power @ mel_filters(self.rate, window, self.bands, self.low, high)
        quietest = 10 ** (self.noise / 10)
        return 10 * jnp.log10(jnp.maximum(banks, quietest))

    def events(
        self, levels: Float[Array, "*time bands"], reference: Float[Array, "*time 1"]
    ) -> Float[Array, "*time bands"]:
        """Counts of levels in dB, given the level that counts as loudest."""
        bottom = jnp.maximum(reference - self.floor, self.noise)
        share = jnp.clip((levels - bottom) / self.floor, 0, 1)
        return round_passthrough(self.max_events * share)
