"""Readers of recordings of event cameras and of spiking data sets, as single events.

The formats are read by tonic, aedat, expelliarmus and h5py, of the extra `events`; a file that is
damaged is one ValueError that names it.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from .._checks import MOST_BYTES, explained, open_hdf5, read_arrays, require_file
from .._extras import extra
from ._aedat import read_aedat, read_aedat4
from .events import Events, as_int64

Camera = Literal["dvs128", "davis346"]
"""A camera that writes AEDAT files of version 2."""

_WORDS = {"evt2": 4, "evt3": 2, "dat": 8}


@explained
def read_events(
    path: str | os.PathLike[str], *, camera: Camera | None = None, most: int = MOST_BYTES
) -> Events:
    """The events of a recording, by the ending of its name.

    - `.npy`: a structured array with the fields t, x, y and p; `.npz`: arrays of these names.
    - `.aedat4`: of inivation's DV, by aedat. The first stream of events counts.
    - `.aedat`: versions 2 and 3.1. Version 2 needs `camera`, for its addresses.
    - `.bin`: N-MNIST and N-Caltech101, by tonic.
    - `.raw`, `.dat`: of Prophesee, in the encodings EVT 2, EVT 3 and DAT, by expelliarmus.

    Args:
        path: the file.
        camera: of an AEDAT file of version 2.
        most: largest number of bytes of the file.

    Returns:
        Events with times in microseconds, from 0 if they would be below, polarities as channels,
        and the places that the file gives.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, too large or of another kind, naming it.
        ImportError: if a package is missing, naming the extra that brings it.
    """
    path = require_file(path, most)
    readers: dict[str, Callable[[Path], Any]] = {
        ".npy": lambda path: np.load(path, mmap_mode="r"),
        ".npz": lambda path: _by_name(read_arrays(path, most=most)),
        ".aedat4": read_aedat4,
        ".aedat": lambda path: read_aedat(path, camera),
        ".bin": _saccades,
        ".raw": _prophesee,
        ".dat": _prophesee,
    }
    if path.suffix not in readers:
        raise ValueError(
            f"{path} must end in one of {', '.join(readers)}; the name of a data set's file of "
            "many recordings, such as .h5, goes to `read_shd`"
        )
    with reading(path):
        return as_int64(readers[path.suffix](path))


class Spoken(NamedTuple):
    """Recordings of a cochlea's spikes.

    Attributes:
        recordings: of each, events of 700 channels in `x`, with times in microseconds.
        labels: the class of each.
        names: of the classes, where the file has them.
    """

    recordings: tuple[Events, ...]
    labels: np.ndarray
    names: tuple[str, ...]


@explained
def read_shd(path: str | os.PathLike[str], *, most: int = 16 * MOST_BYTES) -> Spoken:
    """The recordings of an HDF5 file of the Spiking Heidelberg Digits or Speech Commands.

    Args:
        path: `shd_train.h5`, `ssc_test.h5` and so on, unpacked.
        most: largest number of bytes of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, too large or of another kind, naming it.
        ImportError: if h5py is missing, naming the extra that brings it.

    Source: B. Cramer et al., "The Heidelberg Spiking Data Sets", IEEE TNNLS 2020.
    """
    path = require_file(path, most)
    with reading(path), open_hdf5(path, of="events") as (file, require_sound):
        sets = [file[name] for name in ("spikes/times", "spikes/units", "labels")]
        if "extra/keys" in file:
            sets.append(file["extra/keys"])
        for each in sets:
            require_sound(each)
        times, units, labels, *names = sets
        if not len(times) == len(units) == len(labels):
            found = f"{len(times)} `times`, {len(units)} `units`"
            raise ValueError(f"it has {found} and {len(labels)} `labels`")
        numbers = np.asarray(labels[()])
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or numbers.min(initial=0) < 0:
            raise ValueError("`labels` are not whole numbers from 0")
        recordings = tuple(map(_spoken, times, units))
        texts = tuple(_text(name) for each in names for name in each[()])
    return Spoken(recordings, numbers.astype(np.int64), texts)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn any error into one that names the file; but for missing packages and memory."""
    try:
        yield
    except (ImportError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of aedat is no Exception
        said = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"{path} is no such recording, or is damaged: {said}; copy or download it again"
        ) from None


def _saccades(path: Path) -> np.ndarray:
    with extra("events"):
        from tonic.io import read_mnist_file
    if path.stat().st_size % 5:
        raise ValueError("its last event, of 5 bytes, is cut short")
    kind = [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")]
    return read_mnist_file(str(path), np.dtype(kind))


def _prophesee(path: Path) -> np.ndarray:
    with extra("events"):
        from expelliarmus import Wizard
    header = _comments(path)
    named = [name for name in ("evt2", "evt3") if name in header or f"evt {name[3]}" in header]
    if path.suffix == ".dat":
        named = ["dat"]
    if len(named) != 1:
        raise ValueError("its header names neither EVT 2 nor EVT 3")
    kind = 2 if path.suffix == ".dat" else 0  # a byte for the kind of event and one for its size
    if (path.stat().st_size - len(header) - kind) % _WORDS[named[0]]:
        raise ValueError("its last event is cut short")
    found = Wizard(encoding=named[0]).read(path)
    if found is None:
        raise ValueError("expelliarmus cannot read it")
    return found


def _comments(path: Path) -> str:
    """The lines at the start of a file that begin with %."""
    found = b""
    with path.open("rb") as file:
        while (line := file.readline(4096)).startswith(b"%"):
            found += line
    if not found.endswith(b"\n"):  # expelliarmus would look for the end of the line for ever
        raise ValueError("its header is missing or cut short")
    return found.decode("latin1").lower()


def _by_name(arrays: dict[str, np.ndarray]) -> Events:
    for name in ("t", "x", "y", "p"):
        if name not in arrays:
            raise ValueError(f"it has no array `{name}`, but {', '.join(arrays)}")
    return Events(*(arrays[name] for name in ("t", "p", "y", "x")))


def _spoken(times: Any, units: Any) -> Events:
    seconds, channels = np.asarray(times, np.float64), np.asarray(units)
    if seconds.shape != channels.shape or not np.isfinite(seconds).all():
        raise ValueError("the times of a recording are not finite, or not one for each unit")
    none = np.zeros(len(seconds), np.int64)
    order = np.argsort(seconds, kind="stable")
    microseconds = np.round(seconds[order] * 1e6)
    return as_int64(Events(microseconds, none, none, channels[order]))


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
