"""Checks of HDF5 files for damage that HDF5 itself answers with hours or gigabytes."""

import contextlib
import functools
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .._extras import extra

_BEGIN = b"GCOL\x01\0\0\0"
_HEADER = 16
"""Bytes of the header of a heap, and of that of an object in it."""

_BITS = slice(3, 6)
"""Those of the class, in a datatype that is encoded."""

_MOST_INFLATION = 1100
"""Bytes that a byte of a file can stand for. Deflate reaches 1032."""

_SLACK = 1 << 20

_PLACE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])
"""A row of a dataset whose rows have lengths of their own."""


@contextlib.contextmanager
def open_hdf5(
    path: str | os.PathLike[str], *, of: str
) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """An HDF5 file, and a function that raises ValueError where a part of it cannot be in it.

    HDF5 keeps texts, and rows of lengths of their own, as objects in heaps. It goes from object to
    object by their sizes, and does not end where one is 0; it takes memory for a row before it
    looks how long its object is; and it may crash on a type with bits that its class does not have.
    So the heaps are looked at here, and each group and dataset by that function before it is read;
    together they may hold what a file of this size can.

    Args:
        path: the file.
        of: name of the extra that brings h5py.

    Raises:
        OSError: if it is no HDF5 file.
        ValueError: if a heap in it is damaged.
        ImportError: if h5py is missing, naming that extra.

    Source: "HDF5 File Format Specification", III.E, global heap.
    """
    with extra(of):
        import h5py
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_BEGIN)
        while start >= 0:
            start = data.find(_BEGIN, _end(data, start))
        with h5py.File(path, "r") as opened:
            left = [_SLACK + _MOST_INFLATION * len(data)]
            yield opened, functools.partial(_require_sound, data, left)


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


def _require_sound(data: mmap.mmap, left: list[int], dataset: Any) -> None:
    import h5py

    left[0] -= max(int(dataset.nbytes), 1) if isinstance(dataset, h5py.Dataset) else 1
    if left[0] < 0:
        raise ValueError(f"`{dataset.name}` holds more than a file of this size can")
    if not isinstance(dataset, h5py.Dataset):
        return
    kind = dataset.id.get_type()
    if kind.get_class() == h5py.h5t.VLEN:
        size, bits = kind.get_super().get_size(), (0, 0, 0)
    elif kind.get_class() == h5py.h5t.STRING and kind.is_variable_str():
        size, bits = 1, (1 | kind.get_strpad() << 4, kind.get_cset(), 0)
    else:
        return
    if tuple(kind.encode()[_BITS]) != bits:
        raise ValueError(f"the type of `{dataset.name}` is damaged")
    for first, length in _stored(dataset):
        held = max(min(length, len(data) - first), 0) // _PLACE.itemsize
        rows = np.frombuffer(data[first : first + held * _PLACE.itemsize], _PLACE)
        longest = int(rows["length"].max(initial=0))
        if longest * size > len(data):
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
