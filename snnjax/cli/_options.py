"""What the commands share: an argument, and how mistakes end."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

RunArgument = Annotated[Path, typer.Argument(help="A run folder that `snnjax train` made.")]


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """A mistake in the input ends in one line on stderr and exit status 2, not in a traceback."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise typer.Exit(2) from error


def numbers(option: str, text: str, kind: Callable[[str], Any] = int) -> tuple[Any, ...]:
    """`128,128` as numbers of a kind.

    Raises:
        ValueError: if it is something else; the message names the option.
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError as error:
        example = "128,128" if kind is int else "0.5,0.1"
        raise ValueError(f"`--{option}` takes numbers such as {example}; got {text!r}") from error
