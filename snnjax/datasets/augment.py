"""Random augmentation of recorded speech, on the levels of its bands.

The functions work on levels in dB, `(time, bands)`, those of `MelEvents.levels`. The spectra of a
data set are computed once, before training, and every epoch augments them anew:

    levels = jax.vmap(mel.levels)(audio)
    counts = jax.vmap(lambda x, key: mel.counts(augment(x, key=key)))(levels, keys)

Each is a pure function of one recording; `jax.vmap` gives a batch. `silence` is the level of no
sound, `MelEvents.noise`. Silence stays silent except with `add_noise`.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import explained
from .._typing import Key

Levels = Float[Array, "time bands"]
"""Levels of the bands of a spectrogram, in dB."""


@explained
def shift_time(levels: Levels, most: int, *, key: Key, silence: float = -80.0) -> Levels:
    """Move a recording by up to `most` steps, later or earlier, and fill the gap with silence.

    Args:
        levels: dB.
        most: steps, 0 or more; the shift is uniform over the whole numbers from -most to most.
        key: for the draw.
        silence: dB of no sound.
    """
    padded = jnp.pad(levels, ((most, most), (0, 0)), constant_values=silence)
    start = jax.random.randint(key, (), 0, 2 * most + 1)
    return jax.lax.dynamic_slice_in_dim(padded, start, len(levels))


@explained
def stretch_time(levels: Levels, most: float, *, key: Key, silence: float = -80.0) -> Levels:
    """Change the speed of speech by up to a factor of 1 + most, at the same pitch.

    Levels are interpolated linearly between steps. A longer recording is cut off, a shorter one
    ends in silence.

    Args:
        levels: dB.
        most: 0 or more; the logarithm of the speed is uniform between those of 1/(1 + most) and
            1 + most.
        key: for the draw.
        silence: dB of no sound.
    """
    limit = jnp.log1p(most)
    speed = jnp.exp(jax.random.uniform(key, minval=-limit, maxval=limit))
    position = jnp.arange(len(levels), dtype=levels.dtype) * speed
    share, before = jnp.modf(position)
    share, before = share[:, None], before.astype(int)
    early, late = (
        jnp.take(levels, at, axis=0, mode="fill", fill_value=silence) for at in (before, before + 1)
    )
    return early * (1 - share) + late * share


@explained
def change_gain(levels: Levels, most: float, *, key: Key, silence: float = -80.0) -> Levels:
    """Make a recording louder or quieter by up to `most` dB.

    With the automatic gain of `MelEvents`, this changes only the share that is below its `noise`.

    Args:
        levels: dB.
        most: dB, 0 or more; the gain is uniform from -most to most.
        key: for the draw.
        silence: dB of no sound; what falls below is silent.
    """
    gain = jax.random.uniform(key, minval=-most, maxval=most)
    return jnp.where(levels > silence, jnp.maximum(levels + gain, silence), silence)


@explained
def add_noise(
    levels: Levels, quietest: float, loudest: float, *, key: Key, silence: float = -80.0
) -> Levels:
    """Add background noise with the same mean power in every band.

        level = 10*log10(10^(level/10) + n*10^((top - ratio)/10))

    top is the loudest level of the recording. n is exponential with mean 1, the distribution of the
    power of noise in a narrow band, drawn for each step and band.

    Args:
        levels: dB.
        quietest: largest signal-to-noise ratio in dB, from the loudest level to the noise's mean.
        loudest: smallest such ratio; the ratio is uniform between the two.
        key: for the draws.
        silence: dB of no sound; a silent recording stays silent.
    """
    ratio_key, power_key = jax.random.split(key)
    ratio = jax.random.uniform(ratio_key, minval=loudest, maxval=quietest)
    top = levels.max(initial=silence)
    mean = jnp.where(top > silence, 10 ** ((top - ratio) / 10), 0)
    power = mean * jax.random.exponential(power_key, levels.shape, levels.dtype)
    return jnp.maximum(10 * jnp.log10(10 ** (levels / 10) + power), silence)


@explained
def mask_bands(levels: Levels, widest: int, *, key: Key, silence: float = -80.0) -> Levels:
    """Silence a run of up to `widest` neighbouring bands.

    Its width is uniform from 0 to `widest`, and its start uniform over all places where it fits.
    Source: D. S. Park et al., SpecAugment, arXiv 1904.08779.

    Args:
        levels: dB.
        widest: bands, from 0 to as many as there are.
        key: for the draws.
        silence: dB of no sound.
    """
    return jnp.where(_run(levels.shape[1], widest, key), silence, levels)


@explained
def mask_time(levels: Levels, longest: int, *, key: Key, silence: float = -80.0) -> Levels:
    """Silence a run of up to `longest` steps, in the way of `mask_bands`.

    Args:
        levels: dB.
        longest: steps, from 0 to as many as there are.
        key: for the draws.
        silence: dB of no sound.
    """
    return jnp.where(_run(len(levels), longest, key)[:, None], silence, levels)


def _run(size: int, widest: int, key: Key) -> Array:
    """True at a random run of up to `widest` of `size` places."""
    width_key, start_key = jax.random.split(key)
    width = jax.random.randint(width_key, (), 0, widest + 1)
    start = jax.random.randint(start_key, (), 0, size - width + 1)
    place = jnp.arange(size)
    return (place >= start) & (place < start + width)


class Augment(eqx.Module):
    """All augmentations of this module in sequence: speaker, room, then masks.

    `Augment()` changes nothing. A setting of 0 leaves its part out.

    Attributes:
        stretch: largest change of the speed; 0.1 is 10 %. See `stretch_time`.
        shift: largest shift in steps. See `shift_time`.
        gain: largest change of the gain in dB. See `change_gain`.
        noise: largest and smallest signal-to-noise ratio in dB; None for no noise. See `add_noise`.
        mask_bands: most bands silenced.
        mask_time: most steps silenced.
        silence: dB of no sound: the `noise` of `MelEvents`.
    """

    stretch: float = eqx.field(default=0.0, static=True)
    shift: int = eqx.field(default=0, static=True)
    gain: float = eqx.field(default=0.0, static=True)
    noise: tuple[float, float] | None = eqx.field(default=None, static=True)
    mask_bands: int = eqx.field(default=0, static=True)
    mask_time: int = eqx.field(default=0, static=True)
    silence: float = eqx.field(default=-80.0, static=True)

    @explained
    def __check_init__(self) -> None:
        for name in ("stretch", "shift", "gain", "mask_bands", "mask_time"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0; got {getattr(self, name)}")
        if self.noise is not None and not self.noise[0] >= self.noise[1]:
            raise ValueError(
                "`noise` must be two signal-to-noise ratios, the largest first; "
                f"got {self.noise[0]} and {self.noise[1]}"
            )

    @explained
    def __call__(self, levels: Levels, *, key: Key) -> Levels:
        """Augment one recording.

        Args:
            levels: dB, those of `MelEvents.levels`.
            key: for all draws.

        Raises:
            ValueError: if a mask may be larger than the recording.
        """
        for name, size in (("mask_time", len(levels)), ("mask_bands", levels.shape[1])):
            if getattr(self, name) > size:
                raise ValueError(
                    f"`{name}` is {getattr(self, name)}, but `levels` has the shape {levels.shape}"
                )
        changes: tuple[tuple[Callable[..., Levels], tuple[float, ...] | None], ...] = (
            (stretch_time, (self.stretch,) if self.stretch else None),
            (shift_time, (self.shift,) if self.shift else None),
            (change_gain, (self.gain,) if self.gain else None),
            (add_noise, self.noise),
            (mask_bands, (self.mask_bands,) if self.mask_bands else None),
            (mask_time, (self.mask_time,) if self.mask_time else None),
        )
        keys = jax.random.split(key, len(changes))
        for (change, settings), own in zip(changes, keys, strict=True):
            if settings is not None:
                levels = change(levels, *settings, key=own, silence=self.silence)
        return levels
