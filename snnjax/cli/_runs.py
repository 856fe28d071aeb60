"""Run folders: a new one, and one that is there."""

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .. import transforms
from ..train import load_checkpoint
from ..train.loop import TrainState
from ..train.recipe import Training
from ..train.run import Run
from ._targets import DEFAULT_RECIPE, TARGETS, Target


class Opened(NamedTuple):
    """A run folder, with all that it takes to go on with it."""

    run: Run
    target: Target
    config: Any
    data: Any
    state: TrainState


def settings(recipe: str, target: str, given: dict[str, Any]) -> Training:
    """The settings of a recipe for a target, of which some are given.

    Raises:
        ValueError: if there is no such pair, or it has no such setting; or one is out of range.
    """
    found = target_of(recipe, target)
    known = {field.name for field in dataclasses.fields(found.settings)}
    for setting in given:
        if setting not in known:
            name = f"the target {target}" if recipe == DEFAULT_RECIPE else f"the recipe {recipe}"
            raise ValueError(
                f"`--{setting.replace('_', '-')}` is no option of {name}; leave it out"
            )
    return found.settings(**given)


def in_one_stage(recipe: str, target: str, through: str, given: dict[str, Any]) -> dict[str, Any]:
    """The settings that are given, with one stage for all epochs.

    Raises:
        ValueError: if stages are given as well.
    """
    if "stages" in given:
        raise ValueError("`--through` and `--stages` both say what training goes through; give one")
    epochs = given.get("epochs", target_of(recipe, target).settings().epochs)
    return {**given, "stages": f"{through}:{epochs}"}


def refuse_with_resume(given: Iterable[str]) -> None:
    """Raise ValueError if options are given that a run which goes on has from its folder."""
    options = [f"`--{name.replace('_', '-')}`" for name in given]
    if options:
        raise ValueError(
            f"{', '.join(options)} cannot change in a run that goes on, with its own settings; "
            "leave it out"
        )


def target_of(recipe: str, target: str) -> Target:
    """What trains by a recipe for a target.

    Raises:
        ValueError: if there is no such recipe, or none for that target.
    """
    recipes = list(dict.fromkeys(known for known, _ in TARGETS))
    if recipe not in recipes:
        raise ValueError(f"`recipe` must be one of {', '.join(recipes)}; got {recipe!r}")
    targets = [family for known, family in TARGETS if known == recipe]
    if target not in targets:
        what = f"`target` must be one of {', '.join(targets)}"
        what += "" if recipe == DEFAULT_RECIPE else f" with the recipe {recipe}"
        raise ValueError(f"{what}; got {target!r}")
    return TARGETS[recipe, target]


def create(folder: Path, recipe: str, name: str, config: Training, plan: Path | None) -> Opened:
    """A new run for a target. What cannot be trained is refused before there is a folder.

    Raises:
        FileExistsError: if there is something at `folder` already.
        ValueError: if the network does not fit the chip, or the plan does not fit the network or is
            not trained through.
    """
    target = target_of(recipe, name)
    rules = None if plan is None else transforms.load(plan)
    if plan is not None and all(stage.through != "plan" for stage in config.schedule):
        raise ValueError(
            f"`--plan` has no use where no stage goes through it; the stages are {config.stages}"
        )
    target.require_fit(config, rules)
    data = target.recipe.load_data(config)
    state = target.recipe.start(config, data, rules)
    if plan is not None:
        target.require_plan(config, state.model)
    run = Run.create(folder, recipe, dataclasses.asdict(config), name)
    if plan is not None:
        shutil.copyfile(plan, run.plan)
    return Opened(run, target, config, data, state)


def reopen(folder: Path) -> Opened:
    """A run as its last checkpoint left it, with the plan that it was trained with.

    Raises:
        FileNotFoundError: if there is no such folder, or no checkpoint in it.
        ValueError: if it is not a run folder, or of a recipe that is not known.
    """
    run = Run.open(folder)
    target = target_of(run.recipe, run.target)
    config = target.settings.from_dict(run.config)
    rules = transforms.load(run.plan) if run.plan.exists() else None
    data = target.recipe.load_data(config)
    state = load_checkpoint(run.checkpoint, target.recipe.start(config, data, rules))
    return Opened(run, target, config, data, state)
