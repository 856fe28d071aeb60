"""One population of a chip over time in whole numbers, and the derivative to train it by.

The loop over time goes forward once, without a derivative of its own. What a change of anything
does to it is a linear recurrence whose coefficients follow from the states of all steps at once:
with i the synaptic currents, v the membrane potentials and s the spikes of their own,

    d_i = keep * (d_i + d_charge) - i * d_part            keep = 1 - part, or 0 where i saturates
    d_v = pass * ((1 - part) * d_v - v * d_part + sum d_i + d_bias)      pass = 0 where v saturates
    d_s = slope * d_v + slope_of_threshold * d_threshold + d_surrogate   the surrogate's slopes
    d_v = d_v - threshold * d_s - s * d_threshold

JAX transposes this into the gradient.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ..._typing import FloatArray
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


@eqx.filter_custom_jvp
def run(
    parameters: Parameters,
    counts: Float[Array, "time batch sources"],
    handed: Float[Array, "time batch neurons"],
    rules: Rules,
) -> States:
    """Run a population from rest.

    Args:
        parameters: its whole numbers.
        counts: spikes of what feeds it.
        handed: spikes that it is handed as the alias of others, at most `rules.cap`.
        rules: the rest.
    """
    return _states(parameters, _course(parameters, counts, handed, rules), handed)


@run.def_jvp
def _run_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    parameters, counts, handed, rules = primals
    course = _course(parameters, counts, handed, rules)
    states = _states(parameters, course, handed)
    return states, _changes(tangents, parameters, counts, rules, course, states)


def _course(p: Parameters, counts: FloatArray, handed: FloatArray, rules: Rules) -> _Course:
    """The course of a run in which nothing saturates on the way, or else one that allows for it."""
    charge = dot(counts, p.feed)
    plain = _loop(p, (charge, handed), rules, in_order=False)
    return lax.cond(
        _cannot_saturate(p, counts, before(plain.own + handed), plain, rules.chip),
        lambda: plain,
        lambda: _loop(p, (counts, handed), rules, in_order=True),
    )


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

    All partial sums lie between what there was plus all that is negative and what there was plus
    all that is positive. A course that keeps to the range is the true one: up to the first step
    that does not, it is.
    """
    positive = dot(counts, jnp.maximum(p.feed, 0))
    charge = dot(counts, p.feed)
    if p.loop is not None:
        positive = positive + dot(spikes, jnp.maximum(p.loop, 0))
        charge = charge + dot(spikes, p.loop)
    top, bottom = course.charged - charge + positive, course.charged - positive
    return jnp.all(within(top, chip) & within(bottom, chip))


def _changes(
    tangents: Any,
    p: Parameters,
    counts: FloatArray,
    rules: Rules,
    course: _Course,
    states: States,
) -> States:
    """The change of the states, given that of everything else (None for none)."""
    d, d_counts, d_handed, d_rules = tangents
    previous = jax.tree.map(before, states)
    most = rules.cap - (states.spikes - course.own)
    unscaled = course.vmem / rules.scale, p.threshold / rules.scale, most
    slope, slope_of_threshold = (x / rules.scale for x in rules.surrogate.derivatives(*unscaled))
    keep = jnp.where(jnp.abs(course.charged) < rules.chip.max_state, 1 - p.part_syn, 0)
    leak = jnp.where(course.inside, 1 - p.part_mem, 0)

    charge = _sum(_dot(d_counts, p.feed), _dot(counts, d.feed), _dot(previous.spikes, d.loop))
    isyn = _sum(_times(keep, charge), _times(-course.charged, d.part_syn))
    inside = course.inside.astype(slope.dtype)
    vmem = _times(inside, _sum(_times(-previous.vmem, d.part_mem), d.bias))
    own = _sum(
        _times(slope_of_threshold, d.threshold),
        rules.surrogate.change_by_fields(d_rules.surrogate, *unscaled),
    )
    reset = _times(-course.own, d.threshold)

    def step(state: States, inputs: tuple[Any, ...]) -> tuple[States, States]:
        keep, leak, inside, slope, isyn, vmem, own, reset, handed = inputs
        fed = state.isyn if p.loop is None else state.isyn + dot(state.spikes, p.loop)
        d_isyn = _sum(keep * fed, isyn)
        d_vmem = _sum(leak * state.vmem, inside * d_isyn.sum(-1), vmem)
        d_own = _sum(slope * d_vmem, own)
        after = States(d_isyn, _sum(d_vmem - p.threshold * d_own, reset), _sum(d_own, handed))
        return after, after

    still = jax.tree.map(lambda x: jnp.zeros_like(x[0]), states)
    return lax.scan(step, still, (keep, leak, inside, slope, isyn, vmem, own, reset, d_handed))[1]


def before(x: FloatArray) -> FloatArray:
    """The same a step later, from rest."""
    return jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])


def _sum(*terms: FloatArray | None) -> Any:
    present = [term for term in terms if term is not None]
    return sum(present[1:], present[0]) if present else None


def _times(x: FloatArray, change: FloatArray | None) -> Any:
    return None if change is None else x * change


def _dot(x: FloatArray | None, y: FloatArray | None) -> Any:
    return None if x is None or y is None else dot(x, y)
