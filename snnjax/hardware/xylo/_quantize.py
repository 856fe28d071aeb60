"""From a mapped network to the integers that the chip holds; `_integers` has the rules."""

import dataclasses
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._checks import explained
from .._family import QuantizationWarning, is_known, require_mapped
from ._integers import (
    Group,
    Method,
    PerNeuron,
    Settings,
    rounded,
    scaled_threshold,
    scales,
    settings,
)
from ._spec import Spec


@explained
def quantize(spec: Spec, *, method: Method = "channel", bits: int | None = None) -> Spec:
    """Round a mapped network to the integers of its chip.

    A neuron computes the same if its weights, bias and threshold are all multiplied by one number,
    its scale. Weights are then rounded to 8 bits and biases and thresholds to 16. Weights of fewer
    bits are shifted left by those that are missing, as the chip does, so that only the weights are
    coarser: at 4 bits they are from -7 to 7, times 16, and states as fine as with 8.

    - "global": one scale for all hidden neurons, which takes the largest of their input weights,
      recurrent weights and biases to 127, and one for the readout, from its weights and biases.
    - "channel": a scale for each neuron, which takes the largest weight that feeds it to 127. This
      is finer: no neuron pays for another's outlier.
    - "least_squares": the same, but the weight that becomes the largest integer is from 0.3 to 1
      times the largest one, whichever changes the neuron's weights least, in the sum of squares;
      larger weights become that integer too. This is for weights of few bits, the others of which
      would round to 0. Where all 8 bits are used it is hardly ever different.

    Where a threshold, or a bias, would not fit 16 bits at that scale, the neuron gets the largest
    scale at which it does; a threshold is at least 1. A readout with infinite thresholds gets the
    largest threshold there is, which leaves its scale alone; since it is read as membrane
    potentials, which are to be compared with each other, its neurons always share one scale.

    Dashes become the whole numbers whose decays are nearest, at least 1, since a dash of 0 clears a
    state at every step.

    Args:
        spec: the result of `map_network`.
        method: "global", "channel" or "least_squares".
        bits: bits of the weights, sign included, from 2 to those of the chip; None for these.

    Returns:
        The spec in int32.

    Raises:
        TypeError: if `spec` is no Spec.
        ValueError: if `method` or `bits` is none of these or the spec is quantised already.

    Warns:
        QuantizationWarning: if all weights of a neuron become 0, its threshold would, or its
            threshold or bias is so large that its weights keep half of their bits or less.
    """
    require_mapped(spec, Spec)
    how = settings(spec.chip, method, bits)
    integers, scale = _integers(spec, how)
    if is_known(spec):
        _warn_of_losses(spec, integers, scale, how)
    return integers


def groups_of(spec: Spec) -> tuple[Group, Group]:
    """The hidden and the output neurons of a mapped network."""
    weight = jnp.concatenate([spec.w_in, spec.w_rec])
    hidden = Group(weight, spec.dash_mem, spec.dash_syn, spec.threshold, spec.bias)
    out = spec.w_out[..., None], spec.dash_mem_out, spec.dash_syn_out[:, None]
    return hidden, Group(*out, spec.threshold_out, spec.bias_out)


@eqx.filter_jit
def _integers(spec: Spec, how: Settings) -> tuple[Spec, list[PerNeuron]]:
    """The integers, and the scales of the hidden and the output neurons."""
    groups = groups_of(spec)
    scale = scales(groups[:1], groups[1], how)
    found = [rounded(group, own, how) for group, own in zip(groups, scale, strict=True)]
    hidden, out = jax.tree.map(lambda leaf: leaf.astype(jnp.int32), found)
    shift = int(how.shift)
    integers = dataclasses.replace(
        spec,
        w_in=hidden.weight[: spec.n_inputs],
        w_rec=hidden.weight[spec.n_inputs :],
        w_out=out.weight[..., 0],
        dash_mem=hidden.dash_mem,
        dash_syn=hidden.dash_syn,
        dash_mem_out=out.dash_mem,
        dash_syn_out=out.dash_syn[:, 0],
        threshold=hidden.threshold,
        threshold_out=out.threshold,
        bias=hidden.bias,
        bias_out=out.bias,
        weight_shift_in=shift,
        weight_shift_rec=shift,
        weight_shift_out=shift,
    )
    return integers, scale


def _warn_of_losses(spec: Spec, integers: Spec, scale: list[PerNeuron], how: Settings) -> None:
    lost: list[str] = []
    names = ("hidden neuron", "threshold"), ("readout neuron", "threshold_out")
    before, after = groups_of(spec), groups_of(integers)
    for i, (what, threshold) in enumerate(names):
        real, whole = (np.abs(np.asarray(x[i].weight)) for x in (before, after))
        fed, most = real.any((0, 2)), whole.max((0, 2), initial=0)
        lost += [f"all weights of {what} {n} become 0" for n in np.flatnonzero(fed & (most == 0))]
        vanished = np.asarray(scaled_threshold(before[i].threshold, scale[i], spec.chip)) < 0.5
        lost += [f"`{threshold}[{n}]` becomes 1, and would be 0" for n in np.flatnonzero(vanished)]
        few = (most > 0) & (most < 2 ** (how.bits // 2 - 1)) & _is_bound(after[i], spec)
        lost += [
            f"the weights of {what} {n} keep {int(most[n]).bit_length() + 1} of {how.bits} bits, "
            "since its threshold or bias takes all of its range"
            for n in np.flatnonzero(few)
        ]
    if lost:
        more = f", and {len(lost) - 3} more" if len(lost) > 3 else ""
        warnings.warn(
            f"{'; '.join(lost[:3])}{more}: weights and thresholds are too far apart for "
            f"{how.bits} and {spec.chip.state_bits} bits at one scale",
            QuantizationWarning,
            stacklevel=4,
        )


def _is_bound(group: Group, spec: Spec) -> np.ndarray:
    """Whether the threshold or bias of each neuron is at its limit, which bounds the scale."""
    bias = 0 if group.bias is None else np.abs(np.asarray(group.bias))
    return np.maximum(np.asarray(group.threshold), bias) == spec.chip.max_state
