"""A population over time as a function with a gradient to train it by.

The gradient goes back in a second loop, a linear recurrence whose coefficients follow from the
course of the run for all steps at once. With i the synaptic currents, v the membrane potentials, s
the spikes of their own and d_ what the loss changes by with each of them, from the last step to the
first:

    d_s = d_spikes - threshold * d_v
    d_vmem = pass * (d_v + slope * d_s)          the surrogate's slope; pass = 0 where v saturated
    d_i = d_i + d_vmem
    d_i, d_v = keep * d_i, (1 - part) * d_vmem   keep = 1 - part, or 0 where i saturated

The gradients of the parameters, the sources and the first state follow from d_v and d_i of all
steps at once.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ..._product import summed_products
from ..._typing import FloatArray
from ._chips import Chip
from ._course import (
    Arguments,
    Course,
    Currents,
    Inputs,
    Parameters,
    Spiking,
    States,
    course_of,
    later,
    loop,
    moment,
    or_0,
    total,
)


@eqx.filter_custom_vjp
def run(arguments: Arguments) -> States:
    """The states of a population after each step.

    Args:
        arguments: its whole numbers, its inputs and its other properties.
    """
    return _forward(None, arguments)[0]


def _forward(perturbed: Any, arguments: Arguments) -> tuple[States, Course]:
    p, inputs, spiking = arguments
    course = course_of(p, inputs, spiking)
    return moment(p, spiking, course, inputs.handed).after, course


def _backward(course: Course, grad: States, perturbed: Any, arguments: Arguments) -> Any:
    """The gradient of the arguments, given that of the states (None for none)."""
    p, (counts, handed, start), spiking = arguments
    at = moment(p, spiking, course, handed)
    unit = 1 / spiking.scale
    unscaled = at.vmem * unit, p.threshold * unit, spiking.cap - or_0(handed)
    slopes = spiking.surrogate.derivatives(*unscaled)
    slope, slope_of_threshold = (x * unit for x in slopes)

    slope = jnp.where(at.inside, slope, jnp.inf)
    back, first = _back(p, spiking.chip, grad, course.charged, slope)

    fired = back.after.spikes - p.threshold * back.after.vmem
    by_loop = None
    if p.loop is not None:
        spikes = later(at.after.spikes, start.spikes)
        by_loop = tuple(_over_steps(spikes, d) for d in back.charge)
    parameters = Parameters(
        feed=tuple(_over_steps(counts, d) for d in back.charge),
        loop=by_loop,
        part_syn=jax.tree.map(_by_part, course.charged, back.after.isyn),
        part_mem=_by_part(course.before, back.vmem),
        threshold=jnp.sum(slope_of_threshold * fired - at.own * back.after.vmem, (0, 1)),
        bias=None if p.bias is None else jnp.sum(back.vmem, (0, 1)),
    )
    of_handed = None if handed is None else back.after.spikes
    of_inputs = Inputs(_to_sources(back.charge, p.feed), of_handed, first)
    _, of_surrogate = eqx.filter_vjp(lambda s: s.relaxation(*unscaled), spiking.surrogate)
    held = jnp.zeros_like(spiking.scale)
    return parameters, of_inputs, Spiking(spiking.chip, spiking.cap, of_surrogate(fired)[0], held)


run.def_fwd(_forward)
run.def_bwd(_backward)


class _Back(NamedTuple):
    """The gradient of what is added to the currents, of vmem at its highest, and after the step."""

    charge: Currents
    vmem: Float[Array, "time batch neurons"]
    after: States


def _back(
    p: Parameters, chip: Chip, grad: States, charged: Currents, slope: FloatArray
) -> tuple[_Back, States]:
    """The loop back over time: the gradient of each state and spike, and of the first state.

    Args:
        p: the parameters.
        chip: the chip.
        grad: gradients of the states after each step; None for none.
        charged: synaptic currents at their highest.
        slope: slopes of the spikes by the membrane potential; infinite where that was cut.
    """
    if grad.spikes is None:
        grad = grad._replace(spikes=jnp.zeros_like(slope))

    def step(carry: tuple[Currents, FloatArray], at: Any) -> tuple[Any, Any]:
        (charge, vmem), (grad, charged, slope) = carry, at
        vmem, spikes = _after_reset(p, grad, charge, vmem)
        high = vmem + slope * (spikes - p.threshold * vmem)
        high = jnp.where(slope == jnp.inf, 0, high)
        isyn = _after_decay(grad, charge, high)
        charge = tuple(
            jnp.where(jnp.abs(x) < chip.max_state, (1 - part) * d, 0)
            for x, part, d in zip(charged, p.part_syn, isyn, strict=True)
        )
        return (charge, (1 - p.part_mem) * high), (charge, high)

    rest = jax.tree.map(lambda xs: jnp.zeros(xs.shape[1:], xs.dtype), (charged, slope))
    inputs = grad, charged, slope
    first, (charge, high) = loop(step, rest, inputs, recurrent=p.loop is not None, reverse=True)
    charge_after, high_after = jax.tree.map(_sooner, (charge, high))
    vmem, spikes = _after_reset(p, grad, charge_after, (1 - p.part_mem) * high_after)
    states = States(_after_decay(grad, charge_after, high), vmem, spikes)
    fed_back = jnp.zeros_like(first[1]) if p.loop is None else _to_sources(first[0], p.loop)
    return _Back(charge, high, states), States(first[0], first[1], fed_back)


def _after_reset(
    p: Parameters, grad: States, charge: Currents, vmem: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The gradients of vmem and spikes after a step, from those of the step that follows."""
    fed_back = None if p.loop is None else _to_sources(charge, p.loop)
    return total(vmem, grad.vmem), total(grad.spikes, fed_back)


def _after_decay(grad: States, charge: Currents, high: FloatArray) -> Currents:
    """The gradient of the currents after a step, which the membranes of that step add up."""
    of_states = [None] * len(charge) if grad.isyn is None else grad.isyn
    return tuple(total(d, high, more) for d, more in zip(charge, of_states, strict=True))


def _sooner(x: FloatArray) -> FloatArray:
    """The value after each step, time first; 0 after the last."""
    return jnp.concatenate([x[1:], jnp.zeros_like(x[:1])])


def _by_part(x: FloatArray, by_kept: FloatArray) -> FloatArray:
    """The gradient of the part of `x` that decays, from that of what is left."""
    return -jnp.sum(x * by_kept, (0, 1))


def _over_steps(counts: FloatArray, charge: FloatArray) -> FloatArray:
    """The gradient of weights: the product of both, summed over all steps and the batch."""
    return summed_products(counts, charge, lax.Precision.HIGHEST)


def _to_sources(charge: Currents, weights: Currents) -> FloatArray:
    """The gradient of the spikes of the sources: the products, summed over synapses and neurons."""
    pairs = zip(charge, weights, strict=True)
    return total(*(jnp.matmul(d, w.T, precision=lax.Precision.HIGHEST) for d, w in pairs))
