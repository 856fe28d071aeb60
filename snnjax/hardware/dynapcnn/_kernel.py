"""The arithmetic of a core in a synchronous step, in integers."""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from ..._mesh import is_there as is_mesh, while_loop
from .._family import bounds
from ._spec import Core

SUM_LIMIT = 2**24
"""Largest magnitude of the sum of a step, potential included: float32 holds every integer up to it.

`simulate` and `emulate` refuse sums beyond it. A chip would need seconds for so many events.
"""

_EXACT = 24
"""Bits of the integers that float32 holds without gaps."""

_FEW_TAPS = 50
"""Numbers of a kernel, over its channels and places, up to which `_by_taps` is faster."""

_FAR = 2**30
"""Sums beyond this are replaced by it: far beyond SUM_LIMIT, and far from the ends of int32."""


class Step(NamedTuple):
    """One step of the neurons of a core.

    Attributes:
        vmem: membrane potentials after reset and lower bound.
        spikes: spikes of each neuron.
        total: membrane potentials before spikes, the exact sum of the step.
    """

    vmem: Int[Array, "*any"]
    spikes: Int[Array, "*any"]
    total: Int[Array, "*any"]


def drive(
    core: Core, counts: Int[Array, "time batch in height width"], weight_bits: int
) -> Int[Array, "time batch out y x"]:
    """The sum of what events and biases add to each neuron in each step; see `_convolve`."""
    largest = _bits(counts)
    return at_once(lambda x: _convolve(core, x, largest, weight_bits), counts)


def _convolve(
    core: Core,
    counts: Int[Array, "n in height width"],
    largest: Int[Array, ""],
    weight_bits: int,
) -> Int[Array, "n out y x"]:
    """The exact sum of bias and weights times numbers of events, in int32; cut at +-2^30.

    CPUs multiply integers slowly, so the products are taken in float32, which is exact while every
    partial sum is below 2^24. A weight is at most 2^(weight_bits-1) and a neuron has `core.fan_in`
    of them; the bits that are left bound the number of events on an input. Where `largest`, their
    bound by `_bits`, has more, all are split into digits of that many bits, with one convolution
    for each digit.
    """
    digit = _EXACT - (weight_bits - 1) - (core.fan_in - 1).bit_length()
    if digit < 1:
        return _with_bias(core, _cut(*_in_integers(core, counts)))
    weight, most = core.weight.astype(jnp.float32), (1 << digit) - 1
    product = _by_taps if math.prod(weight.shape[1:]) <= _FEW_TAPS else convolution

    def one(rest: Int[Array, "n inputs"]) -> Float[Array, "n out y x"]:
        return product(core, (rest & most).astype(jnp.float32).reshape(counts.shape), weight)

    def more(carry: Any) -> Any:
        rest, shift, exact, nearly = carry
        part = one(rest)
        exact = exact + (part.astype(jnp.int32) << shift)
        nearly = nearly + jnp.ldexp(part, jnp.broadcast_to(shift, part.shape))
        return rest >> digit, shift + digit, exact, nearly

    def in_digits(first: Int[Array, "n out y x"]) -> Int[Array, "n out y x"]:
        start = (flat(counts) >> digit, jnp.int32(digit), first, first.astype(jnp.float32))
        _, _, *sums = while_loop(lambda carry: jnp.any(carry[0] != 0), more, start)
        return _cut(*sums)

    first = _with_bias(core, one(flat(counts)).astype(jnp.int32))
    return _replaced(largest > most, in_digits, first)


def _with_bias(core: Core, drive: Int[Array, "n out y x"]) -> Int[Array, "n out y x"]:
    return drive if core.bias is None else drive + core.bias[:, None, None]


def _by_taps(
    core: Core, x: Float[Array, "n in height width"], weight: Float[Array, "out in y x"]
) -> Float[Array, "n out y x"]:
    """The convolution of a core, one product of numbers for each tap of the kernel.

    XLA's convolution on CPUs wants many channels; with one and 5 by 5 taps it took 9 times as long.
    Each phase of the stride is apart, with rows as long as all taps need, so that the outputs of a
    map see one run of numbers at a tap. What they see beyond the ends of rows is left out.
    """
    (kernel_y, kernel_x), (up, right) = core.kernel_size, core.stride
    height, width = core.output_shape[1:]
    rows, row = height + (kernel_y - 1) // up + 1, width + (kernel_x - 1) // right
    sizes = zip(core.padding, x.shape[2:], (rows * up, row * right), strict=True)
    around = [(before, padded - size - before, 0) for before, size, padded in sizes]
    x = lax.pad(x, jnp.float32(0), [(0, 0, 0), (0, 0, 0), *around])
    phases = x.reshape(*x.shape[:2], rows, up, row, right).transpose(0, 1, 3, 5, 2, 4)
    phases = phases.reshape(*phases.shape[:4], rows * row)

    def tap(channel: int, i: int, j: int) -> Float[Array, "n out run"]:
        start = i // up * row + j // right
        seen = phases[:, None, channel, i % up, j % right, start : start + height * row]
        return weight[:, channel, i, j][:, None] * seen

    runs = sum(itertools.starmap(tap, np.ndindex(weight.shape[1:])), start=jnp.float32(0))
    return runs.reshape(*runs.shape[:2], height, row)[..., :width]


def _by_products(
    core: Core, x: Float[Array, "n in height width"], weight: Float[Array, "out in y x"]
) -> Float[Array, "n out y x"]:
    """The convolution of a core, one product of matrices for each place in the kernel.

    Libraries for GPUs choose transforms such as Winograd's for convolutions, which round.
    """
    seen = _seen(core, x)

    def place(i: int, j: int) -> Float[Array, "n out y x"]:
        return jnp.einsum("ncyx,fc->nfyx", seen(i, j), weight[:, :, i, j], precision="highest")

    return sum(itertools.starmap(place, np.ndindex(weight.shape[2:])), start=jnp.zeros((), x.dtype))


def _seen(
    core: Core, x: Num[Array, "n in height width"]
) -> Callable[[int, int], Num[Array, "n in y x"]]:
    """The inputs that all places of the output see at a place of the kernel."""
    (height, width), (up, right) = core.output_shape[1:], core.stride
    x = jnp.pad(x, [(0, 0), (0, 0), *((p, p) for p in core.padding)])
    return lambda i, j: x[:, :, i::up, j::right][..., :height, :width]


def flat(x: Num[Array, "*batch channels y x"]) -> Num[Array, "*batch all"]:
    """The numbers of maps side by side."""
    return x.reshape(*x.shape[:-3], math.prod(x.shape[-3:]))


def at_once(f: Callable[[Array], Array], x: Array) -> Array:
    """A function of maps, `(n, ...)`, of `(time, batch, ...)` at once.

    On a mesh, the steps of a sequence are side by side, so that they stay on its device.
    """
    if is_mesh():
        return jnp.swapaxes(_at_once(f, jnp.swapaxes(x, 0, 1)), 0, 1)
    return _at_once(f, x)


def _at_once(f: Callable[[Array], Array], x: Array) -> Array:
    y = f(x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _cut(
    exact: Int[Array, "n out y x"], nearly: Float[Array, "n out y x"]
) -> Int[Array, "n out y x"]:
    """`exact`, which may have wrapped, or +-2^30 where `nearly` is beyond that.

    With numbers of events up to 2^24, `nearly` sums at most 2^48 in magnitude and errs by less than
    2^28, so that what is not cut has not wrapped.
    """
    return jnp.where(nearly >= _FAR, _FAR, jnp.where(nearly <= -_FAR, -_FAR, exact))


def _in_integers(core: Core, counts: Int[Array, "n in height width"]) -> tuple[Array, Array]:
    """The same for kernels too large for float32, which no chip holds."""
    exact = convolution(core, counts, core.weight.astype(jnp.int32))
    return exact, convolution(core, counts.astype(jnp.float32), core.weight.astype(jnp.float32))


def convolution(core: Core, x: Array, weight: Array) -> Array:
    """The convolution of a core in the precision of `x` and `weight`; `core` gives the sizes."""
    if core.kernel_size == core.input_shape[1:] and core.padding == (0, 0):
        sums = jnp.einsum("ni,fi->nf", flat(x), flat(weight), precision="highest")
        return sums[..., None, None]
    if jax.default_backend() != "cpu":
        return _by_products(core, x, weight)
    return lax.conv_general_dilated(
        x,
        weight,
        core.stride,
        [(p, p) for p in core.padding],
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
        precision=lax.Precision.HIGHEST,
    )


def left(total: Int[Array, "*any"], state_bits: int) -> Bool[Array, "*any"]:
    """Whether integers are outside of that many bits."""
    low, high = bounds(state_bits)
    return (total < low) | (total > high)


def fire(core: Core, vmem: Int[Array, "*any"], drive: Int[Array, "*any"], state_bits: int) -> Step:
    """One step of the neurons: the exact sum, spikes, reset, cut to the bits, lower bound."""
    total = vmem + drive
    spikes = _spikes(core, total)
    if core.reset == "zero":
        vmem = jnp.where(spikes > 0, 0, total)
    else:
        vmem = total - spikes * core.threshold
    vmem = jnp.clip(vmem, *bounds(state_bits))
    if core.min_vmem is not None:
        vmem = jnp.maximum(vmem, core.min_vmem)
    return Step(vmem, spikes, total)


def _spikes(core: Core, total: Int[Array, "*any"]) -> Int[Array, "*any"]:
    fires = total >= core.threshold
    if core.max_spikes == 1:
        return fires.astype(jnp.int32)
    # Division of floats is several times faster than that of integers, and off by one at most.
    guess = total.astype(jnp.float32) / core.threshold.astype(jnp.float32)
    quotient = jnp.floor(guess).astype(jnp.int32)
    rest = total - quotient * core.threshold
    quotient = quotient + (rest >= core.threshold).astype(jnp.int32) - (rest < 0).astype(jnp.int32)
    if core.max_spikes is not None:
        quotient = jnp.minimum(quotient, core.max_spikes)
    return jnp.where(fires, quotient, 0)


def rest(core: Core, batch: tuple[int, ...] = ()) -> Int[Array, "*batch out y x"]:
    """The membrane potentials that a core starts with."""
    shape = (*batch, *core.output_shape)
    if core.vmem is None:
        return jnp.zeros(shape, jnp.int32)
    return jnp.broadcast_to(core.vmem, shape)


def reach(core: Core) -> tuple[int, int]:
    """Most neurons that an event reaches along each axis."""
    sizes = zip(core.kernel_size, core.stride, core.output_shape[1:], strict=True)
    y, x = (min(-(-kernel // stride), neurons) for kernel, stride, neurons in sizes)
    return y, x


def reached(
    core: Core, axis: int, at: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, "n reach"], Int[np.ndarray, "n reach"]]:
    """The neurons that see a place, along one axis, and the place in their kernel; -1 for none.

    Neuron Y sees the places Y*stride - padding + k, for k from 0 to kernel - 1.
    """
    kernel, stride, padding = core.kernel_size[axis], core.stride[axis], core.padding[axis]
    neurons, most = core.output_shape[1 + axis], reach(core)[axis]
    first = np.clip(-(-(at + padding - kernel + 1) // stride), 0, neurons - most)
    to = first[:, None] + np.arange(most)
    k = at[:, None] + padding - to * stride
    return np.where((k >= 0) & (k < kernel), to, -1), k


def fan_out(core: Core) -> Int[Array, "height width"]:
    """Number of neurons that an event at each place of the input map reaches."""
    y, x = (
        np.sum(reached(core, axis, np.arange(size))[0] >= 0, axis=1)
        for axis, size in enumerate(core.input_shape[1:])
    )
    return jnp.asarray(core.output_shape[0] * y[:, None] * x, jnp.int32)


def synops(core: Core, counts: Int[Array, "*any in height width"]) -> jax.Array:
    """Number of synaptic operations that events cause: updates of a neuron by one event."""
    return jnp.sum(counts.sum(axis=-3) * fan_out(core), axis=(-2, -1))


def _replaced(wrong: Bool[Array, ""], right: Callable[[Array], Array], x: Array) -> Array:
    """`x`, or `right(x)` if it is wrong.

    XLA on CPUs copies an array that `lax.cond` passes on, and leaves that of a loop where it is.
    """
    return while_loop(lambda carry: carry[0], lambda carry: (False, right(carry[1])), (wrong, x))[1]


def _bits(x: Int[Array, "time batch channels y x"]) -> Int[Array, ""]:
    """A bound of numbers of at least 0, less than twice the largest: all bits of any of them.

    XLA on CPUs takes eight times as long to find the largest integer.
    """
    of_each = lax.reduce(flat(x), jnp.zeros((), x.dtype), lax.bitwise_or, (2,))
    return jnp.max(of_each, initial=0)


def sums_wrap(
    x: Int[Array, "time batch channels y x"], axis: tuple[int, ...]
) -> Bool[Array, " batch"]:
    """Whether any sum of numbers above 0 over some axes, time among them, leaves 32 bits.

    A bound of the numbers bounds the sums. Sums of floats, which are slower, are taken only where
    that does not suffice.
    """
    most = 2.0**31 - 2.0**11  # clear of what rounding a sum to float32 may hide
    summed = math.prod(x.shape[i] for i in axis)

    def look(_: Array) -> Bool[Array, " batch"]:
        total = jnp.sum(x, axis=axis, dtype=jnp.float32)
        return jnp.any(total >= most, axis=tuple(range(1, total.ndim)))

    return _replaced(_bits(x) > int(most) // max(summed, 1), look, jnp.zeros(x.shape[1], bool))
