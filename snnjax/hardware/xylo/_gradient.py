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

The gradients of the parameters, the sources and the first state follow from d_v and d_i of all
steps at once.
"""

from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ..._mesh import scan, varying_as, while_loop
from ..._typing import FloatArray
from ...surrogate import Surrogate
from ._arithmetic import add_in_order, charge_membrane, dot, fire, loss_of
from ._chips import Chip


class Parameters(NamedTuple):
    """The parameters of a population, in whole numbers; the parts are powers of 2.

    Attributes:
        feed: weights from the populations that feed it, or from the input channels.
        loop: recurrent weights, or None.
        part_syn: the part of synaptic currents that decays in a step.
        part_mem: the part of membrane potentials that decays in a step.
        threshold: firing thresholds.
        bias: added to the membrane potentials, or None.
    """

    feed: Float[Array, "sources synapses neurons"]
    loop: Float[Array, "neurons synapses neurons"] | None
    part_syn: Float[Array, "synapses neurons"]
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

    isyn: Float[Array, "*time batch synapses neurons"]
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


class _Course(NamedTuple):
    """Both states at their highest in each step, from which all else follows."""

    charged: Float[Array, "time batch synapses neurons"]
    vmem: Float[Array, "time batch neurons"]


Arguments: TypeAlias = tuple[Parameters, Inputs, Spiking]


@eqx.filter_custom_vjp
def run(arguments: Arguments) -> States:
    """The states of a population after each step.

    Args:
        arguments: its whole numbers, its inputs and its other properties.
    """
    return _forward(None, arguments)[0]


def _forward(perturbed: Any, arguments: Arguments) -> tuple[States, _Course]:
    course = _course(*arguments)
    return _after(course, arguments)[0], course


class _At(NamedTuple):
    """The inputs of one step.

    Attributes:
        counts: spikes of the sources.
        fed: the sum that they add to the synaptic currents.
        most: bound of all that they add on the way, whatever the weights.
        handed: spikes that the population is handed as the alias of others.
    """

    counts: Float[Array, "batch sources"]
    fed: Float[Array, "batch synapses neurons"]
    most: Float[Array, " batch"]
    handed: Float[Array, "batch neurons"] | None


def _course(p: Parameters, inputs: Inputs, spiking: Spiking) -> _Course:
    """The course of a run, the sources added up at once as long as nothing can saturate."""
    counts, handed, start = inputs
    steps = _At(counts, dot(counts, p.feed), spiking.chip.max_weight * counts.sum(-1), handed)
    end, plain = scan(lambda *at: _step(p, spiking, *at, in_order=False), start, steps)

    # From the first step on in which a current became infinite, once more and in order.
    if counts.shape[0] == 0:
        return plain
    begin = lax.cond(
        jnp.all(jnp.isfinite(end.isyn)),
        lambda: varying_as(jnp.asarray(counts.shape[0], jnp.int32), plain),
        lambda: jnp.isfinite(plain.charged).all((1, 2, 3)).sum(dtype=jnp.int32) - 1,
    )
    before = _step_of(begin - 1, (plain, handed))
    state, _ = _after(before[0], (p, inputs._replace(handed=before[1]), spiking))
    state = jax.tree.map(lambda x, at_rest: jnp.where(begin > 0, x, at_rest), state, start)

    def again(carry: tuple[Any, States, _Course]) -> tuple[Any, States, _Course]:
        step, state, course = carry
        state, new = _step(p, spiking, state, _step_of(step, steps), in_order=True)
        course = jax.tree.map(
            lambda xs, x: lax.dynamic_update_index_in_dim(xs, x, step, 0), course, new
        )
        return step + 1, state, course

    return while_loop(lambda carry: carry[0] < counts.shape[0], again, (begin, state, plain))[2]


def _step_of(step: Any, tree: Any) -> Any:
    return jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, step, keepdims=False), tree)


def _step(
    p: Parameters, spiking: Spiking, state: States, at: _At, *, in_order: bool
) -> tuple[States, _Course]:
    """One time step, the sources added up in order, as the chip does, or at once.

    If at once, a synaptic current becomes infinite, and stays so, where it may have saturated on
    the way. It cannot, in any order of the sources, if all that they add upwards and all that they
    add downwards is within the range, each weight taken to be the largest that there is.
    """
    chip = spiking.chip
    charge = at.fed if p.loop is None else at.fed + dot(state.spikes, p.loop)
    charged = state.isyn + charge
    if in_order:
        counts, weights = at.counts, p.feed
        if p.loop is not None:
            counts = jnp.concatenate([counts, state.spikes], axis=-1)
            weights = jnp.concatenate([weights, p.loop])
        charged = add_in_order(state.isyn, charge, counts, weights, chip)
    isyn = charged - loss_of(charged, p.part_syn)
    if not in_order:
        most = at.most
        if p.loop is not None:
            most = most + chip.max_weight * state.spikes.sum(-1)
        # Partial sums lie within half of `most` of the middle between before and after.
        widest = jnp.abs(state.isyn + charged) + most[:, None, None]
        isyn = jnp.where(widest <= 2 * chip.max_state, isyn, jnp.inf)
    vmem, _ = charge_membrane(state.vmem, p.part_mem, isyn.sum(-2), p.bias, chip)
    own = fire(vmem, p.threshold, spiking.cap - _or_0(at.handed))
    after = States(isyn, vmem - own * p.threshold, own + _or_0(at.handed))
    return after, _Course(charged, vmem)


def _after(course: _Course, arguments: Arguments) -> tuple[States, FloatArray]:
    """The states after each step, and the spikes of their own."""
    p, (_, handed, _), spiking = arguments
    isyn = course.charged - loss_of(course.charged, p.part_syn)
    own = fire(course.vmem, p.threshold, spiking.cap - _or_0(handed))
    return States(isyn, course.vmem - own * p.threshold, own + _or_0(handed)), own


def _backward(course: _Course, grad: States, perturbed: Any, arguments: Arguments) -> Any:
    """The gradient of the arguments, given that of the states (None for none)."""
    p, (counts, handed, start), spiking = arguments
    states, own = _after(course, arguments)
    before = jax.tree.map(later, states, start)
    inside = charge_membrane(before.vmem, p.part_mem, states.isyn.sum(-2), p.bias, spiking.chip)[1]
    cap = spiking.cap - _or_0(handed)
    unscaled = course.vmem / spiking.scale, p.threshold / spiking.scale, cap
    slopes = spiking.surrogate.derivatives(*unscaled)
    slope, slope_of_threshold = (x / spiking.scale for x in slopes)

    back, first = _back(p, spiking.chip, grad, course.charged, _Slopes(slope, inside))

    fired = back.after.spikes - p.threshold * back.after.vmem
    parameters = Parameters(
        feed=_over_steps(counts, back.charge),
        loop=None if p.loop is None else _over_steps(before.spikes, back.charge),
        part_syn=-jnp.sum(course.charged * back.after.isyn, (0, 1)),
        part_mem=-jnp.sum(before.vmem * back.vmem, (0, 1)),
        threshold=jnp.sum(slope_of_threshold * fired - own * back.after.vmem, (0, 1)),
        bias=None if p.bias is None else jnp.sum(back.vmem, (0, 1)),
    )
    of_handed = None if handed is None else back.after.spikes
    of_inputs = Inputs(_to_sources(back.charge, p.feed), of_handed, first)
    _, of_surrogate = eqx.filter_vjp(lambda s: s.relaxation(*unscaled), spiking.surrogate)
    held = jnp.zeros_like(spiking.scale)
    return parameters, of_inputs, Spiking(spiking.chip, spiking.cap, of_surrogate(fired)[0], held)


run.def_fwd(_forward)
run.def_bwd(_backward)


class _Slopes(NamedTuple):
    """Slopes of the spikes by the membrane potential, and whether nothing was cut off of it."""

    spikes: Float[Array, "time batch neurons"]
    inside: Bool[Array, "time batch neurons"]


class _Back(NamedTuple):
    """The gradient of what is added to the currents, of vmem at its highest, and after the step."""

    charge: Float[Array, "time batch synapses neurons"]
    vmem: Float[Array, "time batch neurons"]
    after: States


def _back(
    p: Parameters, chip: Chip, grad: States, charged: FloatArray, slopes: _Slopes
) -> tuple[_Back, States]:
    """The loop back over time: the gradient of each state and spike, and of the first state."""

    def step(carry: tuple[FloatArray, FloatArray], inputs: Any) -> tuple[Any, _Back]:
        (charge, vmem), (grad, charged, slopes) = carry, inputs
        spikes = _sum(grad.spikes, None if p.loop is None else _to_sources(charge, p.loop))
        vmem = _sum(vmem, grad.vmem)
        high = vmem + slopes.spikes * (spikes - p.threshold * vmem)
        high = jnp.where(slopes.inside, high, 0)
        isyn = _sum(charge, high[:, None], grad.isyn)
        charge = jnp.where(jnp.abs(charged) < chip.max_state, (1 - p.part_syn) * isyn, 0)
        return (charge, (1 - p.part_mem) * high), _Back(charge, high, States(isyn, vmem, spikes))

    if grad.spikes is None:
        grad = grad._replace(spikes=jnp.zeros_like(slopes.spikes))
    rest = jnp.zeros(charged.shape[1:], charged.dtype), jnp.zeros(slopes.spikes.shape[1:])
    (charge, vmem), back = scan(step, rest, (grad, charged, slopes), reverse=True)
    spikes = jnp.zeros_like(vmem) if p.loop is None else _to_sources(charge, p.loop)
    return back, States(charge, vmem, spikes)


def later(x: FloatArray, first: FloatArray) -> FloatArray:
    """The value before each step, time first, given the one before the first."""
    return jnp.concatenate([first[None], x])[:-1]


def _over_steps(counts: FloatArray, charge: FloatArray) -> FloatArray:
    """The gradient of weights: the product of both, summed over all steps and the batch."""
    return jnp.tensordot(counts, charge, ((0, 1), (0, 1)), precision=lax.Precision.HIGHEST)


def _to_sources(charge: FloatArray, weights: FloatArray) -> FloatArray:
    """The gradient of the spikes of the sources: the product, summed over synapses and neurons."""
    n = charge.ndim
    axes = ((n - 2, n - 1), (1, 2))
    return jnp.tensordot(charge, weights, axes, precision=lax.Precision.HIGHEST)


def _or_0(handed: FloatArray | None) -> FloatArray | int:
    return 0 if handed is None else handed


def _sum(*terms: FloatArray | None) -> FloatArray:
    first, *rest = (term for term in terms if term is not None)
    return sum(rest, first)
