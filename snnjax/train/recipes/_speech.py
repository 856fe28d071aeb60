"""Spoken digits: a SynNet that hears them, trained in float and then through a Xylo's integers."""

import dataclasses
import math
from functools import cached_property
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._typing import Key
from ...datasets import Augment, AugmentCounts, AugmentSound, MelEvents, load_fsdd
from ...hardware import xylo
from ...hardware.xylo.frontend import AUDIO_3_FILTERS, CLOCK, Audio3, BandPass, audio3_filter
from .._fit import Data
from .._front_end import cached_events
from ._networks import SynNetRecipe

RATE = 8000
"""Samples per second of the recordings."""

_BATCH = 64
_LOWEST, _HIGHEST = 120.0, 3900.0
"""Hz: what sound of `RATE` holds of speech."""


def sound_filters(bands: int = 16) -> tuple[BandPass, ...]:
    """Filters of Audio 3 side by side, evenly spaced on the mel scale over what the sound holds.

    Of the chip's own bands the upper four lie above it.
    """
    low, high = (2595 * math.log10(1 + f / 700) for f in (_LOWEST, _HIGHEST))
    edges = (700 * (10 ** (np.linspace(low, high, bands + 1) / 2595) - 1)).tolist()
    return tuple(map(audio3_filter, edges[:-1], edges[1:]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speech(SynNetRecipe):
    """A SynNet that hears the spoken digits of the Free Spoken Digit Dataset, for Xylo.

    Attributes:
        data: folder of the Free Spoken Digit Dataset.
        front_end: from sound to events: "mel", bands of a spectrum, or "audio3", that of the chip
            Audio 3 in its own integers; see `snnjax.hardware.xylo.frontend.Audio3`. Then `dt` is
            the nearest number of the chip's clocks.
        steps: length of a sequence, in steps of `dt`; what is longer is cut off.
        max_events: most events of a channel in one step, from 1 to the chip's 15, of "mel".
        bands: of "audio3": "sound", evenly over what the sound holds, or "chip", the chip's own.
        scale: of "audio3": factor on the sound.
        k: of "audio3": its mean goes over 2^k clocks.
        b1: of "audio3": a spike in 2^b1 - 2^b2 clocks, on average.
        b2: see `b1`.
        eps: of "audio3": least mean that counts.
        joint: of "audio3": whether the loudest band's mean counts for all.
        stretch: largest change of the speed in training; 0.1 is 10 %.
        shift: most steps by which a recording is moved in training.
        gain: largest change of the loudness in training, in dB.
        snr: largest and smallest signal-to-noise ratio in training, in dB; none for no noise.
        reverb: of "audio3": longest reverberation in training, in seconds. With it, `gain` or
            `snr` the front end runs in every step of training; else its events are kept.
        mask_bands: most bands that are silenced in training.
        mask_time: most steps that are silenced in training.
    """

    seeded_data: ClassVar[bool] = False
    stages: str = "float:80,chip:40"
    batch_size: int = 64
    learning_rate: float = 3e-3
    hidden: tuple[int, ...] = (60, 60, 60)
    time_constants: tuple[int, ...] = (2, 4, 8)
    tau_mem: float = 20e-3
    tau_syn: float = 20e-3
    tau_syn_out: float = 20e-3
    dt: float = 10e-3
    p_dropout: float = 0.0
    method: xylo.Method = "least_squares"
    data: str | None = None
    front_end: Literal["mel", "audio3"] = "mel"
    steps: int = 100
    max_events: int = 8
    bands: Literal["sound", "chip"] = "sound"
    scale: float = 0.99
    k: int = 10
    b1: int = 5
    b2: int = 0
    eps: int = 512
    joint: bool = True
    stretch: float = 0.15
    shift: int = 5
    gain: float = 0.0
    snr: tuple[float, float] | None = None
    reverb: float = 0.0
    mask_bands: int = 0
    mask_time: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("steps", above=0, most=10_000)
        self._require("dt", above=0)
        self._require("max_events", above=0, most=15)
        self._require("mask_bands", most=16)
        self._require("mask_time", most=self.steps)
        if self.snr is not None and not self.snr[0] >= self.snr[1]:
            raise ValueError(f"`snr` must have the larger number of dB first; got {self.snr}")
        if self.front_end == "mel":
            self._require("reverb", most=0)
        # Refuses what they cannot do.
        self.mel, self.audio3, self.augment, self.augment_sound  # noqa: B018

    @cached_property
    def mel(self) -> MelEvents:
        """The front end "mel"."""
        return MelEvents(RATE, dt=self.dt, max_events=self.max_events)

    @cached_property
    def audio3(self) -> Audio3:
        """The front end "audio3"."""
        return Audio3(
            RATE,
            scale=self.scale,
            filters=sound_filters() if self.bands == "sound" else AUDIO_3_FILTERS,
            k=self.k,
            b1=self.b1,
            b2=self.b2,
            eps=self.eps,
            joint=self.joint,
            window=max(1, round(self.dt * CLOCK)),
        )

    def make_front_end(self) -> MelEvents | Audio3:
        return self.mel if self.front_end == "mel" else self.audio3

    @cached_property
    def augment(self) -> Augment | AugmentCounts:
        """Changes at random in training: of levels, or of the chip's events."""
        both: dict[str, Any] = {
            name: getattr(self, name) for name in ("stretch", "shift", "mask_bands", "mask_time")
        }
        if self.front_end == "audio3":
            return AugmentCounts(**both)
        return Augment(**both, gain=self.gain, noise=self.snr, silence=self.mel.noise)

    @cached_property
    def augment_sound(self) -> AugmentSound:
        """Changes at random in training before the chip's front end."""
        return AugmentSound(RATE, reverb=self.reverb, noise=self.snr, gain=self.gain)

    def load_data(self) -> Data:
        """Recordings to train on, and events of the others, as officially split.

        The front end "mel" trains on levels in dB. The chip's trains on events, or on sound if that
        changes in training.

        Raises:
            FileNotFoundError: if `data` is no folder with the recordings.
            ValueError: if there is no `data`, a file is damaged, or the recordings have another
                sampling rate.
        """
        if self.data is None:
            raise ValueError(
                "`data` must be the folder of the Free Spoken Digit Dataset, a clone of "
                "github.com/Jakobovski/free-spoken-digit-dataset; got none"
            )
        train, test = load_fsdd(self.data)
        if train.rate != RATE:
            raise ValueError(
                f"the recordings of `data` must have {RATE} samples per second, as the data set "
                f"has; got {train.rate}"
            )
        labels = jnp.asarray(train.labels), jnp.asarray(test.labels)
        return Data((self.inputs(train.audio), labels[0]), (self.events(test.audio), labels[1]))

    def make_example(self) -> Float[np.ndarray, " samples"] | None:
        if self.data is None or self.front_end == "mel":
            return None
        _, test = load_fsdd(self.data)
        return test.audio[0, : test.samples[0]]

    def inputs(self, audio: Float[np.ndarray, "n samples"]) -> Array:
        """Recordings as inputs of `encode`: levels, or sound for a front end of the chip."""
        if self.front_end == "mel":
            audio = _of_length(audio, self.steps * self.mel.hop)
            return jax.lax.map(self.mel.levels, jnp.asarray(audio), batch_size=_BATCH)
        # Sound as long as `steps` steps of the chip.
        clocks = self.steps * self.audio3.window
        audio = _of_length(audio, math.ceil(clocks / CLOCK * RATE) + 1)
        if self.augment_sound.changes:
            return jnp.asarray(audio)
        return jnp.asarray(cached_events(self.audio3, audio, self.steps), float)

    def events(self, audio: Float[np.ndarray, "n samples"]) -> Float[Array, "n steps 16"]:
        """Events of recordings as they are."""
        if self.front_end == "mel":
            return jax.lax.map(self.mel.counts, self.inputs(audio), batch_size=_BATCH)
        return dataclasses.replace(self, gain=0.0, snr=None, reverb=0.0).inputs(audio)

    def encode(self, inputs: Array, *, key: Key) -> Float[Array, "n steps 16"]:
        keys = jax.random.split(key, len(inputs))
        if self.front_end == "mel":
            return jax.vmap(lambda x, key: self.mel.counts(self.augment(x, key=key)))(inputs, keys)
        if self.augment_sound.changes:
            sound_keys = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
            sound = jax.vmap(lambda x, key: self.augment_sound(x, key=key))(inputs, sound_keys)
            # No sound is louder than full scale after these changes.
            inputs, _ = self.audio3(sound, checked=False)
        counts = inputs[:, : self.steps].astype(float)
        return jax.vmap(lambda x, key: self.augment(x, key=key))(counts, keys)


def _of_length(audio: Float[np.ndarray, "n samples"], length: int) -> np.ndarray:
    """Recordings cut to a length, or with silence after them."""
    return np.pad(audio[:, :length], ((0, 0), (0, max(0, length - audio.shape[1]))))
