"""Likely causes of silent and saturated neurons, from the integers of a chip."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_OUTLIER = 32
"""A weight so many times the median leaves few levels to the others."""

_SLIGHT = 0.05
"""A share of the difference below which a change is no cause."""

UNKNOWN = "no single cause: rounding adds up; train through the plan or through the chip"


def lost_scale(weights: np.ndarray) -> str | None:
    """The way in which rounding removed the weights of a neuron; None if it did not.

    Args:
        weights: the integers that feed it.
    """
    present = np.abs(weights[weights != 0])
    if not len(present):
        return "all of its weights are 0 after rounding: the scale was lost to an outlier elsewhere"
    if present.max() >= _OUTLIER * np.median(present):
        return f"its scale was lost to one outlier: one weight is {present.max()}, most are tiny"
    return None


def why_saturated(charged: np.ndarray, limits: tuple[int, int], cap: int) -> dict[int, str]:
    """The neurons whose membrane potential reached an end of the chip's range, and why.

    Args:
        charged: potentials of the integers ahead of the spikes, `(batch, time, neurons)`.
        limits: the lowest and the highest value of a state.
        cap: most spikes in one step; 0 for no limit.
    """
    low, high = ((charged == limit).any((0, 1)) for limit in limits)
    inhibited = "its inhibition has no lower bound: its potential falls to the lowest value"
    flooded = "more comes in than its spikes can take off"
    flooded += f", of which there are at most {cap} in a step" if cap else ""
    found = dict.fromkeys(np.flatnonzero(high).tolist(), flooded)
    return found | dict.fromkeys(np.flatnonzero(low).tolist(), inhibited)


def explain(
    layers: Sequence[Any], cut_events: int, beside: str, shares: Sequence[Any] | None
) -> tuple[str, ...]:
    """The reasons for which integers differ from their network, the most important first.

    A layer that is silent comes first, as nothing after it gets anything; then events that are
    lost on the way in; then changes that make most of the difference; then what touches most
    neurons or spikes, as a share of those there are.

    Args:
        layers: `LayerFidelity` of each layer.
        cut_events: events beyond what an input channel takes.
        beside: what the integers are compared with, in words.
        shares: `Share` of each change; None if they are not known.
    """
    first = next((layer for layer in layers if layer.parts_at is not None), None)
    mute = [_mute(layer, beside) for layer in layers if not layer.spikes + layer.spikes_integers]
    mute = mute[:1]  # those after it hear nothing
    # Potentials may differ without spikes: where events are lost, or states or weights are cut.
    if first is None and not cut_events and not any(x.saturated or x.clipped for x in layers):
        return (*mute, f"{beside} and the integers spike alike at every step")
    capped = shares is None
    found = [pair for layer in layers for pair in _of_layer(layer, beside, capped=capped)]
    if cut_events:
        lost = "events are more than an input channel takes in a step, and are lost: scale the "
        found.append((3.0, f"{cut_events:,} {lost}input down, or spread it over steps"))
    measured = [*_measured(shares or (), alone=not found)]
    found += measured
    if found or first is None:
        return (*mute, *(words for _, words in sorted(found, key=lambda pair: -pair[0])))
    where = f"{first.path} parts first, at step {first.parts_at}"
    return (*mute, f"rounding alone: {where}; {first.equal:.2%} of its steps are equal")


def _mute(layer: Any, beside: str) -> str:
    """The words for a layer that never fires, neither in the network nor in integers."""
    return (
        f"{layer.path} never fires, in {beside} and in integers: scale its weights up, lower its "
        "thresholds or lengthen its time constants, and train again"
    )


def _measured(shares: Sequence[Any], *, alone: bool) -> Iterator[tuple[float, str]]:
    """The changes that make a part of the difference, and the rest if no other cause is known."""
    *changes, rest = shares or [None]
    found = [change for change in changes if change.share >= _SLIGHT]
    for name, details, share in found:
        yield 2 * share, f"{name} make {share:.0%} of the difference: {details}"
    if found and alone and rest.share >= _SLIGHT:
        yield 2 * rest.share, f"{rest.name} makes {rest.share:.0%} of the difference"


def seen_by_plan(apart: float, beyond: float) -> str:
    """The share of the difference that is between a network and its plan, in words.

    Args:
        apart: how much the integers differ from the network in float; see `Fidelity.apart`.
        beyond: how much from the same through its plan.
    """
    if not apart:
        return "nothing differs, with and without the plan"
    if not beyond:
        return "the plan sees all of the difference: training through it can mend it"
    share = max(1 - beyond / apart, 0)
    return (
        f"the plan sees {share:.0%} of the difference, which training through it can mend; the "
        "rest is the arithmetic of the chip, which training through `emulate` sees"
    )


def _of_layer(layer: Any, beside: str, *, capped: bool) -> Iterator[tuple[float, str]]:
    """The faults of a layer, how much each weighs and the words; `capped` with its spike cap."""
    neurons, name = layer.rasters[0].shape[-1], layer.path
    if layer.silent and not layer.spikes_integers:
        why = f"so what follows it hears nothing: {_most_common(layer.silent)}"
        yield 4.0, f"{name} is silent in integers, {why}"
    elif layer.silent:
        number = f"{len(layer.silent)} of {neurons} neurons of {name}"
        why = f"fire in {beside} and never in integers: {_most_common(layer.silent)}"
        yield 1 + len(layer.silent) / neurons, f"{number} {why}"
    if layer.saturated:
        number = f"{len(layer.saturated)} of {neurons} neurons of {name}"
        why = f"reach an end of the chip's range: {_most_common(layer.saturated)}"
        yield len(layer.saturated) / neurons, f"{number} {why}"
    if layer.at_cap and capped:
        often = f"{name} emits as many spikes as the chip allows {layer.at_cap:,} times; more are"
        share = layer.at_cap / max(layer.spikes_integers, 1)
        yield share, f"{often} late or lost: raise its thresholds"
    if layer.clipped:
        number = f"{layer.clipped:,} weights of {name} are cut to fit their bits"
        why = "they are outliers, which a plan in training keeps in range"
        yield layer.clipped / (neurons * max(layer.clipped, neurons)), f"{number}: {why}"


def _most_common(causes: dict[int, str]) -> str:
    """The cause of most neurons, and of how many it is if not of all."""
    (why, number), *others = Counter(causes.values()).most_common()
    return f"{why} ({number} of them)" if others else why
