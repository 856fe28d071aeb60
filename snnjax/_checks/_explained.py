"""Errors that name the argument at fault, at no cost to correct calls."""

import dataclasses
import functools
import inspect
import linecache
import math
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator
from itertools import pairwise
from numbers import Integral, Real
from types import FrameType, TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar

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
_OWN = __name__.partition(".")[0]
_BETWEEN = ("jax", "equinox", "jaxtyping", "functools", "contextlib", "numpy")
"""Packages that pass a call on."""

_LIBRARIES = ("<", *(sysconfig.get_paths()[k] for k in ("stdlib", "purelib", "platlib")))
"""Begins of the files of functions that are none of the user's."""


class _Given(NamedTuple):
    name: str
    value: Any
    kind: Any


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function name the argument at fault where JAX, NumPy or equinox would raise.

    Arguments are looked at only after an error, so that correct calls and compiled programs pay for
    nothing; and only those of the function that a user called, not those of the functions within.
    An error of this library passes as it is, unless an argument is not of its annotation; so does
    an error of a function of the user's. Any other becomes one that names an argument that is not
    of its annotation; or, where all are, one that shows the arguments and tells what is unusual
    about them: a value that few functions can take, such as infinity or an empty array, and arrays
    whose shapes or dtypes do not go together.

    Raises:
        TypeError: in place of another error, if an argument is not of its annotation.
        TypeError, ValueError: in place of an error from the inside, with the arguments.
    """
    signature = inspect.signature(function)

    def clearer(error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception:
        """The error to raise, from another one or the same."""
        own = _is_own(error) and _is_raised(error)
        if _passes(error) or (own and "`" in str(error)) or _is_within():
            return error
        given = list(_all_given(signature, args, kwargs))
        found: Exception | None = _of_wrong_kind(given)
        if found is None and given and not own and _is_inside(error):
            found = _shown(error, function, given)
        return found or error

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            found = clearer(error, args, kwargs)
            if found is error:
                raise
            raise found from error

    @functools.wraps(function)
    def generator(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            yield from function(*args, **kwargs)  # type: ignore[misc]
        except Exception as error:
            found = clearer(error, args, kwargs)
            if found is error:
                raise
            raise found from error

    return generator if inspect.isgeneratorfunction(function) else wrapper


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


def _passes(error: Exception) -> bool:
    unfit = isinstance(error, NotImplementedError | RecursionError)
    return isinstance(error, _PASSING) and not unfit


def _is_own(error: BaseException) -> bool:
    """Whether it comes from the code of this library itself."""
    trace = _last(error)
    return trace is not None and _package(trace.tb_frame.f_globals) == _OWN


def _is_raised(error: BaseException) -> bool:
    """Whether a statement `raise` made it, not an operation that failed."""
    trace = _last(error)
    if trace is None:
        return False
    line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return line.lstrip().startswith("raise ")


def _is_within() -> bool:
    """Whether the function that raised was called by this library, not by a user."""
    caller: FrameType | None = sys._getframe(3)
    while caller is not None and (
        _package(caller.f_globals) in _BETWEEN or caller.f_code.co_filename.startswith("<")
    ):
        caller = caller.f_back
    return caller is not None and _package(caller.f_globals) == _OWN


def _package(names: dict[str, Any]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]


def _is_inside(error: Exception) -> bool:
    """Whether it passed no function of the user's."""
    trace = error.__traceback__ and error.__traceback__.tb_next
    trace = trace and trace.tb_next  # after the wrapper and what it wraps
    while trace is not None:
        frame = trace.tb_frame
        if _package(frame.f_globals) not in (_OWN, *_BETWEEN) and not (
            frame.f_code.co_filename.startswith(_LIBRARIES)
        ):
            return False
        trace = trace.tb_next
    return True


def _of_wrong_kind(given: list[_Given]) -> TypeError | None:
    for argument in given:
        if not fits(argument.value, argument.kind):
            return _wrong_kind(argument)
    return None


def _shown(error: Exception, function: Callable[..., Any], given: list[_Given]) -> Exception:
    """The error again, with the arguments and what is unusual about them."""
    cause = _shapes_apart(error, given) or _dtypes_apart(error, given) or _unusual(given)
    values = ", ".join(f"`{name}` {shown(value)}" for name, value, _ in given)
    first = next(iter(str(error).splitlines()), "")
    name = re.sub(r"\.__\w+__$", "", function.__qualname__)
    because = f", perhaps because {cause}" if cause else ""
    message = f"{name} failed{because}: {type(error).__name__}: {first}; it was given {values}"
    return (TypeError if isinstance(error, TypeError) else ValueError)(message)


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


def _unusual(given: list[_Given]) -> str | None:
    for name, value, _ in given:
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, Integral) and abs(int(part)) > _LARGEST:
                return f"`{name}` has more than 32 bits: {shown(part)}"
            if isinstance(part, Real) and not math.isfinite(part):
                return f"`{name}` is not finite: {shown(part)}"
            if _is_array(part) and 0 in part.shape:
                return f"`{name}` has no elements: {shown(part)}"
    for name, value, kind in given:
        if kind is Any:
            leaves = [] if isinstance(value, eqx.Module) else jax.tree.leaves(value)
            for leaf in leaves:
                if not _is_array(leaf) or getattr(leaf.dtype, "kind", "") in "OUS":
                    return f"`{name}` is no pytree of arrays: {shown(leaf)}"
        boolean = isinstance(value, bool) or (
            _is_array(value) and jnp.issubdtype(value.dtype, jnp.bool_)
        )
        if boolean and "an array" in words(kind):
            return f"`{name}` is of booleans: {shown(value)}"
    return None


def _shapes_apart(error: Exception, given: list[_Given]) -> str | None:
    arrays = [each for each in given if _is_array(each.value)]
    if "shape" in str(error):
        for a, b in pairwise(arrays):
            try:
                np.broadcast_shapes(a.value.shape, b.value.shape)
            except ValueError:
                shapes = f"{a.value.shape} and {b.value.shape}"
                return f"the shapes of `{a.name}` and `{b.name}` do not go together: {shapes}"
    return None


def _dtypes_apart(error: Exception, given: list[_Given]) -> str | None:
    found = [(each.name, dtype) for each in given for dtype in _dtypes(each.value)]
    if "promotion" in str(error):
        for (name, dtype), (other, another) in pairwise(found):
            if dtype != another and name != other:
                return (
                    f"`{name}` and `{other}` have not one dtype but {dtype} and {another} (convert "
                    "one with `astype`)"
                )
    return None


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray)


def _dtypes(value: Any) -> list[Any]:
    leaves = [leaf for leaf in jax.tree.leaves(value) if _is_array(leaf)]
    return list(dict.fromkeys(x.dtype for x in leaves if jnp.issubdtype(x.dtype, jnp.number)))
