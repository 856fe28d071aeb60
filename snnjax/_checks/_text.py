"""Text files: JSON and TOML."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from ._bytes import read_bytes

MOST_TEXT = 2**26
"""Largest text: about six times what the largest network of a chip takes."""

MOST_TOML = 2**20
"""Largest TOML file, whose reader is slow."""

DEEPEST = 32
"""Most lists and dictionaries inside of each other."""

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def read_text(path: str | os.PathLike[str], *, most: int = MOST_TEXT) -> str:
    """The text of a file in UTF-8.

    Raises:
        OSError: if there is no such file or it cannot be read.
        ValueError: if it is no text, or too large; the message names it.
    """
    content = read_bytes(path, most=most)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not a text file in UTF-8: byte {error.start} is "
            f"0x{content[error.start]:02x}; write it again"
        ) from None


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file; for the errors see `read_text` and `parse_json`."""
    return parse_json(read_text(path), str(path))


def read_header(
    path: str | os.PathLike[str], name: str, versions: tuple[int, ...]
) -> dict[str, Any]:
    """The content of a JSON file that says of which format and version it is.

    Args:
        path: the file.
        name: name of the format.
        versions: the versions that can be read, the newest last.

    Raises:
        OSError, ValueError: as `read_json` does, and if it is of another format or version.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != name:
        raise ValueError(f'{path} is another file: its "format" is not "{name}"')
    version = content.get("version")
    if type(version) is not int or version not in versions:
        raise ValueError(f"{path} has version {version!r}, this snnjax reads {versions[-1]}")
    return content


def read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[str, Any]]:
    """The place and the content of each line of JSON in a file, but of a last one that is torn.

    Raises:
        OSError, ValueError: as `read_json` does; the message names the line.
    """
    *lines, _ = read_bytes(path, most=MOST_TEXT).split(b"\n")
    for i, line in enumerate(lines, 1):
        place = f"{path}, line {i}"
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{place} is no text: {line[:80]!r}; correct or remove it") from None
        yield place, parse_json(text, place, cure="correct or remove it")


def parse_json(text: str, source: str, *, cure: str = "write it again") -> Any:
    """The content of JSON.

    Args:
        text: JSON.
        source: where it is from, for the message of an error.
        cure: what to do about an error.

    Raises:
        ValueError: if it is not JSON, has a name twice in a dictionary, or lists more than 32 deep.
    """
    try:
        _require_shallow(text)
        return json.loads(text, object_pairs_hook=_unique)
    except _TwiceError as error:
        raise ValueError(f"{source}: {error}; {cure}") from None
    except ValueError as error:
        raise ValueError(f"{source} is not JSON, or only a part of it: {error}; {cure}") from None


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        OSError: if there is no such file or it cannot be read.
        ValueError: if it is not TOML, or too deep or large; the message names the file and line.
    """
    text = read_text(path, most=MOST_TOML)
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also of numbers with thousands of digits
        raise ValueError(f"{path} is not TOML: {error}; correct it there") from None
    except RecursionError:
        raise ValueError(f"{path} has lists too deep inside of each other; write it anew") from None


def _require_shallow(text: str) -> None:
    depth = 0
    for found in _BRACKETS.finditer(text):
        if found[0] in "[{":
            depth += 1
        elif found[0] in "]}":
            depth -= 1
        if depth > DEEPEST:
            line = text.count("\n", 0, found.start()) + 1
            raise ValueError(f"lists are more than {DEEPEST} deep at line {line}")


class _TwiceError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"`{twice}` stands there twice")
    return found
