"""Fills in templates: text with `$names`, and lines that are there for some networks only."""

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

_FOLDER = Path(__file__).parent / "templates"


def fill(file: str, values: Mapping[str, object]) -> str:
    """The text of a template.

    `$name` stands for a value. Lines between `@if name` and `@end` are left out where the value is
    false; those after an `@else` between them, where it is true.

    Raises:
        KeyError: if the template has a name without a value.
    """
    text = (_FOLDER / file).read_text(encoding="utf-8")
    return Template("".join(_kept(text, values))).substitute(values)


def _kept(text: str, values: Mapping[str, object]) -> Iterator[str]:
    conditions: list[bool] = []
    for line in text.splitlines(keepends=True):
        word, _, name = line.strip().partition(" ")
        if word == "@if":
            conditions.append(all(conditions) and bool(values[name]))
        elif word == "@else":
            conditions.append(not conditions.pop())
        elif word == "@end":
            conditions.pop()
        elif all(conditions):
            yield line


def comment(text: str, indent: str = "") -> str:
    """A comment of C, on several lines where it is long."""
    lines = textwrap.wrap(text, 94 - len(indent))
    body = f"\n{indent} * ".join(lines)
    return f"{indent}/* {body} */\n"
