"""`snnjax sweep`: a recipe with many settings and seeds, and a table of what came out."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .._checks import read_toml
from .._files import write_whole
from ..train import Data, Recipe, Run, SweepFolder, Swept
from ..train.recipes import find_recipe
from . import _cluster, _report, _runs
from ._options import (
    CheckpointOption,
    ConfigOption,
    EpochsOption,
    PlanOption,
    one_line_errors,
)


def sweep(
    recipe: Annotated[
        str | None, typer.Argument(help="As for `snnjax train`.", show_default=False)
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=V,V",
            help="A setting and its values, as often as you like: bits=2,3,4,8. A semicolon parts "
            'values that are lists: "hidden=24,16;48,32".',
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of each combination.")] = None,
    config: ConfigOption = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting that all members have."),
    ] = None,
    epochs: EpochsOption = None,
    data: Annotated[Path | None, typer.Option(help="File or folder with the data.")] = None,
    plan: PlanOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to make.  \\[default: runs/sweep-RECIPE-DATE-TIME]"),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the sweep in this folder.")
    ] = None,
    checkpoint_every: CheckpointOption = 30.0,
) -> None:
    """Train a recipe with every combination of some settings, for several seeds of each.

    Members that differ in seed, bits, rates or mismatch are trained at once, in one program. Writes
    a run folder for each, and the table of accuracies, mean and standard deviation over seeds.
    """
    with one_line_errors():
        if resume is not None:
            given = {"recipe": recipe, "over": over, "seeds": seeds, "config": config, "out": out}
            given |= {"set": assignments, "epochs": epochs, "data": data, "plan": plan}
            _runs.refuse_with_resume(name for name, value in given.items() if value)
            folder = SweepFolder.open(resume)
            _, kind = find_recipe(folder.recipe)
        else:
            values = {} if config is None else read_toml(config)
            name, kind = _runs.choose(recipe or values.pop("recipe", None), values.get("chip"))
            flags = {"epochs": epochs, "data": None if data is None else str(data)}
            made = _runs.make_recipe(kind, values, assignments or [], flags)
            stem = name.rpartition(":")[2].lower()
            path = out or Path("runs") / time.strftime(f"sweep-{stem}-%Y%m%d-%H%M%S")
            found = _values(kind, over or [])
            folder = SweepFolder.create(path, name, made, found, seeds or 1, plan)
        with folder.locked():
            _run(folder, kind, checkpoint_every)


def _values(recipe: type[Recipe], over: Sequence[str]) -> dict[str, list[Any]]:
    """Values by setting, from text."""
    found: dict[str, list[Any]] = {}
    for text in over:
        name, equals, values = text.partition("=")
        if not equals:
            raise ValueError(f"`--over` takes NAME=V,V, such as bits=2,4,8; got {text!r}")
        if name in found:
            raise ValueError(f"`--over {name}=...` is given twice; give one")
        parts = values.split(";" if ";" in values else ",")
        found[name] = [recipe.parse(name, part) for part in parts]
    return found


def _run(folder: SweepFolder, recipe: type[Recipe], every: float) -> None:
    way_on = f"go on with --resume {folder.path}"
    with _report.training_progress() as progress, _cluster.until_told(way_on) as stop_if_told:
        bars: dict[Recipe, Any] = {}

        def on_epoch(members: Sequence[Recipe], epoch: int, loss: float, accuracy: float) -> None:
            first, fields = members[0], dict[str, Any](loss=loss, accuracy=accuracy)
            if first not in bars:
                words = f"{len(members)} members"
                bars[first] = progress.add_task(words, total=first.epochs, **fields)
            progress.update(bars[first], completed=epoch, **fields)
            stop_if_told(epoch, epoch)

        outcomes = folder.train(recipe, every, on_epoch, _write)
    print(folder.table.read_text(encoding="utf-8"))
    print(f"wrote {folder.path}/: a run folder for each member, {folder.table.name}")
    print(f"best: {folder.best(outcomes)}")


def _write(run: Run, swept: Swept, data: Data) -> None:
    """The files of a member's run folder that are for people."""
    opened = _runs.Opened(run, swept.recipe, data, swept.state)
    assert swept.outcome.scores is not None
    text = _report.summary(opened, swept.spec, swept.outcome.scores)
    write_whole(run.summary, text)
    _report.write_heard(opened, swept.spec)
