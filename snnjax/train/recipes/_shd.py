"""Spoken digits as a cochlea's spikes, for Xylo."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ...datasets import Events, Spoken, read_shd, to_raster
from ...nn import Chain
from .._fit import Data
from ._networks import SynNetRecipe, recurrent

_UNITS = 700
_DIGITS = 20
_MOST_EVENTS = 15


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shd(SynNetRecipe):
    """A SynNet that hears the Spiking Heidelberg Digits, or Speech Commands, for Xylo.

    No accuracy on the published files was measured here.

    Attributes:
        data: folder with the published files, unpacked: shd_train.h5 and shd_test.h5, or
            ssc_train.h5 and ssc_test.h5.
        channels: groups of neighbouring units of the 700; a Xylo takes 16.
        steps: length of a sequence, in steps of `dt`. Later spikes are left out.
        recurrent: whether hidden neurons also feed each other.
    """

    seeded_data: ClassVar[bool] = False
    data: str | None = None
    channels: int = 16
    dt: float = 10e-3
    steps: int = 100
    recurrent: bool = False
    tau_mem: float = 20e-3
    tau_syn: float = 20e-3
    tau_syn_out: float = 40e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("channels", above=0, most=_UNITS)
        self._require("steps", above=0, most=10_000)

    def load_data(self) -> Data:
        """The recordings of `data`, as the files split them.

        Raises:
            FileNotFoundError: if `data` is no folder with the files.
            ValueError: if there is no `data`, or a file is damaged.
        """
        train, test = (self._arrays(part) for part in ("train", "test"))
        return Data(train, test)

    def make_network(self, data: Data | None = None) -> Chain:
        labels = () if data is None else (data.train[1], data.test[1])
        most = max((int(np.asarray(each).max()) for each in labels), default=_DIGITS - 1)
        network = self._synnet(self.channels, most + 1)
        return recurrent(network, key=jax.random.key(self.seed + 3)) if self.recurrent else network

    def _arrays(self, part: str) -> tuple[jnp.ndarray, jnp.ndarray]:
        words = read_shd(self._file(part))
        return jnp.asarray(self._rasters(words), float), jnp.asarray(words.labels, jnp.int32)

    def _file(self, part: str) -> Path:
        if self.data is None:
            raise ValueError("`data` must be a folder with shd_train.h5 and shd_test.h5; got none")
        found = [Path(self.data) / f"{name}_{part}.h5" for name in ("shd", "ssc")]
        for path in found:
            if path.exists():
                return path
        raise FileNotFoundError(f"there is neither {found[0]} nor {found[1]}; unpack the file")

    def _rasters(self, words: Spoken) -> np.ndarray:
        step = round(self.dt * 1e6)
        rasters = np.zeros((len(words.recordings), self.steps, self.channels), np.float32)
        for raster, events in zip(rasters, words.recordings, strict=True):
            kept = events.time < step * self.steps
            grouped = events._replace(x=events.x * self.channels // _UNITS)
            heard = Events(*(array[kept] for array in grouped))
            raster[:] = to_raster(heard, self.channels, step=step, steps=self.steps)
        return np.minimum(rasters, _MOST_EVENTS)
