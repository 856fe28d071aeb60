"""Sound files: WAV with 16 bits."""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16

from ._bytes import MOST_BYTES, read_bytes

_PCM, _EXTENSIBLE = 1, 0xFFFE
_MOST_RATE = 2**20


class Sound(NamedTuple):
    """Samples of 16 bits, and how many of them there are in a second."""

    samples: Int16[np.ndarray, "time channels"]
    rate: int


def read_wav(path: str | os.PathLike[str], *, most: int = MOST_BYTES) -> Sound:
    """The sound in a WAV file of whole numbers with 16 bits.

    Args:
        path: the file.
        most: largest number of bytes.

    Raises:
        OSError: if there is no such file or it cannot be read.
        ValueError: if it is no such file, or is damaged or too large; the message names it.

    Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0".
    """
    content = read_bytes(path, most=most)
    try:
        return _sound(content)
    except ValueError as error:
        raise ValueError(
            f"{path} {error}; copy it again, or convert it to WAV with 16 bits"
        ) from None


def _sound(content: bytes) -> Sound:
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError(f"is no WAV file: it begins with {content[:12]!r}")
    channels, rate = 0, 0
    for name, start, size in _chunks(content):
        if name == b"fmt ":
            channels, rate = _format(content[start : start + size])
        elif name == b"data":
            if not channels:
                raise ValueError(f"has sound at byte {start} before it says of which format")
            if size % (2 * channels):
                raise ValueError(f"ends within a sample: {size} bytes for {channels} channel(s)")
            samples = np.frombuffer(content, "<i2", size // 2, offset=start)
            return Sound(samples.astype(np.int16).reshape(-1, channels), rate)
    raise ValueError("holds no sound")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of each part; a part of odd size is followed by one byte."""
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        place += 8
        if place + size > len(content):
            raise ValueError(
                f"is cut short: {name!r} at byte {place} should have {size:,} bytes, but "
                f"{len(content) - place:,} follow"
            )
        yield name, place, size
        place += size + size % 2


def _format(part: bytes) -> tuple[int, int]:
    """Channels and sampling rate of what is called "fmt "."""
    if len(part) < 16:
        raise ValueError(f"has a format of {len(part)} bytes; it must have 16")
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", part)
    if kind == _EXTENSIBLE and len(part) >= 26:
        kind = struct.unpack_from("<H", part, 24)[0]
    if kind != _PCM or bits != 16:
        raise ValueError(f"must have whole numbers of 16 bits; got {bits} bits in format {kind}")
    if not channels or block != 2 * channels or not 0 < rate <= _MOST_RATE:
        raise ValueError(
            f"has a format that contradicts itself: {channels} channels in blocks of {block} "
            f"bytes, {rate} samples in a second"
        )
    return channels, rate
