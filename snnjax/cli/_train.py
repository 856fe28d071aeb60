"""`snnjax train`: a run folder from a recipe."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..hardware import dynapcnn, xylo
from ..train import save_checkpoint
from ..train.loop import TrainState
from ..train.recipe import Through
from . import _report, _runs
from ._options import numbers, one_line_errors
from ._targets import DEFAULT_RECIPE, DEFAULT_TARGET, TARGETS

_CHECKPOINT_EVERY = 20
_WORDS = {"float": "in float", "plan": "through the plan", "chip": "through the chip"}


def _says(what: str, setting: str) -> str:
    """Help of an option, with the default of each target that has it."""
    found = {}
    for (recipe, family), target in TARGETS.items():
        default = getattr(target.settings(), setting, None)
        if default is not None:
            name = family if recipe == DEFAULT_RECIPE else recipe
            found[name] = ",".join(map(str, default)) if isinstance(default, tuple) else default
    defaults = [f"{value} ({name})" for name, value in found.items()]
    if len(found) == len(TARGETS) and len(set(found.values())) == 1:
        defaults = [str(next(iter(found.values())))]
    return f"{what}  \\[default: {', '.join(defaults)}]"  # without the backslash it is markup


def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            help="What to train on: digits (written) or speech (spoken).  "
            f"\\[default: {DEFAULT_RECIPE}]"
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Family of chips: xylo, or for written digits dynapcnn.  "
            f"\\[default: {DEFAULT_TARGET}]"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make.  \\[default: runs/RECIPE-DATE-TIME]")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run, with its own settings.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the Free Spoken Digit Dataset (speech); or with the files of MNIST to "
            "read instead of the small digits (dynapcnn)."
        ),
    ] = None,
    through: Annotated[
        Through | None,
        typer.Option(
            help="What all of the training goes through: nothing, a plan of transforms, or the "
            "chip's own integers."
        ),
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT:N,...",
            help=_says("The same one after the other, each with its epochs.", "stages"),
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help=_says("Passes over the data, in all stages.", "epochs")),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help=_says("Of the weights, the order of the data and the noise.", "seed")),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help=_says("Sequences per step.", "batch_size"))
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help=_says("Of Adam at the start.", "learning_rate"))
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(help=_says("Standard deviation of noise on the pixels (0 to 16).", "noise")),
    ] = None,
    shift: Annotated[
        int | None,
        typer.Option(help=_says("Most pixels or steps to move data by.", "shift")),
    ] = None,
    gain: Annotated[
        float | None,
        typer.Option(help=_says("Largest change of the loudness of speech, in dB.", "gain")),
    ] = None,
    snr: Annotated[
        str | None,
        typer.Option(
            metavar="DB,DB",
            help="Largest and smallest signal-to-noise ratio of noise on the sound (speech).  "
            "\\[default: no noise]",
        ),
    ] = None,
    stretch: Annotated[
        float | None,
        typer.Option(help=_says("Largest change of the speed of speech.", "stretch")),
    ] = None,
    mask_bands: Annotated[
        int | None, typer.Option(help=_says("Most bands that are silenced.", "mask_bands"))
    ] = None,
    mask_time: Annotated[
        int | None, typer.Option(help=_says("Most steps that are silenced.", "mask_time"))
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
    mismatch: Annotated[
        float | None,
        typer.Option(help=_says("Standard deviation of the weights, drawn anew.", "mismatch")),
    ] = None,
    attack: Annotated[
        float | None,
        typer.Option(help=_says("Change of weights by an adversary; 12 times as slow.", "attack")),
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help=_says("Bits of the weights, at most 8.", "bits"))
    ] = None,
    chip: Annotated[
        str | None,
        typer.Option(help=_says(", ".join((*xylo.CHIPS, *dynapcnn.CHIPS)) + ".", "chip")),
    ] = None,
    method: Annotated[
        xylo.Method | None,
        typer.Option(help=_says("Scale of the integers.", "method")),
    ] = None,
) -> None:
    """Train a network on written or spoken digits, make it integers for a chip and run those.

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
            "stages": stages,
            "gain": gain,
            "snr": None if snr is None else numbers("snr", snr, float),
            "stretch": stretch,
            "mask_bands": mask_bands,
            "mask_time": mask_time,
            "steps": steps,
            "hidden": None if hidden is None else numbers("hidden", hidden),
            "channels": None if channels is None else numbers("channels", channels),
            "time_constants": (
                None if time_constants is None else numbers("time-constants", time_constants)
            ),
            "mismatch": mismatch,
            "attack": attack,
            "bits": bits,
            "chip": chip,
            "method": method,
            "data": None if data is None else str(data.absolute()),
        }
        given = {name: value for name, value in given.items() if value is not None}
        if resume is not None:
            own = {"recipe": recipe, "target": target, "out": out, "plan": plan, "through": through}
            others = {**own, **given}
            _runs.refuse_with_resume(name for name, value in others.items() if value is not None)
            opened = _runs.reopen(resume)
            opened.run.cut_log(int(opened.state.epoch))
        else:
            recipe, target = recipe or DEFAULT_RECIPE, target or DEFAULT_TARGET
            if through is not None:
                given = _runs.in_one_stage(recipe, target, through, given)
            config = _runs.settings(recipe, target, given)
            name = f"{_runs.target_of(recipe, target).folder}-%Y%m%d-%H%M%S"
            folder = out or Path("runs") / time.strftime(name)
            opened = _runs.create(folder, recipe, target, config, plan)
        _finish(opened, _train(opened))


def _train(opened: _runs.Opened) -> TrainState:
    run, target, config, data, state = opened
    columns = (
        TextColumn("training {task.description}"),
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
        saved = None
        try:
            for after, metrics in target.recipe.train(config, data, state):
                state = after
                epoch, loss, accuracy = (
                    int(state.epoch),
                    float(metrics["loss"]),
                    float(metrics["accuracy"]),
                )
                seconds = round(time.perf_counter() - began, 3)
                through = config.through(epoch - 1)
                run.log(epoch=epoch, through=through, loss=loss, accuracy=accuracy, seconds=seconds)
                progress.update(
                    bar, completed=epoch, loss=loss, accuracy=accuracy, description=_WORDS[through]
                )
                if epoch % _CHECKPOINT_EVERY == 0:
                    save_checkpoint(run.checkpoint, state)
                    saved = epoch
        finally:
            # Also where somebody stops it: the run goes on from the last epoch that was finished.
            if saved != int(state.epoch):
                save_checkpoint(run.checkpoint, state)
    return state


def _finish(opened: _runs.Opened, state: TrainState) -> None:
    run, target, config, data, _ = opened
    spec = target.deploy(config, state.model)
    target.family.save(spec, run.spec)
    scores = target.score(config, state.model, spec, data)
    run.summary.write_text(_report.summary(opened, state.model, spec, scores))
    _report.print_scores(scores)
    print(f"wrote {run.path}/: checkpoint, metrics.jsonl, {run.spec.name} and {run.summary.name}")
