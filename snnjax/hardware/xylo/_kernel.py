"""One step of a Xylo chip's digital core, in integers."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ._relay import relay
from .spec import Chip, Spec


class Population(eqx.Module):
    """Every neuron of a network, laid out for the kernel: hidden neurons, then output neurons.

    An output neuron is a neuron that feeds nobody, has one synapse and emits at most one spike.
    With all of them in one population a step needs one product of matrices.

    The sources are the input channels and then the hidden neurons, in the order in which the chip
    adds them up. Synapses come before neurons, so that neurons are contiguous in memory.

    Attributes:
        weight: what an event of a source adds to a synaptic current. Whole numbers held as float32,
            since products of integer matrices are slow on CPUs.
        largest: the largest magnitude of each source's weights.
        dash_syn: bit shifts of the synaptic currents' decay.
        dash_mem: bit shifts of the membrane potentials' decay.
        threshold: firing thresholds.
        bias: added to the membrane potentials; None for no biases.
        max_spikes: most spikes in one step.
        relays: what `relay` gives; None without aliases.
        chip: the chip.
    """

    weight: Float[Array, "sources synapses neurons"]
    largest: Float[Array, " sources"]
    dash_syn: Int[Array, "synapses neurons"]
    dash_mem: Int[Array, " neurons"]
    threshold: Int[Array, " neurons"]
    bias: Int[Array, " neurons"] | None
    max_spikes: Int[Array, " neurons"]
    relays: Float[Array, "neurons 2*neurons"] | None
    chip: Chip = eqx.field(static=True)


class State(NamedTuple):
    """Synaptic currents, membrane potentials, and the spikes of the last step."""

    isyn: Int[Array, "batch synapses neurons"]
    vmem: Int[Array, "batch neurons"]
    spikes: Int[Array, "batch neurons"]


def population(spec: Spec) -> Population:
    """Lay a quantised spec out."""
    caps = spec.chip.max_spikes_hidden, spec.chip.max_spikes_out
    aliases = spec.aliases
    if aliases is not None:
        aliases = jnp.pad(aliases, (0, spec.n_outputs), constant_values=-1)
    # The synapses that output neurons lack have weights of 0, so that their decay does not matter.
    dash_syn_out = jnp.broadcast_to(spec.dash_syn_out, (spec.n_synapses, spec.n_outputs))
    weight = _weight(spec)
    return Population(
        weight=weight,
        largest=jnp.max(jnp.abs(weight), axis=(1, 2), initial=0),
        dash_syn=jnp.concatenate([spec.dash_syn.T, dash_syn_out], axis=1),
        dash_mem=jnp.concatenate([spec.dash_mem, spec.dash_mem_out]),
        threshold=jnp.concatenate([spec.threshold, spec.threshold_out]),
        bias=_bias(spec),
        max_spikes=jnp.asarray(np.repeat(caps, (spec.n_hidden, spec.n_outputs)), jnp.int32),
        relays=None if aliases is None else relay(aliases),
        chip=spec.chip,
    )


def _weight(spec: Spec) -> Float[Array, "sources synapses neurons"]:
    def shifted(weight: Int[Array, "..."], bits: int) -> Int[Array, "..."]:
        return _wrap(weight << bits, spec.chip)

    hidden = jnp.concatenate(
        [shifted(spec.w_in, spec.weight_shift_in), shifted(spec.w_rec, spec.weight_shift_rec)]
    )
    out = shifted(spec.w_out, spec.weight_shift_out)[:, None]
    out = jnp.pad(out, ((spec.n_inputs, 0), (0, spec.n_synapses - 1), (0, 0)))
    return jnp.concatenate([jnp.swapaxes(hidden, 1, 2), out], axis=2).astype(jnp.float32)


def _bias(spec: Spec) -> Int[Array, " neurons"] | None:
    if spec.bias is None and spec.bias_out is None:
        return None
    hidden = jnp.zeros_like(spec.threshold) if spec.bias is None else spec.bias
    out = jnp.zeros_like(spec.threshold_out) if spec.bias_out is None else spec.bias_out
    return jnp.concatenate([hidden, out])


def _saturate(x: Array, chip: Chip) -> Array:
    """The nearest value that a state can hold."""
    return jnp.clip(x, -1 - chip.max_state, chip.max_state)


def _wrap(x: Int[Array, "..."], chip: Chip) -> Int[Array, "..."]:
    """The lowest bits of `x`, as many as a state has."""
    spare = 32 - chip.state_bits
    return (x << spare) >> spare


def step(p: Population, state: State, events: Int[Array, "batch inputs"]) -> State:
    """One time step of every neuron; `events` are within what an input channel carries."""
    n_hidden = p.weight.shape[0] - events.shape[1]
    counts = jnp.concatenate([events, state.spikes[:, :n_hidden]], axis=1).astype(jnp.float32)
    isyn = _integrate(p, state.isyn, counts)
    isyn = isyn - _decay(isyn, p.dash_syn)
    vmem = _leak_and_charge(p, state.vmem, isyn)
    spikes, vmem = _fire(p, vmem)
    return State(isyn, vmem, spikes)


def within_range(
    p: Population,
    isyn: Int[Array, "batch synapses neurons"],
    counts: Float[Array, "batch sources"],
) -> Bool[Array, ""]:
    """Whether no synaptic current can saturate while the sources are added up, in any order.

    |isyn| plus the sum of |count*weight| bounds every partial sum. Each source's largest weight
    stands for all of its weights, which makes the bound a product with a vector. Where the bound is
    too large for float32 to hold it exactly it is far out of range in any case.
    """
    present = jnp.max(jnp.abs(isyn), axis=(1, 2), initial=0).astype(jnp.float32)
    added = jnp.dot(counts, p.largest, precision=lax.Precision.HIGHEST)
    return jnp.all(present + added <= p.chip.max_state)


def _integrate(
    p: Population,
    isyn: Int[Array, "batch synapses neurons"],
    counts: Float[Array, "batch sources"],
) -> Int[Array, "batch synapses neurons"]:
    """Add up what the sources send, saturating after each: isyn = sat(isyn + count*weight).

    A product of matrices where nothing can saturate; float32 is exact there, and accelerators must
    not take less. Elsewhere the sources are added one by one, for all targets of the whole batch.

    Saturating additions could be composed in a tree as well. With 272 sources, 266 targets and a
    batch of 64, on 2 CPU cores, trees over blocks of sources take 6 to 15 ms, the loop 0.3 ms and
    the product of matrices 0.1 ms.
    """

    def add_all(start, counts):  # type: ignore[no-untyped-def]
        return start + jnp.tensordot(counts, p.weight, 1, precision=lax.Precision.HIGHEST)

    def add_in_order(start, counts):  # type: ignore[no-untyped-def]
        def add(total, source):  # type: ignore[no-untyped-def]
            count, weight = source
            return _saturate(total + count[:, None, None] * weight, p.chip), None

        return lax.scan(add, start, (counts.T, p.weight))[0]

    start = isyn.astype(jnp.float32)
    total = lax.cond(within_range(p, isyn, counts), add_all, add_in_order, start, counts)
    return total.astype(jnp.int32)


def _decay(x: Int[Array, "..."], dash: Int[Array, "..."]) -> Int[Array, "..."]:
    """What a state loses in a step: x >> dash rounded down, but at least 1 towards zero."""
    lost = x >> dash
    return jnp.where(lost == 0, jnp.sign(x), lost)


def _leak_and_charge(
    p: Population,
    vmem: Int[Array, "batch neurons"],
    isyn: Int[Array, "batch synapses neurons"],
) -> Int[Array, "batch neurons"]:
    lost, charge = _decay(vmem, p.dash_mem), jnp.sum(isyn, axis=1, dtype=jnp.int32)
    if p.chip.core == 1:
        return _saturate(vmem - lost + charge, p.chip)
    # Core 2 sums the change up first; a loss of the whole of the lowest value has no opposite.
    change = _saturate(_wrap(-lost, p.chip) + charge, p.chip)
    if p.bias is not None:
        change = _saturate(change + p.bias, p.chip)
    return _saturate(vmem + change, p.chip)


def _fire(
    p: Population, vmem: Int[Array, "batch neurons"]
) -> tuple[Int[Array, "batch neurons"], Int[Array, "batch neurons"]]:
    """The spikes that neurons emit, their aliases' included, and the potentials after them.

    A neuron starts with what it was handed and fires while vmem >= threshold and it has emitted
    less than it can; each spike of its own takes the threshold off.
    """
    # Half a unit more keeps the quotient clear of the whole numbers, so no rounding can change it.
    quotient = jnp.floor((vmem.astype(jnp.float32) + 0.5) / p.threshold.astype(jnp.float32))
    own = jnp.where(vmem >= p.threshold, quotient, 0)
    own = jnp.minimum(own, p.max_spikes.astype(jnp.float32))
    if p.relays is None:
        spikes = own = own.astype(jnp.int32)
    else:
        handed = jnp.dot(own, p.relays, precision=lax.Precision.HIGHEST).astype(jnp.int32)
        before, after = jnp.split(handed, 2, axis=1)
        before, own = jnp.minimum(before, p.max_spikes), own.astype(jnp.int32)
        own = jnp.minimum(own, p.max_spikes - before)
        spikes = jnp.minimum(before + own + after, p.max_spikes)
    return spikes, vmem - own * p.threshold
