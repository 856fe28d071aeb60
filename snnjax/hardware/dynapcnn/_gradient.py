"""One layer over time with the integers of the simulator, and the gradient to train it by.

The simulator runs forward. Backward, the gradient is a linear recurrence whose coefficients follow
from the states of all steps. With u the exact sum of a step before spikes, v the potential after
spikes, reset and lower bound, s the spikes, and d_ the gradient of the loss, from the last step to
the first:

    d_u = dv/du * d_v + ds/du * d_s
    d_v = d_v + d_u                 of the step before

The slopes are those of the model's own layer: its surrogate, its reset and its lower bound; dv/du
is 0 where the chip cuts v to 16 bits. The gradients of parameters and sources follow from d_v and
d_s of all steps at once.
"""

from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ..._mesh import scan
from ..._typing import FloatArray
from ...neurons import Firing, Reset, bounded, iaf
from ...passthrough import straight_through
from ...surrogate import Surrogate
from .._family import bounds
from . import _kernel
from ._simulate import Course
from ._spec import Core


class Rules(eqx.Module):
    """The settings of a layer besides its numbers.

    Attributes:
        surrogate: gradient of a spike.
        scale: factor between the integers and the trained network. The surrogate is given
            potentials and thresholds divided by it, so that its slopes are those of the network.
        size: shape of the neurons in the model, for a surrogate with a number for each.
        reset: what follows a spike.
        detach_reset: let no gradient through the spikes that reset a potential.
        max_spikes: most spikes of a neuron in one step.
        state_bits: bits of a membrane potential.
    """

    surrogate: Surrogate
    scale: Float[Array, ""]
    size: tuple[int, ...] = eqx.field(static=True)
    reset: Reset = eqx.field(static=True)
    detach_reset: bool = eqx.field(static=True)
    max_spikes: float = eqx.field(static=True)
    state_bits: int = eqx.field(static=True)


class States(NamedTuple):
    """Spikes and potentials of a layer after each step, in integers."""

    spikes: Float[Array, "time batch out y x"]
    vmem: Float[Array, "time batch out y x"]


IntArray: TypeAlias = Int[Array, "..."]
Arguments: TypeAlias = tuple[Core, FloatArray, FloatArray, Rules]


@eqx.filter_custom_vjp
def follow(arguments: Arguments, course: Course) -> States:
    """Spikes and potentials of the simulator in float32, with gradients to the arguments.

    Args:
        arguments: the layer, with integers in float32; the events that come to it, `(time, batch,
            in, height, width)`; the potentials that it starts with; and the rules.
        course: the recorded course of the same layer in int32.
    """
    assert course.vmem is not None
    return States(course.spikes.astype(jnp.float32), course.vmem.astype(jnp.float32))


def _forward(perturbed: Any, arguments: Arguments, course: Course) -> tuple[States, None]:
    return follow(arguments, course), None


def _backward(
    residuals: None, grad: States, perturbed: Any, arguments: Arguments, course: Course
) -> Arguments:
    return _gradient(grad, arguments, course)


follow.def_fwd(_forward)
follow.def_bwd(_backward)


def _gradient(grad: States, arguments: Arguments, course: Course) -> Arguments:
    """The gradient of the arguments, given that of the states (None for none)."""
    core, counts, start, rules = arguments
    assert course.vmem is not None
    before = jnp.concatenate([start.astype(jnp.int32)[None], course.vmem])[:-1]
    d_total, d_vmem, d_start = _back(grad, core, rules, before, course)

    # All steps at once, and only where a threshold, a lower bound or a surrogate is trained.
    total = _total(before, course.drive)
    spikes = course.spikes.astype(total.dtype)
    _, pull = eqx.filter_vjp(lambda c, r: _neurons(c, r, total, spikes), core, rules)
    of_levels, of_rules = pull(States(_or_zeros(grad.spikes, total), d_vmem))

    of_product, of_counts = eqx.filter_vjp(_drive, core, counts)[1](d_total)
    of_core = jax.tree.map(jnp.add, of_levels, of_product)
    return of_core, of_counts, d_start, of_rules


def _back(
    grad: States, core: Core, rules: Rules, before: IntArray, course: Course
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The gradients of the sum of each step, of `vmem` after it, and of the first potentials."""

    def step(after: FloatArray, inputs: Any) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
        grad, before, drive, spikes = inputs
        total = _total(before, drive)
        here = lambda total: _neurons(core, rules, total, spikes.astype(total.dtype))  # noqa: E731
        _, slopes = jax.jvp(here, (total,), (jnp.ones_like(total),))
        d_vmem = after if grad.vmem is None else after + grad.vmem
        d_total = slopes.vmem * d_vmem
        d_total = d_total if grad.spikes is None else d_total + slopes.spikes * grad.spikes
        return d_total, (d_total, d_vmem)

    end = jnp.zeros(before.shape[1:])
    inputs = (grad, before, course.drive, course.spikes)
    d_start, (d_total, d_vmem) = scan(step, end, inputs, reverse=True)
    return d_total, d_vmem, d_start


def _total(before: IntArray, drive: IntArray) -> FloatArray:
    """The exact sums of steps; float32 holds them, see `SUM_LIMIT`."""
    return (before + drive).astype(jnp.float32)


def _or_zeros(x: FloatArray | None, like: FloatArray) -> FloatArray:
    return jnp.zeros_like(like) if x is None else x


def _neurons(core: Core, rules: Rules, total: FloatArray, spikes: FloatArray) -> States:
    """Spikes, reset, cut and lower bound of the model's layer, at sums that give `spikes`."""
    scale = lax.stop_gradient(rules.scale)

    def fire(vmem: FloatArray, threshold: FloatArray, most: float) -> FloatArray:
        shaped = vmem.reshape(*vmem.shape[:-3], *rules.size) / scale
        counted = rules.surrogate(shaped, threshold / scale, most)
        return straight_through(counted.reshape(vmem.shape), spikes)

    after, fired = iaf.step(
        iaf.IAFParams(core.threshold),
        iaf.IAFState(total),
        jnp.zeros((), total.dtype),
        fire=Firing(fire, rules.max_spikes, rules.reset, rules.detach_reset),
    )
    low, high = (float(limit) for limit in bounds(rules.state_bits))
    cut = lax.stop_gradient(jnp.clip(after.vmem, low, high))
    vmem = jnp.where(after.vmem == cut, after.vmem, cut)
    return States(fired, bounded(vmem, core.min_vmem))


def _drive(core: Core, counts: FloatArray) -> FloatArray:
    """The sums of events and biases that charge the neurons."""
    drive = _kernel.at_once(lambda x: _kernel.convolution(core, x, core.weight), counts)
    return drive if core.bias is None else drive + core.bias[:, None, None]
