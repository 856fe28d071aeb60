"""Command line: `snnjax train`, `sweep`, `plan`, `fidelity`, `report`, `export` and more."""

import logging
import os
import sys
import threading
import warnings

from .._extras import extra


def main() -> None:
    """Entry point of the `snnjax` command."""
    try:
        with extra("cli"):
            import rich  # noqa: F401
            import typer  # noqa: F401
    except ImportError as error:
        sys.exit(str(error))
    from ._app import app
    from ._compiled import keep_compiled_programs

    keep_compiled_programs()
    # An error of orbax in the background is raised, and told of, where its end is waited for.
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        # Nothing more can be written there, not even what is left in its buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ended = error.__context__  # by an error that the command has told of, perhaps this one
        told = isinstance(ended, SystemExit) and ended.code
        sys.exit(told or f"error: the output cannot be written: {error}")
