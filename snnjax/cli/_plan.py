"""`snnjax plan`: what a plan does to a trained network."""

import re
from pathlib import Path
from typing import Annotated

import typer

from .. import transforms
from ..viz import parameter_histograms
from . import _report, _runs
from ._options import RunArgument, one_line_errors


def plan(
    run: RunArgument,
    plan: Annotated[
        Path | None,
        typer.Option(help="TOML file of transforms; by default those of the run."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Folder to write a picture of each layer to: before, after, levels."),
    ] = None,
) -> None:
    """Show what a plan does to each parameter of a run's network.

    Levels in use, scale (the mean of them if there are several), signal to quantisation noise, and
    the share of values that lie beyond the last level. For DYNAP-CNN, what the integers of each
    core lose, which have one scale.
    """
    with one_line_errors():
        opened = _runs.reopen(run)
        network, used = opened.state.model.network, opened.state.model.plan
        key = opened.recipe.random_key()
        if plan is not None:
            used = transforms.plan(network, **transforms.load(plan)._asdict())
        else:
            for row in opened.recipe.report(opened.state.model):
                print(row)
            used = getattr(used, "before", used)
            if used is None:
                return
        effects = transforms.report(used, network, key=key)
        if figures is not None:
            figures.mkdir(parents=True, exist_ok=True)
            for layer, figure in parameter_histograms(used, network, key=key).items():
                name = re.sub(r"[^a-zA-Z0-9]+", "_", layer).strip("_")
                _report.write_figure(figure, figures / f"{name}.png")
    _report.print_effects(str(plan or run), effects, transforms.rules(used))
    if figures is not None:
        print(f"wrote {figures}/: a picture of each layer")
