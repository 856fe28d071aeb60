"""Specs and traces in words, for people who print them."""

import sys
from typing import Any

import jax
import numpy as np


def describe_spec(spec: Any) -> str:
    """The chip, its use, and each array of a spec with its shape and range.

    Args:
        spec: a spec of any family.
    """
    arrays = spec.arrays()
    if not all(hasattr(x, "dtype") for x in arrays.values()):
        return object.__repr__(spec)  # a pytree of something else
    kind = "integers" if spec.quantized else "real numbers"
    lines = [f"{type(spec).__name__} for {spec.chip.name}, {kind}"]
    usage = getattr(sys.modules.get(type(spec).__module__.rpartition(".")[0]), "usage", None)
    if usage is not None and all(map(_known, arrays.values())):
        lines += [f"  {row}" for row in usage(spec) if row.used]
    width = max(map(len, arrays))
    lines += [f"  {name:{width}}  {_summary(array)}" for name, array in arrays.items()]
    return "\n".join(lines)


def describe_trace(trace: Any) -> str:
    """A result of a simulation, with the shape and the range of each of its arrays.

    Args:
        trace: a NamedTuple.
    """
    lines = [type(trace).__name__]
    for name, value in trace._asdict().items():
        parts = (value,) if hasattr(value, "_fields") or not isinstance(value, tuple) else value
        lines.append(f"  {name}: " + "; ".join(map(_part, parts)))
    return "\n".join(lines)


def _part(x: Any) -> str:
    if hasattr(x, "_fields"):
        return ", ".join(x._fields)
    return _summary(x) if hasattr(x, "dtype") else str(x)


def _known(x: Any) -> bool:
    return not isinstance(x, jax.core.Tracer | jax.ShapeDtypeStruct)


def _summary(array: Any) -> str:
    """An array in a few words: its shape, and its range where that is known."""
    shape = " x ".join(map(str, array.shape)) or "one"
    if not _known(array) or not array.size:
        return f"{shape} of {array.dtype}"
    low, high = np.asarray(array).min(), np.asarray(array).max()
    return f"{shape}, {low:.4g}" + ("" if low == high else f" to {high:.4g}")
