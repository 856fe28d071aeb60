"""Sweeps: one recipe with many settings and seeds, and the table of what came out."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from .. import transforms
from .._checks import count, explained
from ._loop import TrainState
from ._members import Members
from ._recipe import Recipe
from ._target import Scores

MOST_MEMBERS = 10_000


class Outcome(NamedTuple):
    """The result of one member of a sweep.

    Attributes:
        settings: the settings that the sweep goes over.
        seed: its seed.
        scores: right answers among the held-out data; None where training left the finite numbers.
    """

    settings: Mapping[str, Any]
    seed: int
    scores: Scores | None

    @property
    def name(self) -> str:
        """The settings as text: `bits=2,seed=0`."""
        return name_of({**self.settings, "seed": self.seed})


class Swept(NamedTuple):
    """One member of a sweep, trained.

    Attributes:
        recipe: the recipe with its settings.
        state: what training ended with.
        spec: the integers; None where training left the finite numbers.
        outcome: its result.
    """

    recipe: Recipe
    state: TrainState
    spec: Any
    outcome: Outcome


class Sweep(NamedTuple):
    """All members of a sweep, in the order of their settings. Printed, it is the table."""

    members: tuple[Swept, ...]

    def __str__(self) -> str:
        return table([member.outcome for member in self.members])

    @property
    def best(self) -> Swept:
        """The member whose integers got most right; the first of several."""
        found = best([member.outcome for member in self.members])
        return next(member for member in self.members if member.outcome is found)


@explained
def sweep(
    recipe: Recipe,
    over: Mapping[str, Sequence[Any]],
    *,
    seeds: int = 1,
    rules: transforms.Rules | None = None,
) -> Sweep:
    """Train a recipe with every combination of some settings, several seeds of each.

        found = train.sweep(recipes.Digits(epochs=20), {"bits": [2, 3, 4, 8]}, seeds=5)
        print(found)
        xylo.save(found.best.spec, "xylo.json")

    Members that differ only in settings of `Recipe.traced`, which are `seed`, `bits`, rates and
    `mismatch`, are one program: its arrays have the members as an axis, split over the devices of
    this process. Any other setting, such as `hidden`, changes shapes or the program; its values
    are trained one after another. A member's numbers are those of its own run, to float32 rounding.

    Args:
        recipe: the settings that all members have.
        over: values by setting.
        seeds: members of each combination, with the seeds from that of `recipe` on.
        rules: transforms of the user's; see `Recipe.make_plan`.

    Raises:
        ValueError: if a setting is unknown, has no values or one of them twice, or a member cannot
            be trained; before any training.
    """
    members = members_of(recipe, over, seeds)
    found: dict[int, Swept] = {}
    parts = programs(members, tuple(over))
    if len(parts) > 1:
        require_programs(members, parts, rules)
    for indices in parts:
        group = Members([members[i] for i in indices], rules)
        state = group.start()
        for after, _ in group.train(state):
            state = after
        for at, i in enumerate(indices):
            found[i] = finish(group, state, at, tuple(over))
    return Sweep(tuple(found[i] for i in range(len(members))))


def members_of(recipe: Recipe, over: Mapping[str, Sequence[Any]], seeds: int) -> tuple[Recipe, ...]:
    """The recipe of each member: every combination, the last setting fastest, then the seeds.

    Raises:
        ValueError: as `sweep` does.
    """
    count("seeds", seeds)
    if "seed" in over:
        raise ValueError("`over` takes no seeds; give their number as `seeds`")
    for name, values in over.items():
        if isinstance(values, str) or not len(values):
            raise ValueError(f"`over` must have a list of values for `{name}`; got {values!r}")
        if any(value in values[:i] for i, value in enumerate(values)):
            raise ValueError(f"`over` has a value of `{name}` twice; got {list(values)}")
    if (number := seeds * math.prod(map(len, over.values()))) > MOST_MEMBERS:
        raise ValueError(f"`over` and `seeds` make {number:,} members; at most {MOST_MEMBERS:,}")
    fixed = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    return tuple(
        type(recipe).from_dict(
            {**fixed, **dict(zip(over, values, strict=True)), "seed": recipe.seed + i}
        )
        for values in itertools.product(*over.values())
        for i in range(seeds)
    )


def programs(members: Sequence[Recipe], names: Sequence[str]) -> list[list[int]]:
    """The members by program: those of one differ only in numbers that it takes as input."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for i, member in enumerate(members):
        values = {name: getattr(member, name) for name in names}
        fixed = {k: v for k, v in values.items() if k not in member.traced or not _is_number(v)}
        found.setdefault(tuple(fixed.items()), []).append(i)
    return list(found.values())


def require_programs(
    members: Sequence[Recipe], parts: Sequence[Sequence[int]], rules: transforms.Rules | None
) -> None:
    """Raise ValueError, as `Recipe.start` does, where the first member of a program fails."""
    for first, *_ in parts:
        members[first].start(members[first].load_data(), rules)


def finish(group: Members, state: TrainState, index: int, names: Sequence[str]) -> Swept:
    """A member after training: its integers, and what they got right."""
    recipe, own = group.recipes[index], group.member(state, index)
    settings = {name: getattr(recipe, name) for name in names}
    arrays = jax.tree.leaves(eqx.filter(own.model, eqx.is_inexact_array))
    if not all(np.isfinite(x).all() for x in arrays):
        return Swept(recipe, own, None, Outcome(settings, recipe.seed, None))
    spec = recipe.deploy(own.model)
    scores = recipe.score(own.model, spec, group.data(index))
    return Swept(recipe, own, spec, Outcome(settings, recipe.seed, scores))


def best(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome whose integers got most right.

    Raises:
        ValueError: if no member has finite numbers.
    """
    shares = [
        (-1.0 if scores is None else scores.integers / scores.total)
        for scores in (outcome.scores for outcome in outcomes)
    ]
    if max(shares) < 0:
        raise ValueError("no member of the sweep has finite numbers; train with smaller rates")
    return outcomes[shares.index(max(shares))]


def table(outcomes: Sequence[Outcome]) -> str:
    """Accuracies in Markdown, a row for each combination: mean and standard deviation over seeds.

    The standard deviation is that of a sample, with n - 1.
    """
    by_settings: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_settings.setdefault(name_of(outcome.settings), []).append(outcome)
    names = list(outcomes[0].settings)
    rows = [_row(of) for of in by_settings.values()]
    forms = list(dict.fromkeys(form for row in rows for form in row))
    head = [*names, "seeds", *forms]
    lines = [
        [*(as_text(of[0].settings[name]) for name in names), str(len(of))]
        + [row.get(form, "not finite") for form in forms]
        for of, row in zip(by_settings.values(), rows, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    ruled = [head, ["-" * (width - 1) + ":" for width in widths], *lines]
    return "\n".join(
        "| " + " | ".join(cell.rjust(n) for cell, n in zip(line, widths, strict=True)) + " |"
        for line in ruled
    )


def _row(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Mean and spread of each form of the network that the outcomes have."""
    shares: dict[str, list[float]] = {}
    for scores in (outcome.scores for outcome in outcomes):
        for form, _, share in () if scores is None else scores.rows():
            shares.setdefault(form, []).append(100 * share)
    found = {}
    for form, values in shares.items():
        spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
        missing = len(outcomes) - len(values)
        found[form] = f"{np.mean(values):.2f} %{spread}" + (f" ({missing} lost)" * bool(missing))
    return found


def name_of(settings: Mapping[str, Any]) -> str:
    """Settings as text, which is also the name of a folder."""
    return ",".join(f"{name}={as_text(value)}" for name, value in settings.items())


def as_text(value: Any) -> str:
    """A value as `--set` takes it, a tuple with x in place of commas."""
    if isinstance(value, tuple):
        return "x".join(map(as_text, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
