"""One layer over time with the simulator's whole numbers, and the gradient to train it by.

The simulator goes forward. The gradient goes back through what it found, in a linear recurrence
whose coefficients follow from all steps at once. With u the membrane potentials before spikes, v
those after reset and lower bound, s the spikes, and d_ what the loss changes by with each of them,
from the last step to the first:

    d_u = dv/du * d_v + ds/du * d_s
    d_v = d_v + passing * d_u     of the step before; passing = 0 where u was cut to 16 bits, else 1

The slopes are those of the model's own layer: its surrogate, its reset and its lower bound. What
reaches the parameters and the sources follows from d_v and d_s of all steps at once.
"""

from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ..._typing import FloatArray
from ...neurons import Firing, Reset, iaf
from ...passthrough import straight_through
from ...surrogate import Surrogate
from . import _kernel
from .simulate import Course
from .spec import Core


class Rules(eqx.Module):
    """What holds for a layer and is not among its numbers.

    Attributes:
        surrogate: what the gradient of a spike is.
        scale: what the numbers of the trained network were multiplied with. The surrogate is given
            potentials and thresholds without it, so that its slopes are those of that network.
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
    """A layer after each step, in whole numbers."""

    spikes: Float[Array, "time batch out y x"]
    vmem: Float[Array, "time batch out y x"]


IntArray: TypeAlias = Int[Array, "..."]
Arguments: TypeAlias = tuple[Core, FloatArray, Rules]


@eqx.filter_custom_vjp
def follow(arguments: Arguments, course: Course) -> States:
    """What the simulator found, with gradients.

    Args:
        arguments: the layer, with whole numbers in float32; the events that come to it, `(time,
            batch, in, height, width)`; and the rules.
        course: what the simulator made of the same numbers in int32, recorded.
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


def in_integers(core: Core) -> Core:
    """The same whole numbers in int32."""
    return jax.tree.map(lambda x: x.astype(jnp.int32), core)


def _gradient(grad: States, arguments: Arguments, course: Course) -> Arguments:
    """The gradient of the arguments, given that of the states (None for none)."""
    core, counts, rules = arguments
    start = _kernel.rest(in_integers(core), course.end.shape[:1])
    assert course.vmem is not None
    before = jnp.concatenate([start[None], course.vmem])[:-1]
    d_charge, d_vmem = _back(grad, core, rules, before, course)

    # All steps at once, and only where a threshold, a lower bound or a surrogate is trained.
    u, _ = _charged(core, rules, before, course.drive)
    spikes = course.spikes.astype(u.dtype)
    _, pull = eqx.filter_vjp(lambda c, r: _neurons(c, r, u, spikes), core, rules)
    of_levels, of_rules = pull(States(_or_zeros(grad.spikes, u), d_vmem))

    of_product, of_counts = eqx.filter_vjp(_drive, core, counts)[1](d_charge)
    of_core = jax.tree.map(jnp.add, of_levels, of_product)
    if core.vmem is not None:
        of_core = eqx.tree_at(lambda c: c.vmem, of_core, d_charge[:1].sum((0, 1)))
    return of_core, of_counts, of_rules


def _back(
    grad: States, core: Core, rules: Rules, before: IntArray, course: Course
) -> tuple[FloatArray, FloatArray]:
    """The loop back over time: the gradient of what comes in at a step, and of `vmem` after it."""

    def step(after: FloatArray, inputs: Any) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
        grad, before, drive, spikes = inputs
        u, passing = _charged(core, rules, before, drive)
        here = lambda u: _neurons(core, rules, u, spikes.astype(u.dtype))  # noqa: E731
        _, slopes = jax.jvp(here, (u,), (jnp.ones_like(u),))
        d_vmem = after if grad.vmem is None else after + grad.vmem
        d_u = slopes.vmem * d_vmem
        d_u = d_u if grad.spikes is None else d_u + slopes.spikes * grad.spikes
        return passing * d_u, (passing * d_u, d_vmem)

    end = jnp.zeros(before.shape[1:])
    return lax.scan(step, end, (grad, before, course.drive, course.spikes), reverse=True)[1]


def _charged(
    core: Core, rules: Rules, before: IntArray, drive: IntArray
) -> tuple[FloatArray, FloatArray]:
    """The membrane potentials before spikes, and 0 where they were cut, else 1."""
    vmem, cut = _kernel.charge(in_integers(core), before, drive, rules.state_bits)
    return vmem.astype(jnp.float32), (~cut).astype(jnp.float32)


def _or_zeros(x: FloatArray | None, like: FloatArray) -> FloatArray:
    return jnp.zeros_like(like) if x is None else x


def _neurons(core: Core, rules: Rules, u: FloatArray, spikes: FloatArray) -> States:
    """Spikes, reset and lower bound of the model's layer, at potentials that give `spikes`."""
    scale = lax.stop_gradient(rules.scale)

    def fire(vmem: FloatArray, threshold: FloatArray, most: float) -> FloatArray:
        shaped = vmem.reshape(*vmem.shape[:-3], *rules.size) / scale
        counted = rules.surrogate(shaped, threshold / scale, most)
        return straight_through(counted.reshape(vmem.shape), spikes)

    after, fired = iaf.step(
        iaf.IAFParams(core.threshold, min_vmem=core.min_vmem),
        iaf.IAFState(u),
        jnp.zeros((), u.dtype),
        fire=Firing(fire, rules.max_spikes, rules.reset, rules.detach_reset),
    )
    return States(fired, after.vmem)


def _drive(core: Core, counts: FloatArray) -> FloatArray:
    """What events and biases add to the membrane potentials."""
    flat = counts.reshape(-1, *counts.shape[2:])
    drive = _kernel.convolution(core, flat, core.weight)
    drive = drive.reshape(*counts.shape[:2], *core.output_shape)
    return drive if core.bias is None else drive + core.bias[:, None, None]
