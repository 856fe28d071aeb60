"""Settings as fields of a frozen dataclass: checked by their types, documented, read from text."""

import dataclasses
import inspect
import math
import operator
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np

_WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
    types.NoneType: "none",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings by name. A subclass adds its own as fields.

    The type of a field is one of `bool`, `int`, `float`, `str`, `None`, a `Literal` of texts, a
    tuple of these, or a union. A value of another type is a ValueError that names the field. Lists
    become tuples and whole numbers become floats where the type asks for them. A field is
    documented under "Attributes" in the docstring of its class.
    """

    def __post_init__(self) -> None:
        for name, kind in _kinds(type(self)).items():
            value = getattr(self, name)
            try:
                fitting = _fit(value, kind)
            except (ValueError, OverflowError):
                raise ValueError(f"`{name}` must be {_words(kind)}; got {value!r}") from None
            object.__setattr__(self, name, fitting)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Settings from values by name; the others have their defaults.

        Raises:
            ValueError: if a name is no setting, or a value is not of its type or out of range.
        """
        for name in values:
            cls._kind(name)
        return cls(**values)

    @classmethod
    def parse(cls, name: str, text: str) -> Any:
        """The value of a setting that is written as text: `0.1`, `128,128`, `none`.

        Raises:
            ValueError: if there is no such setting, or the text is no value of its type.
        """
        kind = cls._kind(name)
        try:
            return _read(text, kind)
        except ValueError:
            raise ValueError(f"`{name}` must be {_words(kind)}; got {text!r}") from None

    @classmethod
    def documentation(cls) -> dict[str, str]:
        """The description of each setting, from the docstrings of the class and its bases."""
        found: dict[str, str] = {}
        for owner in reversed(cls.__mro__):
            found |= _attributes(inspect.cleandoc(owner.__doc__ or ""))
        return {field.name: found.get(field.name, "") for field in dataclasses.fields(cls)}

    @classmethod
    def _kind(cls, name: str) -> Any:
        kinds = _kinds(cls)
        if name not in kinds:
            raise ValueError(f"`{name}` is no setting; there are {', '.join(sorted(kinds))}")
        return kinds[name]

    def _require(
        self,
        *names: str,
        least: float | None = None,
        above: float | None = None,
        most: float | None = None,
    ) -> None:
        """Raise ValueError for a setting, or an entry of one, that is out of range."""
        for name in names:
            value = getattr(self, name)
            for entry in value if isinstance(value, tuple) else (value,):
                for limit, words, ok in (
                    (least, "at least", operator.ge),
                    (above, "above", operator.gt),
                    (most, "at most", operator.le),
                ):
                    if limit is not None and not ok(entry, limit):
                        raise ValueError(f"`{name}` must be {words} {limit:,}; got {value}")


def _kinds(cls: type[Settings]) -> dict[str, Any]:
    """The type of each field, in their order."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _choices(kind: Any) -> tuple[Any, ...]:
    """The members of a union, None first; other types are their own only member."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return (kind,)
    return tuple(sorted(typing.get_args(kind), key=lambda member: member is not types.NoneType))


def _fit(value: Any, kind: Any) -> Any:
    """The value as one of the type; ValueError if it is none."""
    for choice in _choices(kind):
        members = typing.get_args(choice)
        if typing.get_origin(choice) is Literal:
            if isinstance(value, str) and value in members:
                return value
        elif typing.get_origin(choice) is tuple:
            if isinstance(value, list | tuple) and (of := _members(choice, len(value))) is not None:
                return tuple(map(_fit, value, of))
        elif choice in (int, float):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            real = choice is float and isinstance(value, float | np.floating)
            if whole or (real and math.isfinite(value)):
                return choice(value)
        elif isinstance(value, choice):
            return value
    raise ValueError


def _read(text: str, kind: Any) -> Any:
    """The value of the type that a text says; ValueError if it says none."""
    for choice in _choices(kind):
        if typing.get_origin(choice) is tuple:
            parts = text.split(",") if text else []
            if (of := _members(choice, len(parts))) is not None:
                return tuple(map(_read, parts, of))
        elif choice is types.NoneType:
            if text == "none":
                return None
        elif choice is bool:
            if text in ("true", "false"):
                return text == "true"
        else:
            return _fit(choice(text) if choice in (int, float) else text, choice)
    raise ValueError


def _members(kind: Any, length: int) -> tuple[Any, ...] | None:
    """The types of the entries of a tuple; None if it has another length."""
    members = typing.get_args(kind)
    if members[-1:] == (...,):
        return members[:1] * length
    return members if len(members) == length else None


def _words(kind: Any) -> str:
    """The type in words."""
    found = []
    for choice in _choices(kind):
        members = typing.get_args(choice)
        if typing.get_origin(choice) is Literal:
            found.append(f"one of {', '.join(members)}")
        elif typing.get_origin(choice) is not tuple:
            found.append(_WORDS[choice])
        elif members:
            number = "" if members[-1] is ... else f"{len(members)} "
            found.append(f"{number}{_WORDS[members[0]].removeprefix('a ')}s")
    return " or ".join(reversed(found))


def _attributes(docstring: str) -> dict[str, str]:
    """The entries under "Attributes" in a docstring."""
    found: dict[str, str] = {}
    name = None
    for line in docstring.partition("Attributes:\n")[2].splitlines():
        if entry := re.fullmatch(r" {4}(\w+): (.*)", line):
            name = entry[1]
            found[name] = entry[2]
        elif name is not None and line.startswith(" " * 8):
            found[name] += f" {line.strip()}"
        else:
            name = None
    return found
