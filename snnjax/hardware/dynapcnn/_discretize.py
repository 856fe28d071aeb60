r"""From real-valued parameters to the integers of a core.

A core computes the same spikes if its weights, biases, thresholds and membrane potentials are all
multiplied by one number, its scale. For b bits, with lo = -2^(b-1) and hi = 2^(b-1) - 1:

    scale of one tensor   = min(hi/max(x), lo/min(x)), each where that side of zero is reached
    scale of a core       = the smallest of weights (8 bits), biases (8), thresholds (16) and, if
                            the neurons start from a state, vmem (16)
    integer               = round(x*scale), half to even

Source: sinabs, `backend/dynapcnn/discretize.py`. Three rules differ, and are sinabs' with
`compat="sinabs"`. Neurons without a lower bound get that of 16 bits, which does not constrain the
scale; in sinabs it forces the scale down to 1 or less, which rounds every |weight| <= 0.5 to 0.
Numbers of one sign are scaled by the side of zero that they reach. Nothing exceeds its bits.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from ..._checks import explained
from ..._typing import FloatArray
from ...passthrough import clip_passthrough, round_passthrough
from .._family import bounds
from .._quotient import quotient
from ._chips import SPECK_2F, Chip

Compat = Literal["sinabs"] | None


class Discretized(NamedTuple):
    """The parameters of a core as integers.

    Attributes:
        weight: (out, in, ky, kx), of 8 bits.
        bias: (out,), of 8 bits; None for no biases.
        threshold: of 16 bits, at least 1.
        min_vmem: of 16 bits.
        vmem: (out, height, width), of 16 bits; None for none.
        scale: factor of the real numbers.
        clipped: number of entries that did not fit their bits and were clipped, by array.
    """

    weight: Real[Array, "out in ky kx"]
    bias: Real[Array, " out"] | None
    threshold: Real[Array, ""]
    min_vmem: Real[Array, ""]
    vmem: Real[Array, "out y x"] | None
    scale: Float[Array, ""]
    clipped: Mapping[str, Int[Array, ""]]


@explained
def discretization_scale(x: FloatArray, bits: int, *, compat: Compat = None) -> Float[Array, ""]:
    """The largest number by which all of `x` can be multiplied without leaving `bits` bits.

    Args:
        x: array of any shape.
        bits: bits of the integers, sign included.
        compat: "sinabs" for the numbers of the peer, which are infinite for zeros.

    Returns:
        The scale; 1 if `x` is all zeros.

    Raises:
        ValueError: if `bits` is not from 2 to 32, `x` is empty or `compat` is unknown.
    """
    if not 2 <= bits <= 32:
        raise ValueError(f"`bits` must be from 2 to 32; got {bits}")
    scale = _largest_scale(jnp.asarray(x), bits, _known(compat))
    return scale if compat else jnp.where(jnp.isinf(scale), 1, scale)


@explained
def discretize(x: FloatArray, scale: FloatArray | float, *, to_int: bool = True) -> Array:
    """round(x*scale), half to even; zeros stay zeros whatever the scale.

    Args:
        x: array of any shape.
        scale: the factor, such as `discretization_scale` gives.
        to_int: give int32; otherwise rounded floating-point numbers, with the gradient of x*scale.
    """
    rounded = round_passthrough(jnp.where(x == 0, 0, x * scale))
    return rounded.astype(jnp.int32) if to_int else rounded


@explained
def joint_scale(
    weight: FloatArray,
    bias: FloatArray | None,
    threshold: FloatArray,
    min_vmem: FloatArray | None,
    vmem: FloatArray | None = None,
    *,
    chip: Chip = SPECK_2F,
    percentile: float = 100.0,
    compat: Compat = None,
) -> Float[Array, ""]:
    """The scale of a core. For the arguments see `discretize_core`."""
    thresholds = [jnp.asarray(threshold)]
    if min_vmem is not None:
        thresholds.append(jnp.asarray(min_vmem).astype(thresholds[0].dtype))
    elif _known(compat):
        thresholds.append(jnp.full_like(thresholds[0], bounds(chip.state_bits)[0]))
    parts = [
        (_within(weight, percentile), chip.weight_bits),
        (bias, chip.bias_bits),
        (jnp.stack(thresholds), chip.state_bits),
        (vmem, chip.state_bits),
    ]
    scales = [_largest_scale(x, bits, compat) for x, bits in parts if x is not None]
    return jnp.min(jnp.stack([scale.astype(scales[0].dtype) for scale in scales]))


@explained
def discretize_core(
    weight: FloatArray,
    bias: FloatArray | None,
    threshold: FloatArray,
    min_vmem: FloatArray | None,
    vmem: FloatArray | None = None,
    *,
    chip: Chip = SPECK_2F,
    percentile: float = 100.0,
    to_int: bool = True,
    compat: Compat = None,
) -> Discretized:
    """Weights, biases, thresholds and state of a core as integers, with one scale.

    Args:
        weight: (out, in, ky, kx).
        bias: (out,); None for no biases.
        threshold: firing threshold, above 0.
        min_vmem: lower bound of the membrane potentials; None for that of 16 bits.
        vmem: (out, height, width), membrane potentials to begin with; None for zeros.
        chip: its bits.
        percentile: percentile of the weights' magnitudes that the scale makes room for. Below 100,
            larger weights are clipped, and all others resolved more finely.
        to_int: give int32; otherwise rounded floating-point numbers, whose gradient passes straight
            through the rounding and the clipping, and does not reach the scale.
        compat: "sinabs" for the numbers of the peer.

    Raises:
        ValueError: if `percentile` is not above 0 and at most 100, or `compat` is unknown.
    """
    scale = joint_scale(
        weight, bias, threshold, min_vmem, vmem, chip=chip, percentile=percentile, compat=compat
    )
    scale = jax.lax.stop_gradient(scale)
    low, high = bounds(chip.state_bits)
    ranges = {
        "weight": (weight, bounds(chip.weight_bits)),
        "bias": (bias, bounds(chip.bias_bits)),
        "threshold": (threshold, (1, high)),
        "min_vmem": (min_vmem, (low, high)),
        "vmem": (vmem, (low, high)),
    }
    values: dict[str, Any] = {}
    clipped: dict[str, Int[Array, ""]] = {}
    for name, (x, limits) in ranges.items():
        values[name], clipped[name] = _fit(x, scale, limits, to_int, compat)
    if min_vmem is None:
        lowest = low if compat is None else jnp.round(low * scale)
        values["min_vmem"] = jnp.full_like(values["threshold"], lowest)
    return Discretized(**values, scale=scale, clipped=clipped)


def _known(compat: Compat) -> Compat:
    if compat not in (None, "sinabs"):
        raise ValueError(f"`compat` must be None or 'sinabs'; got {compat!r}")
    return compat


def _largest_scale(x: FloatArray, bits: int, compat: Compat) -> Float[Array, ""]:
    """As `discretization_scale`, but infinite for zeros, which fit at any scale."""
    low, high = bounds(bits)
    least, most = jnp.min(x), jnp.max(x)
    if compat:
        by_most = jnp.abs(least) <= jnp.abs(most) * abs(low / high)
        # torch divides a number by a tensor as the number times the reciprocal.
        return jnp.abs(jnp.where(by_most, high * quotient(1, most), low * quotient(1, least)))
    above = jnp.where(most > 0, quotient(high, most), jnp.inf)
    return jnp.minimum(above, jnp.where(least < 0, quotient(low, least), jnp.inf))


def _within(weight: FloatArray, percentile: float) -> FloatArray:
    if not 0 < percentile <= 100:
        raise ValueError(f"`percentile` must be above 0 and at most 100; got {percentile}")
    if percentile == 100:
        return weight
    # One of the weights, not a number between two: training and export must find the same.
    most = jnp.percentile(jnp.abs(weight), percentile, method="higher")
    # Where most weights are zero, so may be the percentile, which would clip all of them.
    return jnp.where(most > 0, jnp.clip(weight, -most, most), weight)


def _fit(
    x: FloatArray | None,
    scale: Float[Array, ""],
    limits: tuple[int, int],
    to_int: bool,
    compat: Compat,
) -> tuple[Array | None, Int[Array, ""]]:
    """`x` as integers within `limits`, and the number of clipped entries."""
    if x is None:
        return None, jnp.zeros((), jnp.int32)
    integers = discretize(jnp.asarray(x), scale, to_int=False)
    fitting = integers
    if not compat:
        fitting = clip_passthrough(integers, *(jnp.asarray(n, integers.dtype) for n in limits))
    clipped = jnp.sum(fitting != integers, dtype=jnp.int32)
    return fitting.astype(jnp.int32) if to_int else fitting, clipped
