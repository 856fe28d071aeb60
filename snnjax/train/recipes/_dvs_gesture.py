"""Hand gestures as an event camera sees them, for DYNAP-CNN and Speck."""

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..._checks import read_text
from ...datasets import crop_time, downsample, read_events, to_raster
from ...nn import Chain
from .._fit import Data
from .._recipe import Recipe
from ._networks import convolutional

_CLASSES, _PIXELS = 11, 128
_COLUMNS = "class", "startTime_usec", "endTime_usec"


class _Gesture(NamedTuple):
    """A row of a table of labels: the class, from 0, and its begin and end in microseconds."""

    label: int
    begin: int
    end: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DvsGesture(Recipe):
    """A convolutional network that reads the gestures of DVS128 Gesture, for DYNAP-CNN and Speck.

    No accuracy on the published files was measured here.

    Source: A. Amir et al., "A Low Power, Fully Event-Based Gesture Recognition System", CVPR 2017.

    Attributes:
        data: folder of the published files, unpacked: user01_fluorescent.aedat, its
            user01_fluorescent_labels.csv and so on, trials_to_train.txt and trials_to_test.txt.
        size: pixels of a row and of a column; the camera has 128, which it must divide.
        dt: length of a step, in seconds.
        steps: number of steps, from the begin of a gesture; what is later is left out.
        channels: of the first and the second convolution.
        recordings: most recordings of each part; none for all of them.
    """

    seeded_data: ClassVar[bool] = False
    chip: str = "speck2f"
    stages: str = "plan:40"
    learning_rate: float = 3e-3
    data: str | None = None
    size: int = 32
    dt: float = 50e-3
    steps: int = 30
    channels: tuple[int, int] = (8, 16)
    recordings: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("dt", above=0, most=10)
        self._require("steps", above=0, most=10_000)
        self._require("size", least=8, most=_PIXELS)
        if _PIXELS % self.size:
            raise ValueError(f"`size` must divide {_PIXELS}; got {self.size}")
        self._require("channels", above=0)
        if self.recordings is not None:
            self._require("recordings", above=0)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a time step."""
        return 2, self.size, self.size

    @property
    def compiled(self) -> Literal["epoch", "step"]:
        return "step"

    def options(self) -> Mapping[str, Any]:
        return {**super().options(), "input_shape": self.input_shape}

    def load_data(self) -> Data:
        """The gestures of `data`, as its lists split the recordings.

        Raises:
            FileNotFoundError: if `data` is no folder with the files.
            ValueError: if there is no `data`, or a file is damaged.
        """
        if self.data is None:
            raise ValueError("`data` must be the folder of DVS128 Gesture; got none")
        train, test = (self._part(Path(self.data), part) for part in ("train", "test"))
        return Data(train, (test[0].astype(float), test[1]))

    def make_network(self, data: Data | None = None) -> Chain:
        key = jax.random.key(self.seed)
        return convolutional(self.input_shape, self.channels, n_classes=_CLASSES, key=key)

    def _part(self, folder: Path, part: str) -> tuple[jnp.ndarray, jnp.ndarray]:
        names = read_text(folder / f"trials_to_{part}.txt").split()[: self.recordings]
        found = [each for name in names for each in self._gestures(folder / name)]
        if not found:
            raise ValueError(f"there is no gesture in the recordings of {folder}, part {part}")
        rasters, labels = zip(*found, strict=True)
        return jnp.asarray(np.stack(rasters)), jnp.asarray(labels, jnp.int32)

    def _gestures(self, path: Path) -> Iterator[tuple[np.ndarray, int]]:
        """The gestures of a recording, in bytes, which take a quarter of the memory of floats."""
        events = downsample(read_events(path), _PIXELS // self.size)
        step = round(self.dt * 1e6)
        for label, begin, end in _labels(path.with_name(f"{path.stem}_labels.csv")):
            own = crop_time(events, begin, min(end, begin + step * self.steps))
            try:
                raster = to_raster(own, self.input_shape, step=step, steps=self.steps, start=begin)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
            yield np.minimum(raster, 255).astype(np.uint8), label


def _labels(path: Path) -> Iterator[_Gesture]:
    """The rows of a table of labels."""
    rows = csv.DictReader(read_text(path).splitlines())
    if not set(_COLUMNS) <= set(rows.fieldnames or ()):
        raise ValueError(f"{path} must have the columns {', '.join(_COLUMNS)}")
    for row in rows:
        try:
            label, begin, end = (int(row[name]) for name in _COLUMNS)
        except (TypeError, ValueError):
            label, begin, end = 0, 0, 0
        if not (1 <= label <= _CLASSES and 0 <= begin < end):
            raise ValueError(
                f"{path}, line {rows.line_num} must have a class from 1 to {_CLASSES}, and a begin "
                "before its end; copy or download it again"
            )
        yield _Gesture(label - 1, begin, end)
