"""What a core computes in a synchronous step, in integers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ._chips import bounds
from .spec import Core

_EXACT = 24
"""Bits of the integers that float32 holds, all of them."""

_FAR = 2**30
"""Where sums are cut: so far beyond 16 bits that whatever is added, they saturate."""


class Step(NamedTuple):
    """One step of the neurons of a core.

    Attributes:
        vmem: membrane potentials after reset and lower bound.
        spikes: spikes of each neuron.
        saturated: whether the membrane potential would have left 16 bits.
    """

    vmem: Int[Array, "*batch out y x"]
    spikes: Int[Array, "*batch out y x"]
    saturated: Bool[Array, "*batch out y x"]


def convolve(
    core: Core, counts: Int[Array, "n in height width"], weight_bits: int
) -> Int[Array, "n out y x"]:
    """The sum of what the events add to each neuron, exactly, in int32.

    Products of integers are slow on CPUs, so they are taken in float32, which is exact as long as
    every partial sum is below 2^24. A weight is at most 2^(weight_bits-1) and a neuron has
    `core.fan_in` of them; so many bits are left for the number of events on an input. Numbers that
    have more are taken in digits of that many bits, one convolution for each; hardly any input
    needs a second one. Sums beyond 2^30 are cut there.
    """
    digit = _EXACT - (weight_bits - 1) - (core.fan_in - 1).bit_length()
    if digit < 1:
        return _cut(*_in_integers(core, counts))
    weight, mask = core.weight.astype(jnp.float32), (1 << digit) - 1

    def one(rest: Int[Array, "n in height width"]) -> Float[Array, "n out y x"]:
        return convolution(core, (rest & mask).astype(jnp.float32), weight)

    def more(carry: Any) -> Any:
        rest, shift, exact, nearly = carry
        part = one(rest)
        exact = exact + (part.astype(jnp.int32) << shift)
        nearly = nearly + jnp.ldexp(part, jnp.broadcast_to(shift, part.shape))
        return rest >> digit, shift + digit, exact, nearly

    first = one(counts)
    start = (counts >> digit, jnp.int32(digit), first.astype(jnp.int32), first)
    _, _, exact, nearly = lax.while_loop(lambda carry: jnp.any(carry[0] != 0), more, start)
    return _cut(exact, nearly)


def _cut(
    exact: Int[Array, "n out y x"], nearly: Float[Array, "n out y x"]
) -> Int[Array, "n out y x"]:
    """`exact`, which may have wrapped, cut to +-2^30 where `nearly` says that it is beyond."""
    return jnp.where(nearly >= _FAR, _FAR, jnp.where(nearly <= -_FAR, -_FAR, exact))


def _in_integers(core: Core, counts: Int[Array, "n in height width"]) -> tuple[Array, Array]:
    """The same for kernels too large for float32, which no chip holds."""
    exact = convolution(core, counts, core.weight.astype(jnp.int32))
    return exact, convolution(core, counts.astype(jnp.float32), core.weight.astype(jnp.float32))


def convolution(core: Core, x: Array, weight: Array) -> Array:
    """What a core adds up, in the precision of `x` and `weight`; of `core` only sizes are used."""
    if core.kernel_size == core.input_shape[1:] and core.padding == (0, 0):
        return jnp.einsum("ncyx,fcyx->nf", x, weight, precision="highest")[..., None, None]
    return lax.conv_general_dilated(
        x,
        weight,
        core.stride,
        [(p, p) for p in core.padding],
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
        precision=lax.Precision.HIGHEST,
    )


def charge(
    core: Core,
    vmem: Int[Array, "*batch out y x"],
    drive: Int[Array, "*batch out y x"],
    state_bits: int,
) -> tuple[Int[Array, "*batch out y x"], Bool[Array, "*batch out y x"]]:
    """sat(vmem + drive + bias), and where that was cut."""
    low, high = bounds(state_bits)
    total = vmem + drive
    if core.bias is not None:
        total = total + core.bias[:, None, None]
    vmem = jnp.clip(total, low, high)
    return vmem, vmem != total


def fire(
    core: Core,
    vmem: Int[Array, "*batch out y x"],
    drive: Int[Array, "*batch out y x"],
    state_bits: int,
) -> Step:
    """One step of the neurons: vmem = sat(vmem + drive + bias), spikes, reset, lower bound."""
    vmem, saturated = charge(core, vmem, drive, state_bits)
    spikes = _spikes(core, vmem)
    if core.reset == "zero":
        vmem = jnp.where(spikes > 0, 0, vmem)
    else:
        vmem = vmem - spikes * core.threshold
    if core.min_vmem is not None:
        vmem = jnp.maximum(vmem, core.min_vmem)
    return Step(vmem, spikes, saturated)


def _spikes(core: Core, vmem: Int[Array, "*batch out y x"]) -> Int[Array, "*batch out y x"]:
    fires = vmem >= core.threshold
    if core.max_spikes == 1:
        return fires.astype(jnp.int32)
    # Half a unit more keeps the quotient clear of the whole numbers, so no rounding can change it.
    # Integer division would be exact as well, but several times slower.
    quotient = jnp.floor((vmem.astype(jnp.float32) + 0.5) / core.threshold.astype(jnp.float32))
    if core.max_spikes is not None:
        quotient = jnp.minimum(quotient, core.max_spikes)
    return jnp.where(fires, quotient.astype(jnp.int32), 0)


def rest(core: Core, batch: tuple[int, ...] = ()) -> Int[Array, "*batch out y x"]:
    """The membrane potentials that a core starts with."""
    shape = (*batch, *core.output_shape)
    if core.vmem is None:
        return jnp.zeros(shape, jnp.int32)
    return jnp.broadcast_to(core.vmem, shape)


def fan_out(core: Core) -> Int[Array, "height width"]:
    """How many neurons an event at each place of the input map reaches."""
    reached = [
        _reached(*sizes)
        for sizes in zip(
            core.input_shape[1:],
            core.output_shape[1:],
            core.kernel_size,
            core.stride,
            core.padding,
            strict=True,
        )
    ]
    return core.output_shape[0] * reached[0][:, None] * reached[1]


def _reached(size: int, out: int, kernel: int, stride: int, padding: int) -> Int[Array, " size"]:
    """Along one axis: outputs Y with 0 <= y + padding - Y*stride < kernel and 0 <= Y < out."""
    y = jnp.arange(size)[:, None] + padding
    offset = y - stride * jnp.arange(out)
    return jnp.sum((offset >= 0) & (offset < kernel), axis=1, dtype=jnp.int32)


def synops(core: Core, counts: Int[Array, "*any in height width"]) -> jax.Array:
    """Synaptic operations that events cause: updates of a neuron, each event for itself."""
    return jnp.sum(counts.sum(axis=-3) * fan_out(core), axis=(-2, -1))
