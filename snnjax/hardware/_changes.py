"""The share of a difference that is made by what a chip changes: spike caps and decays."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx

from ._fidelity import REST, Fidelity, Share


class Change(NamedTuple):
    """Something that the chip has otherwise than the network.

    Attributes:
        name: what it is, a plural noun.
        details: the change in words, and the cure.
        make: the network with the change made.
    """

    name: str
    details: str
    make: Callable[[Any], Any]


Compare = Callable[[Any, str], Fidelity]
"""The report of a network, given words for it."""


def shares(compare: Compare, report: Fidelity, model: Any, changes: Sequence[Change]) -> Fidelity:
    """The report, with the shares of its difference that changes make.

    A change is made in the network, which runs and is compared again: what is no longer different
    is its share, averaged over the orders in which the changes can be made. So the shares and the
    rest add up to 1.

    Args:
        compare: see `Compare`.
        report: that of `model`.
        model: the network.
        changes: what the chip has otherwise; a run for each set of them.
    """
    if not report.apart:
        return report._replace(shares=())

    @functools.cache
    def left(made: frozenset[Change]) -> float:
        if not made:
            return 1.0
        changed = model
        for change in made:
            changed = change.make(changed)
        return compare(changed, report.beside).apart / report.apart

    orders = list(itertools.permutations(changes))

    def share(change: Change) -> float:
        before = [frozenset(order[: order.index(change)]) for order in orders]
        return sum(left(made) - left(made | {change}) for made in before) / len(orders)

    found = [Share(change.name, change.details, share(change)) for change in changes]
    return report._replace(shares=(*found, Share(REST, "", left(frozenset(changes)))))


def with_cap(layer: Any, cap: float | None) -> Any:
    """A layer of neurons that emits at most so many spikes in a step."""
    settings = dataclasses.replace(layer.settings, max_spikes=cap)
    return eqx.tree_at(lambda m: m.settings, layer, settings, is_leaf=lambda x: x is layer.settings)


def caps_in_words(caps: Sequence[tuple[str, float, float]]) -> str:
    """Paths of neurons, and the most spikes of them in the network and on the chip."""
    (path, before, after), *others = caps
    words = f"{path} emits up to {_spikes(before)} in a step in the network and {_spikes(after)} on"
    rows = [f"{path} {_spikes(before)} and {_spikes(after)}" for path, before, after in others[:2]]
    more = [f"{len(others) - 2} more layers likewise"] if len(others) > 2 else []
    return "; ".join([f"{words} the chip", *rows, *more, "train with `max_spikes` of the chip"])


def _spikes(cap: float) -> str:
    if cap == float("inf"):
        return "any number of spikes"
    return f"{cap:,} spike" + ("s" if cap != 1 else "")
