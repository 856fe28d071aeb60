"""Arrays that NumPy saved: .npy and .npz."""

import ast
import math
import os
import re
import warnings
import zipfile
from typing import Any

import numpy as np

from ._bytes import MOST_BYTES, read_bytes, require_file

_MAGIC = b"\x93NUMPY"
_VERSIONS = (b"\x01\x00", b"\x02\x00", b"\x03\x00")
_MOST_HEADER = 2**12
_MOST_AXES = 32
_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|U[1-9]\d{0,3})")


def read_array(path: str | os.PathLike[str], *, most: int = MOST_BYTES) -> np.ndarray:
    """The array in a .npy file, of booleans, integers, floats or texts.

    Args:
        path: the file.
        most: largest number of bytes.

    Raises:
        OSError: if there is no such file or it cannot be read.
        ValueError: if it holds anything else, or is damaged or too large; the message names it.
    """
    return _array(read_bytes(path, most=most), str(path))


def read_arrays(path: str | os.PathLike[str], *, most: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """The arrays in a .npz file by their names; for errors see `read_array`."""
    path = require_file(path, most)
    try:
        with path.open("rb") as opened, zipfile.ZipFile(opened) as file:
            opened.seek(0)
            if opened.read(4) != b"PK\x03\x04":
                raise ValueError("it does not begin as one")
            total = sum(info.file_size for info in file.infolist())
            parts = {} if total > most else {x.filename: file.read(x) for x in file.infolist()}
    except Exception as error:  # zipfile has no list of what damaged files make it raise
        raise ValueError(
            f"{path} is no .npz file of arrays, or is damaged: {error}; save it again with "
            "`numpy.savez`"
        ) from None
    if total > most:
        raise ValueError(f"{path} must hold at most {most:,} bytes, but holds {total:,}; split it")
    return {
        name.removesuffix(".npy"): _array(part, f"{path}: {name}") for name, part in parts.items()
    }


def _array(content: bytes, source: str) -> np.ndarray:
    """The array of a file's content; its header is believed only where the sizes agree."""
    dtype, shape, order, start = _header(content, source)
    size, found = math.prod(shape) * dtype.itemsize, len(content) - start
    if size != found:
        raise ValueError(
            f"{source} should hold {size:,} bytes for {dtype} of the shape {shape}, but {found:,} "
            "follow its header; copy or save it again"
        )
    array = np.frombuffer(content, dtype, offset=start).reshape(shape, order=order)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(content: bytes, source: str) -> tuple[np.dtype[Any], tuple[int, ...], Any, int]:
    """Type, shape, order, and where the data begins.

    The format: the magic, the version in two bytes, the length of the text in two or, from version
    2 on, four, and the text: a dictionary of Python. Source: NumPy, `numpy.lib.format`.
    """
    if content[:6] != _MAGIC or len(content) < 12 or content[6:8] not in _VERSIONS:
        raise ValueError(
            f"{source} is no array of NumPy: it begins with {content[:8]!r}; save it with "
            "`numpy.save`"
        )
    start = 10 if content[6] == 1 else 12
    length = int.from_bytes(content[8:start], "little")
    text = content[start : start + min(length, _MOST_HEADER)]
    try:
        fields = _literal(text.decode("utf-8" if content[6] == 3 else "latin1"))
        dtype, shape, order = _understood(fields)
        if len(text) < length:
            raise ValueError("it is cut short")
    except ValueError as error:
        raise ValueError(
            f"{source} has a header that cannot be read: {error}; save it again with `numpy.save`"
        ) from None
    return dtype, shape, order, start + length


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip(" \n"))
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError):
        raise ValueError("it is no dictionary of Python") from None


def _understood(fields: Any) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("it must have descr, fortran_order and shape")
    descr, shape, fortran = fields["descr"], fields["shape"], fields["fortran_order"]
    if not isinstance(descr, str) or not _TYPE.fullmatch(descr):
        raise ValueError(
            f"it must be of booleans, integers, floats or texts; got {str(descr)[:40]!r}"
        )
    if (
        not isinstance(shape, tuple)
        or not all(type(n) is int and 0 <= n < 2**63 for n in shape)
        or len(shape) > _MOST_AXES
    ):
        raise ValueError(f"its shape must be whole numbers; got {str(shape)[:40]}")
    if type(fortran) is not bool:
        raise ValueError("fortran_order must be True or False")
    return np.dtype(descr), shape, "F" if fortran else "C"
