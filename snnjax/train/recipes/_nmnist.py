"""Handwritten digits as an event camera sees them, for DYNAP-CNN and Speck."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from ...datasets import crop_time, read_events, to_raster
from ...nn import Chain
from .._fit import Data
from .._recipe import Recipe
from ._networks import convolutional

_SHAPE = 2, 34, 34
_MICROSECONDS = 300_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nmnist(Recipe):
    """A convolutional network that reads N-MNIST, for DYNAP-CNN and Speck.

    No accuracy on the published files was measured here.

    Attributes:
        data: folder with the published files, unpacked: Train/0/00002.bin and so on, and Test.
        steps: number of steps of the 300 ms of a recording.
        channels: of the first and the second convolution.
        per_digit: most recordings of each digit, of each part; none for all of them.
    """

    seeded_data: ClassVar[bool] = False
    chip: str = "speck2f"
    stages: str = "plan:20"
    learning_rate: float = 3e-3
    data: str | None = None
    steps: int = 10
    channels: tuple[int, int] = (8, 16)
    per_digit: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("steps", above=0, most=10_000)
        self._require("channels", above=0)
        if self.per_digit is not None:
            self._require("per_digit", above=0)

    @property
    def compiled(self) -> Literal["epoch", "step"]:
        return "step"

    def options(self) -> Mapping[str, Any]:
        return {**super().options(), "input_shape": _SHAPE}

    def load_data(self) -> Data:
        """The recordings of `data`, as the folders split them.

        Raises:
            FileNotFoundError: if `data` is no folder with the files.
            ValueError: if there is no `data`, or a file is damaged.
            ImportError: if tonic is missing, naming the extra that brings it.
        """
        if self.data is None:
            raise ValueError("`data` must be the folder of Train and Test; got none")
        train, test = (self._part(Path(self.data) / part) for part in ("Train", "Test"))
        return Data(train, (test[0].astype(float), test[1]))

    def make_network(self, data: Data | None = None) -> Chain:
        key = jax.random.key(self.seed)
        return convolutional(_SHAPE, self.channels, n_classes=10, key=key)

    def _part(self, folder: Path) -> tuple[jnp.ndarray, jnp.ndarray]:
        rasters, labels = [], []
        for digit in range(10):
            files = sorted((folder / str(digit)).glob("*.bin"))[: self.per_digit]
            if not files:
                raise FileNotFoundError(f"there is no recording in {folder / str(digit)}")
            for path in files:
                rasters.append(self._raster(path))
                labels.append(digit)
        return jnp.asarray(np.stack(rasters)), jnp.asarray(labels, jnp.int32)

    def _raster(self, path: Path) -> np.ndarray:
        """A recording in bytes, which take a quarter of the memory of floats."""
        step = -(-_MICROSECONDS // self.steps)
        events = crop_time(read_events(path), 0, step * self.steps)
        try:
            raster = to_raster(events, _SHAPE, step=step, steps=self.steps)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return np.minimum(raster, 255).astype(np.uint8)
