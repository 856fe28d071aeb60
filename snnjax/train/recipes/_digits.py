"""The main job: a SynNet that reads handwritten digits, for Xylo."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._typing import Key
from ...datasets import load_digits, rows_and_columns
from .._fit import Data
from ._networks import SynNetRecipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits(SynNetRecipe):
    """A SynNet that reads the handwritten digits of scikit-learn, for Xylo.

    Attributes:
        noise: standard deviation of noise on the pixels, which go from 0 to 16, in training.
        steps: length of a sequence, in steps of `dt`.
        hold: steps for which each row and column of an image is shown.
    """

    traced: ClassVar[frozenset[str]] = SynNetRecipe.traced | {"noise"}
    seeded_data: ClassVar[bool] = False

    noise: float = 2.0
    steps: int = 32
    hold: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("steps", "hold", above=0, most=10_000)
        self._require("noise", least=0)

    def load_data(self) -> Data:
        """The digits, 20 % of them held out."""
        train_x, train_y, test_x, test_y = map(jnp.asarray, load_digits())
        return Data((train_x, train_y), (self._events(test_x.astype(float)), test_y))

    def encode(self, inputs: Array, *, key: Key) -> Float[Array, "n steps 16"]:
        return self._events(inputs + self.noise * jax.random.normal(key, inputs.shape))

    def _events(self, images: Float[Array, "n 8 8"]) -> Float[Array, "n steps 16"]:
        return jax.vmap(lambda image: rows_and_columns(image, self.steps, self.hold))(images)
