"""`snnjax cost`: the work of a chip on the held-out data."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from .. import report as reports
from . import _report, _runs
from ._options import RunArgument, one_line_errors


def cost(
    run: RunArgument,
    dt: Annotated[
        float | None,
        typer.Option(help="Length of a step in seconds, for a chip without steps, such as Speck."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the numbers to this JSON file.")] = None,
) -> None:
    """Count what a held-out recording costs on the chip, on average.

    Spikes, synaptic operations and reads of memory of each layer, for a Xylo the clock that keeps
    up, and NeuroBench's metrics. In Python, `cost(...).power(Device(...))` makes watts of it, with
    your figures of the device.
    """
    with one_line_errors():
        opened = _runs.reopen(run)
        target = opened.recipe.target
        if dt is not None and not target.takes("cost", "dt"):
            raise ValueError(f"`--dt` has no use: {target.chip} has steps of its own; leave it out")
        spec = target.load(opened.run.path)
        trace, _ = target.simulate(opened.state.model.network, spec, opened.data.test[0])
        rasters = np.asarray(opened.data.test[0])
        found = reports.cost(
            target.family, spec, rasters, trace, **({} if dt is None else {"dt": dt})
        )
        if found is None:
            raise ValueError(f"the family of {target.chip} does not count costs")
        if out is not None:
            _report.write_json(found.to_dict(), out)
    print(found)
    if out is not None:
        print(f"wrote {out}")
