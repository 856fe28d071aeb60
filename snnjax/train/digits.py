"""The main job: a SynNet that reads handwritten digits, trained quantisation-aware for Xylo."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from .. import quant, transforms
from .._typing import FloatArray, Key, PyTree
from ..datasets import load_digits, rows_and_columns
from ..networks import SynNet
from ..nn import Chain
from .deploy import right
from .loop import Loss, Metrics, TrainState, init_state, make_epoch, run_epochs
from .run import Settings

SPIKES_PER_LOGIT = 2.0
"""Asks for a lead of more spikes, which rounding does not so easily turn into a tie."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitsConfig(Settings):
    """Settings of a run. Times are in seconds.

    Attributes:
        seed: of the weights, the order of the images and the noise. The split is always the same.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam at the start; it falls to 0 along a cosine.
        noise: standard deviation of noise on the pixels, which go from 0 to 16, in training.
        steps: length of a sequence, in steps of 1 ms.
        hold: steps for which each row and column of an image is shown.
        p_dropout: probability that a hidden neuron is silenced at a step in training.
        hidden: neurons of each hidden layer.
        time_constants: number of synaptic time constants of each hidden layer.
        tau_mem: time constant of all membranes.
        tau_syn_out: synaptic time constant of the readout.
        bits: bits of the weights in training, unless a plan says otherwise; the chips have 8.
        chip: short name of the chip.
        method: how the integers are scaled: "channel" or "global".
    """

    seed: int = 0
    epochs: int = 70
    batch_size: int = 32
    learning_rate: float = 1e-3
    noise: float = 2.0
    steps: int = 32
    hold: int = 3
    p_dropout: float = 0.1
    hidden: tuple[int, ...] = (128, 128)
    time_constants: tuple[int, ...] = (2, 4)
    tau_mem: float = 4e-3
    tau_syn_out: float = 8e-3
    bits: int = 8
    chip: str = "audio3"
    method: Literal["channel", "global"] = "channel"

    def __post_init__(self) -> None:
        self._require_above_zero("epochs", "batch_size", "learning_rate", "steps", "hold")
        if self.noise < 0:
            raise ValueError(f"`noise` must be at least 0; got {self.noise}")
        if not 2 <= self.bits <= 8:
            raise ValueError(
                f"`bits` must be from 2 to 8, what a chip's weights have; got {self.bits}"
            )


class Data(NamedTuple):
    """Images of 8 by 8 pixels to train on, and event counts of the held-out ones."""

    train: tuple[Int[Array, "train 8 8"], Int[Array, " train"]]
    test: tuple[Float[Array, "test steps 16"], Int[Array, " test"]]


class Trained(eqx.Module):
    """What training changes.

    Attributes:
        network: the network.
        plan: its transforms, some of which may have settings that are learned.
    """

    network: Chain
    plan: PyTree


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


def make_plan(config: DigitsConfig, model: SynNet, rules: transforms.Rules | None = None) -> PyTree:
    """What training sees of the chip: integer weights, scaled as in the export, and bit shifts.

    Args:
        config: the settings.
        model: the network.
        rules: what to transform instead, such as `transforms.load` reads.
    """
    if rules is not None:
        return transforms.plan(model, **rules._asdict())
    axis = 0 if config.method == "channel" else None
    by_family = {"weights": quant.Int(config.bits, axis=axis), "decays": quant.Bitshift()}
    return transforms.plan(model, by_family)


def start(config: DigitsConfig, data: Data, rules: transforms.Rules | None = None) -> TrainState:
    """The state before the first epoch; its `model` is a `Trained`."""
    model = make_model(config)
    return init_state(
        Trained(model, make_plan(config, model, rules)), make_optimizer(config, data.train[1])
    )


def check_plan(config: DigitsConfig, trained: Trained) -> None:
    """Raise ValueError if one of the plan's transforms does not work on the network."""
    images, labels = (jnp.zeros((config.batch_size, *rest), int) for rest in ((8, 8), ()))
    try_step(_loss(config), trained, (images, labels))


def try_step(loss: Loss, trained: Trained, batch: Any) -> None:
    """Go through a step of training without computing anything, to see that the plan works.

    Raises:
        ValueError: if one of its transforms does not.
    """
    try:
        eqx.filter_eval_shape(loss, trained, batch, jax.random.key(0))
    except (ValueError, TypeError) as error:
        raise ValueError(f"the plan does not work on this network: {error}") from error


def train(
    config: DigitsConfig, data: Data, state: TrainState
) -> Iterator[tuple[TrainState, Metrics]]:
    """Train from `state` to the last epoch; gives the state and the metrics after each."""
    optimizer = make_optimizer(config, data.train[1])
    epoch = make_epoch(_loss(config), optimizer, config.batch_size)
    yield from run_epochs(epoch, state, data.train, config.epochs, jax.random.key(config.seed + 1))


def _encode(images: Float[Array, "n 8 8"], config: DigitsConfig) -> Float[Array, "n steps 16"]:
    return jax.vmap(lambda image: rows_and_columns(image, config.steps, config.hold))(images)


def _loss(config: DigitsConfig) -> Loss:
    def loss(trained: Trained, batch: Any, key: Key) -> tuple[FloatArray, Metrics]:
        images, labels = batch
        noise_key, model_key = jax.random.split(key)
        noisy = images + config.noise * jax.random.normal(noise_key, images.shape)
        keys = jax.random.split(model_key, len(images))
        # None of `keys`: those are what folding in the numbers below this one gives.
        plan_key = jax.random.fold_in(model_key, len(images))
        network = transforms.apply(trained.plan, trained.network, key=plan_key)
        spikes, _ = jax.vmap(network)(_encode(noisy, config), key=keys)
        counts = spikes.sum(axis=1)
        logits = counts / SPIKES_PER_LOGIT
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), {"accuracy": right(spikes, labels).mean()}

    return loss


def make_optimizer(config: Any, labels: Int[Array, " train"]) -> optax.GradientTransformation:
    """Adam with gradients of a norm of at most 1, and a rate that falls to 0 along a cosine.

    Args:
        config: has `epochs`, `batch_size` and `learning_rate`.
        labels: those of the training images.
    """
    steps = config.epochs * (len(labels) // config.batch_size)
    schedule = optax.cosine_decay_schedule(config.learning_rate, max(steps, 1))
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
