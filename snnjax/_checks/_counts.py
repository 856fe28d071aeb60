"""Checks of whole numbers: single ones, and arrays of numbers of events."""

from collections.abc import Iterable
from typing import Any

import numpy as np

MAX_INT32 = 2**31 - 1


def require_counts(
    name: str, values: np.ndarray, *, most: int = MAX_INT32, start: tuple[int, ...] | None = None
) -> None:
    """Raise ValueError unless `values` are whole numbers from 0 to `most`.

    Args:
        name: the array's name for the message.
        values: the array, or a part of it.
        most: the largest number.
        start: where the part begins in the array.
    """
    if values.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` must hold whole numbers; got {values.dtype}")
    with np.errstate(invalid="ignore"):
        faults: dict[str, Any] = {
            "NaN": np.isnan(values),
            "negative": values < 0,
            "infinite": np.isinf(values),
            f"above {most}": values > most,
            "not a whole number": values != np.round(values),
        }
    for fault, bad in faults.items():
        if bad.any():
            index = tuple(map(int, np.argwhere(bad)[0]))
            at = [i + first for i, first in zip(index, start or (0,) * len(index), strict=True)]
            raise ValueError(
                f"`{name}` must hold whole numbers from 0 to {most}; `{name}{at}` is "
                f"{values[index]}, {fault}"
            )


def whole(name: str, value: Any, least: int) -> int:
    """A Python integer from anything that is one, NumPy's included.

    Raises:
        ValueError: if `value` is no integer, or below `least`.
    """
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not number or value < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}; got {value!r}")
    return int(value)


def wholes(name: str, value: Any, length: int, least: int) -> tuple[int, ...]:
    """A tuple of Python integers from any sequence of that length.

    Raises:
        ValueError: if `value` is no such sequence, or an entry is below `least`.
    """
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise ValueError(f"`{name}` must be {length} integers; got {value!r}")
    entries = tuple(value)
    if len(entries) != length:
        raise ValueError(f"`{name}` must be {length} integers; got {value!r}")
    return tuple(whole(f"{name}[{i}]", entry, least) for i, entry in enumerate(entries))


def numbers_of(value: Any) -> Any:
    """`value` as an array of NumPy if it holds real numbers; otherwise as it is.

    Raises:
        ValueError: if an integer does not fit in 32 bits.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        return value
    whole = array.dtype.kind in "iu" and array.size > 0
    if whole and not -1 - MAX_INT32 <= array.min() <= array.max() <= MAX_INT32:
        raise ValueError(f"integers must fit in 32 bits; got {array.min()} to {array.max()}")
    return value if array.dtype.kind in "OUSc" else array
