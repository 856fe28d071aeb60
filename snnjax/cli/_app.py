"""The commands. What they do lives in the library; here arguments become calls, and get printed."""

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..hardware import dynapcnn, xylo
from ..train import save_checkpoint
from ..train.loop import TrainState
from ..train.run import Run
from . import _fidelity, _plan, _report, _runs
from ._options import RunArgument, numbers, one_line_errors
from ._targets import DEFAULT_TARGET, TARGETS

app = typer.Typer(
    help="Train spiking networks under a chip's constraints, and run the integers that it gets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(_plan.plan)
app.command()(_fidelity.fidelity)
_CHECKPOINT_EVERY = 20


def _says(what: str, setting: str) -> str:
    """Help of an option, with the default of each target that has it."""
    found = {}
    for name, target in TARGETS.items():
        default = {f.name: f.default for f in dataclasses.fields(target.settings)}.get(setting)
        if default is not None:
            found[name] = ",".join(map(str, default)) if isinstance(default, tuple) else default
    defaults = [f"{value} ({name})" for name, value in found.items()]
    if len(found) == len(TARGETS) and len(set(found.values())) == 1:
        defaults = [str(next(iter(found.values())))]
    return f"{what}  \\[default: {', '.join(defaults)}]"  # without the backslash it is markup


@app.command()
def train(
    target: Annotated[
        str | None,
        typer.Option(help=f"Family of chips: {', '.join(TARGETS)}.  \\[default: {DEFAULT_TARGET}]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make.  \\[default: runs/digits-DATE-TIME]")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run, with its own settings.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the files of MNIST to read instead (dynapcnn)."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help=_says("Passes over the training images.", "epochs"))
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help=_says("Of the weights, the order of the images and the noise.", "seed")),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help=_says("Images per step.", "batch_size"))
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help=_says("Of Adam at the start.", "learning_rate"))
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(help=_says("Standard deviation of noise on the pixels (0 to 16).", "noise")),
    ] = None,
    shift: Annotated[
        int | None, typer.Option(help=_says("Most pixels by which images are moved.", "shift"))
    ] = None,
    steps: Annotated[int | None, typer.Option(help=_says("Length of a sequence.", "steps"))] = None,
    hidden: Annotated[
        str | None,
        typer.Option(metavar="N,N,...", help=_says("Neurons of each hidden layer.", "hidden")),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(metavar="N,N", help=_says("Channels of the two convolutions.", "channels")),
    ] = None,
    time_constants: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help=_says("Synaptic time constants of each hidden layer.", "time_constants"),
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="TOML file of transforms to train through, instead of the usual ones."),
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help=_says("Bits of the weights, at most 8.", "bits"))
    ] = None,
    chip: Annotated[
        str | None,
        typer.Option(help=_says(", ".join((*xylo.CHIPS, *dynapcnn.CHIPS)) + ".", "chip")),
    ] = None,
    method: Annotated[
        Literal["channel", "global"] | None,
        typer.Option(help=_says("Scale of the integers: per neuron or one.", "method")),
    ] = None,
) -> None:
    """Train a network on handwritten digits, make it integers for a chip and run those.

    For Xylo a SynNet, for DYNAP-CNN and Speck a convolutional network. Writes a run folder:
    checkpoint, metrics.jsonl, xylo.json or dynapcnn.json (the integers) and summary.txt.
    """
    with one_line_errors():
        given = {
            "epochs": epochs,
            "seed": seed,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "noise": noise,
            "shift": shift,
            "steps": steps,
            "hidden": None if hidden is None else numbers("hidden", hidden),
            "channels": None if channels is None else numbers("channels", channels),
            "time_constants": (
                None if time_constants is None else numbers("time-constants", time_constants)
            ),
            "bits": bits,
            "chip": chip,
            "method": method,
            "data": None if data is None else str(data.absolute()),
        }
        given = {name: value for name, value in given.items() if value is not None}
        if resume is not None:
            others = {"target": target, "out": out, "plan": plan, **given}
            _runs.refuse_with_resume(name for name, value in others.items() if value is not None)
            opened = _runs.reopen(resume)
        else:
            target = target or DEFAULT_TARGET
            config = _runs.settings(target, given)
            name = f"{_runs.target_of(target).folder}-%Y%m%d-%H%M%S"
            folder = out or Path("runs") / time.strftime(name)
            opened = _runs.create(folder, target, config, plan)
        _finish(opened, _train(opened))


def _train(opened: _runs.Opened) -> TrainState:
    run, target, config, data, state = opened
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("epochs  loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.1%}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task(
            "", total=config.epochs, completed=int(state.epoch), loss=np.nan, accuracy=np.nan
        )
        began = time.perf_counter()
        for after, metrics in target.recipe.train(config, data, state):
            epoch, loss, accuracy = (
                int(after.epoch),
                float(metrics["loss"]),
                float(metrics["accuracy"]),
            )
            seconds = round(time.perf_counter() - began, 3)
            run.log(epoch=epoch, loss=loss, accuracy=accuracy, seconds=seconds)
            progress.update(bar, completed=epoch, loss=loss, accuracy=accuracy)
            if epoch % _CHECKPOINT_EVERY == 0 or epoch == config.epochs:
                save_checkpoint(run.checkpoint, after)
            state = after
    return state


def _finish(opened: _runs.Opened, state: TrainState) -> None:
    run, target, config, data, _ = opened
    spec = target.deploy(config, state.model)
    target.family.save(spec, run.spec)
    scores = target.score(config, state.model, spec, data)
    run.summary.write_text(_report.summary(opened, state.model, spec, scores))
    _report.print_scores(scores)
    print(f"wrote {run.path}/: checkpoint, metrics.jsonl, {run.spec.name} and {run.summary.name}")


@app.command()
def check(run: RunArgument) -> None:
    """Hold the integers of a run against every limit of their chip.

    Exits with 1 if a limit is broken.
    """
    with one_line_errors():
        opened = Run.open(run)
        target = _runs.target_of(opened.target)
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
        target = _runs.target_of(opened.target)
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
        target = _runs.target_of(opened.target)
        spec = target.family.load(opened.spec)
        if readout:
            if not isinstance(spec, dynapcnn.Spec):
                raise ValueError(f"`--readout` is no option of the target {opened.target}")
            spec = dynapcnn.pad_readout(spec)
        target.family.require(spec)
        target.family.save(spec, out)
    print(f"wrote {out}, for {spec.chip.name}")
