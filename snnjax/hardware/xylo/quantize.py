"""From real-valued parameters to the integers that the chip holds."""

import dataclasses
import warnings
from typing import Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._typing import FloatArray
from ...decay import nearest_dash
from ...passthrough import round_passthrough, straight_through
from .._limits import require_kind
from .spec import Chip, Spec

Method: TypeAlias = Literal["global", "channel"]
Scale: TypeAlias = Float[Array, " neurons"]


class QuantizationWarning(UserWarning):
    """Neurons that lose to rounding what they had."""


def quantize(spec: Spec, method: Method = "channel") -> Spec:
    """Round a mapped network to the integers of its chip.

    A neuron computes the same if its weights, bias and threshold are all multiplied by one number,
    its scale. Weights are then rounded to 8 bits and biases and thresholds to 16.

    - "global": one scale for all hidden neurons, which takes the largest of their input weights,
      recurrent weights and biases to 127, and one for the readout, from its weights and biases.
    - "channel": a scale for each neuron, which takes the largest weight that feeds it to 127. This
      is finer: no neuron pays for another's outlier.

    Where a threshold, or a bias, would not fit 16 bits at that scale, the neuron gets the largest
    scale at which it does; a threshold is at least 1. A readout with infinite thresholds gets the
    largest threshold there is, which leaves its scale alone; since it is read as membrane
    potentials, which are to be compared with each other, its neurons always share one scale.

    Dashes become the whole numbers whose decays are nearest, at least 1, since a dash of 0 wipes a
    state out.

    Args:
        spec: what `map_network` gave.
        method: "global" or "channel".

    Returns:
        The spec in int32.

    Raises:
        TypeError: if `spec` is no Spec.
        ValueError: if `method` is unknown or the spec is quantised already.

    Warns:
        QuantizationWarning: if all weights of a neuron become 0, or its threshold would.
    """
    require_kind(spec, Spec)
    if spec.quantized:
        raise ValueError("`spec` is quantised already; give what `map_network` returns")
    integers = _integers(spec, method)
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(spec)):
        _warn_of_losses(spec, integers, method)
    return integers


def _warn_of_losses(spec: Spec, integers: Spec, method: Method) -> None:
    lost = [
        f"all weights of {what} {n} become 0"
        for what, names in (("hidden neuron", ("w_in", "w_rec")), ("readout neuron", ("w_out",)))
        for n in np.flatnonzero(_fed(spec, names) & ~_fed(integers, names))
    ]
    for name, scale in zip(("threshold", "threshold_out"), scales(spec, method), strict=True):
        vanished = np.asarray(_threshold(getattr(spec, name), scale, spec.chip)) < 0.5
        lost += [f"`{name}[{n}]` becomes 1, and would be 0" for n in np.flatnonzero(vanished)]
    if lost:
        more = f", and {len(lost) - 3} more" if len(lost) > 3 else ""
        warnings.warn(
            f"{'; '.join(lost[:3])}{more}: weights and thresholds are too far apart for "
            f"{spec.chip.weight_bits} and {spec.chip.state_bits} bits at one scale",
            QuantizationWarning,
            stacklevel=3,
        )


def _fed(spec: Spec, names: tuple[str, ...]) -> np.ndarray:
    """Which neurons have weights that are not 0."""
    arrays = [np.asarray(getattr(spec, name)) for name in names]
    return np.any([(x.any(2) if x.ndim == 3 else x).any(0) for x in arrays], axis=0)


@eqx.filter_jit
def _integers(spec: Spec, method: Method) -> Spec:
    integers = rounded(spec, *scales(spec, method))
    return jax.tree.map(lambda leaf: leaf.astype(jnp.int32), integers)


def scales(spec: Spec, method: Method) -> tuple[Scale, Scale]:
    """What the parameters of each hidden and each output neuron are multiplied with."""
    if method not in ("global", "channel"):
        raise ValueError(f"`method` must be 'global' or 'channel'; got {method!r}")
    return _scale_hidden(spec, method), _scale_out(spec, method)


def rounded(spec: Spec, hidden: Scale, out: Scale) -> Spec:
    """The whole numbers that the chip holds, in floating point, with gradients straight through.

    Args:
        spec: what `map_network` gave.
        hidden: scale of each hidden neuron.
        out: scale of each output neuron.
    """

    def dash(values: FloatArray) -> FloatArray:
        return straight_through(
            values, nearest_dash(values, spec.chip.max_dash).astype(values.dtype)
        )

    def threshold(values: FloatArray, scale: Scale) -> FloatArray:
        return jnp.maximum(round_passthrough(_threshold(values, scale, spec.chip)), 1)

    return dataclasses.replace(
        spec,
        w_in=round_passthrough(spec.w_in * hidden[:, None]),
        w_rec=round_passthrough(spec.w_rec * hidden[:, None]),
        w_out=round_passthrough(spec.w_out * out),
        bias=None if spec.bias is None else round_passthrough(spec.bias * hidden),
        bias_out=None if spec.bias_out is None else round_passthrough(spec.bias_out * out),
        threshold=threshold(spec.threshold, hidden),
        threshold_out=threshold(spec.threshold_out, out),
        dash_mem=dash(spec.dash_mem),
        dash_syn=dash(spec.dash_syn),
        dash_mem_out=dash(spec.dash_mem_out),
        dash_syn_out=dash(spec.dash_syn_out),
    )


def _threshold(threshold: Float[Array, " neurons"], scale: Scale, chip: Chip) -> FloatArray:
    return jnp.where(jnp.isfinite(threshold), threshold * scale, chip.max_state)


def _scale_hidden(spec: Spec, method: Method) -> Scale:
    weights = jnp.concatenate([spec.w_in, spec.w_rec])
    return _scale(jnp.moveaxis(weights, 1, -1), spec.bias, spec.threshold, method, spec.chip)


def _scale_out(spec: Spec, method: Method) -> Scale:
    parameters = spec.w_out, spec.bias_out, spec.threshold_out
    shared = _scale(*parameters, "global", spec.chip)
    never_fires = jnp.isinf(spec.threshold_out).any()
    return jnp.where(never_fires, shared, _scale(*parameters, method, spec.chip))


def _scale(
    weights: Float[Array, "*sources targets"],
    bias: Float[Array, " targets"] | None,
    threshold: Float[Array, " targets"],
    method: Method,
    chip: Chip,
) -> Scale:
    """The number that each target's weights, bias and threshold are multiplied with."""
    weight = jnp.max(jnp.abs(weights), axis=tuple(range(weights.ndim - 1)), initial=0)
    offset = jnp.zeros_like(weight) if bias is None else jnp.abs(bias)
    if method == "global":
        weight = jnp.broadcast_to(jnp.maximum(weight.max(), offset.max()), weight.shape)
    # A neuron that nothing feeds is scaled by its bias, or else its threshold.
    largest = jnp.where(weight > 0, weight, jnp.where(offset > 0, offset, threshold))
    fits = jnp.where(jnp.isfinite(threshold), chip.max_state / threshold, jnp.inf)
    return jnp.minimum(chip.max_weight / largest, jnp.minimum(fits, chip.max_state / offset))
