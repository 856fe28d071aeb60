"""A convolutional network that reads handwritten digits, trained for DYNAP-CNN and Speck."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import transforms
from .._typing import FloatArray, Key
from ..datasets import evenly, load_digits, load_mnist
from ..hardware import dynapcnn
from ..nn import IAF, Chain, Flatten, Sequential
from ..surrogate import PeriodicExponential
from .loop import Loss, Metrics, TrainState, init_state
from .recipe import (
    Through,
    Trained,
    Training,
    make_loss,
    make_optimizer,
    run_through,
    train_in_stages,
    try_step,
)

_TEST_FRACTION = 0.2
_SMALL = 8
_GAIN = 3.0
"""Equinox draws weights for values of about 1 in every input; spikes are fewer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImagesConfig(Training):
    """Settings of a run, besides those of every recipe.

    Attributes:
        shift: most pixels by which an image is moved along each axis, at random, in training.
        steps: length of a sequence.
        channels: of the first and the second convolution.
        chip: short name of the chip.
        data: folder with the files of MNIST; None for the 8 by 8 digits of scikit-learn.
    """

    stages: str = "plan:40"
    learning_rate: float = 3e-3
    shift: int = 0
    steps: int = 6
    channels: tuple[int, ...] = (8, 16)
    chip: str = "speck2f"
    data: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_above_zero("steps")
        if self.shift < 0:
            raise ValueError(f"`shift` must be at least 0; got {self.shift}")
        if len(self.channels) != 2 or min(self.channels) < 1:
            raise ValueError(f"`channels` must be two numbers above 0; got {self.channels}")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a time step."""
        return (1, _SMALL, _SMALL) if self.data is None else (1, 28, 28)


class Data(NamedTuple):
    """Images, of pixels from 0 to 1, to train on, and event counts of the held-out ones."""

    train: tuple[Float[Array, "train 1 y x"], Int[Array, " train"]]
    test: tuple[Float[Array, "test steps 1 y x"], Int[Array, " test"]]


def load_data(config: ImagesConfig) -> Data:
    """The images of `config.data`.

    20 % of scikit-learn's digits are held out. Of MNIST the test images are; without the files of
    the training images in the folder, the last 20 % of the test images are.

    Raises:
        FileNotFoundError: if `config.data` is no folder with the files of MNIST.
        ValueError: if a file is damaged.
    """
    train_x, train_y, test_x, test_y = _split(config)
    train = jnp.asarray(train_x[:, None], float), jnp.asarray(train_y, jnp.int32)
    test = jnp.asarray(test_x[:, None], float), jnp.asarray(test_y, jnp.int32)
    return Data(train, (_encode(test[0], config), test[1]))


def _split(config: ImagesConfig) -> tuple[Any, ...]:
    if config.data is None:
        split = load_digits(_TEST_FRACTION)
        return split.train_x / 16, split.train_y, split.test_x / 16, split.test_y
    images, labels = load_mnist(config.data, "t10k")
    try:
        train = load_mnist(config.data, "train")
    except FileNotFoundError:
        n = round(len(labels) * (1 - _TEST_FRACTION))
        return images[:n] / 255, labels[:n], images[n:] / 255, labels[n:]
    return train.images / 255, train.labels, images / 255, labels


def make_model(config: ImagesConfig) -> Sequential:
    """The network, not trained yet: two convolutions and a linear layer, all without biases."""
    (_, size, _), (first, second) = config.input_shape, config.channels
    stride = 1 if size <= _SMALL else 2
    size = -(-size // stride)
    half = -(-size // 2)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    # Its slope reaches down to any potential, so that no class falls silent for good.
    neurons: dict[str, Any] = {"min_vmem": -1.0, "surrogate": PeriodicExponential()}
    neurons["frozen"] = ("threshold", "min_vmem")
    plain: dict[str, Any] = {"use_bias": False}
    model = Sequential(
        eqx.nn.Conv2d(1, first, 5, stride, 2, **plain, key=keys[0]),
        IAF((first, size, size), **neurons),
        eqx.nn.Conv2d(first, second, 3, 2, 1, **plain, key=keys[1]),
        IAF((second, half, half), **neurons),
        Flatten(),
        eqx.nn.Linear(second * half * half, 10, **plain, key=keys[2]),
        IAF(10, **neurons),
    )
    weights = lambda m: [m.layers[i].weight for i in (0, 2, 5)]  # noqa: E731
    return eqx.tree_at(weights, model, replace_fn=lambda w: _GAIN * w)


def make_plan(
    config: ImagesConfig, model: Sequential, rules: transforms.Rules | None = None
) -> dynapcnn.Plan:
    """What training sees of the chip: the integers of the export.

    Args:
        config: the settings.
        model: the network.
        rules: what to transform before that, such as `transforms.load` reads.

    Raises:
        ValueError: if the network does not fit the chip.
    """
    before = None if rules is None else transforms.plan(model, **rules._asdict())
    return dynapcnn.plan(model, config.chip, input_shape=config.input_shape, before=before)


def start(config: ImagesConfig, data: Data, rules: transforms.Rules | None = None) -> TrainState:
    """The state before the first epoch; its `model` is a `Trained`."""
    model = make_model(config)
    trained = Trained(model, make_plan(config, model, rules))
    return init_state(trained, make_optimizer(config, len(data.train[1])))


def check_plan(config: ImagesConfig, trained: Trained) -> None:
    """Raise ValueError if one of the plan's transforms does not work on the network."""
    images = jnp.zeros((config.batch_size, *config.input_shape))
    try_step(_loss(config, "plan"), trained, (images, jnp.zeros(config.batch_size, jnp.int32)))


def train(
    config: ImagesConfig, data: Data, state: TrainState
) -> Iterator[tuple[TrainState, Metrics]]:
    """Train from `state` to the last epoch; gives the state and the metrics after each."""
    losses = functools.partial(_loss, config)
    yield from train_in_stages(config, losses, data.train, state, compiled="step")


def deploy(config: ImagesConfig, trained: Trained, *, key: Key | None = None) -> dynapcnn.Spec:
    """Map the trained network to the chip and make it integers.

    Args:
        config: the settings.
        trained: the network and its plan.
        key: needed if a transform that comes before the chip's is random.

    Raises:
        ValueError: if the network does not fit the chip, listing every limit that it breaks.
    """
    return dynapcnn.quantize(_mapped(config, trained, key))


def losses(
    config: ImagesConfig, trained: Trained, *, key: Key | None = None
) -> tuple[dynapcnn.CoreLoss, ...]:
    """What `deploy` makes of each core: its scale, and what is lost by rounding."""
    return dynapcnn.quantization_report(_mapped(config, trained, key))


def _mapped(config: ImagesConfig, trained: Trained, key: Key | None) -> dynapcnn.Spec:
    network, before = trained.network, trained.plan.before
    if before is not None and config.last_stage == "plan":
        network = transforms.burn_in(before, network, key=key)
    return dynapcnn.map_network(network, config.chip, input_shape=config.input_shape)


def spikes(
    config: ImagesConfig,
    through: Through,
    trained: Trained,
    events: Float[Array, "n t 1 y x"],
    *,
    key: Key,
) -> Float[Array, "n t classes"]:
    """What a network answers in training.

    Args:
        config: the settings.
        through: what it is run through.
        trained: the network and its plan.
        events: whole numbers.
        key: for all that is random.
    """

    def chip(network: Chain, events: FloatArray) -> FloatArray:
        run = dynapcnn.emulate(network, config.chip, input_shape=config.input_shape)
        return run(events).spikes_out[..., 0, 0]

    return run_through(config, through, trained, events, chip, key=key)


def _encode(images: Float[Array, "n 1 y x"], config: ImagesConfig) -> Float[Array, "n t 1 y x"]:
    return jax.vmap(lambda image: evenly(image, config.steps))(images)


def _shifted(image: Float[Array, "1 y x"], most: int, key: Key) -> Float[Array, "1 y x"]:
    around = jnp.pad(image, ((0, 0), (most, most), (most, most)))
    y, x = jax.random.randint(key, (2,), 0, 2 * most + 1)
    return jax.lax.dynamic_slice(around, (0, y, x), image.shape)


def _loss(config: ImagesConfig, through: Through) -> Loss:
    def outputs(trained: Trained, batch: Any, key: Key) -> FloatArray:
        images, _ = batch
        shift_key, plan_key = jax.random.split(key)
        keys = jax.random.split(shift_key, len(images))
        moved = jax.vmap(lambda image, key: _shifted(image, config.shift, key))(images, keys)
        return spikes(config, through, trained, _encode(moved, config), key=plan_key)

    return make_loss(config, outputs)
