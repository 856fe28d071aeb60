"""Run folders of the digits: a new one, and one that is there."""

import dataclasses
import shutil
from pathlib import Path
from typing import NamedTuple

import jax

from .. import transforms
from .._typing import Key
from ..hardware import xylo
from ..train import digits, load_checkpoint
from ..train.loop import TrainState
from ..train.run import Run


class Opened(NamedTuple):
    """A run folder, with all that it takes to go on with it."""

    run: Run
    config: digits.DigitsConfig
    data: digits.Data
    state: TrainState


def create(folder: Path, config: digits.DigitsConfig, plan: Path | None) -> Opened:
    """A new run. What cannot be trained is refused before there is a folder.

    Raises:
        FileExistsError: if there is something at `folder` already.
        ValueError: if the network does not fit the chip, or the plan does not fit the network.
    """
    # What does not fit the chip is refused here, before any time is spent on it.
    xylo.map_network(digits.make_model(config), config.chip)
    if plan is not None and config.bits != digits.DigitsConfig.bits:
        raise ValueError("`--bits` is of the plan that `--plan` replaces; set it in the file")
    rules = None if plan is None else transforms.load(plan)
    data = digits.load_data(config)
    state = digits.start(config, data, rules)
    if plan is not None:
        network, own = state.model.network, state.model.plan
        digits.check_plan(config, state.model)
        xylo.map_network(transforms.burn_in(own, network, key=random_key(config)), config.chip)
    run = Run.create(folder, "digits", dataclasses.asdict(config))
    if plan is not None:
        shutil.copyfile(plan, run.plan)
    return Opened(run, config, data, state)


def reopen(folder: Path) -> Opened:
    """A run as its last checkpoint left it, with the plan that it was trained with.

    Raises:
        FileNotFoundError: if there is no such folder, or no checkpoint in it.
        ValueError: if it is not a run folder, or not of the digits.
    """
    run = Run.open(folder)
    config = digits.DigitsConfig.from_dict(run.config)
    rules = transforms.load(run.plan) if run.plan.exists() else None
    data = digits.load_data(config)
    state = load_checkpoint(run.checkpoint, digits.start(config, data, rules))
    return Opened(run, config, data, state)


def random_key(config: digits.DigitsConfig) -> Key:
    """What the random transforms of a plan draw from once training is over."""
    return jax.random.key(config.seed + 2)
