"""The commands. What they do lives in the library; here arguments become calls, and get printed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .._checks import read_array
from ..codegen import c, program
from ..hardware import family, load
from ..train import Run
from . import (
    _cost,
    _fidelity,
    _inspect,
    _listen,
    _mismatch,
    _pages,
    _plan,
    _report,
    _runs,
    _sweep,
    _train,
)
from ._options import SpecArgument, one_line_errors

app = typer.Typer(
    help="Train spiking networks under a chip's constraints, and run the integers that it gets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command(add_help_option=False)(_train.train)
app.command()(_sweep.sweep)
app.command()(_plan.plan)
app.command()(_inspect.inspect)
app.command()(_fidelity.fidelity)
app.command()(_cost.cost)
app.command()(_mismatch.mismatch)
app.command()(_listen.listen)
app.command()(_pages.report)
app.command()(_pages.compare)


def _spec_of(place: Path) -> Any:
    """The integers of a run, or those in a file."""
    if place.is_file():
        return load(place)
    path = Run.open(place).spec
    return family(path.stem).load(path)


def _run_of(place: Path, option: str) -> Run:
    """The run in a place, for an option that a file of integers does not do for."""
    if place.is_file():
        raise ValueError(f"{place} is a file of integers: {option} a run folder")
    return Run.open(place)


@app.command()
def check(run: SpecArgument) -> None:
    """Hold the integers of a run, or of a file, against every limit of their chip.

    Exits with 1 if a limit is broken.
    """
    with one_line_errors():
        spec = _spec_of(run)
        violations = family(spec).check(spec)
    _report.print_usage(spec)
    for violation in violations:
        print(f"{violation.severity}: {violation.message}")
    if any(violation.severity == "error" for violation in violations):
        raise typer.Exit(1)
    print(f"fits {spec.chip.name}")


@app.command()
def simulate(
    run: SpecArgument,
    raster: Annotated[
        Path | None,
        typer.Option(
            help="Event counts (time, channels) or (batch, time, channels) as .npy, for dynapcnn "
            "(time, channels, height, width); by default the held-out data."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write every spike and state over time to this .npz.")
    ] = None,
) -> None:
    """Run the integers of a run, or of a file, in the bit-exact simulator."""
    with one_line_errors():
        spec = _spec_of(run)
        if raster is None:
            of = _run_of(run, "`--raster` gives its input; held-out data need")
            trace, right = _runs.simulate_held_out(of, spec)
        else:
            trace = family(spec).simulate(spec, read_array(raster))
        if out is not None:
            _report.write_trace(trace, out)
    if raster is None:
        print(f"held-out data: {right.sum()} of {len(right)} right, {right.mean():.2%}")
    _report.print_trace(trace)
    if out is not None:
        print(f"wrote {out}")


@app.command()
def export(
    run: SpecArgument,
    out: Annotated[Path, typer.Argument(help="File to write; with `--format c`, a folder.")],
    format: Annotated[
        str | None,
        typer.Option(
            help="A format of the chip's family; c, for C99 that runs on any board; jax, for the "
            "simulator as a program of jax.export. A wrong name lists all."
        ),
    ] = None,
    readout: Annotated[
        bool,
        typer.Option("--readout", help="Spread the classes for the chip's readout (Speck)."),
    ] = False,
    front_end: Annotated[
        Path | None,
        typer.Option(help="Also write what the vendor's configuration takes for the front end."),
    ] = None,
) -> None:
    """Write the integers of a run, or of a file, for the chip's driver, if they fit the chip.

    The documentation of `export` in the chip's family says what each format holds, and which lines
    of the vendor's tools read it. `--format jax` writes the bit-exact simulator, which any process
    with jax runs.
    """
    with one_line_errors():
        spec = _spec_of(run)
        of = family(spec)
        if readout:
            if not hasattr(of, "pad_readout"):
                raise ValueError(f"`--readout` is no option of {spec.chip.name}; leave it out")
            spec = of.pad_readout(spec)
        if format not in (None, *of.FORMATS, "c", "jax"):
            known = ", ".join((*of.FORMATS, "c", "jax"))
            raise ValueError(f"`--format` must be one of {known}; got {format!r}")
        # Before anything is written.
        fields = None
        if front_end is not None:
            fields = _runs.front_end_fields(_run_of(run, "`--front-end` needs"))
        if format == "c":
            heard = None if run.is_file() else _runs.front_end_in_c(Run.open(run))
            source = c.export(spec, out, front_end=heard)
        elif format == "jax":
            program.save(program.simulator(spec), out)
        else:
            of.require(spec)
            given = {} if format is None else {"format": format}
            _report.write_export(of.export(spec, **given), out)
        if front_end is not None:
            _report.write_export(fields, front_end)
    if format == "c":
        print(f"wrote {', '.join(source.files())} to {out}\n{source.footprint.text()}")
        if source.front_end is not None:
            print(f"Front end: {source.front_end.text()}")
    elif format == "jax":
        print(f"wrote {out}, for {', '.join(program.PLATFORMS)}")
    else:
        print(f"wrote {out}, for {spec.chip.name}")
    if front_end is not None:
        print(f"wrote {front_end}, for its front end")
