"""`snnjax report` and `snnjax compare`: pages about runs."""

from pathlib import Path
from typing import Annotated

import typer

from .. import report as pages
from .._files import write_whole
from . import _runs
from ._options import RunArgument, one_line_errors

DrawsOption = Annotated[
    int, typer.Option(help="Networks drawn at each level of mismatch; 0 leaves robustness out.")
]


def report(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("report.html"),
    draws: DrawsOption = 3,
) -> None:
    """Write a page about a run: one file of HTML, with all pictures in it."""
    with one_line_errors():
        write_whole(out, pages.report(_examined(run, draws)))
    print(f"wrote {out}")


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, two or more.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("compare.html"),
    draws: DrawsOption = 3,
) -> None:
    """Write a page with several runs side by side."""
    with one_line_errors():
        if len(runs) < 2:
            raise ValueError(f"`runs` must be two or more; got {len(runs)}")
        write_whole(out, pages.compare([_examined(run, draws) for run in runs]))
    print(f"wrote {out}")


def _examined(folder: Path, draws: int) -> pages.Findings:
    run, recipe, data, state = _runs.reopen(folder)
    return pages.examine(run, recipe, data, state.model, draws=draws)
