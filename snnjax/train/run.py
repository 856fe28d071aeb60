"""The folder that a training run leaves behind."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

_FORMAT, _VERSION = "snnjax-run", 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a recipe; those of a kind are fields of a subclass."""

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """The settings of a run folder.

        Raises:
            ValueError: if a setting is not one of this recipe's, or is not of its type.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(settings.keys() - known)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(unknown)}; there are {sorted(known)}")
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        for field in dataclasses.fields(cls):
            value = values.get(field.name, field.default)
            kinds = (float, int) if isinstance(field.default, float) else type(field.default)
            if field.default is not None and not isinstance(value, kinds):
                raise ValueError(f"`{field.name}` must be like {field.default!r}; got {value!r}")
        return cls(**values)

    def _require_above_zero(self, *names: str) -> None:
        for name in names:
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be above 0; got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder.

    It holds `config.json` (the settings), `checkpoint` (everything that training needs to go on),
    `metrics.jsonl` (a line for each epoch), `xylo.json` or `dynapcnn.json` (the integers) and
    `summary.txt`; and `plan.toml`, if it was trained with a plan of the user's.

    Attributes:
        path: the folder.
        recipe: the name of the recipe that made it.
        config: the recipe's settings.
        target: the family of chips that the integers are for.
    """

    path: Path
    recipe: str
    config: dict[str, Any]
    target: str = "xylo"

    checkpoint = property(lambda self: self.path / "checkpoint")
    metrics = property(lambda self: self.path / "metrics.jsonl")
    plan = property(lambda self: self.path / "plan.toml")
    spec = property(lambda self: self.path / f"{self.target}.json")
    summary = property(lambda self: self.path / "summary.txt")

    @classmethod
    def create(
        cls, path: str | Path, recipe: str, config: dict[str, Any], target: str = "xylo"
    ) -> Self:
        """Make a new run folder.

        Raises:
            FileExistsError: if there is something at `path` already.
        """
        path = Path(path)
        if path.exists():
            raise FileExistsError(f"{path} exists; choose another folder or remove it")
        path.mkdir(parents=True)
        header = {"format": _FORMAT, "version": _VERSION, "recipe": recipe, "target": target}
        header["config"] = config
        (path / "config.json").write_text(json.dumps(header, indent=2) + "\n")
        return cls(path, recipe, config, target)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a run folder.

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
        try:
            content = json.loads(header.read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{header} is damaged: {error}") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(f'{header} is not of a run: its "format" is not "{_FORMAT}"')
        if content.get("version") != _VERSION:
            raise ValueError(
                f"{header} has version {content.get('version')}, this snnjax reads {_VERSION}"
            )
        if not isinstance(content.get("config"), dict) or "recipe" not in content:
            raise ValueError(f'{header} is damaged: "recipe" or "config" is missing')
        return cls(path, content["recipe"], content["config"], content.get("target", "xylo"))

    def cut_log(self, epoch: int) -> None:
        """Drop the lines of `metrics.jsonl` after an epoch, for training that goes on from it."""
        if self.metrics.exists():
            lines = self.metrics.read_text().splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["epoch"] <= epoch]
            self.metrics.write_text("".join(kept))

    def log(self, **metrics: float | str) -> None:
        """Append one line to `metrics.jsonl`."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(metrics) + "\n")
