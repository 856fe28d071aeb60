"""A convolutional network that reads handwritten digits, for DYNAP-CNN and Speck."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._typing import Key
from ...datasets import evenly, load_digits, load_mnist
from ...nn import Chain
from .._fit import Data
from .._recipe import Recipe
from ._networks import convolutional

_TEST_FRACTION = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images(Recipe):
    """A convolutional network that reads handwritten digits, for DYNAP-CNN and Speck.

    Attributes:
        data: folder with the files of MNIST; none for the 8 by 8 digits of scikit-learn.
        shift: most pixels by which an image is moved along each axis, at random, in training.
        steps: length of a sequence.
        channels: of the first and the second convolution.
    """

    seeded_data: ClassVar[bool] = False
    chip: str = "speck2f"
    stages: str = "plan:40"
    learning_rate: float = 3e-3
    data: str | None = None
    shift: int = 0
    steps: int = 6
    channels: tuple[int, int] = (8, 16)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("steps", above=0, most=10_000)
        self._require("channels", above=0)
        self._require("shift", least=0, most=self.input_shape[-1])

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a time step."""
        return (1, 8, 8) if self.data is None else (1, 28, 28)

    @property
    def compiled(self) -> Literal["epoch", "step"]:
        return "step"

    def options(self) -> Mapping[str, Any]:
        return {**super().options(), "input_shape": self.input_shape}

    def load_data(self) -> Data:
        """The images of `data`, of pixels from 0 to 1.

        20 % of scikit-learn's digits are held out. Of MNIST the test images are; without the files
        of the training images in the folder, the last 20 % of the test images are.

        Raises:
            FileNotFoundError: if `data` is no folder with the files of MNIST.
            ValueError: if a file is damaged.
        """
        train_x, train_y, test_x, test_y = self._split()
        train = jnp.asarray(train_x[:, None], float), jnp.asarray(train_y, jnp.int32)
        test = jnp.asarray(test_x[:, None], float), jnp.asarray(test_y, jnp.int32)
        return Data(train, (self._events(test[0]), test[1]))

    def make_network(self, data: Data | None = None) -> Chain:
        key = jax.random.key(self.seed)
        return convolutional(self.input_shape, self.channels, n_classes=10, key=key)

    def encode(self, inputs: Array, *, key: Key) -> Float[Array, "n steps 1 y x"]:
        keys = jax.random.split(key, len(inputs))
        return self._events(
            jax.vmap(lambda image, key: _shifted(image, self.shift, key))(inputs, keys)
        )

    def _split(self) -> tuple[Any, ...]:
        if self.data is None:
            split = load_digits(_TEST_FRACTION)
            return split.train_x / 16, split.train_y, split.test_x / 16, split.test_y
        images, labels = load_mnist(self.data, "t10k")
        try:
            train = load_mnist(self.data, "train")
        except FileNotFoundError:
            n = round(len(labels) * (1 - _TEST_FRACTION))
            return images[:n] / 255, labels[:n], images[n:] / 255, labels[n:]
        return train.images / 255, train.labels, images / 255, labels

    def _events(self, images: Float[Array, "n 1 y x"]) -> Float[Array, "n steps 1 y x"]:
        return jax.vmap(lambda image: evenly(image, self.steps))(images)


def _shifted(image: Float[Array, "1 y x"], most: int, key: Key) -> Float[Array, "1 y x"]:
    around = jnp.pad(image, ((0, 0), (most, most), (most, most)))
    y, x = jax.random.randint(key, (2,), 0, 2 * most + 1)
    return jax.lax.dynamic_slice(around, (0, y, x), image.shape)
