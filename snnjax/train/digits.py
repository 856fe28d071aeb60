"""The main job: a SynNet that reads handwritten digits, trained quantisation-aware for Xylo."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import transforms
from .._typing import FloatArray, Key
from ..datasets import load_digits, rows_and_columns
from ..networks import SynNet
from . import xylo
from .loop import Loss, Metrics, TrainState, init_state
from .recipe import Through, Trained, make_loss, make_optimizer, train_in_stages, try_step


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitsConfig(xylo.XyloTraining):
    """Settings of a run, besides those of every recipe for Xylo. Times are in seconds.

    Attributes:
        noise: standard deviation of noise on the pixels, which go from 0 to 16, in training.
        steps: length of a sequence, in steps of 1 ms.
        hold: steps for which each row and column of an image is shown.
        hidden: neurons of each hidden layer.
        time_constants: number of synaptic time constants of each hidden layer.
        tau_mem: time constant of all membranes.
        tau_syn_out: synaptic time constant of the readout.
    """

    noise: float = 2.0
    steps: int = 32
    hold: int = 3
    hidden: tuple[int, ...] = (128, 128)
    time_constants: tuple[int, ...] = (2, 4)
    tau_mem: float = 4e-3
    tau_syn_out: float = 8e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_above_zero("steps", "hold")
        if not self.noise >= 0:
            raise ValueError(f"`noise` must be at least 0; got {self.noise}")


class Data(NamedTuple):
    """Images of 8 by 8 pixels to train on, and event counts of the held-out ones."""

    train: tuple[Int[Array, "train 8 8"], Int[Array, " train"]]
    test: tuple[Float[Array, "test steps 16"], Int[Array, " test"]]


def load_data(config: DigitsConfig) -> Data:
    """The digits, 20 % of them held out, with the held-out ones as events."""
    split = load_digits()
    train_x, train_y, test_x, test_y = map(jnp.asarray, split)
    return Data((train_x, train_y), (_encode(test_x.astype(float), config), test_y))


def make_model(config: DigitsConfig) -> SynNet:
    """The network, not trained yet."""
    return SynNet(
        n_classes=10,
        n_channels=16,
        size_hidden_layers=config.hidden,
        time_constants_per_layer=config.time_constants,
        tau_mem=config.tau_mem,
        tau_syn_out=config.tau_syn_out,
        p_dropout=config.p_dropout,
        key=jax.random.key(config.seed),
    )


def start(config: DigitsConfig, data: Data, rules: transforms.Rules | None = None) -> TrainState:
    """The state before the first epoch; its `model` is a `Trained`."""
    model = make_model(config)
    trained = Trained(model, xylo.make_plan(config, model, rules))
    return init_state(trained, make_optimizer(config, len(data.train[1])))


def check_plan(config: DigitsConfig, trained: Trained) -> None:
    """Raise ValueError if one of the plan's transforms does not work on the network."""
    images, labels = (jnp.zeros((config.batch_size, *rest), int) for rest in ((8, 8), ()))
    try_step(_loss(config, "plan"), trained, (images, labels))


def train(
    config: DigitsConfig, data: Data, state: TrainState
) -> Iterator[tuple[TrainState, Metrics]]:
    """Train from `state` to the last epoch; gives the state and the metrics after each."""
    yield from train_in_stages(config, functools.partial(_loss, config), data.train, state)


def _encode(images: Float[Array, "n 8 8"], config: DigitsConfig) -> Float[Array, "n steps 16"]:
    return jax.vmap(lambda image: rows_and_columns(image, config.steps, config.hold))(images)


def _loss(config: DigitsConfig, through: Through) -> Loss:
    def outputs(trained: Trained, batch: Any, key: Key) -> FloatArray:
        images, _ = batch
        noise_key, model_key = jax.random.split(key)
        noisy = images + config.noise * jax.random.normal(noise_key, images.shape)
        events = _encode(noisy, config)
        return xylo.spikes(config, through, trained, events, key=model_key)

    return make_loss(config, outputs)
