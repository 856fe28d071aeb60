"""Chips as data, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from .._checks import is_count, of_kind, require


@dataclass(frozen=True, kw_only=True)
class Chip:
    """The properties of a chip that every family has.

    Attributes:
        name: the name of the product.
        weight_bits: bits of a weight, sign included.
        state_bits: bits of a membrane potential or threshold, sign included.
    """

    name: str
    weight_bits: int = 8
    state_bits: int = 16

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            of_kind(field.name, value, field.type)
            if field.name.endswith("_bits"):
                require(is_count(value) and value <= 32, field.name, value, "from 1 to 32 bits")

    @property
    def max_weight(self) -> int:
        """Largest weight: 127 for 8 bits."""
        return bounds(self.weight_bits)[1]

    @property
    def max_state(self) -> int:
        """The largest membrane potential or threshold, such as 32767 for 16 bits."""
        return bounds(self.state_bits)[1]


ChipT = TypeVar("ChipT", bound=Chip)


def bounds(bits: int) -> tuple[int, int]:
    """The lowest and the highest integer of a number of bits: -128 and 127 for 8."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def find_chip(chip: ChipT | str, chips: Mapping[str, ChipT]) -> ChipT:
    """The chip of a short name; a chip of the same family is returned as it is.

    Raises:
        ValueError: if `chip` is neither; the message lists the names.
    """
    kind = type(next(iter(chips.values())))
    if isinstance(chip, kind):
        return chip
    if not isinstance(chip, str) or chip not in chips:
        raise ValueError(f"`chip` must be a Chip or one of {', '.join(chips)}; got {chip!r}")
    return chips[chip]


def name_of(chip: ChipT, chips: Mapping[str, ChipT]) -> str:
    """The short name of a chip, as files have it.

    Raises:
        ValueError: if the chip has none.
    """
    for name, known in chips.items():
        if known == chip:
            return name
    raise ValueError(f"`spec.chip` must be one of {', '.join(chips)}; got {chip}")
