"""Sequences of one's own, from a file of arrays, for any chip."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from ...datasets.sequences import Sequences, load_sequences
from ...hardware import xylo
from ...nn import Chain
from .._fit import Data
from .._target import Target
from ._networks import SynNetRecipe, convolutional, dense


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrays(SynNetRecipe):
    """One's own sequences of events from a .npz file, on any chip.

    `snnjax.datasets.load_sequences` says how the file is made. Without a `split` in it, some
    sequences of each class are held out at random.

    A chip that takes maps, such as a Speck, gets two convolutions and a linear layer, or, for data
    without height and width, the linear layers of `hidden`, with integrate-and-fire neurons. Other
    chips get a `SynNet`, with maps flattened to channels.

    Attributes:
        data: the .npz file.
        steps: length of the sequences of an event list, in steps of `dt`; none for as many as the
            last event needs.
        test_fraction: share of each class that is held out where the file has no `split`.
        channels: of the first and the second convolution.
        method: how the integers are scaled, if the chip has a choice; none for its default.
    """

    data: str | None = None
    steps: int | None = None
    test_fraction: float = 0.2
    channels: tuple[int, int] = (8, 16)
    method: xylo.Method | None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("channels", "hidden", above=0)
        if self.steps is not None:
            self._require("steps", above=0, most=1_000_000)
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"`test_fraction` must be within (0, 1); got {self.test_fraction}")

    @property
    def compiled(self) -> Literal["epoch", "step"]:
        return "epoch" if self._input_shape is None else "step"

    def options(self) -> Mapping[str, Any]:
        return {**super().options(), "input_shape": self._input_shape}

    def load_data(self) -> Data:
        """The sequences of `data`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if there is no `data`, the file is damaged or an array of it is missing or
                not as the class says.
        """
        rasters, labels, held_out = self._sequences
        if held_out is None:
            held_out = _held_out(labels, self.test_fraction, self.seed)
        shape = self._input_shape or (int(np.prod(rasters.shape[2:])),)
        rasters = rasters.reshape(*rasters.shape[:2], *shape)
        x, y = (jnp.asarray(a, d) for a, d in ((rasters, float), (labels, jnp.int32)))
        return Data((x[~held_out], y[~held_out]), (x[held_out], y[held_out]))

    def make_network(self, data: Data | None = None) -> Chain:
        rasters, labels, _ = self._sequences
        n_classes, shape = int(labels.max()) + 1, self._input_shape
        if shape is None:
            return self._synnet(int(np.prod(rasters.shape[2:])), n_classes)
        key = jax.random.key(self.seed)
        if rasters.ndim == 3:
            return dense(shape, self.hidden, n_classes, key=key)
        return convolutional(shape, self.channels, n_classes, key=key)

    @cached_property
    def _sequences(self) -> Sequences:
        if self.data is None:
            raise ValueError("`data` must be a .npz file of sequences; got none")
        return load_sequences(self.data, dt=self.dt, steps=self.steps)

    @property
    def _input_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) of a time step for a chip that takes maps; None for others."""
        if self.data is None or not Target(self.chip).takes("map_network", "input_shape"):
            return None
        channels, height, width = (*self._sequences.rasters.shape[2:], 1, 1)[:3]
        return channels, height, width


def _held_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A share of the sequences of each class, at random, at least one where there are two."""
    rng, held_out = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of = rng.permutation(np.flatnonzero(labels == label))
        held_out[of[: max(round(share * len(of)), min(len(of) - 1, 1))]] = True
    return held_out
