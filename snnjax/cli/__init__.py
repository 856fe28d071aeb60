"""Command line: `snnjax train`, `plan`, `fidelity`, `check`, `simulate` and `export`."""

import sys

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

    app()
