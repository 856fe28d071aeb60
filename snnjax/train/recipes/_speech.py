"""Spoken digits: a SynNet that hears them, trained in float and then through a Xylo's integers."""

import dataclasses
from functools import cached_property

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._typing import Key
from ...datasets import Augment, MelEvents, load_fsdd
from ...datasets.fsdd import Recordings
from ...hardware import xylo
from .._recipe import Data
from ._networks import SynNetRecipe

RATE = 8000
"""Samples per second of the recordings."""

_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speech(SynNetRecipe):
    """A SynNet that hears the spoken digits of the Free Spoken Digit Dataset, for Xylo.

    Attributes:
        data: folder of the Free Spoken Digit Dataset.
        steps: length of a sequence, in steps of `dt`; what is longer is cut off.
        max_events: most events of a channel in one step, from 1 to the chip's 15.
        stretch: largest change of the speed in training; 0.1 is 10 %.
        shift: most steps by which a recording is moved in training.
        gain: largest change of the loudness in training, in dB.
        snr: largest and smallest signal-to-noise ratio in training, in dB; none for no noise.
        mask_bands: most bands that are silenced in training.
        mask_time: most steps that are silenced in training.
    """

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
    steps: int = 100
    max_events: int = 8
    stretch: float = 0.15
    shift: int = 5
    gain: float = 0.0
    snr: tuple[float, float] | None = None
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
        self.augment  # noqa: B018  refuses what it cannot do

    @cached_property
    def front_end(self) -> MelEvents:
        """From sound to events."""
        return MelEvents(RATE, dt=self.dt, max_events=self.max_events)

    @cached_property
    def augment(self) -> Augment:
        """Changes of the levels at random, in training."""
        return Augment(
            stretch=self.stretch,
            shift=self.shift,
            gain=self.gain,
            noise=self.snr,
            mask_bands=self.mask_bands,
            mask_time=self.mask_time,
            silence=self.front_end.noise,
        )

    def load_data(self) -> Data:
        """Levels of recordings to train on, in dB, and events of the others, as officially split.

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
        counts = self.front_end.counts
        events = jax.lax.map(counts, self._levels(test), batch_size=_BATCH)
        train_y, test_y = jnp.asarray(train.labels), jnp.asarray(test.labels)
        return Data((self._levels(train), train_y), (events, test_y))

    def encode(self, inputs: Array, *, key: Key) -> Float[Array, "n steps 16"]:
        counts, augment = self.front_end.counts, self.augment
        keys = jax.random.split(key, len(inputs))
        return jax.vmap(lambda x, key: counts(augment(x, key=key)))(inputs, keys)

    def _levels(self, recordings: Recordings) -> Float[Array, "n steps 16"]:
        length = self.steps * self.front_end.hop
        audio = jnp.asarray(recordings.audio[:, :length])
        padded = jnp.pad(audio, ((0, 0), (0, length - audio.shape[1])))
        return jax.lax.map(self.front_end.levels, padded, batch_size=_BATCH)
