"""Random changes of recorded sound, `(time,)`, before any front end; `jax.vmap` gives a batch."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import explained
from .._typing import Key

Sound = Float[Array, " time"]
"""A recording, full scale at 1."""

_MOST = 0.999
"""A microphone takes no more than full scale."""


@explained
def mix(sound: Sound, noise: Sound, ratio: Float[Array, ""] | float) -> Sound:
    """Sound with noise of as much less power as `ratio` says, in dB, over all of the recording.

    Silence stays as it is, and so does sound where the noise is silent.

    Args:
        sound: the signal.
        noise: what is added, of the same length.
        ratio: signal-to-noise ratio in dB.
    """
    signal, other = jnp.mean(sound**2), jnp.mean(noise**2)
    wanted = signal * 10 ** (-jnp.asarray(ratio, sound.dtype) / 10)
    return sound + noise * jnp.sqrt(wanted / jnp.where(other > 0, other, 1))


@explained
def reverberate(sound: Sound, seconds: float, rate: float, *, key: Key) -> Sound:
    """Sound in a room: the direct sound, and echoes that are noise and die away exponentially.

    They fall by 60 dB within a time that is uniform from 0 to `seconds`, and have the power of the
    direct sound or less.

    Args:
        sound: the signal.
        seconds: the longest reverberation, above 0.
        rate: samples per second.
        key: for the draws.
    """
    time_key, level_key, noise_key = jax.random.split(key, 3)
    length = max(1, round(seconds * rate))
    decay = jax.random.uniform(time_key, minval=0.05, maxval=1.0) * length
    at = jnp.arange(length, dtype=sound.dtype)
    tail = jax.random.normal(noise_key, (length,), sound.dtype) * 10 ** (-3 * at / decay)
    level = jax.random.uniform(level_key)
    tail = level * tail / jnp.sqrt(jnp.sum(tail**2))
    response = tail.at[0].add(1)
    size = len(sound) + length - 1
    spectrum = jnp.fft.rfft(sound, size) * jnp.fft.rfft(response, size)
    return jnp.fft.irfft(spectrum, size)[: len(sound)].astype(sound.dtype)


class AugmentSound(eqx.Module):
    """All of this module's changes of one recording, in the order in which sound meets them.

    What gets louder than full scale is cut off, as a microphone does.

    Attributes:
        rate: samples per second.
        reverb: longest reverberation in seconds; 0 for none. See `reverberate`.
        noise: largest and smallest signal-to-noise ratio of white noise in dB; None for no noise.
        gain: largest change of the loudness in dB, louder or softer.
    """

    rate: float = eqx.field(static=True)
    reverb: float = eqx.field(default=0.0, static=True)
    noise: tuple[float, float] | None = eqx.field(default=None, static=True)
    gain: float = eqx.field(default=0.0, static=True)

    @explained
    def __check_init__(self) -> None:
        for name in ("reverb", "gain"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0; got {getattr(self, name)}")
        if self.noise is not None and not self.noise[0] >= self.noise[1]:
            raise ValueError(
                "`noise` must be two signal-to-noise ratios, the largest first; "
                f"got {self.noise[0]} and {self.noise[1]}"
            )

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return bool(self.reverb or self.noise is not None or self.gain)

    @explained
    def __call__(self, sound: Sound, *, key: Key) -> Sound:
        """The same word in other surroundings.

        Args:
            sound: samples from -1 to 1.
            key: for all draws.
        """
        reverb_key, ratio_key, noise_key, gain_key = jax.random.split(key, 4)
        if self.reverb:
            sound = reverberate(sound, self.reverb, self.rate, key=reverb_key)
        if self.noise is not None:
            high, low = self.noise
            ratio = jax.random.uniform(ratio_key, minval=low, maxval=high)
            sound = mix(sound, jax.random.normal(noise_key, sound.shape, sound.dtype), ratio)
        if self.gain:
            decibels = jax.random.uniform(gain_key, minval=-self.gain, maxval=self.gain)
            sound = sound * 10 ** (decibels / 20)
        return jnp.clip(sound, -_MOST, _MOST)
