"""Matrices of weights in C: dense, as runs or as pairs, whatever is smallest."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int

from ._tables import Table, array, bits_of, packed
from ._template import comment, fill

Layout: TypeAlias = Literal["dense", "runs", "pairs"]


class Matrix(NamedTuple):
    """A matrix in the source, with the function that adds a row of it to its targets.

    Attributes:
        text: tables and function.
        layout: "dense" holds every weight; "runs" those from the first to the last of each row that
            are not 0; "pairs" those that are not 0, each with its column.
        bits: of a weight.
        bytes: memory that the tables take.
        row_weights: how many weights are stored of each row.
    """

    text: str
    layout: Layout
    bits: int
    bytes: int
    row_weights: Int[np.ndarray, " rows"]


class _Laid(NamedTuple):
    layout: Layout
    stored: str
    tables: dict[str, Table]
    row_weights: Int[np.ndarray, " rows"]

    @property
    def bytes(self) -> int:
        return sum(table.bytes for table in self.tables.values())


def matrix(
    name: str, weight: Int[np.ndarray, "rows columns"], what: str, sum_: str, types: dict[str, str]
) -> Matrix:
    """Lay a matrix out in the smallest way.

    Args:
        name: of the table; the function is `add_<name>`.
        weight: whole numbers of 8 bits, not all 0.
        what: a comment.
        sum_: the new value of a target `*one`, `format`ted with the weight.
        types: `target_type`, and `count_type` of the events of a source.
    """
    bits = bits_of(weight)
    laid = min(
        (make(name, weight, bits) for make in (_dense, _runs, _pairs)), key=lambda x: x.bytes
    )
    at = {key: table.at for key, table in laid.tables.items()}
    values = types | {
        "name": name,
        "about": comment(f"{what}. {bits} bits each; {laid.stored}."),
        "tables": "\n".join(table.text for table in laid.tables.values()),
        "columns": weight.shape[1],
        "dense": laid.layout == "dense",
        "runs": laid.layout == "runs",
        "start": at.get("start", "").format("row"),
        "end": at.get("start", "").format("row + 1u"),
        "first": at.get("first", "").format("row"),
        "target": f" + {at['column'].format('k')}" if "column" in at else "++",
        "sum": sum_.format(at["weight"].format("k")),
    }
    return Matrix(fill("matrix.c", values), laid.layout, bits, laid.bytes, laid.row_weights)


def unpacking(matrices: Sequence[Matrix]) -> str:
    """The functions that read weights of less than 8 bits, for those that there are."""
    bits = {found.bits for found in matrices}
    return fill("weights.c", {"packed4": 4 in bits, "packed2": 2 in bits})


def _dense(name: str, weight: np.ndarray, bits: int) -> _Laid:
    rows, columns = weight.shape
    tables = {"weight": packed(name, weight.ravel(), bits)}
    return _Laid("dense", "all of them, row by row", tables, np.full(rows, columns))


def _runs(name: str, weight: np.ndarray, bits: int) -> _Laid:
    used = weight != 0
    some = used.any(axis=1)
    first = np.where(some, used.argmax(axis=1), 0)
    end = np.where(some, weight.shape[1] - used[:, ::-1].argmax(axis=1), 0)
    values = np.concatenate([row[a:b] for row, a, b in zip(weight, first, end, strict=True)])
    tables = {
        "start": _starts(name, end - first),
        "first": array(f"{name}_first", first, "Target of the first weight of each row."),
        "weight": packed(name, values, bits),
    }
    return _Laid("runs", "of each row the first to the last that are not 0", tables, end - first)


def _pairs(name: str, weight: np.ndarray, bits: int) -> _Laid:
    counts = np.count_nonzero(weight, axis=1)
    tables = {
        "start": _starts(name, counts),
        "column": array(f"{name}_column", np.nonzero(weight)[1], "Target of each weight."),
        "weight": packed(name, weight[weight != 0], bits),
    }
    return _Laid("pairs", "only those that are not 0, row by row", tables, counts)


def _starts(name: str, counts: np.ndarray) -> Table:
    starts = np.concatenate([[0], np.cumsum(counts)])
    return array(
        f"{name}_start", starts, "Number of the first weight of each row, and of all weights."
    )
