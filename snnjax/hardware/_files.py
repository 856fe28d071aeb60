"""Files with networks in them: how they are read, and what is said of those that are damaged."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

MAX_INTEGER = 2**31 - 1
"""The largest whole number of 32 bits."""


def read(path: str | os.PathLike[str]) -> str:
    """The text of a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a directory, or no text; the message names the file.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a directory; give the file with the network in it")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; `save` writes such a file")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file ({error}); export the network again") from None


def parse(text: str, build: Callable[[Any], T], source: str) -> T:
    """What `build` makes of JSON.

    Args:
        text: JSON.
        build: takes what is in it; its ValueErrors are given the name of the source.
        source: where the text is from.

    Raises:
        ValueError: if it is not JSON, or `build` raises one.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{source} is not JSON, or only a part of it: {error}; export the network again"
        ) from None
    try:
        return build(content)
    except ValueError as error:
        raise ValueError(f"{source}: {error}\nCorrect it or export the network again") from None


def numbers(value: Any, shape: tuple[int, ...], wanted: str) -> Iterator[int]:
    """The whole numbers of at most 32 bits in lists that are nested as `shape` says.

    Raises:
        ValueError: if there is anything else; the message begins with `wanted`.
    """
    if not shape:
        if type(value) is not int or abs(value) > MAX_INTEGER:
            raise ValueError(f"{wanted}; got {value!r} for a number of at most 32 bits")
        yield value
    elif not isinstance(value, list) or len(value) != shape[0]:
        found = f"a list of {len(value)}" if isinstance(value, list) else repr(value)
        raise ValueError(f"{wanted}; got {found} for a list of {shape[0]}")
    else:
        for entry in value:
            yield from numbers(entry, shape[1:], wanted)
