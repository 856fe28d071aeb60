"""The folder that a sweep leaves behind: a run folder for each member."""

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np

from .. import transforms
from .._checks import read_header, read_lines
from .._files import write_whole
from ._checkpoint import Checkpoints, load_checkpoint
from ._fit import Data
from ._front_end import front_end_text
from ._loop import Metrics, TrainState
from ._members import Members
from ._recipe import Recipe
from ._run import Run, locked
from ._steps import newest_step
from ._sweep import (
    Outcome,
    Swept,
    best,
    finish,
    members_of,
    name_of,
    programs,
    require_programs,
    table,
)
from ._target import Scores

Report: TypeAlias = Callable[[Sequence[Recipe], int, float, float], None]
"""Told after each epoch: the members in training, the epoch, and the means of loss and accuracy."""

Finish: TypeAlias = Callable[[Run, Swept, Data], None]
"""Told of each member that is finished, with its run folder, before that counts as done."""

_FORMAT, _VERSION = "snnjax-sweep", 1


@dataclasses.dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep.

    It holds `sweep.json` (what is swept over), a run folder for each member, such as
    `bits=4,seed=0`, `results.jsonl` (a line for each member that is finished), `table.md` once all
    are, `checkpoint-N` (a program that is in training, by its first member) and `plan.toml`, if
    there is a plan of the user's.

    Attributes:
        path: the folder.
        recipe: the name of the recipe.
        settings: the recipe's settings that all members have.
        over: values by setting.
        seeds: members of each combination.
    """

    path: Path
    recipe: str
    settings: dict[str, Any]
    over: dict[str, list[Any]]
    seeds: int

    results = property(lambda self: self.path / "results.jsonl")
    table = property(lambda self: self.path / "table.md")
    plan = property(lambda self: self.path / "plan.toml")

    @classmethod
    def create(
        cls,
        path: Path,
        name: str,
        recipe: Recipe,
        over: Mapping[str, Sequence[Any]],
        seeds: int,
        plan: Path | None = None,
    ) -> Self:
        """Make a new folder, all of it at once. What cannot be trained is refused before.

        Args:
            path: the folder.
            name: the name of the recipe.
            recipe: the settings that all members have.
            over: values by setting.
            seeds: members of each combination.
            plan: file of a plan of the user's.

        Raises:
            FileExistsError: if there is something at `path` already.
            ValueError: as `sweep` does.
        """
        if path.exists():
            raise FileExistsError(f"{path} exists; choose another folder or remove it")
        members = members_of(recipe, over, seeds)
        rules = None if plan is None else transforms.load(plan)
        require_programs(members, programs(members, tuple(over)), rules)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        temporary.mkdir()
        settings = dataclasses.asdict(recipe)
        made = cls(temporary, name, settings, {k: list(v) for k, v in over.items()}, seeds)
        content = {"format": _FORMAT, "version": _VERSION, **dataclasses.asdict(made)}
        del content["path"]
        write_whole(temporary / "sweep.json", json.dumps(content, indent=2) + "\n")
        if plan is not None:
            write_whole(made.plan, plan.read_text(encoding="utf-8"))
        os.rename(temporary, path)
        return dataclasses.replace(made, path=path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the folder of a sweep.

        Raises:
            FileNotFoundError: if there is nothing at `path`.
            ValueError: if it is no such folder, or one of a later version.
        """
        header = path / "sweep.json"
        if not header.is_file():
            raise FileNotFoundError(f"there is no sweep at {path}: it has no sweep.json")
        content = read_header(header, _FORMAT, (_VERSION,))
        found: list[Any] = [content.get(name) for name in ("recipe", "settings", "over", "seeds")]
        if not all(map(isinstance, found, (str, dict, dict, int))):
            raise ValueError(f"{header} is damaged: a part of it is missing")
        if not all(isinstance(values, list) for values in found[2].values()):
            raise ValueError(f'{header} is damaged: "over" must have lists of values')
        return cls(path, *found)

    def members(self, recipe: type[Recipe]) -> tuple[Recipe, ...]:
        """The recipe of each member.

        Raises:
            ValueError: if `sweep.json` has what `sweep` refuses; the message names it.
        """
        try:
            return members_of(recipe.from_dict(self.settings), self.over, self.seeds)
        except ValueError as error:
            raise ValueError(f"{self.path / 'sweep.json'}: {error}") from error

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep others from training in this folder; see `locked`."""
        return locked(self.path)

    def train(
        self, recipe: type[Recipe], every: float, on_epoch: Report, on_member: Finish
    ) -> list[Outcome]:
        """Train all members that are not finished yet, each to the end that its own run has.

        A sweep that was stopped goes on from the last checkpoint of the program in training.

        Args:
            recipe: the class of the recipe.
            every: seconds between checkpoints, at least.
            on_epoch: is told of progress.
            on_member: is told of each member that is finished.

        Returns:
            The outcomes of all members, in order. The table of them is written.
        """
        members = self.members(recipe)
        rules = transforms.load(self.plan) if self.plan.exists() else None
        done = self.outcomes(recipe)
        names = [name_of({k: getattr(m, k) for k in (*self.over, "seed")}) for m in members]
        for indices in programs(members, tuple(self.over)):
            if all(names[i] in done for i in indices):
                continue
            group = Members([members[i] for i in indices], rules)
            runs = [self._run(names[i], members[i]) for i in indices]
            checkpoint = self.path / f"checkpoint-{indices[0]}"
            state = _train(group, runs, checkpoint, every, on_epoch)
            for at, i in enumerate(indices):
                if names[i] not in done:
                    done[names[i]] = self._finish(group, state, at, runs[at], on_member)
            shutil.rmtree(checkpoint)
        outcomes = [done[name] for name in names]
        write_whole(self.table, table(outcomes) + "\n")
        return outcomes

    def best(self, outcomes: Sequence[Outcome]) -> Path:
        """The run folder of the member whose integers got most right."""
        return self._path(best(outcomes).name)

    def _path(self, name: str) -> Path:
        return self.path / name.replace("/", "_")

    def _run(self, name: str, member: Recipe) -> Run:
        """The run folder of a member, which is made if it is missing."""
        path = self._path(name)
        if path.exists():
            return Run.open(path)
        plan = self.plan.read_text(encoding="utf-8") if self.plan.exists() else None
        front_end = member.make_front_end()
        heard = None if front_end is None else front_end_text(front_end)
        return Run.create(path, self.recipe, dataclasses.asdict(member), plan, heard)

    def _finish(
        self, group: Members, state: TrainState, index: int, run: Run, on_member: Finish
    ) -> Outcome:
        """Complete the run folder of a member, and then its line in `results.jsonl`."""
        swept = finish(group, state, index, tuple(self.over))
        if run.checkpoint.exists():
            shutil.rmtree(run.checkpoint)
        with Checkpoints(run.checkpoint) as checkpoints:
            checkpoints.save(int(swept.state.epoch), swept.state)
        if swept.spec is not None:
            swept.recipe.target.family.save(swept.spec, run.spec)
            on_member(run, swept, group.data(index))
        self._add(swept.outcome)
        return swept.outcome

    def _add(self, outcome: Outcome) -> None:
        """Append the outcome of a member to `results.jsonl`, and have it on the disk."""
        scores = None if outcome.scores is None else outcome.scores._asdict()
        row = {"settings": dict(outcome.settings), "seed": outcome.seed, "scores": scores}
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def outcomes(self, recipe: type[Recipe]) -> dict[str, Outcome]:
        """The outcomes of finished members by name, without a last line that is torn.

        Raises:
            ValueError: if another line is not as a sweep writes it; the message names it.
        """
        found: dict[str, Outcome] = {}
        if not self.results.exists():
            return found
        whole, end, torn = self.results.read_bytes().rpartition(b"\n")
        if torn:
            write_whole(self.results, whole + end)
        for where, row in read_lines(self.results):
            try:
                scores = None if row["scores"] is None else Scores(**row["scores"])
                made = recipe.from_dict({**self.settings, **row["settings"]})
                settings = {name: getattr(made, name) for name in self.over}
                outcome = Outcome(settings, row["seed"], scores)
            except (TypeError, KeyError, ValueError) as error:
                raise ValueError(f"{where} is no outcome; correct or remove it") from error
            found[outcome.name] = outcome
        return found


def _train(
    group: Members, runs: Sequence[Run], path: Path, every: float, on_epoch: Report
) -> TrainState:
    """The state of a program at its end, from where its checkpoint is; logs each epoch."""
    state = group.start()
    if newest_step(path) is not None:
        state = load_checkpoint(path, state)
    for run in runs:
        run.cut_log(int(state.epoch[0]), lambda _: None)
    with Checkpoints(path) as checkpoints:
        if checkpoints.latest is None:
            checkpoints.save(0, state)
        began = saved = time.monotonic()
        try:
            for after, metrics in group.train(state):
                state = after
                _log(group, runs, state, metrics, began, on_epoch)
                if time.monotonic() - saved >= every:
                    checkpoints.save(int(state.epoch[0]), state)
                    saved = time.monotonic()
        finally:
            # An interrupted sweep goes on from here, and so does one that stops in its scores.
            if checkpoints.latest != int(state.epoch[0]):
                checkpoints.save(int(state.epoch[0]), state)
    return state


def _log(
    group: Members,
    runs: Sequence[Run],
    state: TrainState,
    metrics: Metrics,
    began: float,
    on_epoch: Report,
) -> None:
    epoch, seconds = int(state.epoch[0]), round(time.monotonic() - began, 3)
    through = group.recipes[0].through(epoch - 1)
    losses, accuracies = (np.asarray(metrics[name]) for name in ("loss", "accuracy"))
    for run, loss, accuracy in zip(runs, losses.tolist(), accuracies.tolist(), strict=True):
        run.log(epoch=epoch, through=through, loss=loss, accuracy=accuracy, seconds=seconds)
    on_epoch(group.recipes, epoch, float(losses.mean()), float(accuracies.mean()))
