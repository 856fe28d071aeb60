"""`snnjax fidelity`: how far the integers of a run are from what they came from."""

import json
from pathlib import Path
from typing import Annotated

import typer

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

    The network as it was trained, in float, layer by layer. For DYNAP-CNN, which has no steps, also
    the integers in synchronous steps and event by event.
    """
    with one_line_errors():
        opened = _runs.reopen(run)
        spec = opened.target.family.load(opened.run.spec)
        report = opened.target.fidelity(opened.state.model, spec, opened.data)
        events = opened.target.compare_events(spec, opened.data)
        if out is not None:
            content = report.to_dict()
            if events is not None:
                content["events"] = events.to_dict()
            out.write_text(json.dumps(content, indent=2) + "\n")
        if figure is not None:
            picture(report).savefig(figure, dpi=150)
    if opened.config.last_stage == "plan":
        print("the float network, without the plan that it was trained through")
    print(report)
    if events is not None:
        print(f"\nin synchronous steps, and event by event as on the chip\n{events}")
    for path in (out, figure):
        if path is not None:
            print(f"wrote {path}")
