"""`snnjax train`: a run folder from a recipe."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import equinox as eqx
import numpy as np
import typer

from .._checks import read_toml
from .._files import write_whole
from ..train import Checkpoints, Recipe, Run, Sharding, Through, TrainState
from ..train.recipes import RECIPES
from . import _cluster, _report, _runs
from ._options import (
    CheckpointOption,
    ConfigOption,
    EpochsOption,
    PlanOption,
    one_line_errors,
)

_FLAGS = (
    *("epochs", "seed", "bits", "chip", "through", "data"),
    *("spikes_per_neuron", "max_synops"),
)
"""Settings with an option of their own; `through` stands for one stage of all epochs."""

_WORDS = {"float": "in float", "plan": "through the plan", "chip": "through the chip"}


def train(
    context: typer.Context,
    recipe: Annotated[
        str | None,
        typer.Argument(
            help=f"{', '.join(RECIPES)}, or FILE.py:CLASS for one of your own; by default "
            f"{next(iter(RECIPES))}, or the first that is for the family of --chip.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting; as often as you like."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make.  \\[default: runs/RECIPE-DATE-TIME]")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run, with its own settings.")
    ] = None,
    checkpoint_every: CheckpointOption = 30.0,
    plan: PlanOption = None,
    epochs: EpochsOption = None,
    seed: Annotated[int | None, typer.Option(help="Of everything that is random.")] = None,
    bits: Annotated[int | None, typer.Option(help="Bits of the weights.")] = None,
    chip: Annotated[str | None, typer.Option(help="Short name of the chip.")] = None,
    through: Annotated[
        Through | None,
        typer.Option(help="What all epochs go through: nothing, a plan, or the chip's integers."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="File or folder with the data; with `--resume`, where they are now."),
    ] = None,
    spikes_per_neuron: Annotated[
        float | None, typer.Option(help="Spikes per neuron and step that cost nothing in training.")
    ] = None,
    max_synops: Annotated[
        float | None,
        typer.Option(help="Synaptic operations of a sequence that cost nothing in training."),
    ] = None,
    mesh: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="Devices over which batches and large weights are split: data=4,model=2.",
        ),
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where several processes meet: an address of process 0; auto on a cluster.",
        ),
    ] = None,
    processes: Annotated[int | None, typer.Option(help="How many processes there are.")] = None,
    process: Annotated[int | None, typer.Option(help="The number of this one, from 0.")] = None,
    show_help: Annotated[
        bool, typer.Option("--help", help="Show this, and the settings of the recipe.")
    ] = False,
) -> None:
    """Train a network for a chip, make it integers, and run those as the chip does.

    Writes a run folder: checkpoint, metrics.jsonl, the integers and summary.txt.
    """
    flags = {name: context.params[name] for name in _FLAGS}
    flags["data"] = None if data is None else str(data)
    with one_line_errors():
        if resume is not None and not show_help:
            own = {"recipe": recipe, "config": config, "set": assignments, "out": out, "plan": plan}
            own |= {k: v for k, v in flags.items() if k != "data"}
            _runs.refuse_with_resume(k for k, v in own.items() if v)
            run = Run.open(resume)
            made = _runs.recipe_of(run if data is None else run.with_data(data))
            folder, name = resume, ""
        else:
            values = {} if config is None else read_toml(config)
            named = recipe or values.pop("recipe", None)
            name, found = _runs.choose(named, flags["chip"] or values.get("chip"))
            if show_help:
                print(context.get_help())
                _report.print_settings(name, found)
                return
            made = _runs.make_recipe(found, values, assignments or [], flags)
            stem = name.rpartition(":")[2].lower()
            folder = out or Path("runs") / time.strftime(f"{stem}-%Y%m%d-%H%M%S")
        sharding = _cluster.join(mesh, coordinator, processes, process)
    way_on = f"when it is mended, start all with --resume {folder}"
    with one_line_errors(), _cluster.ending_together(way_on), contextlib.ExitStack() as stack:
        with _cluster.together():
            if sharding is not None:
                sharding.require(made.batch_size)
            if resume is not None:
                opened = _reopen(resume, data, stack)
            else:
                opened = _runs.create(folder, name, made, plan, write=_cluster.is_first())
                _lock(opened.run, stack)
        _require_same(made, opened)
        _finish(opened, _train(opened, checkpoint_every, sharding))


def _lock(run: Run, stack: contextlib.ExitStack) -> None:
    if _cluster.is_first():
        stack.enter_context(run.locked())


def _reopen(folder: Path, data: Path | None, stack: contextlib.ExitStack) -> _runs.Opened:
    """A run to go on with, whose log ends where its checkpoint is."""
    _lock(Run.open(folder), stack)
    opened = _runs.reopen(folder, to_train=True, data=data)
    if _cluster.is_first():
        opened.run.write_settings()
        epoch = int(opened.state.epoch)
        opened.run.cut_log(epoch, lambda notice: typer.echo(notice, err=True))
    return opened


def _require_same(recipe: Recipe, opened: _runs.Opened) -> None:
    arrays = {"data": opened.data, "checkpoint": opened.state}
    found = {name: eqx.filter(tree, eqx.is_array) for name, tree in arrays.items()}
    _cluster.require_same({**dataclasses.asdict(recipe), **found})


def _states(
    opened: _runs.Opened, sharding: Sharding | None, stop_if_told: Callable[[int, int], None]
) -> Iterator[tuple[TrainState, dict[str, float]]]:
    """The state after each epoch, in this process alone, and the metrics."""
    for after, metrics in opened.recipe.train(opened.data, opened.state, sharding):
        state = after if sharding is None else sharding.gather(after)
        yield state, {name: float(value) for name, value in metrics.items()}
        stop_if_told(int(state.count), int(state.epoch))


def _train(opened: _runs.Opened, every: float, sharding: Sharding | None) -> TrainState:
    """Train to the end; the first process shows it and keeps it."""
    state = opened.state
    with _cluster.until_told(f"go on with --resume {opened.run.path}") as stop_if_told:
        states = _states(opened, sharding, stop_if_told)
        if _cluster.is_first():
            return _train_and_keep(opened, every, states)
        for after, _ in states:
            state = after
    return state


def _train_and_keep(
    opened: _runs.Opened, every: float, states: Iterator[tuple[TrainState, dict[str, float]]]
) -> TrainState:
    run, recipe, _, state = opened
    ends = {stage.end for stage in recipe.schedule}
    with _report.training_progress() as progress, Checkpoints(run.checkpoint) as checkpoints:
        bar = progress.add_task(
            "", total=recipe.epochs, completed=int(state.epoch), loss=np.nan, accuracy=np.nan
        )
        if checkpoints.latest is None:
            checkpoints.save(int(state.count), state)
        began = saved = time.monotonic()
        try:
            for after, metrics in states:
                is_whole = int(after.epoch) > int(state.epoch)  # grain tells of each batch
                state, epoch = after, int(after.epoch)
                loss, accuracy = metrics["loss"], metrics["accuracy"]
                through = recipe.through(epoch - is_whole)
                seconds = round(time.monotonic() - began, 3)
                row = {"loss": loss, "accuracy": accuracy, "seconds": seconds}
                if is_whole:
                    run.log(epoch=epoch, through=through, **row)
                progress.update(
                    bar, completed=epoch, loss=loss, accuracy=accuracy, description=_WORDS[through]
                )
                if (is_whole and epoch in ends) or time.monotonic() - saved >= every:
                    run.sync_log()
                    checkpoints.save(int(state.count), state)
                    saved = time.monotonic()
        except OSError:
            raise
        except BaseException:
            # The run goes on from its last finished epoch, or batch of grain.
            if checkpoints.latest != int(state.count):
                checkpoints.save(int(state.count), state)
            raise
    return state


def _finish(opened: _runs.Opened, state: TrainState) -> None:
    if not _cluster.is_first():
        return
    run, recipe, data, _ = opened
    spec = recipe.deploy(state.model)
    recipe.target.family.save(spec, run.spec)
    scores = recipe.score(state.model, spec, data)
    write_whole(run.summary, _report.summary(opened._replace(state=state), spec, scores))
    _report.print_scores(scores)
    written = ["checkpoint", "metrics.jsonl", run.spec.name, run.summary.name]
    if _report.write_heard(opened, spec):
        written.append(run.heard.name)
    print(f"wrote {run.path}/: {', '.join(written)}")
