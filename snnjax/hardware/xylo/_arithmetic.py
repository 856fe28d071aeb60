"""The chip's arithmetic, on whole numbers held in float32, with gradients to train through.

float32 holds every whole number up to 2^24, far beyond the 16 bits of a state, and products of
integer matrices are slow on CPUs. Going forward every function here is exact. Going backward each
is the smooth function that it stands for: a shift is a product with 2^-dash, a count of spikes has
the gradient of a surrogate, and what is cut off at the end of a range passes none on.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from ..._typing import FloatArray
from ...surrogate import Surrogate
from .spec import Chip


def saturate(x: FloatArray, chip: Chip) -> FloatArray:
    """The nearest value that a state can hold."""
    return jnp.clip(x, -1 - chip.max_state, chip.max_state)


def within(x: FloatArray, chip: Chip) -> Bool[Array, "..."]:
    """Whether a state can hold `x`."""
    return (x >= -1 - chip.max_state) & (x <= chip.max_state)


@jax.custom_jvp
def share(dash: FloatArray) -> FloatArray:
    """2^-dash, the part of a state that a shift by whole `dash` takes off, to the last bit."""
    return jnp.ldexp(jnp.ones_like(dash), -dash.astype(jnp.int32))


@share.defjvp
def _share_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    value = share(*primals)
    return value, -jnp.log(2.0) * value * tangents[0]


@jax.custom_jvp
def loss_of(x: FloatArray, part: FloatArray) -> FloatArray:
    """What a state loses in a step: x >> dash, rounded down, but at least 1 towards zero.

    The gradient is that of x * part.

    Args:
        x: the state.
        part: `share` of the dash.
    """
    shifted = jnp.floor(x * part)
    return jnp.where(shifted == 0, jnp.sign(x), shifted)


@loss_of.defjvp
def _loss_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    (x, part), (x_dot, part_dot) = primals, tangents
    return loss_of(x, part), x_dot * part + x * part_dot


@eqx.filter_custom_jvp
def charge_membrane(
    vmem: FloatArray, part: FloatArray, charge: FloatArray, bias: FloatArray | None, chip: Chip
) -> FloatArray:
    """The membrane potential after its leak, the synaptic currents' sum and the bias.

    Core 1: sat(vmem - loss + charge). Core 2: vmem = sat(vmem + sat(sat(charge - loss) + bias)).
    The gradient is that of vmem * (1 - part) + charge + bias where nothing saturates.
    """
    return _charged(vmem, part, charge, bias, chip)[0]


def _charged(
    vmem: FloatArray, part: FloatArray, charge: FloatArray, bias: FloatArray | None, chip: Chip
) -> tuple[FloatArray, Bool[Array, "..."]]:
    """The potential, and whether nothing was cut off on the way to it."""
    lost = loss_of(vmem, part)
    if chip.core == 1:
        total = vmem - lost + charge
        return saturate(total, chip), within(total, chip)
    # Core 2 sums the change up first; a loss of the whole of the lowest value has no opposite.
    change = charge - jnp.where(lost < -chip.max_state, -lost, lost)
    inside = within(change, chip)
    change = saturate(change, chip)
    if bias is not None:
        inside &= within(change + bias, chip)
        change = saturate(change + bias, chip)
    total = vmem + change
    return saturate(total, chip), inside & within(total, chip)


@charge_membrane.def_jvp
def _charge_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    vmem, part, *_ = primals
    value, inside = _charged(*primals)
    vmem_dot, part_dot, charge_dot, bias_dot, _ = tangents
    terms = (
        None if vmem_dot is None else vmem_dot * (1 - part),
        None if part_dot is None else -vmem * part_dot,
        charge_dot,
        bias_dot,
    )
    return value, jnp.where(inside, sum(term for term in terms if term is not None), 0)


@eqx.filter_custom_jvp
def fire(
    vmem: FloatArray,
    threshold: FloatArray,
    most: FloatArray,
    surrogate: Surrogate | None = None,
    scale: FloatArray | float = 1.0,
) -> FloatArray:
    """How often a neuron fires of its own: while vmem >= threshold, each time taking that off.

    Args:
        vmem: membrane potentials.
        threshold: firing thresholds.
        most: the number at which a neuron stops.
        surrogate: what the gradient is; None for none.
        scale: what potentials and thresholds of the trained network were multiplied with. The
            surrogate is given both without it, so that its gradients are those of that network.
    """
    # Half a unit more keeps the quotient clear of the whole numbers, so no rounding can change it.
    quotient = jnp.floor((vmem + 0.5) / threshold)
    return jnp.where(vmem >= threshold, jnp.minimum(quotient, most), 0)


@fire.def_jvp
def _fire_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    vmem, threshold, most, surrogate, scale = primals
    spikes = fire(vmem, threshold, most, surrogate, scale)
    if surrogate is None:
        return spikes, jnp.zeros_like(spikes)
    slopes = surrogate.derivatives(vmem / scale, threshold / scale, most)
    dots = zip(slopes, tangents[:2], strict=True)
    return spikes, sum(slope * dot / scale for slope, dot in dots if dot is not None)
