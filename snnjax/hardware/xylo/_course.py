"""One population of a chip over time, in whole numbers, without a derivative.

The loop keeps two arrays, from which all else follows for all steps at once. It is short, since
compilers repeat in it what several results need, and one kernel on a GPU, where the population is
not recurrent. Synapses are apart, in tuples, so that all arrays of a step are of one shape.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ... import _time_loop
from ..._mesh import scan as loop_over_time, while_loop
from ..._typing import FloatArray
from ...scan import scan
from ...surrogate import Surrogate
from ._arithmetic import add_in_order, charge_membrane, dot, fire, loss_of
from ._chips import Chip

Currents: TypeAlias = tuple[Float[Array, "*time batch neurons"], ...]
"""Synaptic currents, or what is added to them, of each synapse."""


class Parameters(NamedTuple):
    """The parameters of a population, in whole numbers; the parts are powers of 2.

    Attributes:
        feed: weights from the populations that feed it, or from the input channels, by synapse.
        loop: recurrent weights, by synapse, or None.
        part_syn: the part of synaptic currents that decays in a step, by synapse.
        part_mem: the part of membrane potentials that decays in a step.
        threshold: firing thresholds.
        bias: added to the membrane potentials, or None.
    """

    feed: tuple[Float[Array, "sources neurons"], ...]
    loop: tuple[Float[Array, "neurons neurons"], ...] | None
    part_syn: tuple[Float[Array, " neurons"], ...]
    part_mem: Float[Array, " neurons"]
    threshold: Float[Array, " neurons"]
    bias: Float[Array, " neurons"] | None


class Spiking(eqx.Module):
    """The properties of a population that are not its integers.

    Attributes:
        chip: the chip.
        cap: most spikes in one step.
        surrogate: spike function, for the gradient.
        scale: scale of each neuron's integers. The surrogate gets potentials and thresholds without
            it, so that its slopes are those of the network.
    """

    chip: Chip = eqx.field(static=True)
    cap: int = eqx.field(static=True)
    surrogate: Surrogate
    scale: Float[Array, " neurons"]


class States(NamedTuple):
    """A population after a step, or after each; the spikes include those that it was handed."""

    isyn: Currents
    vmem: Float[Array, "*time batch neurons"]
    spikes: Float[Array, "*time batch neurons"]


class Inputs(NamedTuple):
    """The inputs of a population over time.

    Attributes:
        counts: spikes of the sources.
        handed: spikes that it is handed as the alias of others, at most its cap; None without.
        start: the state before the first step.
    """

    counts: Float[Array, "time batch sources"]
    handed: Float[Array, "time batch neurons"] | None
    start: States


class Course(NamedTuple):
    """The two arrays that are kept, from which all else follows.

    Attributes:
        charged: synaptic currents at their highest in each step.
        before: membrane potentials before it.
    """

    charged: Currents
    before: Float[Array, "*time batch neurons"]


class Moment(NamedTuple):
    """All of a step.

    Attributes:
        after: the states after it.
        vmem: membrane potentials at their highest.
        inside: where nothing was cut off of them.
        own: spikes of their own.
    """

    after: States
    vmem: Float[Array, "*time batch neurons"]
    inside: Bool[Array, "*time batch neurons"]
    own: Float[Array, "*time batch neurons"]


Arguments: TypeAlias = tuple[Parameters, Inputs, Spiking]


class _At(NamedTuple):
    """The inputs of one step.

    Attributes:
        fed: the sum that the sources add to the synaptic currents.
        handed: spikes that the population is handed as the alias of others.
        counts: spikes of the sources, if they are to be added up in order.
    """

    fed: Currents
    handed: Float[Array, "batch neurons"] | None
    counts: Float[Array, "batch sources"] | None


def course_of(p: Parameters, inputs: Inputs, spiking: Spiking) -> Course:
    """The course of a run, the sources added up at once as long as nothing can saturate."""
    counts, handed, start = inputs
    steps = _At(tuple(dot(counts, weights) for weights in p.feed), handed, None)
    step = functools.partial(_step, p._replace(feed=()), spiking)
    plain = loop(step, start, steps, recurrent=p.loop is not None)[1]

    # From the first step on in which a current may have saturated, once more and in order.
    if counts.shape[0] == 0:
        return plain
    may = _may_saturate(p, inputs, spiking, plain, steps.fed)
    begin = jnp.where(may.any(), jnp.argmax(may), counts.shape[0])
    state = moment(p, spiking, *_step_of(begin - 1, (plain, handed))).after
    state = jax.tree.map(lambda x, at_rest: jnp.where(begin > 0, x, at_rest), state, start)

    def again(carry: tuple[Any, States, Course]) -> tuple[Any, States, Course]:
        t, state, course = carry
        state, new = _step(p, spiking, state, _step_of(t, steps._replace(counts=counts)))
        course = jax.tree.map(
            lambda xs, x: lax.dynamic_update_index_in_dim(xs, x, t, 0), course, new
        )
        return t + 1, state, course

    return while_loop(lambda carry: carry[0] < counts.shape[0], again, (begin, state, plain))[2]


def _may_saturate(
    p: Parameters, inputs: Inputs, spiking: Spiking, course: Course, fed: Currents
) -> Bool[Array, " time"]:
    """Whether a synaptic current may have saturated within a step, the sources added up in order.

    It cannot, in any order, if all that they add upwards and all that they add downwards is within
    the range, each weight taken to be the largest that there is. After the first step in which one
    may have, the course is none, and so is what this says of it.
    """
    most = spiking.chip.max_weight * inputs.counts.sum(-1)
    if p.loop is not None:
        # Twice, since what they add is not part of `fed`.
        spikes = moment(p, spiking, course, inputs.handed).after.spikes
        spikes = later(spikes, inputs.start.spikes)
        most = most + 2 * spiking.chip.max_weight * spikes.sum(-1)

    def may(charged: FloatArray, fed: FloatArray) -> Bool[Array, " time"]:
        # Partial sums lie within half of `most` of the middle between before and after, and before
        # is `charged` without `fed`.
        widest = jnp.abs(2 * charged - fed) + most[..., None]
        return ~(widest <= 2 * spiking.chip.max_state).all((1, 2))

    return functools.reduce(jnp.logical_or, map(may, course.charged, fed))


def _step_of(step: Any, tree: Any) -> Any:
    return jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, step, keepdims=False), tree)


def loop(
    step: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    inputs: Any,
    *,
    recurrent: bool,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """A loop over the steps of a batch, with no derivative of its own.

    On a GPU it is one kernel, unless the population is recurrent.
    """
    if recurrent or not _time_loop.has_kernels():
        return loop_over_time(step, state, inputs, reverse=reverse)

    def turned(tree: Any) -> Any:
        return jax.tree.map(lambda xs: jnp.flip(xs, 0), tree) if reverse else tree

    def one(state: Any, inputs: Any) -> tuple[Any, Any]:
        return scan(step, state, inputs)[:2]

    state, made = jax.vmap(one, (0, 1), (0, 1))(state, turned(inputs))
    return state, turned(made)


def _step(p: Parameters, spiking: Spiking, state: States, at: _At) -> tuple[States, Course]:
    """One time step, the sources added up in order, as the chip does, if their counts are known."""
    chip = spiking.chip
    charge = at.fed
    if p.loop is not None:
        charge = jax.tree.map(lambda fed, w: fed + dot(state.spikes, w), charge, p.loop)
    if at.counts is None:
        charged = jax.tree.map(jnp.add, state.isyn, charge)
    else:
        counts, weights = at.counts, p.feed
        if p.loop is not None:
            counts = jnp.concatenate([counts, state.spikes], axis=-1)
            weights = jax.tree.map(lambda *parts: jnp.concatenate(parts), weights, p.loop)
        charged = tuple(
            add_in_order(isyn, more, counts, w, chip)
            for isyn, more, w in zip(state.isyn, charge, weights, strict=True)
        )
    course = Course(charged, state.vmem)
    return moment(p, spiking, course, at.handed).after, course


def moment(p: Parameters, spiking: Spiking, course: Course, handed: FloatArray | None) -> Moment:
    """All of a step, or of each, from its course and the spikes that it is handed."""
    isyn = tuple(x - loss_of(x, part) for x, part in zip(course.charged, p.part_syn, strict=True))
    vmem, inside = charge_membrane(course.before, p.part_mem, total(*isyn), p.bias, spiking.chip)
    own = fire(vmem, p.threshold, spiking.cap - or_0(handed))
    after = States(isyn, vmem - own * p.threshold, own + or_0(handed))
    return Moment(after, vmem, inside, own)


def later(x: FloatArray, first: FloatArray) -> FloatArray:
    """The value before each step, time first, given the one before the first."""
    if x.shape[0] == 0:
        return x
    # `jnp.concatenate` becomes a pad, which asks for each number where it is from.
    moved = lax.dynamic_update_slice_in_dim(jnp.zeros_like(x), x[:-1], 1, 0)
    return lax.dynamic_update_index_in_dim(moved, first, 0, 0)


def total(*terms: FloatArray | None) -> FloatArray:
    """The sum of those terms that are not None."""
    first, *rest = (term for term in terms if term is not None)
    return sum(rest, first)


def or_0(handed: FloatArray | None) -> FloatArray | int:
    return 0 if handed is None else handed
