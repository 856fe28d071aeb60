"""The commands. What they do lives in the library; here arguments become calls, and get printed."""

import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..hardware import xylo
from ..train import digits, save_checkpoint
from ..train.deploy import deploy, padded, right, score
from ..train.loop import TrainState
from ..train.run import Run
from . import _plan, _report, _runs
from ._options import RunArgument, numbers, one_line_errors

app = typer.Typer(
    help="Train spiking networks under a chip's constraints, and run the integers that it gets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(_plan.plan)
_DEFAULT = digits.DigitsConfig()
_CHECKPOINT_EVERY = 20


@app.command()
def train(
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make.  [default: runs/digits-DATE-TIME]")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run, with its own settings.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = _DEFAULT.epochs,
    seed: Annotated[
        int, typer.Option(help="Of the weights, the order of the images and the noise.")
    ] = _DEFAULT.seed,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = _DEFAULT.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="Of Adam at the start.")
    ] = _DEFAULT.learning_rate,
    noise: Annotated[
        float, typer.Option(help="Standard deviation of noise on the pixels (0 to 16).")
    ] = _DEFAULT.noise,
    hidden: Annotated[
        str, typer.Option(metavar="N,N,...", help="Neurons of each hidden layer.")
    ] = ",".join(map(str, _DEFAULT.hidden)),
    time_constants: Annotated[
        str, typer.Option(metavar="N,N,...", help="Synaptic time constants of each hidden layer.")
    ] = ",".join(map(str, _DEFAULT.time_constants)),
    plan: Annotated[
        Path | None,
        typer.Option(help="TOML file of transforms to train through, instead of the usual ones."),
    ] = None,
    bits: Annotated[int, typer.Option(help="Bits of the weights, at most 8.")] = _DEFAULT.bits,
    chip: Annotated[str, typer.Option(help=", ".join(xylo.CHIPS))] = _DEFAULT.chip,
    method: Annotated[
        Literal["channel", "global"], typer.Option(help="Scale of the integers: per neuron or one.")
    ] = _DEFAULT.method,
) -> None:
    """Train a SynNet on handwritten digits, make it integers for Xylo and run those.

    Writes a run folder: checkpoint, metrics.jsonl, xylo.json (the integers) and summary.txt.
    """
    with one_line_errors():
        if resume is not None:
            if plan is not None:
                raise ValueError("`--plan` cannot change in a run that goes on; leave it out")
            opened = _runs.reopen(resume)
        else:
            config = digits.DigitsConfig(
                epochs=epochs,
                seed=seed,
                batch_size=batch_size,
                learning_rate=learning_rate,
                noise=noise,
                hidden=numbers("hidden", hidden),
                time_constants=numbers("time-constants", time_constants),
                bits=bits,
                chip=chip,
                method=method,
            )
            folder = out or Path("runs") / time.strftime("digits-%Y%m%d-%H%M%S")
            opened = _runs.create(folder, config, plan)
        _finish(opened, _train(opened))


def _train(opened: _runs.Opened) -> TrainState:
    run, config, data, state = opened
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
        for after, metrics in digits.train(config, data, state):
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
    run, config, data, _ = opened
    network, plan, key = state.model.network, state.model.plan, _runs.random_key(config)
    spec = deploy(network, plan, config.chip, config.method, key=key)
    xylo.save(spec, run.spec)
    scores = score(network, plan, spec, *data.test, key=key)
    run.summary.write_text(_report.summary(run, network, spec, scores))
    _report.print_scores(scores)
    print(f"wrote {run.path}/: checkpoint, metrics.jsonl, {run.spec.name} and {run.summary.name}")


@app.command()
def check(run: RunArgument) -> None:
    """Hold the integers of a run against every limit of their chip.

    Exits with 1 if a limit is broken.
    """
    with one_line_errors():
        spec = xylo.load(Run.open(run).spec)
    violations = xylo.check(spec)
    _report.print_usage(spec)
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
            help="Event counts (time, channels) or (batch, time, channels) as .npy; "
            "by default the held-out digits."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write every spike and state over time to this .npz.")
    ] = None,
) -> None:
    """Run the integers of a run in the bit-exact simulator."""
    with one_line_errors():
        opened = Run.open(run)
        spec = xylo.load(opened.spec)
        if raster is None:
            config = digits.DigitsConfig.from_dict(opened.config)
            rasters, labels = digits.load_data(config).test
            events, late = padded(digits.make_model(config), rasters)
        else:
            events = np.load(raster, allow_pickle=False)
        trace = xylo.simulate(spec, events)
        if out is not None:
            _report.write_trace(trace, out)
    if raster is None:
        correct = right(trace.spikes_out[:, late:], labels)
        print(
            f"held-out digits: {int(correct.sum())} of {len(correct)} right, {correct.mean():.2%}"
        )
    _report.print_trace(trace)
    if out is not None:
        print(f"wrote {out}")
