"""Plans as TOML files."""

import dataclasses
import json
import math
import types
import typing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from .. import quant
from .._checks import explained, read_toml
from .._tree import leaves_with_path
from .._typing import PyTree
from ..nn import Hooks
from ..quant import Transform
from ._plan import check_plan

_NONE = "none"
_LEARNED = "value"
"""The field of a transform that holds a learned setting. `init` sets it; files omit it."""


class Rules(NamedTuple):
    """Rules of a plan without a model: `plan(model, **rules._asdict())`."""

    by_family: dict[str, Transform | None]
    where: dict[str, Transform | None]
    activations: dict[str, Transform | None]
    states: dict[str, Transform | None]


@explained
def load(path: str | Path) -> Rules:
    """Read rules from a TOML file.

    The file has a table for each argument of `plan`, in which every rule is a transform with its
    settings, or "none":

        [by_family]
        weights = { transform = "Int", bits = 4 }
        decays = { transform = "Bitshift" }

        [where]
        "layers[6].weight" = { transform = "Int", bits = 8 }

        [activations]
        Linear = { transform = "Int", bits = 8 }

        [states]
        "*.vmem" = "none"

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not TOML, or has an unknown table, transform or setting; the message
            names the rule and what there is.
    """
    content = read_toml(path)
    unknown = [table for table in content if table not in Rules._fields]
    if unknown:
        raise ValueError(
            f"{path}: unknown table [{unknown[0]}]; there are {', '.join(Rules._fields)}"
        )
    tables: dict[str, dict[str, Transform | None]] = {}
    for table in Rules._fields:
        found = content.get(table, {})
        if not isinstance(found, dict):
            raise ValueError(f"{path}: [{table}] must be a table of rules; got {found!r}")
        tables[table] = {
            name: _transform(rule, f"{path}: [{table}] {name}") for name, rule in found.items()
        }
    return Rules(**tables)


@explained
def dump(plan: PyTree, path: str | Path) -> None:
    """Write a plan to a TOML file, with a rule for each transformed parameter, output and state.

    `plan(model, **load(path)._asdict())` gives the same plan, with learned settings initialised
    again. A checkpoint keeps learned settings.

    Raises:
        ValueError: if a setting is an array, as in a sweep, or a transform is not one of
            `snnjax.quant`; the message names the rule.
        TypeError: if `plan` is no plan.
    """
    lines: list[str] = []
    for table, found in rules(plan)._asdict().items():
        if found:
            rows = [f"{_text(name)} = {_settings(rule, name)}" for name, rule in found.items()]
            lines += [f"[{table}]", *rows, ""]
    Path(path).write_text("\n".join(lines), encoding="utf-8")


@explained
def rules(plan: PyTree) -> Rules:
    """The rules of a plan by path, one for each transformed parameter, output and state.

    Raises:
        TypeError: if `plan` is no plan.
    """
    if isinstance(plan, Rules):
        raise TypeError(
            "`plan` is Rules; make a plan of them with `plan(model, **rules._asdict())`"
        )
    check_plan(plan)
    tables: dict[str, dict[str, Transform | None]] = {table: {} for table in Rules._fields}
    for place, rule in leaves_with_path(plan, is_leaf=lambda n: isinstance(n, Transform | Hooks)):
        if isinstance(rule, Transform):
            tables["where"][place] = rule
        elif isinstance(rule, Hooks):
            owner, _, field = place.rpartition(".")
            table = "activations" if field == "on_output" else "states"
            for name, transform in rule.transforms.items():
                target = f"layers[{name}]" if field == "on_output" else name
                tables[table][f"{owner}.{target}".removeprefix(".")] = transform
    return Rules(**tables)


def _known() -> dict[str, type[Transform]]:
    classes = {name: value for name, value in vars(quant).items() if isinstance(value, type)}
    return {n: c for n, c in classes.items() if issubclass(c, Transform) and c is not Transform}


def _transform(rule: Any, where: str) -> Transform | None:
    if rule == _NONE:
        return None
    if not isinstance(rule, dict) or not isinstance(rule.get("transform"), str):
        example = '{ transform = "Int", bits = 8 } or "none"'
        raise ValueError(f"{where}: a rule is {example}; got {rule!r}")
    settings = {name: value for name, value in rule.items() if name != "transform"}
    known = _known()
    if rule["transform"] not in known:
        raise ValueError(
            f"{where}: unknown transform {rule['transform']!r}; "
            f"there are {', '.join(sorted(known))}"
        )
    cls = known[rule["transform"]]
    names = [field.name for field in dataclasses.fields(cls) if field.name != _LEARNED]
    unknown = [name for name in settings if name not in names]
    if unknown:
        raise ValueError(
            f"{where}: {cls.__name__} has no setting {unknown[0]!r}; "
            f"it has {', '.join(names) or 'none'}"
        )
    hints = typing.get_type_hints(cls)
    for name, value in settings.items():
        if not _fits(value, hints[name]):
            raise ValueError(f"{where}: `{name}` of {cls.__name__} cannot be {value!r}")
    try:
        return cls(**settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a file has a type that the setting allows."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    kinds = {
        typing.get_origin(kind) or kind for kind in (typing.get_args(hint) if union else [hint])
    }
    match value:
        case bool():
            return bool in kinds
        case int():
            return not kinds.isdisjoint({int, float})
        case float():
            return float in kinds
        case str():
            return Literal in kinds
        case list():
            return tuple in kinds and all(_fits(item, float) for item in value)
    return False


def _settings(transform: Transform, name: str) -> str:
    cls = type(transform)
    if _known().get(cls.__name__) is not cls:
        raise ValueError(f"{name}: {cls.__name__} is not of snnjax.quant, so TOML cannot name it")
    pairs = [f"transform = {_text(cls.__name__)}"]
    for field in dataclasses.fields(cls):
        value = getattr(transform, field.name)
        if value is None or value is field.default or field.name == _LEARNED:
            continue
        if any(not isinstance(leaf, bool | int | float | str) for leaf in jax.tree.leaves(value)):
            raise ValueError(f"{name}: {field.name} of {cls.__name__} is {value!r}, not a setting")
        pairs.append(f"{field.name} = {_text(value)}")
    return f"{{ {', '.join(pairs)} }}"


def _text(value: Any) -> str:
    """A value in TOML, which equals JSON except for NaN and infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return json.dumps(value, ensure_ascii=False)
