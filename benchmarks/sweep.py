"""The cost of a member of a sweep, beside a run of its own.

One epoch of the main job's network through a plan and through a chip's integers. The reference is a
compiled epoch of one recipe, as `snnjax train` calls it; a candidate is the epoch of n members of a
sweep in one program, with other bits and seeds. The ratio divided by n is the cost of a member. The
compilation, which n runs of n bit widths pay n times, is not in it.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from snnjax.train import Recipe
from snnjax.train._members import Members
from snnjax.train._sweep import members_of
from snnjax.train.recipes import Digits

from .harness import Settings, compare, main, report

MEMBERS = 2, 8


def run(settings: Settings) -> Path:
    recipe = Digits()
    if settings.quick:
        recipe = Digits(hidden=(8,), time_constants=(2,), steps=24, batch_size=512)
    groups = {}
    for through in ("plan", "chip"):
        of = dataclasses.replace(recipe, stages=f"{through}:1", epochs=1_000_000)
        calls: dict[str, Callable[[], Any]] = {"a run": _alone(of)}
        for n in MEMBERS:
            members = members_of(of, {"bits": [4, 8]}, n // 2)
            calls[f"{n} members"] = _epochs(Members(members))
        groups[f"an epoch through the {through}"] = compare(calls, settings)
    return report("sweep", groups, settings)


def _alone(recipe: Recipe) -> Callable[[], Any]:
    data = recipe.load_data()
    return _next(recipe.train(data, recipe.start(data)))


def _epochs(group: Members) -> Callable[[], Any]:
    return _next(group.train(group.start()))


def _next(epochs: Any) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(next(epochs)[1]["loss"])


if __name__ == "__main__":
    main(run)
