"""Files as bytes, packed or not."""

import gzip
import io
import os
import stat
import zlib
from pathlib import Path
from typing import IO

from ._arguments import count

MOST_BYTES = 2**30
"""Largest content that a reader takes, unpacked."""

_PART = 2**20


def read_bytes(path: str | os.PathLike[str], *, most: int = MOST_BYTES) -> bytes:
    """The content of a file, unpacked if its name ends in .gz.

    Args:
        path: the file.
        most: largest number of bytes, unpacked.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it cannot be read.
        ValueError: if it is no file, too large or not gzip; the message names it.
    """
    path = require_file(path, most)
    with path.open("rb") as file:
        content = _read(file, most)
    if len(content) > most:
        raise _too_large(path, "more", most)
    return _unpacked(content, path, most) if path.suffix == ".gz" else content


def require_file(path: str | os.PathLike[str], most: int) -> Path:
    """The path, once it is known to be of a file of at most that many bytes."""
    path = Path(path)
    count("most", most)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is no name of a file: {error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{path} is a directory; give the file")
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISFIFO(status.st_mode):
        raise ValueError(f"{path} is a device; give a file")
    if status.st_size > most:
        raise _too_large(path, f"{status.st_size:,} bytes", most)
    return path


def _read(file: IO[bytes] | gzip.GzipFile, most: int) -> bytes:
    """The content, or a part with more bytes than `most`; `read` would take that memory at once."""
    parts, size = [], 0
    while size <= most and (part := file.read(_PART)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _unpacked(content: bytes, path: Path, most: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = _read(file, most)
    except EOFError:
        raise ValueError(
            f"{path} is cut short: its {len(content):,} bytes end before the gzip data does; "
            "copy or download it again"
        ) from None
    except (OSError, zlib.error) as error:
        raise ValueError(
            f"{path} is no gzip file, or a damaged one ({error}); copy or download it again, or "
            "rename it if it is not packed"
        ) from None
    if len(unpacked) > most:
        raise _too_large(path, "more once unpacked", most)
    return unpacked


def _too_large(path: Path, found: str, most: int) -> ValueError:
    return ValueError(f"{path} must have at most {most:,} bytes, but has {found}; split it")
