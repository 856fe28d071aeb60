"""Labelled sequences of events from a file of arrays."""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from .._checks import explained, read_arrays

MAX_BYTES = 4 << 30
"""Most memory that the arrays of a file, and the raster of an event list, may take."""

MAX_CLASSES = 1_000
"""Most classes of a data set."""

_EVENTS = "sequence", "time", "channel"
_MAPS = "y", "x"


class Sequences(NamedTuple):
    """Sequences of events with their labels.

    Attributes:
        rasters: event counts, `(n, time, channels)` or `(n, time, channels, height, width)`.
        labels: the class of each, from 0.
        held_out: whether a sequence is for testing; None if the file does not say.
    """

    rasters: Float[np.ndarray, "n time *shape"]
    labels: Int[np.ndarray, " n"]
    held_out: Bool[np.ndarray, " n"] | None


@explained
def load_sequences(
    path: str | os.PathLike[str], *, dt: float = 1e-3, steps: int | None = None
) -> Sequences:
    """Read labelled sequences from a .npz file.

    The file holds `labels` `(n,)`, whole numbers from 0, and either

    - `rasters`, event counts of shape `(n, time, channels)` or
      `(n, time, channels, height, width)`; or
    - a list of events, with an entry for each event in `sequence` (0 to n-1), `time` (seconds from
      the start of the sequence), `channel`, and for maps `y` and `x`. An event at `time` counts in
      the step floor(time/dt). `shape` gives the sizes of a step, `(channels,)` or
      `(channels, height, width)`; without it, the largest entries do.

    An optional `split` `(n,)` of the texts "train" and "test" says what is held out.

    Args:
        path: the file.
        dt: length of a step of an event list, in seconds.
        steps: length of the sequences of an event list; None for as many as its last event needs.
            Events from there on are an error.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or takes more than 4 GiB, an array is missing, unknown,
            or not as above, or there are fewer than two classes; the message names the array.
    """
    arrays = read_arrays(path, most=MAX_BYTES)
    labels = _whole(arrays, "labels", path, 1)
    if "rasters" in arrays:
        wanted = {"rasters", "labels", "split"}
        rasters = _counts(arrays["rasters"], path)
    else:
        wanted = {*_EVENTS, *_MAPS, "shape", "labels", "split"}
        rasters = _binned(arrays, len(labels), path, dt, steps)
    if unknown := sorted(arrays.keys() - wanted):
        raise ValueError(f"{path}: unknown array `{unknown[0]}`; there are {', '.join(wanted)}")
    if len(rasters) != len(labels):
        raise ValueError(
            f"{path}: `rasters` has {len(rasters)} sequences, but there are {len(labels)} `labels`"
        )
    n_classes = int(labels.max(initial=-1)) + 1
    if not 2 <= n_classes <= MAX_CLASSES:
        raise ValueError(
            f"{path}: `labels` must be the numbers of 2 to {MAX_CLASSES:,} classes, from 0; the "
            f"largest is {n_classes - 1}"
        )
    return Sequences(rasters, labels, _split(arrays, len(labels), path))


def _whole(
    arrays: dict[str, np.ndarray], name: str, path: object, ndim: int, most: int | None = None
) -> np.ndarray:
    """An array of whole numbers from 0."""
    if name not in arrays:
        raise ValueError(
            f"{path}: the array `{name}` is missing; it has {', '.join(arrays)}; "
            "`np.savez(FILE, rasters=..., labels=...)` writes what is read here"
        )
    found = arrays[name]
    if found.ndim != ndim or not np.issubdtype(found.dtype, np.integer):
        cure = ""
        if found.dtype.kind in "US":
            cure = f"; `names, {name} = np.unique({name}, return_inverse=True)` numbers texts"
        raise ValueError(
            f"{path}: `{name}` must be whole numbers of {ndim} axis; got {found.dtype} of the "
            f"shape {found.shape}{cure}"
        )
    if found.size and (found.min() < 0 or (most is not None and found.max() >= most)):
        at = int(np.argmax((found < 0) | (found >= (most or np.inf))))
        limit = "" if most is None else f" and below {most}"
        raise ValueError(f"{path}: `{name}` must be at least 0{limit}; entry {at} is {found[at]}")
    return found


def _counts(rasters: np.ndarray, path: object) -> np.ndarray:
    """Rasters that are event counts."""
    if rasters.ndim not in (3, 5) or 0 in rasters.shape:
        raise ValueError(
            f"{path}: `rasters` must be (n, time, channels) or (n, time, channels, height, width); "
            f"got the shape {rasters.shape}"
        )
    if rasters.dtype.kind not in "biuf":
        raise ValueError(f"{path}: `rasters` must be numbers of events; got {rasters.dtype}")
    bad = ~((rasters >= 0) & (rasters == np.floor(rasters)) & np.isfinite(rasters))
    if bad.any():
        at = tuple(int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        raise ValueError(
            f"{path}: `rasters` must be whole numbers of events, at least 0; entry {list(at)} is "
            f"{rasters[at]}"
        )
    return rasters


def _binned(
    arrays: dict[str, np.ndarray], n: int, path: object, dt: float, steps: int | None
) -> np.ndarray:
    """Event counts of a list of events."""
    sequence = _whole(arrays, "sequence", path, 1, n)
    if "time" not in arrays or arrays["time"].dtype.kind not in "iuf":
        raise ValueError(f"{path}: the array `time` of numbers, in seconds, is missing")
    if not np.isfinite(arrays["time"]).all():
        at = int(np.argmin(np.isfinite(arrays["time"])))
        raise ValueError(f"{path}: `time` must be finite; entry {at} is {arrays['time'][at]}")
    step = np.floor(np.asarray(arrays["time"], np.float64) / dt)
    last = (step.max(initial=0) + 1) if steps is None else steps
    names = ["channel", *(_MAPS if "y" in arrays or "x" in arrays else ())]
    sizes = _sizes(arrays, names, path)
    places = [_whole(arrays, name, path, 1, size) for name, size in zip(names, sizes, strict=True)]
    lengths = {name: len(arrays[name]) for name in ("sequence", "time", *names)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{path}: the events have arrays of unequal length: {lengths}")
    ok = (step >= 0) & (step < last)
    if not ok.all():
        at = int(np.argmin(ok))
        raise ValueError(
            f"{path}: `time` must be from 0 to below {last * dt:g} s, which is {last:g} steps of "
            f"{dt:g} s; entry {at} is {arrays['time'][at]}"
        )
    shape = (n, int(last), *sizes)
    if 4 * np.prod(shape, dtype=object) > MAX_BYTES:
        raise ValueError(
            f"{path}: its events make a raster of the shape {shape}, more than {MAX_BYTES:,} bytes"
        )
    rasters = np.zeros(shape, np.float32)
    np.add.at(rasters, (sequence, step.astype(np.int64), *places), 1)
    return rasters


def _sizes(arrays: dict[str, np.ndarray], names: list[str], path: object) -> tuple[int, ...]:
    """The sizes of a step: those that `shape` says, or those that the events need."""
    if "shape" not in arrays:
        return tuple(int(_whole(arrays, name, path, 1).max(initial=0)) + 1 for name in names)
    found = tuple(int(size) for size in _whole(arrays, "shape", path, 1))
    if len(found) != len(names) or min(found) < 1:
        raise ValueError(
            f"{path}: `shape` must be the sizes of {', '.join(names)}, above 0; got {found}"
        )
    return found


def _split(arrays: dict[str, np.ndarray], n: int, path: object) -> Bool[np.ndarray, " n"] | None:
    """Whether each sequence is held out, where the file says so."""
    if "split" not in arrays:
        return None
    split = arrays["split"]
    held_out = split == "test"
    if split.shape != (n,) or not np.all(held_out | (split == "train")):
        raise ValueError(f'{path}: `split` must be "train" or "test" for each of the {n} sequences')
    if held_out.all() or not held_out.any():
        raise ValueError(f'{path}: `split` must have both "train" and "test" in it')
    return held_out
