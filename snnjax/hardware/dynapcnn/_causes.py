"""Why a neuron may be silent on a chip, read off its integers."""

import numpy as np

from .._causes import UNKNOWN, lost_scale
from .spec import Core


def why_silent(core: Core, neuron: int, events: np.ndarray) -> str:
    """The likely cause that a neuron which fires in the network does not in integers.

    Args:
        core: the integers of its layer.
        neuron: its number within the layer, as in a flattened map.
        events: how many came to each place of the layer's input map, over all steps.
    """
    _, height, width = core.output_shape
    channel = neuron // (height * width)
    weights = np.asarray(core.weight)[channel]
    if not events.any():
        return "nothing reaches it: what feeds its layer is silent"
    lost = lost_scale(weights.ravel())
    if lost is not None:
        return lost
    bias = 0 if core.bias is None else int(core.bias[channel])
    excited, threshold = int(weights[weights > 0].sum()), int(core.threshold)
    if not excited and bias <= 0:
        return "none of its weights is above 0"
    # What comes to the busiest place, as if it came to each of its inputs, and nothing inhibited.
    if bias <= 0 and excited * int(events.max()) < threshold:
        return f"its threshold of {threshold} is too high for weights that add up to {excited}"
    return UNKNOWN
