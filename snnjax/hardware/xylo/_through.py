"""One population of a chip over time in whole numbers, and the gradient to train it by.

The loop over time goes forward once, without a derivative of its own. The gradient goes back in a
second loop, a linear recurrence whose coefficients follow from the states of all steps at once.
With i the synaptic currents, v the membrane potentials, s the spikes of their own and d_ what the
loss changes by with each of them, from the last step to the first:

    d_s = d_spikes - threshold * d_v
    d_vmem = pass * (d_v + slope * d_s)          the surrogate's slope; pass = 0 where v saturated
    d_i = d_i + d_vmem
    d_i, d_v = keep * d_i, (1 - part) * d_vmem   keep = 1 - part, or 0 where i saturated

What reaches the parameters and the sources follows from d_v and d_i of all steps at once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ..._typing import FloatArray
from ...neurons._mechanics import later
from ...surrogate import Surrogate
from ._arithmetic import add_in_order, charge_membrane, dot, fire, loss_of, within
from .spec import Chip


class Parameters(NamedTuple):
    """What one population has, in whole numbers; the parts are powers of 2.

    Attributes:
        feed: weights of what feeds it.
        loop: recurrent weights, or None.
        part_syn: the part of synaptic currents that decays in a step.
        part_mem: the part of membrane potentials that decays in a step.
        threshold: firing thresholds.
        bias: added to the membrane potentials, or None.
    """

    feed: Float[Array, "sources neurons synapses"]
    loop: Float[Array, "neurons neurons synapses"] | None
    part_syn: Float[Array, "neurons synapses"]
    part_mem: Float[Array, " neurons"]
    threshold: Float[Array, " neurons"]
    bias: Float[Array, " neurons"] | None


class Rules(eqx.Module):
    """What holds for a population and is not trained.

    Attributes:
        chip: the chip.
        cap: most spikes in one step.
        surrogate: what the gradient of a spike is.
        scale: what potentials and thresholds of the trained network were multiplied with. The
            surrogate is given both without it, so that its slopes are those of that network.
    """

    chip: Chip = eqx.field(static=True)
    cap: int = eqx.field(static=True)
    surrogate: Surrogate
    scale: Float[Array, " neurons"]


class States(NamedTuple):
    """A population after each step, the spikes that it was handed among its own."""

    isyn: Float[Array, "time batch neurons synapses"]
    vmem: Float[Array, "time batch neurons"]
    spikes: Float[Array, "time batch neurons"]


class _Course(NamedTuple):
    """What the derivative needs of each step: both states at their highest, and own spikes."""

    charged: Float[Array, "time batch neurons synapses"]
    vmem: Float[Array, "time batch neurons"]
    own: Float[Array, "time batch neurons"]
    inside: Bool[Array, "time batch neurons"]


Arguments: TypeAlias = tuple[Parameters, FloatArray, FloatArray, Rules]


@eqx.filter_custom_vjp
def run(arguments: Arguments) -> States:
    """Run a population from rest.

    Args:
        arguments: its whole numbers; the spikes of what feeds it, `(time, batch, sources)`; the
            spikes that it is handed as the alias of others, `(time, batch, neurons)`, at most
            `rules.cap`; and the rules.
    """
    return _forward(None, arguments)[0]


def _forward(perturbed: Any, arguments: Arguments) -> tuple[States, _Course]:
    parameters, counts, handed, rules = arguments
    course = _course(parameters, counts, handed, rules)
    return _states(parameters, course, handed), course


def _backward(course: _Course, grad: States, perturbed: Any, arguments: Arguments) -> Any:
    return _gradient(grad, arguments, course)


run.def_fwd(_forward)
run.def_bwd(_backward)


def _course(p: Parameters, counts: FloatArray, handed: FloatArray, rules: Rules) -> _Course:
    """The course of a run in which nothing saturates on the way, or else one that allows for it."""
    plain = _loop(p, (dot(counts, p.feed), handed), rules, in_order=False)
    fits = _cannot_saturate(p, counts, later(plain.own + handed), plain, rules.chip)
    # A loop of no or one turn. A condition would copy the course, which takes as long as running.
    return lax.while_loop(
        lambda carry: ~carry[0],
        lambda carry: (jnp.array(True), _loop(p, (counts, handed), rules, in_order=True)),
        (fits, plain),
    )[1]


def _loop(p: Parameters, inputs: tuple[FloatArray, ...], rules: Rules, in_order: bool) -> _Course:
    """The loop over time, given counts if the sources are added in order, else their charge."""

    def add(isyn: FloatArray, fed: FloatArray, spikes: FloatArray) -> FloatArray:
        if not in_order:
            return isyn + (fed if p.loop is None else fed + dot(spikes, p.loop))
        if p.loop is None:
            return add_in_order(isyn, fed, p.feed, rules.chip)
        counts, weights = jnp.concatenate([fed, spikes], axis=-1), jnp.concatenate([p.feed, p.loop])
        return add_in_order(isyn, counts, weights, rules.chip)

    def step(state: States, inputs: tuple[FloatArray, ...]) -> tuple[States, _Course]:
        fed, handed = inputs
        charged = add(state.isyn, fed, state.spikes)
        isyn = charged - loss_of(charged, p.part_syn)
        vmem, inside = charge_membrane(state.vmem, p.part_mem, isyn.sum(-1), p.bias, rules.chip)
        own = fire(vmem, p.threshold, rules.cap - handed)
        after = States(isyn, vmem - own * p.threshold, handed + own)
        return after, _Course(charged, vmem, own, inside)

    rest = jnp.zeros(inputs[1].shape[1:])
    isyn = jnp.zeros((*rest.shape, p.part_syn.shape[-1]))
    return lax.scan(step, States(isyn, rest, rest), inputs)[1]


def _states(p: Parameters, course: _Course, handed: FloatArray) -> States:
    isyn = course.charged - loss_of(course.charged, p.part_syn)
    return States(isyn, course.vmem - course.own * p.threshold, handed + course.own)


def _cannot_saturate(
    p: Parameters, counts: FloatArray, spikes: FloatArray, course: _Course, chip: Chip
) -> Bool[Array, ""]:
    """Whether no synaptic current saturated while the sources were added up, in any order.

    A course that keeps to the range is the true one: up to the first step that does not, it is.
    Partial sums differ from the last one by at most the sum of all |count * weight|, for which each
    source's largest weight is taken, so that it is a product with a vector. Only where that is too
    coarse is a product of matrices made: partial sums lie between what there was plus all that is
    negative and what there was plus all that is positive.
    """

    def product(weights: Callable[[FloatArray], FloatArray]) -> FloatArray:
        fed = dot(counts, weights(p.feed))
        return fed if p.loop is None else fed + dot(spikes, weights(p.loop))

    def closely() -> Bool[Array, ""]:
        charge, positive = product(lambda w: w), product(lambda w: jnp.maximum(w, 0))
        top, bottom = course.charged - charge + positive, course.charged - positive
        return jnp.all(within(top, chip) & within(bottom, chip))

    largest = product(lambda w: jnp.max(jnp.abs(w), axis=(1, 2), initial=0))
    bounded = jnp.abs(course.charged) + largest[..., None, None] <= chip.max_state
    return lax.cond(jnp.all(bounded), lambda: jnp.array(True), closely)


def _gradient(grad: States, arguments: Arguments, course: _Course) -> Arguments:
    """The gradient of the arguments, given that of the states (None for none)."""
    p, counts, handed, rules = arguments
    states = _states(p, course, handed)
    previous = jax.tree.map(later, states)
    unscaled = course.vmem / rules.scale, p.threshold / rules.scale, rules.cap - handed
    slope, slope_of_threshold = (x / rules.scale for x in rules.surrogate.derivatives(*unscaled))
    keep = jnp.where(jnp.abs(course.charged) < rules.chip.max_state, 1 - p.part_syn, 0)
    inside = course.inside.astype(slope.dtype)

    back = _back(p, grad, keep, inside, slope)

    own = back.spikes - p.threshold * back.vmem
    charged = inside * (back.vmem + slope * own)
    charge = keep * back.isyn
    parameters = Parameters(
        feed=_over_steps(counts, charge),
        loop=None if p.loop is None else _over_steps(previous.spikes, charge),
        part_syn=-jnp.sum(course.charged * back.isyn, (0, 1)),
        part_mem=-jnp.sum(previous.vmem * charged, (0, 1)),
        threshold=jnp.sum(slope_of_threshold * own - course.own * back.vmem, (0, 1)),
        bias=None if p.bias is None else jnp.sum(charged, (0, 1)),
    )
    of_surrogate = eqx.filter_vjp(lambda s: s.relaxation(*unscaled), rules.surrogate)[1](own)[0]
    of_rules = Rules(rules.chip, rules.cap, of_surrogate, jnp.zeros_like(rules.scale))
    return parameters, _transposed(charge, p.feed), back.spikes, of_rules


def _back(
    p: Parameters, grad: States, keep: FloatArray, inside: FloatArray, slope: FloatArray
) -> States:
    """The loop back over time: the gradient of each state and spike, through all that follows."""

    def step(after: tuple[FloatArray, FloatArray], inputs: tuple[Any, ...]) -> Any:
        (isyn, vmem), (grad, keep, inside, slope) = after, inputs
        spikes = _sum(grad.spikes, None if p.loop is None else _transposed(isyn, p.loop))
        vmem = _sum(vmem, grad.vmem)
        charged = inside * (vmem + slope * (spikes - p.threshold * vmem))
        isyn = _sum(isyn, charged[..., None], grad.isyn)
        return (keep * isyn, (1 - p.part_mem) * charged), States(isyn, vmem, spikes)

    if grad.spikes is None:
        grad = grad._replace(spikes=jnp.zeros_like(slope))
    end = jnp.zeros_like(keep[0]), jnp.zeros_like(slope[0])
    return lax.scan(step, end, (grad, keep, inside, slope), reverse=True)[1]


def _over_steps(counts: FloatArray, charge: FloatArray) -> FloatArray:
    """What reaches the weights: the product of both, summed over all steps and the batch."""
    return jnp.tensordot(counts, charge, ((0, 1), (0, 1)), precision=lax.Precision.HIGHEST)


def _transposed(charge: FloatArray, weights: FloatArray) -> FloatArray:
    """What reaches the sources from the synapses."""
    axes = (charge.ndim - 2, charge.ndim - 1), (1, 2)
    return jnp.tensordot(charge, weights, axes, precision=lax.Precision.HIGHEST)


def _sum(*terms: FloatArray | None) -> FloatArray:
    first, *rest = (term for term in terms if term is not None)
    return sum(rest, first)
