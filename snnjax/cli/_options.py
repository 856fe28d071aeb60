"""What the commands share: an argument, and how mistakes end."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

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


def numbers(option: str, text: str) -> tuple[int, ...]:
    """`128,128` as numbers.

    Raises:
        ValueError: if it is something else; the message names the option.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"`--{option}` takes numbers such as 128,128; got {text!r}") from error


def reals(option: str, text: str) -> tuple[float, ...]:
    """`0.5,0.1` as numbers.

    Raises:
        ValueError: if it is something else; the message names the option.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"`--{option}` takes numbers such as 0.5,0.1; got {text!r}") from error
