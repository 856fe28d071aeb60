"""From real numbers to the integers of a chip: scales and rounding, for neurons of any number.

A spec has two groups of neurons, hidden and output; the nodes of a model are smaller ones. A neuron
gets the same integers in either, since nothing here depends on the neurons beside it, nor on
weights of 0 among its own.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from ..._mesh import scan
from ..._typing import FloatArray
from ...decay import nearest_dash
from ...passthrough import round_passthrough, straight_through
from .._quotient import quotient
from ._chips import Chip

Method: TypeAlias = Literal["global", "channel", "least_squares"]
"""The scales of quantisation: one for all, one for each neuron, or the one with the least error."""

Bits: TypeAlias = int | Int[Array, ""]
"""A number of bits: an `int`, or an integer array of one number to sweep over with `vmap`."""

_CLIPS = tuple(n / 10 for n in range(10, 2, -1))
"""Clipping limits of "least_squares", relative to the largest weight; ties take the first."""

PerNeuron: TypeAlias = Float[Array, " neurons"]


class Group(NamedTuple):
    """The parameters of some neurons, in real numbers or as whole ones in floating point.

    Attributes:
        weight: weights from all sources, in the order in which the chip adds them up.
        dash_mem: bit shifts of the membrane potentials' decay.
        dash_syn: bit shifts of the synaptic currents' decay.
        threshold: firing thresholds; infinite for neurons that never fire.
        bias: added to the membrane potentials at every step; None for no biases.
    """

    weight: Float[Array, "sources neurons synapses"]
    dash_mem: PerNeuron
    dash_syn: Float[Array, "neurons synapses"]
    threshold: PerNeuron
    bias: PerNeuron | None


class Settings(NamedTuple):
    """The settings of `quantize`, once they are known to be valid; see `settings`.

    Attributes:
        method: how neurons are scaled.
        shift: left shift of the weights, by the bits that they have less than the chip's.
        chip: the chip.
    """

    method: Method
    shift: Bits
    chip: Chip

    @property
    def bits(self) -> Bits:
        """Bits of the weights, sign included."""
        return self.chip.weight_bits - self.shift

    @property
    def most(self) -> Any:
        """The largest weight; in floating point if `bits` is an array."""
        most = (1 << (self.bits - 1)) - 1
        return most.astype(jnp.float32) if isinstance(most, Array) else most

    @property
    def unit(self) -> Any:
        """The integer of the chip that a weight of 1 becomes: 2^shift, exactly."""
        if isinstance(self.shift, Array):
            return jnp.ldexp(jnp.ones((), jnp.float32), self.shift)
        return 2.0**self.shift


def settings(chip: Chip, method: Method, bits: Bits | None, *, traced: bool = False) -> Settings:
    """The settings, as `quantize` is given them.

    Args:
        chip: the chip.
        method: how neurons are scaled.
        bits: bits of the weights; None for those of the chip.
        traced: whether `bits` may be an array whose value is not known, as under `jax.vmap`.

    Raises:
        ValueError: if `method` is unknown, or `bits` is no whole number, fewer than 2 or more than
            the chip has.
    """
    if method not in get_args(Method):
        names = ", ".join(map(repr, get_args(Method)))
        raise ValueError(f"`method` must be one of {names}; got {method!r}")
    if bits is None:
        return Settings(method, 0, chip)
    if isinstance(bits, jax.Array) and bits.shape == () and jnp.issubdtype(bits.dtype, jnp.integer):
        if traced and isinstance(bits, jax.core.Tracer):
            return Settings(method, chip.weight_bits - bits, chip)
        bits = bits if isinstance(bits, jax.core.Tracer) else int(bits)
    whole = isinstance(bits, int | np.integer) and not isinstance(bits, bool)
    if not whole or not 2 <= bits <= chip.weight_bits:
        raise ValueError(
            f"`bits` must be from 2 to {chip.weight_bits}, those of the weights of {chip.name}, "
            f"and whole; got {bits!r}"
        )
    return Settings(method, chip.weight_bits - int(bits), chip)


def scales(hidden: Sequence[Group], out: Group, how: Settings) -> list[PerNeuron]:
    """The number that the parameters of each neuron are multiplied by, without a gradient.

    Args:
        hidden: all hidden neurons, in one group or in several.
        out: the output neurons.
        how: the settings.

    Returns:
        The scales of each hidden group, and those of the output neurons at the end.
    """
    hidden, out = lax.stop_gradient((tuple(hidden), out))
    # Membrane potentials are compared with each other, so neurons that are read so share a scale.
    shared = _scale([out], how._replace(method="global"))[0]
    never_fires = jnp.isinf(out.threshold).any()
    return [*_scale(hidden, how), jnp.where(never_fires, shared, _scale([out], how)[0])]


def rounded(group: Group, scale: PerNeuron, how: Settings) -> Group:
    """The integers of the chip in floating point, with gradients straight through.

    Args:
        group: real numbers.
        scale: scale of each neuron.
        how: the settings.
    """
    values = group.weight * (scale / how.unit)[:, None]
    weight = straight_through(values, jnp.clip(jnp.round(values), -how.most, how.most))
    threshold = round_passthrough(scaled_threshold(group.threshold, scale, how.chip))
    return Group(
        weight=weight,
        dash_mem=_whole_dash(group.dash_mem, how.chip),
        dash_syn=_whole_dash(group.dash_syn, how.chip),
        threshold=jnp.maximum(threshold, 1),
        bias=None if group.bias is None else round_passthrough(group.bias * scale),
    )


def scaled_threshold(threshold: PerNeuron, scale: PerNeuron, chip: Chip) -> PerNeuron:
    """Thresholds times their scales, not rounded; the largest there is for an infinite one."""
    return jnp.where(jnp.isfinite(threshold), threshold * scale, chip.max_state)


def _whole_dash(dash: FloatArray, chip: Chip) -> FloatArray:
    return straight_through(dash, nearest_dash(dash, chip.max_dash).astype(dash.dtype))


def _scale(groups: Sequence[Group], how: Settings) -> list[PerNeuron]:
    """The scales of groups that share one if the method is "global"."""
    largest = [jnp.max(jnp.abs(g.weight), axis=(0, 2), initial=0) for g in groups]
    offsets = [jnp.zeros_like(g.threshold) if g.bias is None else jnp.abs(g.bias) for g in groups]
    if how.method == "global":
        of_all = jnp.max(jnp.concatenate([*largest, *offsets]))
        largest = [jnp.broadcast_to(of_all, x.shape) for x in largest]
    return [_scale_one(g, x, y, how) for g, x, y in zip(groups, largest, offsets, strict=True)]


def _scale_one(group: Group, largest: PerNeuron, offset: PerNeuron, how: Settings) -> PerNeuron:
    """The scale that takes `largest` to the largest weight, lower where 16 bits would not do."""
    # A neuron that nothing feeds is scaled by its bias, or else its threshold.
    fallback = jnp.where(offset > 0, offset, group.threshold)
    largest = jnp.where(largest > 0, largest, fallback)
    if how.method == "least_squares":
        largest = largest * _best_clip(quotient(group.weight, largest[:, None]), how.most)
    top = how.chip.max_state
    fits = jnp.where(jnp.isfinite(group.threshold), quotient(top, group.threshold), jnp.inf)
    fits = jnp.minimum(fits, quotient(top, offset))
    return jnp.minimum(quotient(how.most * how.unit, largest), fits)


def _best_clip(weights: Float[Array, "sources neurons synapses"], most: Any) -> PerNeuron:
    """The clipping limit, for weights of at most 1, with the least sum of squared changes.

    The sum goes weight by weight, so weights of 0 change no bit of it.
    """
    clips = jnp.asarray(_CLIPS, weights.dtype)[:, None]
    finer, coarser = quotient(most, clips), quotient(clips, most)

    def add(total: FloatArray, weight: Float[Array, "neurons synapses"]) -> tuple[FloatArray, Any]:
        for synapse in range(weight.shape[1]):
            w = weight[:, synapse]
            kept = jnp.clip(jnp.round(w * finer), -most, most) * coarser
            total = total + jnp.square(kept - w)
        return total, None

    start = jnp.zeros((len(_CLIPS), weights.shape[1]), weights.dtype)
    return clips[jnp.argmin(scan(add, start, weights)[0], axis=0), 0]
