"""Errors that name the argument at fault, at no cost to correct calls."""

import dataclasses
import functools
import inspect
import linecache
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from numbers import Integral, Real
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._kinds import fits, shown, words

P = ParamSpec("P")
R = TypeVar("R")

_PASSING = (RuntimeError, OSError, ImportError)
"""Errors that no wrong argument gives: of programs that run, files and packages."""

_LARGEST = 2**31 - 1


class _Given(NamedTuple):
    name: str
    value: Any
    kind: Any


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function name the argument at fault where JAX, NumPy or equinox would raise.

    Arguments are looked at only after an error, so that correct calls and compiled programs pay for
    nothing. An error of this library that names an argument passes as it is, and so does one that
    names something else, such as a file, if all arguments are of their annotations. Of others, the
    cause may be an argument that is not of its annotation; or a value that few functions can take,
    such as infinity or an empty array; or arrays whose shapes or dtypes do not go together. If it
    is none of these, the error passes too.

    Raises:
        TypeError: in place of another error, if an argument is not of its annotation.
        ValueError: in place of another error, if the values of arguments may be its cause.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            own = _is_own(error)
            if isinstance(error, _PASSING) or (own and "`" in str(error)):
                raise
            given = list(_all_given(signature, args, kwargs))
            clearer: Exception | None = _of_wrong_kind(given)
            if clearer is None and not (own and _is_raised(error)):
                clearer = _clearer(error, given)
            if clearer is None:
                raise
            raise clearer from error

    return wrapper


def of_kind(name: str, value: Any, kind: Any) -> None:
    """Raise TypeError unless a value is of an annotation."""
    if not fits(value, kind):
        raise _wrong_kind(_Given(name, value, kind))


def _last(error: BaseException) -> TracebackType | None:
    """The place where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _is_own(error: BaseException) -> bool:
    """Whether it comes from the code of this library itself."""
    trace = _last(error)
    module = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    return bool(module.partition(".")[0] == __name__.partition(".")[0])


def _is_raised(error: BaseException) -> bool:
    """Whether a statement `raise` made it, not an operation that failed."""
    trace = _last(error)
    if trace is None:
        return False
    line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return line.lstrip().startswith("raise ")


def _of_wrong_kind(given: list[_Given]) -> TypeError | None:
    for argument in given:
        if not fits(argument.value, argument.kind):
            return _wrong_kind(argument)
    return None


def _clearer(error: Exception, given: list[_Given]) -> TypeError | ValueError | None:
    for name, value, _ in given:
        for part in value if isinstance(value, tuple | list) else (value,):
            needed = _needed(part)
            if needed is not None:
                return ValueError(f"`{name}` must {needed}; got {shown(part)}")
    return _shapes_apart(error, given) or _dtypes_apart(error, given) or _unlikely(given)


def _all_given(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[_Given]:
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError:  # an argument too many or too few, which the error says
        return
    if bound.keys() == {"self"} and dataclasses.is_dataclass(bound["self"]):  # `__check_init__`
        for field in dataclasses.fields(bound["self"]):
            yield _Given(field.name, getattr(bound["self"], field.name), field.type)
    for name, value in bound.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            for i, each in enumerate(value):
                yield _Given(f"{name}[{i}]", each, parameter.annotation)
        elif parameter.kind is parameter.VAR_KEYWORD:
            for key, each in value.items():
                yield _Given(key, each, parameter.annotation)
        elif parameter.annotation is not parameter.empty:
            yield _Given(name, value, parameter.annotation)


def _wrong_kind(argument: _Given) -> TypeError:
    name, value, kind = argument
    return TypeError(f"`{name}` must be {words(kind)}; got {shown(value)}")


def _needed(value: Any) -> str | None:
    """The property of most arguments that a value has not."""
    if isinstance(value, Integral) and abs(int(value)) > _LARGEST:
        return f"be from {-_LARGEST - 1} to {_LARGEST}"
    if isinstance(value, Real) and not math.isfinite(value):
        return "be finite"
    if _is_array(value) and 0 in value.shape:
        return "have elements"
    return None


def _shapes_apart(error: Exception, given: list[_Given]) -> ValueError | None:
    arrays = [each for each in given if _is_array(each.value)]
    if "shape" in str(error):
        for a, b in pairwise(arrays):
            try:
                np.broadcast_shapes(a.value.shape, b.value.shape)
            except ValueError:
                return ValueError(
                    f"`{a.name}` and `{b.name}` must have shapes that go together; got "
                    f"{a.value.shape} and {b.value.shape}"
                )
    return None


def _dtypes_apart(error: Exception, given: list[_Given]) -> TypeError | None:
    found = [(each.name, dtype) for each in given for dtype in _dtypes(each.value)]
    if "promotion" in str(error):
        for (name, dtype), (other, another) in pairwise(found):
            if dtype != another and name != other:
                return TypeError(
                    f"`{name}` and `{other}` must have one dtype; got {dtype} and {another}; "
                    "convert one with `astype`"
                )
    return None


def _unlikely(given: list[_Given]) -> TypeError | None:
    """A number or a boolean in place of an array, or in a pytree no array at all."""
    for argument in given:
        name, value, kind = argument
        if kind is Any:
            leaves = [] if isinstance(value, eqx.Module) else jax.tree.leaves(value)
            for leaf in leaves:
                if not _is_array(leaf) or getattr(leaf.dtype, "kind", "") in "OUS":
                    return TypeError(f"`{name}` must be a pytree of arrays; got {shown(leaf)}")
        boolean = isinstance(value, bool) or (
            _is_array(value) and jnp.issubdtype(value.dtype, jnp.bool_)
        )
        number = isinstance(value, Real) and not {int, float} & {*get_args(kind)}
        if (boolean or number) and "an array" in words(kind):
            return _wrong_kind(argument)
    return None


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray)


def _dtypes(value: Any) -> list[Any]:
    leaves = [leaf for leaf in jax.tree.leaves(value) if _is_array(leaf)]
    return list(dict.fromkeys(x.dtype for x in leaves if jnp.issubdtype(x.dtype, jnp.number)))
