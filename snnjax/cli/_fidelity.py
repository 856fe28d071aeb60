"""`snnjax fidelity`: how far the integers of a run are from what they came from."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..hardware import xylo
from ..viz import fidelity as picture
from . import _runs
from ._options import RunArgument, one_line_errors


def fidelity(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="Write the report to this JSON file.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write the spikes of both, and their difference, as a PNG.")
    ] = None,
) -> None:
    """Compare the network of a run with its integers on the held-out digits.

    For Xylo the network as it was trained, in float, layer by layer. For DYNAP-CNN the integers in
    synchronous steps and event by event.
    """
    with one_line_errors():
        opened = _runs.reopen(run)
        if figure is not None and opened.target.family is not xylo:
            raise ValueError(f"`--figure` is no option of the target {opened.run.target}")
        spec = opened.target.family.load(opened.run.spec)
        report = opened.target.fidelity(opened.state.model, spec, opened.data)
        if out is not None:
            out.write_text(json.dumps(report.to_dict(), indent=2) + "\n")
        if figure is not None:
            picture(report).savefig(figure, dpi=150)
    print(report)
    for path in (out, figure):
        if path is not None:
            print(f"wrote {path}")
