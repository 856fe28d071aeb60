"""`snnjax fidelity`: how far the integers of a run are from what they came from."""

from pathlib import Path
from typing import Annotated

import typer

from .. import report as reports
from ..train import Run
from ..viz import fidelity as picture
from . import _report, _runs
from ._options import RunArgument, one_line_errors


def fidelity(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="Write the report to this JSON file.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write the spikes of both, and their difference, as a PNG.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Compare with the integers of this run instead of the network; both have the same "
            "layers and a chip of one family."
        ),
    ] = None,
) -> None:
    """Compare the network of a run with its integers on the held-out data.

    Layer by layer: the network in float, and through the plan that it was trained through, if it
    was; or with `--against` the integers of another run, such as one with fewer bits. For
    DYNAP-CNN, which has no steps, also the integers in synchronous steps and event by event.
    """
    with one_line_errors():
        opened = _runs.reopen(run)
        spec, of = opened.recipe.target.load(opened.run.path), opened.recipe.target.family
        if against is None:
            report = reports.fidelity(opened.recipe, opened.state.model, spec, opened.data)
        else:
            report = of.fidelity(of.load(Run.open(against).spec), spec, *opened.data.test)
        compare = getattr(of, "compare_events", None)  # in families whose chips have no steps
        events = None if compare is None else compare(spec, *opened.data.test)
        if out is not None:
            content = report.to_dict()
            if events is not None:
                content["events"] = events.to_dict()
            _report.write_json(content, out)
        if figure is not None:
            _report.write_figure(picture(report), figure)
    print(report)
    if events is not None:
        print(f"\nin synchronous steps, and event by event as on the chip\n{events}")
    for path in (out, figure):
        if path is not None:
            print(f"wrote {path}")
