"""Why a neuron may be silent on a chip, as far as its weights tell."""

import numpy as np

_OUTLIER = 32
"""How many times larger than the others, in the median, a weight takes most levels for itself."""

UNKNOWN = "no single cause: rounding adds up; train through the plan or through the chip"


def lost_scale(weights: np.ndarray) -> str | None:
    """How rounding took the weights of a neuron away; None if it did not.

    Args:
        weights: the integers that feed it.
    """
    present = np.abs(weights[weights != 0])
    if not len(present):
        return "all of its weights are 0 after rounding: the scale was lost to an outlier elsewhere"
    if present.max() >= _OUTLIER * np.median(present):
        return f"its scale was lost to one outlier: one weight is {present.max()}, most are tiny"
    return None
