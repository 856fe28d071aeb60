"""Recordings in the formats AEDAT 2, 3.1 and 4, as structured arrays."""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._checks import choice
from .._extras import extra


class Layout(NamedTuple):
    """Places of column, row and polarity in an address: shift and mask; bits of other kinds."""

    x: tuple[int, int]
    y: tuple[int, int]
    p: int
    flipped: bool
    others: int = 0


CAMERAS = {
    "dvs128": Layout((8, 127), (1, 127), 0, flipped=False),
    "davis346": Layout((12, 1023), (22, 511), 11, flipped=True, others=1 << 31 | 1 << 10),
}
"""As jAER and tonic 1.7 (`io.read_dvs_128`, `io.read_davis_346`) have them."""

_FIELDS = [("t", "<i8"), ("x", "<i8"), ("y", "<i8"), ("p", "<i8")]
_DAVIS_346 = 260, 346
_VERSION_2, _VERSION_3 = b"#!AER-DAT2.", b"#!AER-DAT3."
_MAGIC = b"#!AER-DAT4.0\r\n"
_MOST_HEADER = 2**20
_POLARITY = 1


def read_aedat(path: Path, camera: str | None) -> np.ndarray:
    """The events of a file of version 2 or 3.1."""
    content = path.read_bytes()
    version = content[: len(_VERSION_2)]
    if version not in (_VERSION_2, _VERSION_3):
        raise ValueError(f"it begins with {version!r}, not with {_VERSION_2!r} or {_VERSION_3!r}")
    at = 0
    while content[at : at + 1] == b"#":
        end = content.find(b"\n", at)
        if end < 0:
            raise ValueError("its header is cut short")
        at = end + 1
    return _packets(content[at:]) if version == _VERSION_3 else _addresses(content[at:], camera)


def _addresses(content: bytes, camera: str | None) -> np.ndarray:
    """The events of a file of version 2: pairs of an address and a time."""
    choice("camera", camera, CAMERAS)
    if len(content) % 8:
        raise ValueError("its last event is cut short")
    layout = CAMERAS[str(camera)]
    address, time = np.frombuffer(content, ">u4").astype(np.int64).reshape(-1, 2).T
    (x_shift, x_mask), (y_shift, y_mask) = layout.x, layout.y
    x, y = address >> x_shift & x_mask, address >> y_shift & y_mask
    if layout.flipped:
        x, y = _DAVIS_346[1] - 1 - x, _DAVIS_346[0] - 1 - y
    fields = {"t": time, "x": x, "y": y, "p": address >> layout.p & 1}
    return _structured(fields, address & layout.others == 0)


def read_aedat4(path: Path) -> np.ndarray:
    """The events of the first stream of events of a file of version 4."""
    with extra("events"):
        import aedat
    _require_frames(path.read_bytes())
    decoder = aedat.Decoder(str(path))
    streams = decoder.id_to_stream()
    events = [number for number, stream in streams.items() if stream["type"] == "events"]
    if not events:
        raise ValueError("it has no stream of events")
    packets = [p["events"] for p in decoder if p["stream_id"] == min(events)]
    found = [np.zeros(0, _FIELDS)]
    for packet in packets:
        fields = {"t": packet["t"], "x": packet["x"], "y": packet["y"], "p": packet["on"]}
        found.append(_structured(fields, np.ones(len(packet), bool)))
    return np.concatenate(found)


def _packets(content: bytes) -> np.ndarray:
    """The events of a file of version 3.1: packets, each with a header of 28 bytes.

    tonic takes packets of any kind for polarity events, and so those that are no longer valid.
    Source: inivation, "AEDAT file formats", version 3.1.
    """
    parts, at = [np.zeros((0, 2), "<u4")], 0
    while at < len(content):
        if at + 28 > len(content):
            raise ValueError("its last packet is cut short")
        kind, size, number = struct.unpack("<H2xI12xI", content[at : at + 24])
        end = at + 28 + size * number
        if end > len(content):
            raise ValueError(f"the packet at byte {at} of its data is cut short")
        if kind == _POLARITY:
            if size != 8:
                raise ValueError(f"its polarity events have {size} bytes, not 8")
            parts.append(np.frombuffer(content[at + 28 : end], "<u4").reshape(-1, 2))
        at = end
    data, time = np.concatenate(parts).T
    fields = {"t": time, "x": data >> 17, "y": data >> 2 & 0x7FFF, "p": data >> 1 & 1}
    return _structured(fields, (data & 1).astype(bool))


def _structured(fields: dict[str, np.ndarray], kept: np.ndarray) -> np.ndarray:
    found = np.zeros(int(kept.sum()), _FIELDS)
    for name, array in fields.items():
        found[name] = array[kept]
    return found


def _require_frames(content: bytes) -> None:
    """Raise ValueError unless the parts of a file of version 4 lie within it.

    aedat takes the header as it is, without a check of its offsets, and takes memory for a packet
    before it reads it. Source: inivation, "AEDAT file formats", version 4.0.
    """
    if content[:14] != _MAGIC:
        raise ValueError(f"it begins with {content[:14]!r}, not with {_MAGIC!r}")
    at = 18
    (length,) = struct.unpack_from("<I", content, 14)
    header = content[at : at + length]
    if len(header) < length or length > _MOST_HEADER:
        raise ValueError("its header is cut short")
    _require_header(header)
    end = _end_of_packets(header, len(content))
    at += length
    while at < end:
        if at + 8 > end:
            raise ValueError("its last packet is cut short")
        at += 8 + struct.unpack_from("<I", content, at + 4)[0]
    if at != end:
        raise ValueError("its last packet is cut short")


def _field(header: bytes, number: int) -> int | None:
    """Place of a field of the header's table; None if it is absent."""
    (root,) = struct.unpack_from("<I", header)
    (back,) = struct.unpack_from("<i", header, root)
    table = root - back
    if table < 0:
        raise ValueError("its header is damaged")
    (size,) = struct.unpack_from("<H", header, table)
    if table + size > len(header):
        raise ValueError("its header is damaged")
    if 4 + 2 * number >= size:
        return None
    (offset,) = struct.unpack_from("<H", header, table + 4 + 2 * number)
    return root + offset if offset else None


def _require_header(header: bytes) -> None:
    at = _field(header, 2)
    if at is None:
        raise ValueError("its header has no description")
    start = at + struct.unpack_from("<I", header, at)[0]
    (length,) = struct.unpack_from("<I", header, start)
    if start + 4 + length > len(header):
        raise ValueError("its header is damaged")
    header[start + 4 : start + 4 + length].decode()
    compression = _field(header, 0)
    if compression is not None:
        struct.unpack_from("<i", header, compression)


def _end_of_packets(header: bytes, size: int) -> int:
    """Place after the last packet: a table of packets may follow."""
    at = _field(header, 1)
    found = -1 if at is None else struct.unpack_from("<q", header, at)[0]
    if found > size:
        raise ValueError("it is cut short")
    return size if found < 0 else int(found)
