"""Why a neuron may be silent on a chip, read off its integers."""

import numpy as np

from .._causes import UNKNOWN, lost_scale
from .spec import Spec


def why_silent(spec: Spec, layer: slice | None, neuron: int) -> str:
    """The likely cause that a neuron which fires in the network does not in integers.

    Args:
        spec: the integers.
        layer: where its layer lies among the hidden neurons; None for the readout.
        neuron: its number within the layer.
    """
    if layer is None:
        weights = np.asarray(spec.w_out)[:, neuron] << spec.weight_shift_out
        dash = np.asarray(spec.dash_syn_out)[neuron]
        threshold, bias, dash_mem = spec.threshold_out, spec.bias_out, spec.dash_mem_out
    else:
        neuron += layer.start
        w_in = np.asarray(spec.w_in)[:, neuron] << spec.weight_shift_in
        w_rec = np.asarray(spec.w_rec)[:, neuron] << spec.weight_shift_rec
        weights, dash = np.concatenate([w_in, w_rec]), np.asarray(spec.dash_syn)[neuron]
        threshold, bias, dash_mem = spec.threshold, spec.bias, spec.dash_mem
    if not np.all(dash):
        return "a dash of 0 clears its synaptic current at every step"
    lost = lost_scale(weights)
    if lost is not None:
        return lost
    # What an event of every source at every step comes to, if the rest is not inhibited.
    excited, limit = int(weights[weights > 0].sum()), int(threshold[neuron])
    push = 0 if bias is None else max(int(bias[neuron]), 0)
    if (excited * 2.0 ** np.max(dash) + push) * 2.0 ** int(dash_mem[neuron]) < limit:
        return f"its threshold of {limit} is too high for weights that add up to {excited}"
    return UNKNOWN
