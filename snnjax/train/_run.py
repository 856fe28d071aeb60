"""The folder that a training run leaves behind."""

import contextlib
import dataclasses
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from .._checks import read_header, read_lines
from .._extras import extra
from .._files import write_whole
from ._steps import is_old, newest_step
from ._target import Target

_FORMAT, _VERSION = "snnjax-run", 2
_LOGGED = "epoch", "loss", "accuracy"


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder.

    It holds `config.json` (the settings), `checkpoint` (everything that training needs to go on),
    `metrics.jsonl` (a line for each epoch), `xylo.json` or whatever the family of the chip is
    called (the integers) and `summary.txt`; `plan.toml`, if it was trained with a plan of the
    user's; `frontend.json`, if it begins with sound; and `heard.png`, a picture of a recording on
    its way through a chip's own front end. Each file is written whole or not at all.

    Attributes:
        path: the folder.
        recipe: the name of the recipe that made it.
        settings: the recipe's settings.
    """

    path: Path
    recipe: str
    settings: dict[str, Any]

    checkpoint = property(lambda self: self.path / "checkpoint")
    metrics = property(lambda self: self.path / "metrics.jsonl")
    plan = property(lambda self: self.path / "plan.toml")
    front_end = property(lambda self: self.path / "frontend.json")
    spec = property(lambda self: Target(self.settings["chip"]).path(self.path))
    summary = property(lambda self: self.path / "summary.txt")
    heard = property(lambda self: self.path / "heard.png")

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        recipe: str,
        settings: Mapping[str, Any],
        plan: str | None = None,
        front_end: str | None = None,
    ) -> Self:
        """Make a new run folder, all of it at once.

        Args:
            path: the folder.
            recipe: the name of the recipe.
            settings: the recipe's settings.
            plan: the text of a plan of the user's.
            front_end: the text of a front end.

        Raises:
            FileExistsError: if there is something at `path` already.
        """
        path = Path(path)
        if path.exists():
            raise FileExistsError(f"{path} exists; choose another folder or remove it")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        temporary.mkdir()
        made = cls(temporary, recipe, dict(settings))
        made.write_settings()
        if plan is not None:
            write_whole(made.plan, plan)
        if front_end is not None:
            write_whole(made.front_end, front_end)
        os.rename(temporary, path)
        return cls(path, recipe, made.settings)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a run folder.

        Folders of version 1 open too; their checkpoints have another format.

        Raises:
            FileNotFoundError: if there is nothing at `path`.
            ValueError: if it is not a run folder, or one of a later version.
        """
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f"there is no run folder at {path}")
        header = path / "config.json"
        if not header.is_file():
            raise ValueError(f"{path} is not a run folder: it has no config.json")
        content = read_header(header, _FORMAT, (1, _VERSION))
        if content["version"] == 1:
            content = _of_version_1(content)
        recipe, settings = content.get("recipe"), content.get("settings")
        if not isinstance(recipe, str) or not isinstance(settings, dict):
            raise ValueError(f'{header} is damaged: "recipe" or "settings" is missing')
        if not isinstance(settings.get("chip"), str):
            raise ValueError(f"{header} is damaged: its settings name no chip")
        try:
            Target(settings["chip"])
        except ValueError as error:
            raise ValueError(f"{header}: {error}") from None
        return cls(path, recipe, settings)

    def with_data(self, data: str | os.PathLike[str]) -> Self:
        """The run with its data at another place, as after a move to another machine.

        The folder is as it was; `write_settings` keeps the place. That the data are the same is up
        to the caller.

        Args:
            data: the file or folder.

        Raises:
            ValueError: if the run has no data of its own.
            FileNotFoundError: if there is nothing at `data`.
        """
        if self.settings.get("data") is None:
            raise ValueError(f"`data` has no use: {self.path} was not trained on a file or folder")
        place = os.path.abspath(data)
        if not os.path.exists(place):
            raise FileNotFoundError(f"{place} does not exist")
        return dataclasses.replace(self, settings={**self.settings, "data": place})

    def write_settings(self) -> None:
        """Write `config.json`, whole or not at all."""
        header = {"format": _FORMAT, "version": _VERSION, "recipe": self.recipe}
        text = json.dumps({**header, "settings": self.settings}, indent=2) + "\n"
        write_whole(self.path / "config.json", text)

    @property
    def has_checkpoint(self) -> bool:
        """Whether training can go on from a checkpoint; otherwise it begins anew."""
        return newest_step(self.checkpoint) is not None or is_old(self.checkpoint)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep others from training in this folder; see `locked`."""
        return locked(self.path)

    def log(self, **metrics: float | str) -> None:
        """Append one line to `metrics.jsonl`."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(metrics) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, without a last one that is torn; none before training.

        Raises:
            ValueError: if another line is not as `log` writes it; the message names it.
        """
        if not self.metrics.exists():
            return []
        rows = []
        for place, row in read_lines(self.metrics):
            known = isinstance(row, dict) and row.keys() >= set(_LOGGED)
            if not known or not all(isinstance(row[k], int | float) for k in _LOGGED):
                raise ValueError(
                    f"{place} must have numbers as epoch, loss and accuracy; correct or remove it"
                )
            rows.append(row)
        return rows

    def sync_log(self) -> None:
        """Have the lines of `metrics.jsonl` on the disk."""
        if self.metrics.exists():
            with self.metrics.open("rb") as file:
                os.fsync(file.fileno())

    def cut_log(self, epoch: int, notify: Callable[[str], None]) -> None:
        """Drop the lines of `metrics.jsonl` after an epoch, for training that goes on from it.

        Args:
            epoch: the last one that is kept.
            notify: is told of a last line that is torn, which is dropped too.

        Raises:
            ValueError: if another line is not as `log` writes it; the message names it.
        """
        if not self.metrics.exists():
            return
        lines = self.metrics.read_bytes().split(b"\n")
        kept = []
        for i, line in enumerate(lines):
            try:
                found = json.loads(line)["epoch"] if line or i + 1 < len(lines) else None
                if found is not None and type(found) is not int:
                    raise TypeError
            except (ValueError, TypeError, KeyError, RecursionError):
                if i + 1 < len(lines):
                    raise ValueError(
                        f"{self.metrics}, line {i + 1} is no line of an epoch: {line[:80]!r}; "
                        "correct or remove it"
                    ) from None
                notify(f"dropped the last line of {self.metrics}, which is torn: {line[:80]!r}")
            else:
                if found is not None and found <= epoch:
                    kept.append(line + b"\n")
        write_whole(self.metrics, b"".join(kept))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep others from training in a folder; the end of the process also ends it.

    Raises:
        OSError: if another process does so already; the message says which.
        ImportError: if filelock is missing, naming the extra that brings it.
    """
    with extra("train"):
        import filelock
    lock = filelock.FileLock(folder / ".lock", blocking=False, is_singleton=False)
    holder = folder / ".holder"
    try:
        lock.acquire()
    except filelock.Timeout:
        who = holder.read_text().strip() if holder.exists() else "another process"
        raise BlockingIOError(
            f"{folder} is in use by {who}; wait for it, or stop it, and then use --resume"
        ) from None
    try:
        write_whole(holder, f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _of_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """The header as version 2 has it: recipes have names of their own for each network."""
    settings, recipe = content.get("config"), content.get("recipe")
    if content.get("target") == "dynapcnn":
        recipe = "images"
    if isinstance(settings, dict) and settings.get("snr") == []:
        settings = {**settings, "snr": None}
    return {"recipe": recipe, "settings": settings}
