"""Training in stages: in float, through a plan, through a chip's integers."""

from typing import Literal, NamedTuple, TypeAlias, cast, get_args

import equinox as eqx
import jax
import optax

from .._typing import PyTree
from ..params import FAMILIES, family_labels, trainable

Through: TypeAlias = Literal["float", "plan", "chip"]
"""A forward pass: in floating point, through a plan, or through the chip's integers."""


TRACED = frozenset(("seed", "bits", "learning_rate", "later_rate", "spikes_per_logit", "mismatch"))
"""Settings of every recipe that a program of training takes as its input."""


class Stage(NamedTuple):
    """Some epochs of training, from `begin` to before `end`, and what they go through."""

    through: Through
    begin: int
    end: int


def schedule(stages: str, epochs: int | None = None) -> tuple[Stage, ...]:
    """The stages by their epochs.

    Args:
        stages: what is trained through and for how many epochs, in order: "float:40,chip:20". With
            `epochs` the numbers are shares of it, 1 where there is none.
        epochs: passes over the training data in all stages; None for as many as `stages` say.

    Raises:
        ValueError: if `stages` says something else, or there are too few `epochs` for all of them.
    """
    shares = _shares(stages)
    found, done, total = [], 0, sum(number for _, number in shares)
    epochs = total if epochs is None else epochs
    for through, number in shares:
        begin, done = round(epochs * done / total), done + number
        found.append(Stage(through, begin, round(epochs * done / total)))
    for stage in found:
        if stage.begin == stage.end:
            raise ValueError(
                f"`epochs` is {epochs}, of which none are left to go through the {stage.through} "
                f"with the `stages` {stages}; take more, or other stages"
            )
    return tuple(found)


def _shares(stages: str) -> list[tuple[Through, int]]:
    found: list[tuple[Through, int]] = []
    for stage in stages.split(","):
        name, colon, number = stage.strip().partition(":")
        count = int(number) if number.isdecimal() and len(number) < 10 else 0 if colon else 1
        if name not in get_args(Through) or count < 1:
            raise ValueError(
                f"`stages` must be some of {', '.join(get_args(Through))}, each with its number of "
                f"epochs, such as float:40,chip:20; got {stages!r}"
            )
        found.append((cast(Through, name), count))
    return found


def make_optimizer(
    stages: tuple[Stage, ...], steps: int, learning_rate: float, later_rate: float
) -> optax.GradientTransformation:
    """Adam with gradients of a norm of at most 1; in every stage its rate falls along a cosine.

    Args:
        stages: from `schedule`.
        steps: of an epoch.
        learning_rate: at the start of the first stage.
        later_rate: factor on it in the stages after the first.
    """
    cosines = [
        optax.cosine_decay_schedule(
            learning_rate * (later_rate if i else 1), (stage.end - stage.begin) * steps
        )
        for i, stage in enumerate(stages)
    ]
    ends = [stage.end * steps for stage in stages[:-1]]
    rate = optax.join_schedules(cosines, ends) if ends else cosines[0]
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))


def by_family(
    optimizer: optax.GradientTransformation, model: PyTree, text: str
) -> optax.GradientTransformation:
    """An optimizer with the updates of some families times a factor: their rates, with Adam.

    Args:
        optimizer: any optax transformation.
        model: the model to be trained, of which only the structure counts.
        text: families with factors, such as "taus:0.1,thresholds:0"; the others have 1.

    Raises:
        ValueError: if `text` says something else, or names a family that is not trained.
    """
    factors = _factors(text)
    labels = family_labels(model)
    trained = set(jax.tree.leaves(labels(eqx.filter(model, trainable(model)))))
    if absent := sorted(factors.keys() - trained):
        raise ValueError(
            f"`family_rates` has {', '.join(absent)}, but the network trains "
            f"{', '.join(sorted(trained))} only; leave it out, or do not freeze it"
        )
    scales = {name: optax.scale(factors.get(name, 1.0)) for name in trained}
    return optax.chain(optimizer, optax.multi_transform(scales, labels))


def _factors(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in text.split(","):
        name, _, number = entry.strip().partition(":")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1.0
        if name not in FAMILIES or not 0 <= found[name] < float("inf"):
            raise ValueError(
                f"`family_rates` must be families, each with a factor of at least 0 on its rate, "
                f"such as taus:0.1,thresholds:0; there are {', '.join(FAMILIES)}; got {text!r}"
            )
    return found
