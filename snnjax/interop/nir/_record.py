"""Networks as nested plain data and arrays, and back: what NIR has no field for."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import networks, nn, surrogate
from .._delay import Delay
from .._firing import Strict
from .._layers import Dense, FlattenAxes, Scale, Shift, Threshold
from .._neuron import NIRIntegrator, NIRNeuron
from .._snntorch import LeakyAtOnce, SynapticAtOnce

UNCHANGED = nn.Recurrent(eqx.nn.Identity(), shape=1).layers[1]
"""The feedback of a `Recurrent` that is made without one."""

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": jax.lax.add,
    "max": jax.lax.max,
    "unchanged": UNCHANGED,
}
"""The functions that layers hold."""


def _classes() -> dict[str, type]:
    own: tuple[type, ...] = (
        Delay,
        Strict,
        NIRIntegrator,
        NIRNeuron,
        Dense,
        FlattenAxes,
        Scale,
        Shift,
        Threshold,
        LeakyAtOnce,
        SynapticAtOnce,
    )
    found = {cls.__name__: cls for cls in own}
    for module, prefix in ((nn, ""), (networks, ""), (surrogate, ""), (eqx.nn, "eqx.")):
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, eqx.Module):
                found.setdefault(f"{prefix}{name}", value)
    return found


CLASSES = _classes()
"""The modules that a file may name."""

_NAMES = {cls: name for name, cls in CLASSES.items()}


def describe(value: Any, arrays: list[np.ndarray], path: str = "network") -> Any:
    """`value` as JSON; its arrays are appended to `arrays` and given by their number.

    Raises:
        ValueError: if it holds what a file cannot, as a function; the message has its path.
    """
    if isinstance(value, eqx.Module):
        if type(value) not in _NAMES:
            raise ValueError(f"{path} is a {type(value).__name__}, which no file can hold")
        fields = {
            f.name: describe(getattr(value, f.name), arrays, f"{path}.{f.name}")
            for f in dataclasses.fields(value)
        }
        return {"class": _NAMES[type(value)], "fields": fields}
    if isinstance(value, jax.Array | np.ndarray) and not isinstance(value, np.generic):
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [describe(v, arrays, f"{path}[{i}]") for i, v in enumerate(value)]}
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    for name, function in _FUNCTIONS.items():
        if value is function:
            return {"function": name}
    raise ValueError(f"{path} is {value!r}, which no file can hold")


def rebuild(content: Any, array: Callable[[int], np.ndarray]) -> Any:
    """The value of a description.

    Args:
        content: what `describe` gave.
        array: from the number of an array to the array.

    Raises:
        ValueError: if it names what this version does not have.
    """
    match content:
        case {"class": str(name), "fields": dict(fields)}:
            return _module(name, {k: rebuild(v, array) for k, v in fields.items()})
        case {"array": int(number)}:
            return jnp.asarray(array(number))
        case {"tuple": list(values)}:
            return tuple(rebuild(v, array) for v in values)
        case {"list": list(values)}:
            return [rebuild(v, array) for v in values]
        case {"dtype": str(name)}:
            return jnp.dtype(name)
        case {"function": str(name)} if name in _FUNCTIONS:
            return _FUNCTIONS[name]
        case bool() | int() | float() | str() | None:
            return content
    raise ValueError(f"its notes hold what this version does not know: {json.dumps(content)[:80]}")


def _module(name: str, fields: dict[str, Any]) -> eqx.Module:
    if name not in CLASSES:
        raise ValueError(f"its notes name {name!r}, which this version does not have")
    cls = CLASSES[name]
    wanted = {f.name for f in dataclasses.fields(cls)}
    if set(fields) != wanted:
        odd = sorted(set(fields) ^ wanted)
        raise ValueError(f"its notes of a {name} are of another version: they differ in {odd}")
    module: eqx.Module = object.__new__(cls)
    for field, value in fields.items():
        object.__setattr__(module, field, value)
    return module
