"""Runs a quantised network bit for bit as the chip does."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from . import _kernel
from ._batch import vmap_as_batch
from ._raster import as_events
from .check import require_integers
from .spec import Spec


class SimState(NamedTuple):
    """What a chip carries from one step to the next; give it back to continue a sequence.

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
    """

    spikes_out: Int[Array, "*batch time outputs"]
    vmem_out: Int[Array, "*batch time outputs"]
    isyn_out: Int[Array, "*batch time outputs"]
    spikes: Int[Array, "*batch time hidden"]
    vmem: Int[Array, "*batch time hidden"]
    isyn: Int[Array, "*batch time hidden synapses"]
    state: SimState


def simulate(spec: Spec, raster: ArrayLike, state: SimState | None = None) -> Trace:
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

    Sizes are not held against the chip's limits, which is what `check` is for; values are.
    `jax.vmap` over rasters is as fast as a batch of them; over networks it is several times slower.

    Args:
        spec: a quantised network.
        raster: events, `(time, inputs)` or `(batch, time, inputs)`, of integer or boolean type, or
            floats with whole values outside of `jax.jit`. More than 15 in a step and channel count
            as 15, as on the chip.
        state: where to continue, as an earlier call returned it; rest if None.

    Returns:
        Spikes and states over time.

    Raises:
        ValueError: if `spec` is not quantised or has values that the chip cannot hold, if `raster`
            has the wrong shape, or events that are negative, fractional or not numbers, or if
            `state` does not fit. Under jit negative events raise when the program runs.
    """
    require_integers(spec)
    events = as_events(raster, spec)
    if state is not None:
        _require_state(state, spec, events.shape[:-2])
    return _run(spec, events, state)


def _require_state(state: SimState, spec: Spec, batch: tuple[int, ...]) -> None:
    if not isinstance(state, SimState):
        raise ValueError(f"`state` must be a SimState from an earlier call; got {type(state)}")
    n, out = spec.n_hidden, spec.n_outputs
    shapes = ((n, spec.n_synapses), (n,), (n,), (out,), (out,))
    for name, array, shape in zip(SimState._fields, state, shapes, strict=True):
        wanted = (*batch, *shape)
        if jnp.shape(array) != wanted or not jnp.issubdtype(jnp.result_type(array), jnp.integer):
            raise ValueError(
                f"`state.{name}` must be integers of the shape {wanted}, for this `spec` and "
                f"`raster`; got {jnp.result_type(array)} of the shape {jnp.shape(array)}"
            )


@eqx.filter_jit
def _run(spec: Spec, events: Int[Array, "*batch time inputs"], state: SimState | None) -> Trace:
    if events.ndim == 2:
        trace = _run(spec, events[None], jax.tree.map(lambda x: x[None], state))
        return jax.tree.map(lambda x: x[0], trace)
    arrays, rest = eqx.partition(spec, eqx.is_array)

    def run(arrays, batched):  # type: ignore[no-untyped-def]
        return _scan(eqx.combine(arrays, rest), *batched)

    return vmap_as_batch(run)(arrays, (events, state))


def _scan(spec: Spec, events: Int[Array, "batch time inputs"], state: SimState | None) -> Trace:
    neurons = _kernel.population(spec)

    def step(state, events):  # type: ignore[no-untyped-def]
        state = _kernel.step(neurons, state, events)
        return state, state

    start = _pack(spec, state, len(events))
    counts = jnp.swapaxes(events, 0, 1).astype(jnp.float32)
    end, states = lax.scan(step, start, counts)
    over_time = _unpack(spec, jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), states))
    last = _unpack(spec, end)
    return Trace(**over_time, state=SimState(**{name: last[name] for name in SimState._fields}))


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
