"""Helpers of all commands: the run argument, a parser of lists, errors in one line."""

import contextlib
import errno
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import equinox as eqx
import typer

RunArgument = Annotated[Path, typer.Argument(help="A run folder that `snnjax train` made.")]
SpecArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run folder, or a file of integers that `save` of a family wrote."
    ),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TOML file of settings; `recipe` may be one of them."),
]
PlanOption = Annotated[
    Path | None,
    typer.Option(help="TOML file of transforms to train through, before those of the chip."),
]
EpochsOption = Annotated[int | None, typer.Option(help="Passes over the data, in all stages.")]
CheckpointOption = Annotated[
    float, typer.Option(metavar="SECONDS", help="Time between checkpoints, at least.")
]

_TERMINATED = 128 + signal.SIGTERM

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE)


class StoppedError(Exception):
    """The end of a command that SIGTERM told to stop."""


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """A mistake in the input ends in one line on stderr, not in a traceback.

    The exit status is 2, or 1 where a device has no room; after SIGTERM it is 143, as usual.
    """
    try:
        yield
    except StoppedError as stopped:
        typer.secho(str(stopped), err=True)
        raise typer.Exit(_TERMINATED) from stopped
    except (ValueError, OSError, ImportError, eqx.EquinoxRuntimeError) as error:
        full = isinstance(error, OSError) and error.errno in _NO_ROOM
        typer.secho(f"error: {error}", fg="red", err=True)
        raise typer.Exit(1 if full else 2) from error


def reals(option: str, text: str) -> tuple[float, ...]:
    """`0.5,0.1` as numbers.

    Raises:
        ValueError: if it is something else; the message names the option.
    """
    try:
        return tuple(map(float, text.split(",")))
    except ValueError as error:
        raise ValueError(f"`--{option}` takes numbers such as 0.5,0.1; got {text!r}") from error
