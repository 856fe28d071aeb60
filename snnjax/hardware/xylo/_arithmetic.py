"""The chip's arithmetic, on whole numbers held in float32.

float32 holds every whole number up to 2^24, far beyond the 16 bits of a state, and products of
integer matrices are slow on CPUs. Each function is exact.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ..._mesh import scan, varying_as
from ..._typing import FloatArray
from ._chips import Chip


def saturate(x: FloatArray, chip: Chip) -> FloatArray:
    """The nearest value that a state can hold."""
    return jnp.clip(x, -1 - chip.max_state, chip.max_state)


def within(x: FloatArray, chip: Chip) -> Bool[Array, "..."]:
    """Whether a state can hold `x`."""
    return (x >= -1 - chip.max_state) & (x <= chip.max_state)


def dot(counts: FloatArray, weights: FloatArray) -> FloatArray:
    """Sum of count * weight over the sources. Accelerators must not take less than float32."""
    return jnp.tensordot(counts, weights, 1, precision=lax.Precision.HIGHEST)


def within_range(
    isyn: Float[Array, "batch *targets"],
    charge: Float[Array, "batch *targets"],
    counts: Float[Array, "batch sources"],
    weights: Float[Array, "sources *targets"],
    chip: Chip,
) -> Bool[Array, ""]:
    """Whether no synaptic current can saturate while the sources are added up, in any order.

    Partial sums lie within half of the sum of |count * weight| of the middle between before and
    after. Each source's largest weight stands for all of its weights, which makes the bound a
    product with a vector. Only where that is too coarse is a product of matrices made: partial sums
    lie between what there was plus all that is negative and what there was plus all that is
    positive. Where a bound is too large for float32 to hold it exactly it is far out of range in
    any case.
    """
    axes = tuple(range(1, isyn.ndim))
    largest = jnp.max(jnp.abs(weights), axis=axes, initial=0)
    most = jnp.expand_dims(dot(counts, largest), axes)

    def closely() -> Bool[Array, ""]:
        positive = dot(counts, jnp.maximum(weights, 0))
        return jnp.all(within(isyn + positive, chip) & within(isyn + charge - positive, chip))

    coarsely = jnp.all(jnp.abs(2 * isyn + charge) + most <= 2 * chip.max_state)
    return lax.cond(coarsely, lambda: varying_as(jnp.array(True), coarsely), closely)


def add_in_order(
    isyn: Float[Array, "batch *targets"],
    charge: Float[Array, "batch *targets"],
    counts: Float[Array, "batch sources"],
    weights: Float[Array, "sources *targets"],
    chip: Chip,
) -> Float[Array, "batch *targets"]:
    """isyn = sat(isyn + count * weight) for every source in turn.

    `charge`, the product of both, is added at once where nothing can saturate. Elsewhere the
    sources are added one by one, for all targets of the whole batch. Saturating additions could be
    composed in a tree as well.
    With 272 sources, 266 targets and a batch of 64, on 2 CPU cores, trees over blocks of sources
    take 6 to 15 ms, the loop 0.3 ms and the product of matrices 0.1 ms.
    """

    def one_by_one() -> FloatArray:
        def add(total, source):  # type: ignore[no-untyped-def]
            count, weight = source
            return saturate(total + jnp.multiply.outer(count, weight), chip), None

        # On a GPU, each round of a loop is a launch; on CPUs longer rounds took longer.
        unroll = 1 if jax.default_backend() == "cpu" else 16
        return scan(add, isyn, (counts.T, weights), unroll=unroll)[0]

    fits = within_range(isyn, charge, counts, weights, chip)
    return lax.cond(fits, lambda: isyn + charge, one_by_one)


@jax.custom_jvp
def share(dash: FloatArray) -> FloatArray:
    """2^-dash, the part of a state that a shift by whole `dash` takes off, to the last bit."""
    return jnp.ldexp(jnp.ones_like(dash), -dash.astype(jnp.int32))


@share.defjvp
def _share_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    value = share(*primals)
    return value, -jnp.log(2.0) * value * tangents[0]


def loss_of(x: FloatArray, part: FloatArray) -> FloatArray:
    """The decay of a state in one step: x >> dash, rounded down, and at least 1 towards zero.

    Args:
        x: the state.
        part: `share` of the dash.
    """
    shifted = jnp.floor(x * part)
    return jnp.where(shifted == 0, jnp.where(x > 0, 1.0, 0.0), shifted)


def charge_membrane(
    vmem: FloatArray, part: FloatArray, charge: FloatArray, bias: FloatArray | None, chip: Chip
) -> tuple[FloatArray, Bool[Array, "..."]]:
    """The membrane potential after its leak, the synaptic currents' sum and the bias.

    Core 1: sat(vmem - loss + charge). Core 2: sat(vmem + sat(sat(charge - loss) + bias)).

    Returns:
        The potential, and whether nothing was cut off on the way to it.
    """
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


def fire(vmem: FloatArray, threshold: FloatArray, most: FloatArray | float) -> FloatArray:
    """How often a neuron fires of its own: while vmem >= threshold, each time taking that off.

    Args:
        vmem: membrane potentials.
        threshold: firing thresholds, at least 1.
        most: the number at which a neuron stops.
    """
    # Half a unit more keeps the quotient clear of the whole numbers, so no rounding can change it.
    quotient = jnp.floor((vmem + 0.5) / threshold)
    return jnp.where(vmem >= threshold, jnp.minimum(quotient, most), 0)
