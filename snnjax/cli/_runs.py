"""Run folders: a new one, and one that is there."""

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .. import transforms
from ..train import load_checkpoint
from ..train.loop import TrainState
from ..train.run import Run, Settings
from ._targets import TARGETS, Target


class Opened(NamedTuple):
    """A run folder, with all that it takes to go on with it."""

    run: Run
    target: Target
    config: Any
    data: Any
    state: TrainState


def settings(name: str, given: dict[str, Any]) -> Settings:
    """The settings of the recipe of a target, of which some are given.

    Raises:
        ValueError: if there is no such target, or it has no such setting; or one is out of range.
    """
    known = {field.name for field in dataclasses.fields(target_of(name).settings)}
    for setting in given:
        if setting not in known:
            raise ValueError(
                f"`--{setting.replace('_', '-')}` is no option of the target {name}; leave it out"
            )
    return target_of(name).settings(**given)


def refuse_with_resume(given: Iterable[str]) -> None:
    """Raise ValueError if options are given that a run which goes on has from its folder."""
    options = [f"`--{name.replace('_', '-')}`" for name in given]
    if options:
        raise ValueError(
            f"{', '.join(options)} cannot change in a run that goes on, with its own settings; "
            "leave it out"
        )


def target_of(name: str) -> Target:
    """The target of a name.

    Raises:
        ValueError: if there is none.
    """
    if name not in TARGETS:
        raise ValueError(f"`target` must be one of {', '.join(TARGETS)}; got {name!r}")
    return TARGETS[name]


def create(folder: Path, name: str, config: Any, plan: Path | None) -> Opened:
    """A new run for a target. What cannot be trained is refused before there is a folder.

    Raises:
        FileExistsError: if there is something at `folder` already.
        ValueError: if the network does not fit the chip, or the plan does not fit the network.
    """
    target = target_of(name)
    rules = None if plan is None else transforms.load(plan)
    target.require_fit(config, rules)
    data = target.recipe.load_data(config)
    state = target.recipe.start(config, data, rules)
    if plan is not None:
        target.require_plan(config, state.model)
    run = Run.create(folder, "digits", dataclasses.asdict(config), name)
    if plan is not None:
        shutil.copyfile(plan, run.plan)
    return Opened(run, target, config, data, state)


def reopen(folder: Path) -> Opened:
    """A run as its last checkpoint left it, with the plan that it was trained with.

    Raises:
        FileNotFoundError: if there is no such folder, or no checkpoint in it.
        ValueError: if it is not a run folder, or not of the digits.
    """
    run = Run.open(folder)
    target = target_of(run.target)
    config = target.settings.from_dict(run.config)
    rules = transforms.load(run.plan) if run.plan.exists() else None
    data = target.recipe.load_data(config)
    state = load_checkpoint(run.checkpoint, target.recipe.start(config, data, rules))
    return Opened(run, target, config, data, state)
