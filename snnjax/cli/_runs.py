"""Run folders: a new one, and one that is there."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import transforms
from ..hardware.xylo import frontend
from ..train import (
    Data,
    FrontEnd,
    Recipe,
    Run,
    Target,
    TrainState,
    front_end_text,
    load_checkpoint,
    load_front_end,
    right,
)
from ..train.recipes import RECIPES, find_recipe


class Opened(NamedTuple):
    """A run folder, with all that it takes to go on with it."""

    run: Run
    recipe: Recipe
    data: Data
    state: TrainState


def choose(name: str | None, chip: str | None) -> tuple[str, type[Recipe]]:
    """The recipe of a name; without one, the first for chips of the same family.

    Raises:
        ValueError: if there is no such recipe or chip.
    """
    if name is not None:
        return find_recipe(name)
    for known, recipe in RECIPES.items():
        if chip is None or Target(recipe().chip).family is Target(chip).family:
            return known, recipe
    raise ValueError(f"no recipe has a chip of the family of {chip}; name one")


def make_recipe(
    recipe: type[Recipe],
    config: Mapping[str, Any],
    assignments: Sequence[str],
    flags: Mapping[str, Any],
) -> Recipe:
    """A recipe with its settings.

    Args:
        recipe: its class.
        config: settings from a file; the others come before these.
        assignments: `name=value`, as text.
        flags: values of flags by name, None for those that are not given; `through` is one stage
            for all epochs.

    Raises:
        ValueError: if there is no such setting, one is given twice, or out of range.
    """
    given: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"`--set` takes NAME=VALUE, such as epochs=10; got {assignment!r}")
        if name in given:
            raise ValueError(f"`--set {name}=...` is given twice; give one")
        given[name] = recipe.parse(name, text)
    for name, value in flags.items():
        setting = "stages" if name == "through" else name
        if value is None:
            continue
        if setting not in recipe.documentation():
            raise ValueError(f"`--{name}` is no option of this recipe; leave it out")
        if setting in given:
            raise ValueError(f"`--{name}` and `--set {setting}=...` say the same; give one")
        given[setting] = value
    values = {**config, **given}
    if flags.get("through") is not None:
        epochs = values.get("epochs") or recipe().epochs
        values["stages"] = f"{flags['through']}:{epochs}"
    if isinstance(values.get("data"), str):
        values["data"] = os.path.abspath(values["data"])
    return recipe.from_dict(values)


def refuse_with_resume(given: Iterable[str]) -> None:
    """Raise ValueError if options are given that a run which goes on has from its folder."""
    options = [f"`--{name}`" for name in given]
    if options:
        raise ValueError(
            f"{', '.join(options)} cannot change in a run that goes on, with its own settings; "
            "leave it out"
        )


def create(
    folder: Path, name: str, recipe: Recipe, plan: Path | None, *, write: bool = True
) -> Opened:
    """A new run. What cannot be trained is refused before there is a folder.

    Args:
        folder: the run folder.
        name: the name of the recipe.
        recipe: the recipe.
        plan: a file of transforms.
        write: whether to make the folder, which one of several processes does.

    Raises:
        FileExistsError: if there is something at `folder` already.
        ValueError: if the network does not fit the chip, or the plan does not fit the network or is
            not trained through.
    """
    if write and folder.exists():
        raise FileExistsError(f"{folder} exists; choose another folder or remove it")
    rules = None if plan is None else transforms.load(plan)
    if plan is not None and all(stage.through != "plan" for stage in recipe.schedule):
        raise ValueError(
            f"`--plan` has no use where no stage goes through it; the stages are {recipe.stages}"
        )
    data = recipe.load_data()
    state = recipe.start(data, rules)
    text = None if plan is None else plan.read_text(encoding="utf-8")
    front_end = recipe.make_front_end()
    heard = None if front_end is None else front_end_text(front_end)
    settings = dataclasses.asdict(recipe)
    make = Run.create if write else lambda *given: Run(*given[:3])
    run = make(folder, name, settings, text, heard)
    return Opened(run, recipe, data, state)


def recipe_of(run: Run) -> Recipe:
    """The recipe of a run, with its settings.

    Raises:
        ValueError: if the recipe is not known, or a setting is out of range.
    """
    try:
        _, recipe = find_recipe(run.recipe)
        return recipe.from_dict(run.settings)
    except ValueError as error:
        raise ValueError(f"{run.path / 'config.json'}: {error}") from error


def front_end_of(run: Run, recipe: Recipe) -> FrontEnd | None:
    """The front end of a run, None if there is none.

    Raises:
        ValueError: if `frontend.json` is damaged, or not that of the run's settings.
    """
    made = recipe.make_front_end()
    if not run.front_end.exists():
        return made
    found = load_front_end(run.front_end)
    if made is None or front_end_text(found) != front_end_text(made):
        raise ValueError(
            f"{run.front_end} is not the front end of the settings in {run.path / 'config.json'}; "
            "one of them was changed, or another version of snnjax trained this run"
        )
    return found


def front_end_in_c(run: Run) -> frontend.Audio3 | None:
    """The front end of a run that goes with its network into C; None if there is none."""
    if not run.front_end.exists():
        return None
    found = front_end_of(run, recipe_of(run))
    return found if isinstance(found, frontend.Audio3) else None


def front_end_fields(run: Run) -> dict[str, Any]:
    """The fields of the vendor's configuration for the front end of a run.

    Raises:
        ValueError: if the run has none of a chip.
    """
    found = front_end_of(run, recipe_of(run))
    if not isinstance(found, frontend.Audio3 | frontend.Imu):
        raise ValueError(f"`--front-end` has no use: {run.path} has no front end of a chip")
    return frontend.export(found)


def reopen(folder: Path, *, to_train: bool = False, data: Path | None = None) -> Opened:
    """A run as its last checkpoint left it, with the plan that it was trained with.

    Args:
        folder: the run folder.
        to_train: begin anew where there is no checkpoint yet.
        data: where its data are now; None for where they were.

    Raises:
        FileNotFoundError: if there is no such folder, or no checkpoint in it.
        ValueError: if it is not a run folder, or of a recipe that is not known.
    """
    run = Run.open(folder)
    if data is not None:
        run = run.with_data(data)
    recipe = recipe_of(run)
    rules = transforms.load(run.plan) if run.plan.exists() else None
    front_end_of(run, recipe)
    try:
        loaded = recipe.load_data()
    except FileNotFoundError as error:
        if run.settings.get("data") is None:
            raise
        cure = f"`snnjax train --resume {folder} --data PLACE` tells the run where its data are"
        raise FileNotFoundError(f"{error}; {cure}") from error
    state = recipe.start(loaded, rules)
    if run.has_checkpoint or not to_train:
        state = load_checkpoint(run.checkpoint, state)
    return Opened(run, recipe, loaded, state)


def simulate_held_out(run: Run, spec: Any) -> tuple[Any, np.ndarray]:
    """The trace of all held-out data in the simulator, and which answers are right."""
    recipe = recipe_of(run)
    data = recipe.load_data()
    rasters, labels = data.test
    trace, answers = recipe.target.simulate(recipe.make_network(data), spec, rasters)
    return trace, np.asarray(right(answers, labels))
