"""`snnjax mismatch`: what is left of a run's accuracy where weights are off."""

from pathlib import Path
from typing import Annotated

import jax
import typer

from ..train import Trained, mismatch_sweep, right
from ..viz import robustness as picture
from . import _report, _runs
from ._options import RunArgument, one_line_errors, reals


def mismatch(
    run: RunArgument,
    levels: Annotated[
        str,
        typer.Option(metavar="X,X,...", help="Standard deviations of the weights, relative."),
    ] = "0,0.05,0.1,0.2,0.3",
    draws: Annotated[int, typer.Option(help="Networks drawn at each level.")] = 10,
    out: Annotated[Path | None, typer.Option(help="Write the numbers to this JSON file.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Write a picture of them as a PNG.")] = None,
) -> None:
    """Measure a run's accuracy on the held-out data with weights that are off.

    Each weight is multiplied by a number of its own around 1, ahead of what the last stage of
    training went through: nothing, the plan, or the chip's integers.
    """
    with one_line_errors():
        parsed = reals("levels", levels)
        opened = _runs.reopen(run)
        rasters, labels = opened.data.test

        def accuracy(trained: Trained) -> jax.Array:
            return right(opened.recipe.answers(trained, rasters), labels).mean()

        key = jax.random.fold_in(opened.recipe.random_key(), 1)
        sweep = mismatch_sweep(accuracy, opened.state.model, parsed, draws, key=key)
        if out is not None:
            _report.write_json(sweep.to_dict(), out)
        if figure is not None:
            _report.write_figure(picture({run.name: sweep}), figure)
    print(sweep)
    for path in (out, figure):
        if path is not None:
            print(f"wrote {path}")
