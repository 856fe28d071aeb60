"""The commands. What they do lives in the library; here arguments become calls, and get printed."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ..hardware import dynapcnn
from ..train.run import Run
from . import _fidelity, _mismatch, _plan, _report, _runs, _train
from ._options import RunArgument, one_line_errors

app = typer.Typer(
    help="Train spiking networks under a chip's constraints, and run the integers that it gets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(_train.train)
app.command()(_plan.plan)
app.command()(_fidelity.fidelity)
app.command()(_mismatch.mismatch)


@app.command()
def check(run: RunArgument) -> None:
    """Hold the integers of a run against every limit of their chip.

    Exits with 1 if a limit is broken.
    """
    with one_line_errors():
        opened = Run.open(run)
        target = _runs.target_of(opened.recipe, opened.target)
        spec = target.family.load(opened.spec)
    violations = target.family.check(spec)
    _report.print_usage(target, spec)
    for violation in violations:
        print(f"{violation.severity}: {violation.message}")
    if any(violation.severity == "error" for violation in violations):
        raise typer.Exit(1)
    print(f"fits {spec.chip.name}")


@app.command()
def simulate(
    run: RunArgument,
    raster: Annotated[
        Path | None,
        typer.Option(
            help="Event counts (time, channels) or (batch, time, channels) as .npy, for dynapcnn "
            "(time, channels, height, width); by default the held-out digits."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write every spike and state over time to this .npz.")
    ] = None,
) -> None:
    """Run the integers of a run in the bit-exact simulator."""
    with one_line_errors():
        opened = Run.open(run)
        target = _runs.target_of(opened.recipe, opened.target)
        spec = target.family.load(opened.spec)
        if raster is None:
            config = target.settings.from_dict(opened.config)
            trace, correct = target.simulate_held_out(config, spec)
        else:
            trace = target.family.simulate(spec, np.load(raster, allow_pickle=False))
        if out is not None:
            _report.write_trace(target, trace, out)
    if raster is None:
        print(
            f"held-out digits: {int(correct.sum())} of {len(correct)} right, {correct.mean():.2%}"
        )
    _report.print_trace(target, spec, trace)
    if out is not None:
        print(f"wrote {out}")


@app.command()
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    readout: Annotated[
        bool,
        typer.Option("--readout", help="Spread the classes for the chip's readout (dynapcnn)."),
    ] = False,
) -> None:
    """Write the integers of a run to a file for the chip's driver, if they fit the chip.

    For DYNAP-CNN the fields have the names of the vendor's objects; the documentation of
    `snnjax.hardware.dynapcnn.export` has the few lines that fill these.
    """
    with one_line_errors():
        opened = Run.open(run)
        target = _runs.target_of(opened.recipe, opened.target)
        spec = target.family.load(opened.spec)
        if readout:
            if not isinstance(spec, dynapcnn.Spec):
                raise ValueError(f"`--readout` is no option of the target {opened.target}")
            spec = dynapcnn.pad_readout(spec)
        target.family.require(spec)
        target.family.save(spec, out)
    print(f"wrote {out}, for {spec.chip.name}")
