"""The front end of Xylo Audio 3 in C."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...hardware.xylo.frontend import MOST_EVENTS, Audio3
from ._tables import array
from ._template import fill

_OF_FILTERS = {
    "a1": "Coefficients of the last value of each filter's recursion.",
    "a2": "Coefficients of the one before.",
    "a_shift": "Bits by which the sum of their products is shifted.",
    "b_shift": "Bits by which the recursion's next value is shifted.",
    "w_shift": "Bits of the recursion behind the binary point of a sample.",
}
_OF_NORMALISATION = {
    "k": "The mean of each channel goes over 2^k samples.",
    "eps": "Least mean that counts.",
    "b1": "The threshold is (2^b1 - 2^b2) times the mean.",
    "b2": "See b1.",
}
_FIXED = {
    "normalise": "Whether the threshold of each channel follows the sound.",
    "threshold": "Thresholds where they do not.",
}


class FrontEnd(NamedTuple):
    """A front end in C.

    Attributes:
        header: the text of `<name>_front_end.h`.
        source: the text of `<name>_front_end.c`.
        flash: bytes of constant tables. Compiled code adds about 1 KiB.
        ram: bytes of the state. The stack takes 16 more for each channel.
        multiplications: of 32 by 32 bits, for each sample.
    """

    header: str
    source: str
    flash: int
    ram: int
    multiplications: int

    def text(self) -> str:
        """Memory and operations in a sentence."""
        return _about(self.flash, self.ram, self.multiplications)


def render(front_end: Audio3, values: Mapping[str, object]) -> FrontEnd:
    """Write a front end.

    Args:
        front_end: its settings.
        values: for the templates: what all networks need.

    Raises:
        ValueError: if it begins with the reversed recording, which no stream can.
    """
    if front_end.warm_up == "mirrored":
        raise ValueError("`front_end.warm_up` is 'mirrored', which no stream can be; take 'rest'")
    each = front_end.by_channel
    some, all_ = any(each["normalise"]), all(each["normalise"])
    wanted = _OF_FILTERS | (_OF_NORMALISATION if some else {})
    wanted |= {} if all_ else _FIXED if some else {"threshold": "Thresholds of all channels."}
    each |= {n: tuple(getattr(f, n) for f in front_end.filters) for n in _OF_FILTERS}
    tables = {
        name: array(name, np.array(each[name], np.int64), what) for name, what in wanted.items()
    }
    at = {name: table.at.format("i") for name, table in tables.items()}
    follows = "largest" if front_end.joint else "thresholds[i]"
    if not some:
        follows = at["threshold"]
    elif not all_:
        follows = f"{at['normalise']} ? {follows} : {at['threshold']}"
    flash = sum(table.bytes for table in tables.values())
    ram = _ram(front_end.channels, some)
    multiplications = 2 * front_end.channels
    values = {
        **values,
        **at,
        "tables": "\n".join(table.text for table in tables.values()),
        "channels": front_end.channels,
        "window": front_end.window,
        "milliseconds": f"{1e3 * front_end.dt:g}",
        "most": MOST_EVENTS,
        "normalised": some,
        "joint": some and front_end.joint,
        "unused": some and not any(tables[name].bytes for name in _OF_NORMALISATION),
        "at": follows,
        "footprint": _about(flash, ram, multiplications),
    }
    texts = fill("audio3.h", values), fill("audio3.c", values)
    return FrontEnd(*texts, flash, ram, multiplications)


def _about(flash: int, ram: int, multiplications: int) -> str:
    return (
        f"Tables of {flash:,} bytes, state of {ram:,} bytes; a sample takes {multiplications} "
        "multiplications."
    )


def _ram(channels: int, normalised: bool) -> int:
    wide = 8 * (1 + normalised) * channels
    narrow = 12 * channels + 4 + channels
    return wide + -(-narrow // 8) * 8
