"""The base of every chip family: chips by name, limits, rows of reports, warnings.

A family is a folder with the verbs of `snnjax.hardware`; all that they do alike is in this folder.
"""

import abc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from .._checks import numbers_of
from .._typing import PyTree
from ._chip import (
    Chip as Chip,
    ChipT as ChipT,
    bounds as bounds,
    find_chip as find_chip,
    name_of as name_of,
)
from ._describe import describe_spec

MAX_INT32 = 2**31 - 1


class MappingWarning(UserWarning):
    """The chip computes something in another way than the network."""


class QuantizationWarning(UserWarning):
    """Parameters lose more to rounding than a network usually bears."""


class Spec(eqx.Module):
    """A network as a chip holds it: integers once quantised, real numbers in their places before.

    Attributes:
        chip: the chip that the network is meant for.
    """

    chip: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def arrays(self) -> dict[str, Array]:
        """The arrays by the names that messages give them, without those that are None."""

    @property
    def quantized(self) -> bool:
        """Whether every array holds integers."""
        return all(jnp.issubdtype(x.dtype, jnp.integer) for x in self.arrays().values())

    __repr__ = describe_spec


def as_array(value: ArrayLike | None) -> Array | None:
    """`value` as an array of JAX, its integers as int32; the converter of a spec's fields.

    What holds no numbers stays as it is, for the check of the spec to name the field.

    Raises:
        ValueError: if an integer does not fit in 32 bits.
    """
    found = value if value is None or isinstance(value, jax.Array) else numbers_of(value)
    numbers = isinstance(found, np.ndarray) and found.dtype.kind not in "OUS"
    if not isinstance(found, jax.Array) and not numbers:
        return found
    array = jnp.asarray(found)
    return array.astype(jnp.int32) if jnp.issubdtype(array.dtype, jnp.integer) else array


def is_known(tree: PyTree) -> bool:
    """Whether all values in a pytree are known: False under `jax.jit` and the like."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def known(arrays: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """The arrays whose values are known."""
    return {name: np.asarray(x) for name, x in arrays.items() if is_known(x)}


def require_kind(spec: object, kind: type[Spec]) -> None:
    """Raise TypeError unless `spec` is a spec of the family, rather than the model."""
    if not isinstance(spec, kind):
        raise TypeError(
            f"`spec` must be a {kind.__name__} of {kind.__module__.rpartition('.')[0]}; got "
            f"{type(spec).__name__}: `map_network` makes one of a network, `quantize` its integers"
        )


def require_quantized(spec: object, kind: type[Spec]) -> None:
    """Raise an error unless `spec` is a quantised spec of the family."""
    require_kind(spec, kind)
    if not spec.quantized:  # type: ignore[attr-defined]
        raise ValueError("`spec` holds real numbers; make it integers with `quantize` first")


def require_mapped(spec: object, kind: type[Spec]) -> None:
    """Raise an error unless `spec` is a spec of the family that is not quantised yet."""
    require_kind(spec, kind)
    if spec.quantized:  # type: ignore[attr-defined]
        raise ValueError("`spec` is quantised already; give what `map_network` returns")


@dataclass(frozen=True)
class Violation:
    """A limit that a network breaks.

    Attributes:
        parameter: the field of the spec that breaks it, with an index where one entry does.
        value: its value.
        limit: the limit: a number, the lowest and highest that are allowed, or all that are.
        message: all of this in a sentence.
        severity: "error" if the chip cannot run the network, "warning" if it can, but hardly as
            meant.
    """

    parameter: str
    value: float | str | tuple[Any, ...]
    limit: float | str | tuple[Any, ...]
    message: str
    severity: Literal["error", "warning"] = "error"


def refuse(violations: Iterable[Violation]) -> None:
    """Raise ValueError, with the messages of all errors, if there are any."""
    errors = [v.message for v in violations if v.severity == "error"]
    if errors:
        raise ValueError("the chip cannot hold this network:\n  - " + "\n  - ".join(errors))


def entries(
    parameter: str,
    array: np.ndarray,
    bad: np.ndarray,
    limit: float | str | tuple[Any, ...],
    why: str,
    *,
    owner: str = "",
    severity: Literal["error", "warning"] = "error",
) -> Iterator[Violation]:
    """One violation for all entries of an array that are bad; none if no entry is.

    Args:
        parameter: what messages call the array.
        array: its values.
        bad: True for each entry that breaks the limit.
        limit: the limit.
        why: the rest of the sentence: "must be from 0 to 15".
        owner: the layer of the model that the array belongs to, for the message; "" for none.
        severity: "error" or "warning".
    """
    count = int(np.count_nonzero(bad))
    if not count:
        return
    index = np.unravel_index(np.argmax(bad), array.shape)
    value = array[index].item()
    entry = parameter + (f"[{', '.join(map(str, index))}]" if index else "")
    shown = f"{value:g}" if isinstance(value, float) else value
    more = f" (and {count - 1} more)" if count > 1 else ""
    message = f"`{entry}`{f' (`{owner}`)' if owner else ''} is {shown}; {why}{more}"
    yield Violation(entry, value, limit, message, severity)


class Usage(NamedTuple):
    """How much of a resource of the chip a network takes.

    Attributes:
        resource: the name of the resource.
        used: how much of it the network takes.
        has: how much of it the chip has; None for no limit.
        layer: the layer that takes it; None for the whole network.
    """

    resource: str
    used: int
    has: int | None
    layer: str | None = None

    def __str__(self) -> str:
        whose = "" if self.layer is None else f" ({self.layer})"
        limit = "" if self.has is None else f" of {self.has:,}"
        return f"{self.resource}{whose}: {self.used:,}{limit}"


class ParameterReport(NamedTuple):
    """One parameter of a network, before and after `quantize`.

    Attributes:
        parameter: its name, with the layer it belongs to.
        size: how many numbers it has, or how many of them the row is about.
        before: mean magnitude in the network, in seconds for a time constant.
        after: mean magnitude of the numbers that the integers stand for, in the same unit.
        scale: the number that it is multiplied by, the mean where each neuron has its own; None for
            a decay.
        integers: the lowest and the highest of its integers.
        sqnr: signal to quantisation noise in dB; inf if nothing is lost.
        zeroed: how many numbers become 0 that were not.
        clipped: how many numbers did not fit their bits and were cut.
    """

    parameter: str
    size: int
    before: float
    after: float
    scale: float | None
    integers: tuple[int, int]
    sqnr: float
    zeroed: int = 0
    clipped: int = 0

    def __str__(self) -> str:
        unit, factor = (" ms", 1e3) if self.scale is None else ("", 1.0)
        low, high = self.integers
        change = f" ({self.after / self.before - 1:+.1%})" if self.before else ""
        parts = [
            f"{self.parameter}: {self.size} x {self.before * factor:.3g}{unit} -> "
            f"{self.after * factor:.3g}{unit}{change}",
            f"integer {low}" if low == high else f"integers {low} to {high}",
        ]
        if self.scale is not None:
            parts.append(f"scale {self.scale:.4g}, SQNR {self.sqnr:.1f} dB")
        parts += [f"{n} {fate}" for n, fate in self._fates() if n]
        return ", ".join(parts)

    def _fates(self) -> tuple[tuple[int, str], ...]:
        return (self.zeroed, "become 0"), (self.clipped, "clipped")


def sqnr(real: ArrayLike, stand_in: ArrayLike) -> float:
    """Signal to quantisation noise in dB: 10*log10(sum x^2 / sum (x - y)^2)."""
    x, y = (np.asarray(values, np.float64) for values in (real, stand_in))
    signal, noise = float((x**2).sum()), float(((x - y) ** 2).sum())
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else -float("inf")


def report_parameter(
    parameter: str, real: ArrayLike, integers: ArrayLike, scale: ArrayLike, *, clipped: int = 0
) -> ParameterReport:
    """The row of a parameter that is multiplied by a scale and rounded.

    Args:
        parameter: its name, with the layer it belongs to.
        real: its numbers in the network.
        integers: what they become.
        scale: what they were multiplied by; it broadcasts against them.
        clipped: how many of them did not fit their bits.
    """
    x, n = np.asarray(real, np.float64), np.asarray(integers)
    scale = np.asarray(scale, np.float64)
    return ParameterReport(
        parameter=parameter,
        size=x.size,
        before=float(np.abs(x).mean()),
        after=float(np.abs(n / scale).mean()),
        scale=float(scale.mean()),
        integers=(int(n.min()), int(n.max())),
        sqnr=sqnr(x, n / scale),
        zeroed=int(((n == 0) & (x != 0)).sum()),
        clipped=clipped,
    )
