"""Spoken digits: a SynNet that hears them, trained in float and then through a Xylo's integers."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import transforms
from .._typing import FloatArray, Key
from ..datasets import Augment, MelEvents, load_fsdd
from ..datasets.fsdd import Recordings
from ..hardware import xylo as hardware
from ..networks import SynNet
from . import xylo
from .loop import Loss, Metrics, TrainState, init_state
from .recipe import Through, Trained, make_loss, make_optimizer, train_in_stages, try_step

RATE = 8000
"""Samples per second of the recordings."""

_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechConfig(xylo.XyloTraining):
    """Settings of a run, besides those of every recipe for Xylo. Times are in seconds.

    Attributes:
        data: folder of the Free Spoken Digit Dataset.
        steps: length of a sequence, in steps of `dt`; what is longer is cut off.
        dt: length of a step.
        max_events: most events of a channel in one step, from 1 to the chip's 15.
        stretch: largest change of the speed in training; 0.1 is 10 %.
        shift: most steps by which a recording is moved in training.
        gain: largest change of the loudness in training, in dB.
        snr: largest and smallest signal-to-noise ratio in training, in dB; () for no noise.
        mask_bands: most bands that are silenced in training.
        mask_time: most steps that are silenced in training.
        hidden: neurons of each hidden layer.
        time_constants: number of synaptic time constants of each hidden layer.
        tau_mem: time constant of all membranes.
        tau_syn: shortest synaptic time constant of the hidden layers.
        tau_syn_out: synaptic time constant of the readout.
    """

    stages: str = "float:80,chip:40"
    batch_size: int = 64
    learning_rate: float = 3e-3
    data: str | None = None
    steps: int = 100
    dt: float = 10e-3
    max_events: int = 8
    stretch: float = 0.15
    shift: int = 5
    gain: float = 0.0
    snr: tuple[float, float] | tuple[()] = ()
    mask_bands: int = 0
    mask_time: int = 0
    p_dropout: float = 0.0
    hidden: tuple[int, ...] = (60, 60, 60)
    time_constants: tuple[int, ...] = (2, 4, 8)
    tau_mem: float = 20e-3
    tau_syn: float = 20e-3
    tau_syn_out: float = 20e-3
    method: hardware.Method = "least_squares"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_above_zero("steps", "dt", "max_events")
        if self.max_events > 15:
            raise ValueError(
                f"`max_events` must be at most 15, what a chip takes; got {self.max_events}"
            )
        if len(self.snr) not in (0, 2):
            raise ValueError(f"`snr` must be two numbers of dB, or none; got {self.snr}")
        if self.snr and not self.snr[0] >= self.snr[1]:
            raise ValueError(f"`snr` must have the larger number of dB first; got {self.snr}")
        for name, most in (("mask_bands", 16), ("mask_time", self.steps)):
            if getattr(self, name) > most:
                raise ValueError(f"`{name}` must be at most {most}; got {getattr(self, name)}")
        _augment(self)


class Data(NamedTuple):
    """Levels of recordings to train on, in dB, and event counts of the test set."""

    train: tuple[Float[Array, "train steps 16"], Int[Array, " train"]]
    test: tuple[Float[Array, "test steps 16"], Int[Array, " test"]]


def front_end(config: SpeechConfig) -> MelEvents:
    """What makes events of sound."""
    return MelEvents(RATE, dt=config.dt, max_events=config.max_events)


def load_data(config: SpeechConfig) -> Data:
    """The recordings in the official split.

    Raises:
        FileNotFoundError: if `config.data` is no folder with the recordings.
        ValueError: if there is no `config.data`, a file is damaged, or the recordings have another
            sampling rate.
    """
    if config.data is None:
        raise ValueError(
            "`data` must be the folder of the Free Spoken Digit Dataset, a clone of "
            "github.com/Jakobovski/free-spoken-digit-dataset; got none"
        )
    train, test = load_fsdd(config.data)
    if train.rate != RATE:
        raise ValueError(
            f"the recordings of `data` must have {RATE} samples per second, as the data set has; "
            f"got {train.rate}"
        )
    events = jax.lax.map(front_end(config).counts, _levels(config, test), batch_size=_BATCH)
    train_y, test_y = jnp.asarray(train.labels), jnp.asarray(test.labels)
    return Data((_levels(config, train), train_y), (events, test_y))


def make_model(config: SpeechConfig) -> SynNet:
    """The network, not trained yet."""
    return SynNet(
        n_classes=10,
        n_channels=16,
        size_hidden_layers=config.hidden,
        time_constants_per_layer=config.time_constants,
        tau_syn_base=config.tau_syn,
        tau_mem=config.tau_mem,
        tau_syn_out=config.tau_syn_out,
        p_dropout=config.p_dropout,
        dt=config.dt,
        key=jax.random.key(config.seed),
    )


def start(config: SpeechConfig, data: Data, rules: transforms.Rules | None = None) -> TrainState:
    """The state before the first epoch; its `model` is a `Trained`."""
    model = make_model(config)
    trained = Trained(model, xylo.make_plan(config, model, rules))
    return init_state(trained, make_optimizer(config, len(data.train[1])))


def check_plan(config: SpeechConfig, trained: Trained) -> None:
    """Raise ValueError if one of the plan's transforms does not work on the network."""
    levels = jnp.zeros((config.batch_size, config.steps, 16))
    batch = levels, jnp.zeros(config.batch_size, jnp.int32)
    try_step(_loss(config, "plan"), trained, batch)


def train(
    config: SpeechConfig, data: Data, state: TrainState
) -> Iterator[tuple[TrainState, Metrics]]:
    """Train from `state` to the last epoch; gives the state and the metrics after each."""
    yield from train_in_stages(config, functools.partial(_loss, config), data.train, state)


def _levels(config: SpeechConfig, recordings: Recordings) -> Float[Array, "n steps 16"]:
    mel = front_end(config)
    length = config.steps * mel.hop
    audio = jnp.asarray(recordings.audio[:, :length])
    padded = jnp.pad(audio, ((0, 0), (0, length - audio.shape[1])))
    return jax.lax.map(mel.levels, padded, batch_size=_BATCH)


def _augment(config: SpeechConfig) -> Augment:
    return Augment(
        stretch=config.stretch,
        shift=config.shift,
        gain=config.gain,
        noise=config.snr or None,
        mask_bands=config.mask_bands,
        mask_time=config.mask_time,
        silence=front_end(config).noise,
    )


def _loss(config: SpeechConfig, through: Through) -> Loss:
    mel, augment = front_end(config), _augment(config)

    def outputs(trained: Trained, batch: Any, key: Key) -> FloatArray:
        levels, _ = batch
        augment_key, model_key = jax.random.split(key)
        keys = jax.random.split(augment_key, len(levels))
        events = jax.vmap(lambda x, key: mel.counts(augment(x, key=key)))(levels, keys)
        return xylo.spikes(config, through, trained, events, key=model_key)

    return make_loss(config, outputs)
