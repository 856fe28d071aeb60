"""One step of a Xylo chip's digital core, for every neuron at once.

Aliases are neurons that repeat the spikes of others. The chip visits the neurons in ascending
order. Each starts with the spikes that it was handed so far in this step, adds its own, and hands
the sum to its alias, which holds 31 at most. So spikes run along a chain of aliases within a step
as long as it ascends. A neuron that was visited before emits what it is handed too, but hands it on
to nobody.

All of this is sums of numbers of at least 0, cut at 31. For such, min(31, min(31, a) + b) =
min(31, a + b), so one cut at the end will do, and what a neuron is handed is a matrix product.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from ..._typing import FloatArray
from .._family import is_known
from ._arithmetic import add_in_order, charge_membrane, dot, fire, loss_of, share
from ._chips import Chip
from ._spec import Spec


class Block(NamedTuple):
    """Some neurons, and the sources outside of which none has a weight that is not 0.

    Attributes:
        sources: the first source, and the one after the last.
        neurons: the same of the neurons.
    """

    sources: tuple[int, int]
    neurons: tuple[int, int]


class Neurons(eqx.Module):
    """Every neuron of a network, laid out for the kernel: hidden neurons, then output neurons.

    An output neuron is a neuron that feeds nobody, has one synapse and emits at most one spike.
    With all of them in one population a step is one for all but the product of matrices, which is
    made block by block: most layers have few of the others as sources.

    The sources are the input channels and then the hidden neurons, in the order in which the chip
    adds them up. Synapses come before neurons, so that neurons are contiguous in memory. All
    numbers are whole but the parts, which are powers of 2.

    Attributes:
        weight: what an event of a source adds to a synaptic current.
        part_syn: the part of synaptic currents that decays in a step.
        part_mem: the part of membrane potentials that decays in a step.
        threshold: firing thresholds.
        bias: added to the membrane potentials; None for no biases.
        max_spikes: most spikes in one step.
        relays: what `relay` gives; None without aliases.
        blocks: all neurons, in order.
        chip: the chip.
    """

    weight: Float[Array, "sources synapses neurons"]
    part_syn: Float[Array, "synapses neurons"]
    part_mem: Float[Array, " neurons"]
    threshold: Float[Array, " neurons"]
    bias: Float[Array, " neurons"] | None
    max_spikes: Float[Array, " neurons"]
    relays: Float[Array, "neurons 2*neurons"] | None
    blocks: tuple[Block, ...] = eqx.field(static=True)
    chip: Chip = eqx.field(static=True)


class State(NamedTuple):
    """Synaptic currents, membrane potentials, and the spikes of the last step."""

    isyn: Float[Array, "batch synapses neurons"]
    vmem: Float[Array, "batch neurons"]
    spikes: Float[Array, "batch neurons"]


def blocks(spec: Spec) -> tuple[Block, ...]:
    """The layers with the whole layers that feed them; one block where weights are not known."""
    n_hidden, n = spec.n_hidden, spec.n_hidden + spec.n_outputs
    ends = np.array([0, *(spec.n_inputs + np.array([0, *(own.stop for _, own in spec.parts)]))])
    weights = spec.w_in, spec.w_rec, spec.w_out
    if not is_known(weights):
        return (Block((0, int(ends[-1])), (0, n)),)
    w_in, w_rec, w_out = (np.asarray(weight) for weight in weights)
    hidden = np.concatenate([w_in, w_rec]).any(axis=2)
    out = np.pad(w_out != 0, ((spec.n_inputs, 0), (0, 0)))
    used = np.concatenate([hidden, out], axis=1)
    found = []
    for own in [*(own for _, own in spec.parts), slice(n_hidden, n)]:
        feeding = np.flatnonzero(used[:, own].any(axis=1))
        first, last = (feeding[0], feeding[-1]) if feeding.size else (0, 0)
        start = ends[np.searchsorted(ends, first, "right") - 1]
        stop = ends[np.searchsorted(ends, last, "right")]
        found.append(Block((int(start), int(stop)), (own.start, own.stop)))
    return tuple(found)


def neurons(spec: Spec, blocks: tuple[Block, ...]) -> Neurons:
    """Lay a quantised spec out."""
    caps = spec.chip.max_spikes_hidden, spec.chip.max_spikes_out
    aliases = spec.aliases
    if aliases is not None:
        aliases = jnp.pad(aliases, (0, spec.n_outputs), constant_values=-1)
    # The synapses that output neurons lack have weights of 0, so that their decay does not matter.
    dash_syn_out = jnp.broadcast_to(spec.dash_syn_out, (spec.n_synapses, spec.n_outputs))
    dash_syn = jnp.concatenate([spec.dash_syn.T, dash_syn_out], axis=1)
    dash_mem = jnp.concatenate([spec.dash_mem, spec.dash_mem_out])
    threshold = jnp.concatenate([spec.threshold, spec.threshold_out])
    return Neurons(
        weight=_weight(spec).astype(jnp.float32),
        part_syn=share(dash_syn.astype(jnp.float32)),
        part_mem=share(dash_mem.astype(jnp.float32)),
        threshold=threshold.astype(jnp.float32),
        bias=_bias(spec),
        max_spikes=jnp.asarray(np.repeat(caps, (spec.n_hidden, spec.n_outputs)), jnp.float32),
        relays=None if aliases is None else relay(aliases),
        blocks=blocks,
        chip=spec.chip,
    )


def _weight(spec: Spec) -> Int[Array, "sources synapses neurons"]:
    def shifted(weight: Int[Array, "..."], bits: int) -> Int[Array, "..."]:
        # The chip keeps the lowest bits, as many as a state has.
        spare = 32 - spec.chip.state_bits
        return ((weight << bits) << spare) >> spare

    hidden = jnp.concatenate(
        [shifted(spec.w_in, spec.weight_shift_in), shifted(spec.w_rec, spec.weight_shift_rec)]
    )
    out = shifted(spec.w_out, spec.weight_shift_out)[:, None]
    out = jnp.pad(out, ((spec.n_inputs, 0), (0, spec.n_synapses - 1), (0, 0)))
    return jnp.concatenate([jnp.swapaxes(hidden, 1, 2), out], axis=2)


def _bias(spec: Spec) -> FloatArray | None:
    if spec.bias is None and spec.bias_out is None:
        return None
    hidden = jnp.zeros_like(spec.threshold) if spec.bias is None else spec.bias
    out = jnp.zeros_like(spec.threshold_out) if spec.bias_out is None else spec.bias_out
    return jnp.concatenate([hidden, out]).astype(jnp.float32)


def step(p: Neurons, state: State, events: Float[Array, "batch inputs"]) -> State:
    """One time step of every neuron; `events` are within what an input channel carries."""
    n_hidden = p.weight.shape[0] - events.shape[1]
    counts = jnp.concatenate([events, state.spikes[:, :n_hidden]], axis=1)
    isyn = add_in_order(state.isyn, _charge(p, counts), counts, p.weight, p.chip)
    isyn = isyn - loss_of(isyn, p.part_syn)
    vmem, _ = charge_membrane(state.vmem, p.part_mem, isyn.sum(axis=1), p.bias, p.chip)
    spikes, own = _fire(p, vmem)
    return State(isyn, vmem - own * p.threshold, spikes)


def _charge(
    p: Neurons, counts: Float[Array, "batch sources"]
) -> Float[Array, "batch synapses neurons"]:
    parts = [
        dot(counts[:, slice(*sources)], p.weight[slice(*sources), :, slice(*own)])
        for sources, own in p.blocks
    ]
    return jnp.concatenate(parts, axis=2)


def _fire(p: Neurons, vmem: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The spikes that neurons emit, their aliases' included, and those that are their own.

    A neuron starts with what it was handed and fires while vmem >= threshold and it has emitted
    less than it can; each spike of its own takes the threshold off.
    """
    own = fire(vmem, p.threshold, p.max_spikes)
    if p.relays is None:
        return own, own
    before, after = jnp.split(dot(own, p.relays), 2, axis=1)
    before = jnp.minimum(before, p.max_spikes)
    own = jnp.minimum(own, p.max_spikes - before)
    return jnp.minimum(before + own + after, p.max_spikes), own


def relay(aliases: Int[Array, " neurons"]) -> Float[Array, "neurons 2*neurons"]:
    """How often a spike of each neuron (row) is handed to each neuron (column).

    The first half of the columns is what a neuron is handed before it is visited, the second half
    what it is handed from then on.

    Args:
        aliases: for each neuron the one that repeats its spikes, -1 for none.
    """
    n = len(aliases)
    source = jnp.arange(n, dtype=jnp.int32)
    # The index n stands for nobody: reading there gives n, writing there does nothing.
    later = jnp.where(aliases > source, aliases, n)
    earlier = jnp.where((aliases >= 0) & (aliases <= source), aliases, n)

    def pass_on(carry):  # type: ignore[no-untyped-def]
        holder, before, after = carry
        visited = earlier.at[holder].get(mode="fill", fill_value=n)
        after = after.at[source, visited].add(1, mode="drop")
        holder = later.at[holder].get(mode="fill", fill_value=n)
        before = before.at[source, holder].add(1, mode="drop")
        return holder, before, after

    nothing = jnp.zeros((n, n), jnp.float32)
    _, before, after = lax.while_loop(
        lambda carry: jnp.any(carry[0] < n), pass_on, (source, nothing, nothing)
    )
    return jnp.concatenate([before, after], axis=1)
