"""Limits that networks break, as every chip family reports them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Violation:
    """A limit that a network breaks.

    Attributes:
        parameter: what breaks it: a field of the Spec, with an index where one entry does.
        value: its value.
        limit: the limit: a number, the lowest and highest that are allowed, or all that are.
        message: all of this in a sentence.
        severity: "error" if the chip cannot run the network, "warning" if it can, but hardly does
            what was meant.
    """

    parameter: str
    value: float | str | tuple[Any, ...]
    limit: float | str | tuple[float, ...]
    message: str
    severity: Literal["error", "warning"] = "error"


def refuse(violations: Iterable[Violation]) -> None:
    """Raise ValueError, with the messages of all errors, if there are any."""
    errors = [v.message for v in violations if v.severity == "error"]
    if errors:
        raise ValueError("the chip cannot hold this network:\n  - " + "\n  - ".join(errors))


def require_kind(spec: object, kind: type) -> None:
    """Raise TypeError if `spec` is something else than a Spec of a family, such as the model."""
    if not isinstance(spec, kind):
        raise TypeError(
            f"`spec` must be a {kind.__name__}; got {type(spec).__name__}: `map_network` makes one "
            "of a network, and `quantize` its integers"
        )
