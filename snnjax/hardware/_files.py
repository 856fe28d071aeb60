"""Files with networks in them: what is written, and readers that name what is wrong."""

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from .._checks import parse_json, read_text
from ._family import MAX_INT32

T = TypeVar("T")

_WIDTH = 100


def read(path: str | os.PathLike[str]) -> str:
    """The text of a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a directory, or no text; the message names the file.
    """
    try:
        return read_text(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; `save` writes such a file") from None


def parse(text: str, build: Callable[[Any], T], source: str) -> T:
    """A network from JSON.

    Args:
        text: JSON.
        build: function of its content; its ValueErrors are given the name of the source.
        source: where the text is from.

    Raises:
        ValueError: if it is no JSON that `parse_json` takes, or `build` raises one.
    """
    content = parse_json(text, source, cure="export the network again")
    try:
        return build(content)
    except ValueError as error:
        raise ValueError(f"{source}: {error}\nCorrect it or export the network again") from None


def to_text(value: Any, indent: str = "") -> str:
    """Dictionaries and lists as JSON that a person can read.

    Whatever fits stands on one line, from the outside in; a list of numbers always does.
    """
    line = json.dumps(value)
    flat = isinstance(value, list) and not any(isinstance(v, dict | list) for v in value)
    if flat or len(indent) + len(line) <= _WIDTH or not isinstance(value, dict | list):
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        rows = [f"{deeper}{json.dumps(k)}: {to_text(v, deeper)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + to_text(v, deeper) for v in value) + f"\n{indent}]"


def require_format(content: Any, name: str, versions: Collection[int]) -> int:
    """The version of a file's content, once it is known to be of that format.

    Args:
        content: what was read.
        name: name of the format.
        versions: the versions that can be read.
    """
    if not isinstance(content, dict) or content.get("format") != name:
        raise ValueError(f'not a network of this family: there is no `"format": "{name}"`')
    version = whole(content.get("version"), "version")
    if version not in versions:
        readable = ", ".join(map(str, sorted(versions)))
        raise ValueError(
            f"`version` is {version}, and this snnjax reads {readable}: read the file with the "
            "snnjax that wrote it, and save it with one that writes a version from these"
        )
    return version


def fields(
    value: Any, names: Collection[str], name: str, *, optional: Collection[str] = ()
) -> dict[str, Any]:
    """`value`, once it is known to be a dictionary with these fields and no others.

    Args:
        value: what was read.
        names: fields that it must have.
        name: what messages call it.
        optional: fields that it may have.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"`{name}` must have the fields {', '.join(names)}; got {value!r}")
    missing = [field for field in names if field not in value]
    extra = [field for field in value if field not in names and field not in optional]
    if missing or extra:
        lacks = f"lacks {', '.join(missing)}" if missing else ""
        has = f"has unknown {', '.join(extra)}" if extra else ""
        raise ValueError(f"`{name}` {' and '.join(filter(None, (lacks, has)))}")
    return dict(value)


def whole(value: Any, name: str) -> int:
    """`value`, once it is known to be a whole number of 32 bits."""
    if type(value) is not int or not -1 - MAX_INT32 <= value <= MAX_INT32:
        raise ValueError(f"`{name}` must be a whole number of at most 32 bits; got {value!r}")
    return value


def flag(value: Any, name: str) -> bool:
    """`value`, once it is known to be true or false."""
    if type(value) is not bool:
        raise ValueError(f"`{name}` must be true or false; got {value!r}")
    return value


def text_of(value: Any, name: str) -> str:
    """`value`, once it is known to be text."""
    if not isinstance(value, str):
        raise ValueError(f"`{name}` must be text; got {value!r}")
    return value


def list_of(value: Any, name: str) -> list[Any]:
    """`value`, once it is known to be a list."""
    if not isinstance(value, list):
        raise ValueError(f"`{name}` must be a list; got {value!r}")
    return value


def numbers(value: Any, shape: tuple[int, ...], wanted: str) -> Iterator[int]:
    """The whole numbers of at most 32 bits in lists that are nested as `shape` says.

    Raises:
        ValueError: if there is anything else; the message begins with `wanted`.
    """
    if not shape:
        if type(value) is not int or not -1 - MAX_INT32 <= value <= MAX_INT32:
            raise ValueError(f"{wanted}; got {value!r} for a number of at most 32 bits")
        yield value
    elif not isinstance(value, list) or len(value) != shape[0]:
        found = f"a list of {len(value)}" if isinstance(value, list) else repr(value)
        raise ValueError(f"{wanted}; got {found} for a list of {shape[0]}")
    else:
        for entry in value:
            yield from numbers(entry, shape[1:], wanted)


def find_format(formats: Mapping[str, Callable[..., T]], name: str) -> Callable[..., T]:
    """The function that exports to a format.

    Raises:
        ValueError: if there is no such format; the message lists them.
    """
    if name not in formats:
        raise ValueError(f"`format` must be one of {', '.join(formats)}; got {name!r}")
    return formats[name]
