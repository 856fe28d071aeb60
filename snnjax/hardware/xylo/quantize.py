"""From real-valued parameters to the integers that the chip holds."""

import dataclasses
import warnings
from typing import Literal, TypeAlias, get_args

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

Method: TypeAlias = Literal["global", "channel", "least_squares"]
_CLIPS = tuple(n / 10 for n in range(10, 2, -1))
"""Where "least_squares" may cut weights off, as a share of the largest one; on a tie the first."""

Scale: TypeAlias = Float[Array, " neurons"]


class QuantizationWarning(UserWarning):
    """Neurons that lose to rounding what they had."""


def quantize(spec: Spec, method: Method = "channel", bits: int | None = None) -> Spec:
    """Round a mapped network to the integers of its chip.

    A neuron computes the same if its weights, bias and threshold are all multiplied by one number,
    its scale. Weights are then rounded to 8 bits and biases and thresholds to 16. Weights of fewer
    bits are shifted left by those that are missing, as the chip does, so that all that is coarser
    are the weights: at 4 bits they are from -7 to 7, times 16, and states as fine as with 8.

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

    Dashes become the whole numbers whose decays are nearest, at least 1, since a dash of 0 wipes a
    state out.

    Args:
        spec: what `map_network` gave.
        method: "global", "channel" or "least_squares".
        bits: bits of the weights, sign included, from 2 to those of the chip; None for these.

    Returns:
        The spec in int32.

    Raises:
        TypeError: if `spec` is no Spec.
        ValueError: if `method` or `bits` is none of these or the spec is quantised already.

    Warns:
        QuantizationWarning: if all weights of a neuron become 0, or its threshold would.
    """
    require_kind(spec, Spec)
    if spec.quantized:
        raise ValueError("`spec` is quantised already; give what `map_network` returns")
    shift = shift_of(spec.chip, bits)
    integers = _integers(spec, method, shift)
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(spec)):
        _warn_of_losses(spec, integers, method, shift)
    return integers


def _warn_of_losses(spec: Spec, integers: Spec, method: Method, shift: int) -> None:
    lost = [
        f"all weights of {what} {n} become 0"
        for what, names in (("hidden neuron", ("w_in", "w_rec")), ("readout neuron", ("w_out",)))
        for n in np.flatnonzero(_fed(spec, names) & ~_fed(integers, names))
    ]
    scale_of = scales(spec, method, shift)
    for name, scale in zip(("threshold", "threshold_out"), scale_of, strict=True):
        vanished = np.asarray(_threshold(getattr(spec, name), scale, spec.chip)) < 0.5
        lost += [f"`{name}[{n}]` becomes 1, and would be 0" for n in np.flatnonzero(vanished)]
    if lost:
        more = f", and {len(lost) - 3} more" if len(lost) > 3 else ""
        warnings.warn(
            f"{'; '.join(lost[:3])}{more}: weights and thresholds are too far apart for "
            f"{spec.chip.weight_bits - shift} and {spec.chip.state_bits} bits at one scale",
            QuantizationWarning,
            stacklevel=3,
        )


def _fed(spec: Spec, names: tuple[str, ...]) -> np.ndarray:
    """Which neurons have weights that are not 0."""
    arrays = [np.asarray(getattr(spec, name)) for name in names]
    return np.any([(x.any(2) if x.ndim == 3 else x).any(0) for x in arrays], axis=0)


@eqx.filter_jit
def _integers(spec: Spec, method: Method, shift: int) -> Spec:
    integers = rounded(spec, *scales(spec, method, shift), shift)
    return jax.tree.map(lambda leaf: leaf.astype(jnp.int32), integers)


def shift_of(chip: Chip, bits: int | None) -> int:
    """The left shift that makes weights of some bits as large as those of all bits of a chip.

    Raises:
        ValueError: if `bits` is no whole number, fewer than 2 or more than the chip has.
    """
    if bits is None:
        return 0
    if not isinstance(bits, (int, np.integer)) or not 2 <= bits <= chip.weight_bits:
        raise ValueError(
            f"`bits` must be from 2 to {chip.weight_bits}, those of the weights of {chip.name}, "
            f"and whole; got {bits!r}"
        )
    return chip.weight_bits - int(bits)


def scales(spec: Spec, method: Method, shift: int) -> tuple[Scale, Scale]:
    """What the parameters of each hidden and each output neuron are multiplied with.

    Args:
        spec: what `map_network` gave.
        method: "global", "channel" or "least_squares".
        shift: left shift of the weights, which are rounded before it; see `shift_of`.
    """
    if method not in get_args(Method):
        names = ", ".join(map(repr, get_args(Method)))
        raise ValueError(f"`method` must be one of {names}; got {method!r}")
    return _scale_hidden(spec, method, shift), _scale_out(spec, method, shift)


def rounded(spec: Spec, hidden: Scale, out: Scale, shift: int) -> Spec:
    """The whole numbers that the chip holds, in floating point, with gradients straight through.

    Args:
        spec: what `map_network` gave.
        hidden: scale of each hidden neuron.
        out: scale of each output neuron.
        shift: left shift of the weights.
    """
    unit, most = 2.0**-shift, _most(spec.chip, shift)

    def weights(values: FloatArray, scale: FloatArray) -> FloatArray:
        whole = jnp.clip(jnp.round(values * (scale * unit)), -most, most)
        return straight_through(values * (scale * unit), whole)

    def dash(values: FloatArray) -> FloatArray:
        return straight_through(
            values, nearest_dash(values, spec.chip.max_dash).astype(values.dtype)
        )

    def threshold(values: FloatArray, scale: Scale) -> FloatArray:
        return jnp.maximum(round_passthrough(_threshold(values, scale, spec.chip)), 1)

    return dataclasses.replace(
        spec,
        w_in=weights(spec.w_in, hidden[:, None]),
        w_rec=weights(spec.w_rec, hidden[:, None]),
        w_out=weights(spec.w_out, out),
        bias=None if spec.bias is None else round_passthrough(spec.bias * hidden),
        bias_out=None if spec.bias_out is None else round_passthrough(spec.bias_out * out),
        threshold=threshold(spec.threshold, hidden),
        threshold_out=threshold(spec.threshold_out, out),
        dash_mem=dash(spec.dash_mem),
        dash_syn=dash(spec.dash_syn),
        dash_mem_out=dash(spec.dash_mem_out),
        dash_syn_out=dash(spec.dash_syn_out),
        weight_shift_in=shift,
        weight_shift_rec=shift,
        weight_shift_out=shift,
    )


def _threshold(threshold: Float[Array, " neurons"], scale: Scale, chip: Chip) -> FloatArray:
    return jnp.where(jnp.isfinite(threshold), threshold * scale, chip.max_state)


def _scale_hidden(spec: Spec, method: Method, shift: int) -> Scale:
    weights = jnp.moveaxis(jnp.concatenate([spec.w_in, spec.w_rec]), 1, -1)
    return _scale(weights, spec.bias, spec.threshold, method, spec.chip, shift)


def _scale_out(spec: Spec, method: Method, shift: int) -> Scale:
    parameters = spec.w_out, spec.bias_out, spec.threshold_out
    shared = _scale(*parameters, "global", spec.chip, shift)
    never_fires = jnp.isinf(spec.threshold_out).any()
    return jnp.where(never_fires, shared, _scale(*parameters, method, spec.chip, shift))


def _scale(
    weights: Float[Array, "*sources targets"],
    bias: Float[Array, " targets"] | None,
    threshold: Float[Array, " targets"],
    method: Method,
    chip: Chip,
    shift: int,
) -> Scale:
    """The number that each target's weights, bias and threshold are multiplied with."""
    weight = jnp.max(jnp.abs(weights), axis=tuple(range(weights.ndim - 1)), initial=0)
    offset = jnp.zeros_like(weight) if bias is None else jnp.abs(bias)
    if method == "global":
        weight = jnp.broadcast_to(jnp.maximum(weight.max(), offset.max()), weight.shape)
    # A neuron that nothing feeds is scaled by its bias, or else its threshold.
    largest = jnp.where(weight > 0, weight, jnp.where(offset > 0, offset, threshold))
    fits = jnp.where(jnp.isfinite(threshold), chip.max_state / threshold, jnp.inf)
    most = _most(chip, shift)
    if method == "least_squares":
        largest = largest * _best_clip(weights / largest, most)
    return jnp.minimum((most << shift) / largest, jnp.minimum(fits, chip.max_state / offset))


def _most(chip: Chip, shift: int) -> int:
    """The largest weight that is left of a chip's with so many bits less."""
    return int(2 ** (chip.weight_bits - shift - 1)) - 1


def _best_clip(weights: Float[Array, "*sources targets"], most: int) -> Float[Array, " targets"]:
    """Where to cut off weights of at most 1, so that the sum of squares of all changes is least."""

    def change(clip: FloatArray) -> Float[Array, " targets"]:
        kept = jnp.clip(jnp.round(weights * (most / clip)), -most, most) * (clip / most)
        return jnp.sum(jnp.square(kept - weights), axis=tuple(range(weights.ndim - 1)))

    clips = jnp.asarray(_CLIPS, weights.dtype)
    return clips[jnp.argmin(jax.lax.map(change, clips), axis=0)]
