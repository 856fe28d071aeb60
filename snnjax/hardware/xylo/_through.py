"""One population of a chip over time in whole numbers, and the gradient to train it by.

The loop over time goes forward once, without a derivative of its own, and keeps two arrays. The
gradient goes back in a second loop, a linear recurrence whose coefficients follow from them for all
steps at once. Both loops are short, since compilers repeat in them what several results need.
With i the synaptic currents, v the membrane potentials, s the spikes of their own and d_ what the
loss changes by with each of them, from the last step to the first:

    d_s = d_spikes - threshold * d_v
    d_vmem = pass * (d_v + slope * d_s)          the surrogate's slope; pass = 0 where v saturated
    d_i = d_i + d_vmem
    d_i, d_v = keep * d_i, (1 - part) * d_vmem   keep = 1 - part, or 0 where i saturated

What reaches the parameters and the sources follows from d_v and d_i of all steps at once.
"""

from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ..._typing import FloatArray
from ...neurons import later
from ...surrogate import Surrogate
from ._arithmetic import add_in_order, charge_membrane, dot, fire, loss_of
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

    feed: Float[Array, "sources synapses*neurons"]
    loop: Float[Array, "neurons synapses*neurons"] | None
    part_syn: Float[Array, " synapses*neurons"]
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

    isyn: Float[Array, "time batch synapses*neurons"]
    vmem: Float[Array, "time batch neurons"]
    spikes: Float[Array, "time batch neurons"]


class _Course(NamedTuple):
    """Both states at their highest in each step, from which all else follows."""

    charged: Float[Array, "time batch synapses*neurons"]
    vmem: Float[Array, "time batch neurons"]


Arguments: TypeAlias = tuple[Parameters, FloatArray, FloatArray | None, Rules]


@eqx.filter_custom_vjp
def run(arguments: Arguments) -> States:
    """Run a population from rest.

    Args:
        arguments: its whole numbers; the spikes of what feeds it, `(time, batch, sources)`; the
            spikes that it is handed as the alias of others, `(time, batch, neurons)`, at most
            `rules.cap`, or None; and the rules.
    """
    return _forward(None, arguments)[0]


def _forward(perturbed: Any, arguments: Arguments) -> tuple[States, _Course]:
    course = _course(*arguments)
    return _after(course, arguments)[0], course


class _Inputs(NamedTuple):
    """What a population is given in each step.

    Attributes:
        counts: the spikes of what feeds it.
        fed: what they add to the synaptic currents.
        most: bound of all that they add on the way, whatever the weights.
        handed: the spikes that it is handed as the alias of others.
    """

    counts: Float[Array, "time batch sources"]
    fed: Float[Array, "time batch synapses*neurons"]
    most: Float[Array, "time batch"]
    handed: Float[Array, "time batch neurons"] | None


def _course(p: Parameters, counts: FloatArray, handed: FloatArray | None, rules: Rules) -> _Course:
    """The course of a run, the sources added up at once as long as nothing can saturate."""
    inputs = _Inputs(counts, dot(counts, p.feed), rules.chip.max_weight * counts.sum(-1), handed)
    isyn = jnp.zeros((counts.shape[1], len(p.part_syn)))
    vmem = jnp.zeros((counts.shape[1], len(p.threshold)))
    rest = States(isyn, vmem, vmem)
    end, plain = lax.scan(lambda *at: _step(p, rules, *at, in_order=False), rest, inputs)

    # From the first step on in which a current became infinite, once more and in order.
    steps = len(counts)
    if not steps:
        return plain
    begin = lax.cond(
        jnp.all(jnp.isfinite(end.isyn)),
        lambda: steps,
        lambda: jnp.isfinite(plain.charged).all((1, 2)).sum() - 1,
    )
    before = _at(begin - 1, (plain, handed))
    state, _ = _after(before[0], (p, counts, before[1], rules))
    state = jax.tree.map(lambda x: jnp.where(begin > 0, x, 0), state)

    def again(carry: tuple[Any, States, _Course]) -> tuple[Any, States, _Course]:
        step, state, course = carry
        state, new = _step(p, rules, state, _at(step, inputs), in_order=True)
        course = jax.tree.map(
            lambda xs, x: lax.dynamic_update_index_in_dim(xs, x, step, 0), course, new
        )
        return step + 1, state, course

    return lax.while_loop(lambda carry: carry[0] < steps, again, (begin, state, plain))[2]


def _at(step: Any, tree: Any) -> Any:
    return jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, step, keepdims=False), tree)


def _step(
    p: Parameters, rules: Rules, state: States, inputs: _Inputs, *, in_order: bool
) -> tuple[States, _Course]:
    """One time step, the sources added up in order, as the chip does, or at once.

    If at once, a synaptic current becomes infinite, and stays so, where it may have saturated on
    the way. It cannot, in any order of the sources, if all that they add upwards and all that they
    add downwards is within the range, each weight taken to be the largest that there is.
    """
    chip = rules.chip
    charge = inputs.fed if p.loop is None else inputs.fed + dot(state.spikes, p.loop)
    charged = state.isyn + charge
    if in_order:
        counts, weights = inputs.counts, p.feed
        if p.loop is not None:
            counts = jnp.concatenate([counts, state.spikes], axis=-1)
            weights = jnp.concatenate([weights, p.loop])
        charged = add_in_order(state.isyn, charge, counts, weights, chip)
    isyn = charged - loss_of(charged, p.part_syn)
    if not in_order:
        most = inputs.most
        if p.loop is not None:
            most = most + chip.max_weight * state.spikes.sum(-1)
        # Partial sums lie within half of `most` of the middle between before and after.
        widest = jnp.abs(state.isyn + charged) + most[:, None]
        isyn = jnp.where(widest <= 2 * chip.max_state, isyn, jnp.inf)
    vmem, _ = charge_membrane(state.vmem, p.part_mem, _over_synapses(p, isyn), p.bias, chip)
    own = fire(vmem, p.threshold, rules.cap - _or_0(inputs.handed))
    after = States(isyn, vmem - own * p.threshold, own + _or_0(inputs.handed))
    return after, _Course(charged, vmem)


def _after(course: _Course, arguments: Arguments) -> tuple[States, FloatArray]:
    """The states after each step, and the spikes of their own."""
    p, _, handed, rules = arguments
    isyn = course.charged - loss_of(course.charged, p.part_syn)
    own = fire(course.vmem, p.threshold, rules.cap - _or_0(handed))
    return States(isyn, course.vmem - own * p.threshold, own + _or_0(handed)), own


def _over_synapses(p: Parameters, isyn: FloatArray) -> FloatArray:
    """The sum of the currents of each neuron's synapses."""
    neurons = len(p.threshold)
    return isyn.reshape(*isyn.shape[:-1], isyn.shape[-1] // neurons, neurons).sum(-2)


def _backward(course: _Course, grad: States, perturbed: Any, arguments: Arguments) -> Any:
    """The gradient of the arguments, given that of the states (None for none)."""
    p, counts, handed, rules = arguments
    states, own = _after(course, arguments)
    before = jax.tree.map(later, states)
    drive = _over_synapses(p, states.isyn)
    inside = charge_membrane(before.vmem, p.part_mem, drive, p.bias, rules.chip)[1]
    unscaled = course.vmem / rules.scale, p.threshold / rules.scale, rules.cap - _or_0(handed)
    slope, slope_of_threshold = (x / rules.scale for x in rules.surrogate.derivatives(*unscaled))

    back = _back(p, rules.chip, grad, course.charged, _Slopes(slope, inside))

    fired = back.after.spikes - p.threshold * back.after.vmem
    parameters = Parameters(
        feed=_over_steps(counts, back.charge),
        loop=None if p.loop is None else _over_steps(before.spikes, back.charge),
        part_syn=-jnp.sum(course.charged * back.after.isyn, (0, 1)),
        part_mem=-jnp.sum(before.vmem * back.vmem, (0, 1)),
        threshold=jnp.sum(slope_of_threshold * fired - own * back.after.vmem, (0, 1)),
        bias=None if p.bias is None else jnp.sum(back.vmem, (0, 1)),
    )
    _, of_surrogate = eqx.filter_vjp(lambda s: s.relaxation(*unscaled), rules.surrogate)
    of_rules = Rules(rules.chip, rules.cap, of_surrogate(fired)[0], jnp.zeros_like(rules.scale))
    of_handed = None if handed is None else back.after.spikes
    return parameters, dot(back.charge, p.feed.T), of_handed, of_rules


run.def_fwd(_forward)
run.def_bwd(_backward)


class _Slopes(NamedTuple):
    """Of the spikes by the membrane potential, and whether nothing was cut off of it."""

    spikes: Float[Array, "time batch neurons"]
    inside: Bool[Array, "time batch neurons"]


class _Back(NamedTuple):
    """The gradient of what is added to the currents, of vmem at its highest, and after the step."""

    charge: Float[Array, "time batch synapses*neurons"]
    vmem: Float[Array, "time batch neurons"]
    after: States


def _back(p: Parameters, chip: Chip, grad: States, charged: FloatArray, slopes: _Slopes) -> _Back:
    """The loop back over time: the gradient of each state and spike, through all that follows."""

    def step(carry: tuple[FloatArray, FloatArray], inputs: Any) -> tuple[Any, _Back]:
        (charge, vmem), (grad, charged, slopes) = carry, inputs
        spikes = _sum(grad.spikes, None if p.loop is None else dot(charge, p.loop.T))
        vmem = _sum(vmem, grad.vmem)
        high = vmem + slopes.spikes * (spikes - p.threshold * vmem)
        high = jnp.where(slopes.inside, high, 0)
        each = jnp.tile(high, (1, len(p.part_syn) // len(p.threshold)))
        isyn = _sum(charge, each, grad.isyn)
        charge = jnp.where(jnp.abs(charged) < chip.max_state, (1 - p.part_syn) * isyn, 0)
        return (charge, (1 - p.part_mem) * high), _Back(charge, high, States(isyn, vmem, spikes))

    if grad.spikes is None:
        grad = grad._replace(spikes=jnp.zeros_like(slopes.spikes))
    d_i, d_v = (jnp.zeros(x.shape[1:], x.dtype) for x in (charged, slopes.spikes))
    return lax.scan(step, (d_i, d_v), (grad, charged, slopes), reverse=True)[1]


def _over_steps(counts: FloatArray, charge: FloatArray) -> FloatArray:
    """What reaches the weights: the product of both, summed over all steps and the batch."""
    return jnp.tensordot(counts, charge, ((0, 1), (0, 1)), precision=lax.Precision.HIGHEST)


def _or_0(handed: FloatArray | None) -> FloatArray | int:
    return 0 if handed is None else handed


def _sum(*terms: FloatArray | None) -> FloatArray:
    first, *rest = (term for term in terms if term is not None)
    return sum(rest, first)
