"""Likely causes of silent and saturated neurons, from the integers of a chip."""

import numpy as np

_OUTLIER = 32
"""A weight so many times the median leaves few levels to the others."""

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
