"""`snnjax fidelity`: how far the integers of a run are from what they came from."""

from pathlib import Path
from typing import Annotated

import typer

from ..report import through_plan
from ..viz import fidelity as picture
from . import _report, _runs
from ._options import RunArgument, one_line_errors


def fidelity(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="Write the report to this JSON file.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write the spikes of both, and their difference, as a PNG.")
    ] = None,
) -> None:
    """Compare the network of a run with its integers on the held-out data.

    Layer by layer: the network in float, and through the plan that it was trained through. For
    DYNAP-CNN, which has no steps, also the integers in synchronous steps and event by event.
    """
    with one_line_errors():
        opened = _runs.reopen(run)
        spec, of = opened.recipe.target.load(opened.run.path), opened.recipe.target.family
        report = of.fidelity(opened.state.model.network, spec, *opened.data.test)
        compare = getattr(of, "compare_events", None)  # in families whose chips have no steps
        events = None if compare is None else compare(spec, *opened.data.test)
        planned = through_plan(opened.recipe, opened.state.model, spec, opened.data)
        if out is not None:
            content = report.to_dict()
            if planned is not None:
                content["through_plan"] = planned.to_dict()
            if events is not None:
                content["events"] = events.to_dict()
            _report.write_json(content, out)
        if figure is not None:
            _report.write_figure(picture(report), figure)
    if planned is not None:
        print(f"the network through its plan\n{planned}\n\nthe network in float")
    print(report)
    if events is not None:
        print(f"\nin synchronous steps, and event by event as on the chip\n{events}")
    for path in (out, figure):
        if path is not None:
            print(f"wrote {path}")
