"""Constant tables in C."""

import textwrap
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ._template import comment

_TYPES = {
    "uint8_t": (0, 2**8 - 1),
    "int8_t": (-(2**7), 2**7 - 1),
    "uint16_t": (0, 2**16 - 1),
    "int16_t": (-(2**15), 2**15 - 1),
    "uint32_t": (0, 2**32 - 1),
    "int32_t": (-(2**31), 2**31 - 1),
    "int64_t": (-(2**63), 2**63 - 1),
}
"""Types of integers, and the lowest and the highest that each holds."""


class Table(NamedTuple):
    """Values of a network in the source.

    Attributes:
        text: the definition.
        at: reads the value of an index, `format`ted with the index.
        bytes: memory that it takes.
    """

    text: str
    at: str
    bytes: int


def smallest_type(low: int, high: int) -> str:
    """The smallest type of integers that holds all from `low` to `high`."""
    return next(name for name, (least, most) in _TYPES.items() if least <= low and high <= most)


def size_of(ctype: str) -> int:
    """Bytes of a type: 2 for `int16_t`."""
    return int(ctype.removeprefix("u").removeprefix("int").removesuffix("_t")) // 8


def array(name: str, values: np.ndarray, what: str) -> Table:
    """A constant array of the smallest type, or one number where all values are the same.

    Args:
        name: of the array.
        values: whole numbers.
        what: a comment.
    """
    flat = np.asarray(values).ravel()
    low, high = int(flat.min()), int(flat.max())
    about = comment(what)
    if low == high and abs(low) < 2**31:
        name = name.upper()
        return Table(f"{about}enum {{ {name} = {low} }};\n", name, 0)
    return _array(name, flat, smallest_type(low, high), about)


def packed(name: str, values: np.ndarray, bits: int) -> Table:
    """Signed numbers with so many bits for each, 8, 4 or 2, the first one in the lowest bits."""
    if bits == 8:
        return _array(name, values, "int8_t", "")
    each = 8 // bits
    padded = np.concatenate([values, np.zeros(-len(values) % each, int)]).reshape(-1, each)
    codes = (padded & ((1 << bits) - 1)) << (bits * np.arange(each))
    table = _array(name, codes.sum(axis=1), "uint8_t", "")
    return table._replace(at=f"weight{bits}({name}, {{}})")


def bits_of(values: np.ndarray) -> int:
    """The fewest bits, of 2, 4 and 8, that hold all of some signed numbers."""
    low, high = int(values.min()), int(values.max())
    return next(b for b in (2, 4, 8) if -(1 << (b - 1)) <= low and high < 1 << (b - 1))


def _array(name: str, values: np.ndarray, ctype: str, about: str) -> Table:
    numbers = textwrap.fill(", ".join(map(str, values.tolist())), 96, break_on_hyphens=False)
    body = textwrap.indent(numbers, "    ")
    text = f"{about}static const {ctype} {name}[{len(values)}] = {{\n{body}\n}};\n"
    return Table(text, f"{name}[{{}}]", len(values) * size_of(ctype))


def require_at_most(chip: object, limits: Mapping[str, int]) -> None:
    """Raise ValueError if an attribute of a chip is more than the C has room for."""
    for name, limit in limits.items():
        value = getattr(chip, name)
        if value > limit:
            raise ValueError(f"`spec.chip.{name}` must be at most {limit} for C; got {value}")
