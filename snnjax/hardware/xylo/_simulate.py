"""Runs a quantised network bit for bit as the chip does."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from ..._checks import explained
from ..._mesh import scan
from .._describe import describe_trace
from .._inputs import (
    Register,
    as_counts,
    batch_of,
    in_batch,
    marked,
    require_state,
    saturating_sum,
)
from . import _kernel
from ._check import require_integers
from ._chips import Chip
from ._spec import Spec
from ._vmap import vmap_as_batch


class SimState(NamedTuple):
    """The state of a chip between two steps; give it back to continue a sequence.

    Attributes:
        isyn: synaptic currents of the hidden neurons.
        vmem: membrane potentials of the hidden neurons.
        spikes: spikes of the hidden neurons in the last step, on their way to their targets.
        isyn_out: synaptic currents of the output neurons.
        vmem_out: membrane potentials of the output neurons.
    """

    isyn: Int[Array, "*batch hidden synapses"]
    vmem: Int[Array, "*batch hidden"]
    spikes: Int[Array, "*batch hidden"]
    isyn_out: Int[Array, "*batch outputs"]
    vmem_out: Int[Array, "*batch outputs"]


class Trace(NamedTuple):
    """Every spike and every state over time, in int32, and the state at the end.

    Synaptic currents are after their decay, membrane potentials after the spikes.

    Attributes:
        spikes_out: spikes of the output neurons.
        vmem_out: membrane potentials of the output neurons.
        isyn_out: synaptic currents of the output neurons; None unless recorded.
        spikes: spikes of the hidden neurons; None unless recorded.
        vmem: membrane potentials of the hidden neurons; None unless recorded.
        isyn: synaptic currents of the hidden neurons; None unless recorded.
        cut_events: number of events beyond what an input channel takes in a step, which the chip
            ignores.
        state: the state at the end.
    """

    spikes_out: Int[Array, "*batch time outputs"]
    vmem_out: Int[Array, "*batch time outputs"]
    isyn_out: Int[Array, "*batch time outputs"] | None
    spikes: Int[Array, "*batch time hidden"] | None
    vmem: Int[Array, "*batch time hidden"] | None
    isyn: Int[Array, "*batch time hidden synapses"] | None
    cut_events: Int[Array, "*batch"]
    state: SimState

    def __repr__(self) -> str:
        return describe_trace(self)


@explained
def simulate(
    spec: Spec,
    raster: ArrayLike,
    *,
    state: SimState | None = None,
    record: bool = True,
    checked: bool = True,
) -> Trace:
    """Run a network on a raster of events.

    Per step, with sat(x) the nearest integer of 16 bits, wrap(x) the lowest 16 bits of x, and
    dec(x, d) = x >> d, or sign(x) if that is 0:

    1. For each source, input channels of this step first and then hidden neurons with their spikes
       of the last step: isyn = sat(isyn + count*wrap(weight << weight_shift)). Output neurons have
       the hidden neurons as sources.
    2. isyn -= dec(isyn, dash_syn).
    3. Core 2: change = sat(wrap(-dec(vmem, dash_mem)) + sum of isyn), change = sat(change + bias),
       vmem = sat(vmem + change). Core 1: vmem = sat(vmem - dec(vmem, dash_mem) + sum of isyn).
    4. In ascending order, each neuron begins with the spikes that its aliases' sources handed it in
       this step; while vmem >= threshold and there are less than 31 (output neurons: 1), it adds a
       spike and vmem -= threshold. Then it hands the number to its alias, up to 31.

    So each hop from hidden neurons takes a step, and the one from inputs none. An alias with a
    lower index than its source emits what it is handed in the same step, but hands it to nobody.

    Sizes are not held against the chip's limits, see `check`; values are.
    `jax.vmap` over rasters is as fast as a batch of them; over networks it is several times slower.

    Args:
        spec: a quantised network.
        raster: events, `(time, inputs)` or `(batch, time, inputs)`, of integer or boolean type, or
            floats with whole values outside of `jax.jit`. More than 15 in a step and channel count
            as 15, as on the chip; `cut_events` of the trace counts the others.
        state: the state to start from, of an earlier call; rest if None.
        record: keep the spikes and states of all hidden neurons over time.
        checked: look at the values of `raster`. Otherwise numbers below 0 count as 0, and a program
            can be exported.

    Returns:
        Spikes and states over time. On a mesh, within a program that is given negative events, all
        numbers of these recordings are -2^31.

    Raises:
        ValueError: if `spec` is not quantised or has values that the chip cannot hold, if `raster`
            has the wrong shape, or events that are negative, fractional or not numbers, or if
            `state` does not fit, or holds values that the chip cannot. Under jit negative events
            raise when the program runs.
    """
    require_integers(spec)
    shape = (spec.n_inputs,)
    events = as_counts(raster, shape, checked=checked)
    if state is not None:
        held = registers(spec.n_hidden, spec.n_synapses, spec.n_outputs, spec.chip)
        require_state(state, held, batch_of(events, shape))
    return marked(_run(spec, _kernel.blocks(spec), events, state, record), events, shape)


def registers(n_hidden: int, n_synapses: int, n_outputs: int, chip: Chip) -> Any:
    """A SimState with the shape and the range of each of its arrays."""
    low, high = -1 - chip.max_state, chip.max_state
    held: dict[str, Any] = {
        "isyn": Register((n_hidden, n_synapses), low, high),
        "vmem": Register((n_hidden,), low, high),
        "spikes": Register((n_hidden,), 0, chip.max_spikes_hidden),
        "isyn_out": Register((n_outputs,), low, high),
        "vmem_out": Register((n_outputs,), low, high),
    }
    return SimState(**held)


@eqx.filter_jit
def _run(
    spec: Spec,
    blocks: tuple[_kernel.Block, ...],
    events: Int[Array, "*batch time inputs"],
    state: SimState | None,
    record: bool,
) -> Trace:
    events = jnp.maximum(events, 0)  # see `marked`
    cut = jnp.maximum(events - spec.chip.max_spikes_in, 0)

    def in_one(spec: Spec, counts: Array, before: tuple[Array, SimState | None]) -> Trace:
        cut_events, state = before
        arrays, rest = eqx.partition(spec, eqx.is_array)

        def run(arrays, batched):  # type: ignore[no-untyped-def]
            return _scan(eqx.combine(arrays, rest), blocks, *batched)

        over_time = vmap_as_batch(run)(arrays, (counts, state))
        return Trace(cut_events=cut_events, **over_time)

    before = saturating_sum(cut, (-2, -1)), state
    trace = in_batch(in_one, spec, events - cut, before, (spec.n_inputs,))
    if record:
        return trace
    return trace._replace(isyn_out=None, spikes=None, vmem=None, isyn=None)


def _scan(
    spec: Spec,
    blocks: tuple[_kernel.Block, ...],
    events: Int[Array, "batch time inputs"],
    state: SimState | None,
) -> dict[str, Any]:
    """The fields of a Trace that a batch has, for events that the input channels take."""
    neurons = _kernel.neurons(spec, blocks)

    def step(state, events):  # type: ignore[no-untyped-def]
        state = _kernel.step(neurons, state, events)
        return state, _unpack(spec, state)  # apart, so that what nobody reads is not kept

    start = _pack(spec, state, events.shape[0])
    counts = jnp.swapaxes(events, 0, 1).astype(jnp.float32)
    end, states = scan(step, start, counts)
    over_time = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), states)
    last = _unpack(spec, end)
    return over_time | {"state": SimState(**{name: last[name] for name in SimState._fields})}


def _pack(spec: Spec, state: SimState | None, batch: int) -> _kernel.State:
    """Hidden and output neurons together, as the kernel has them."""
    n, synapses, out = spec.n_hidden, spec.n_synapses, spec.n_outputs
    if state is None:
        none = jnp.zeros((batch, n + out))
        return _kernel.State(jnp.zeros((batch, synapses, n + out)), none, none)
    isyn_out = jnp.pad(state.isyn_out[:, None], ((0, 0), (0, synapses - 1), (0, 0)))
    isyn = jnp.concatenate([jnp.swapaxes(state.isyn, 1, 2), isyn_out], axis=2)
    vmem = jnp.concatenate([state.vmem, state.vmem_out], axis=1)
    packed = _kernel.State(isyn, vmem, jnp.pad(state.spikes, ((0, 0), (0, out))))
    return jax.tree.map(lambda x: x.astype(jnp.float32), packed)


def _unpack(spec: Spec, state: _kernel.State) -> dict[str, Array]:
    """Hidden and output neurons apart, by the names of SimState and Trace."""
    n = spec.n_hidden
    state = jax.tree.map(lambda x: x.astype(jnp.int32), state)
    return {
        "spikes_out": state.spikes[..., n:],
        "vmem_out": state.vmem[..., n:],
        "isyn_out": state.isyn[..., 0, n:],
        "spikes": state.spikes[..., :n],
        "vmem": state.vmem[..., :n],
        "isyn": jnp.swapaxes(state.isyn[..., :n], -1, -2),
    }
