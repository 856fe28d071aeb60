"""Checks of HDF5 files for damage that HDF5 itself answers with hours or gigabytes."""

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np

from .._extras import extra

_BEGIN = b"GCOL\x01\0\0\0"
_HEADER = 16
"""Bytes of the header of a heap, and of that of an object in it."""

_PLACE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])
"""A row of a dataset whose rows have lengths of their own."""


def require_sound(path: Path, *datasets: Any) -> None:
    """Raise ValueError if the rows of datasets, of lengths of their own, cannot be in the file.

    HDF5 keeps them as objects in heaps. It goes from object to object by their sizes, and does not
    end where one is 0; and it takes memory for a row before it looks how long its object is.

    Source: "HDF5 File Format Specification", III.E, global heap.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_BEGIN)
        while start >= 0:
            start = data.find(_BEGIN, _end(data, start))
        for dataset in datasets:
            _require_lengths(data, dataset)


def _end(data: mmap.mmap, start: int) -> int:
    """The end of the heap that begins at a byte."""
    place, size = start + _HEADER, 0
    if place <= len(data):
        (size,) = struct.unpack_from("<Q", data, start + 8)
    end = start + size
    while place + _HEADER <= end <= len(data):
        index, _, _, size = struct.unpack_from("<HHIQ", data, place)
        # An object is padded to 8 bytes; free space, of the index 0, counts its own header.
        step = size if index == 0 else _HEADER + (size + 7) // 8 * 8
        if step < _HEADER:
            break
        place += step
    if not place <= end < place + _HEADER or end > len(data):
        raise ValueError(f"its heap from byte {start} on is damaged")
    return end


def _require_lengths(data: mmap.mmap, dataset: Any) -> None:
    with extra("events"):
        import h5py
    kind = h5py.check_vlen_dtype(dataset.dtype)
    if kind is None or dataset.ndim != 1:
        raise ValueError(f"the rows of `{dataset.name}` are no sequences of numbers")
    for first, size in _stored(dataset):
        held = max(min(size, len(data) - first), 0) // _PLACE.itemsize
        rows = np.frombuffer(data[first : first + held * _PLACE.itemsize], _PLACE)
        longest = int(rows["length"].max(initial=0))
        if longest * kind.itemsize > len(data):
            raise ValueError(f"a row of `{dataset.name}` has {longest} items")


def _stored(dataset: Any) -> list[tuple[int, int]]:
    """The first byte and the number of bytes of each part of a dataset.

    Compressed parts are left out: they have checksums.
    """
    if dataset.chunks is None:
        first = dataset.id.get_offset()
        return [] if first is None else [(first, dataset.id.get_storage_size())]
    found: list[tuple[int, int]] = []
    if dataset.id.get_create_plist().get_nfilters() == 0:
        dataset.id.chunk_iter(lambda part: found.append((part.byte_offset, part.size)))
    return found
