"""Runs a quantised network in synchronous steps, in the integers of the chip."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from . import _kernel
from ._chips import bounds
from ._pool import sum_pool
from ._raster import as_counts
from .check import require_integers
from .spec import Spec


class SimState(NamedTuple):
    """What the chip carries from one step to the next; give it back to continue a sequence.

    Attributes:
        vmem: membrane potentials of each layer.
    """

    vmem: tuple[Int[Array, "*batch out y x"], ...]


class Trace(NamedTuple):
    """What a network did, in int32. Tuples have an entry for each layer.

    Attributes:
        spikes_out: spikes of the last layer.
        spikes: spikes of each layer, before any pooling; None unless recorded.
        vmem: membrane potentials after reset and lower bound; None unless recorded.
        counts: how often each neuron fired, over all steps.
        arrived: how many events came to each place of a layer's input map, over all channels and
            steps.
        saturated: how often a membrane potential was cut to 16 bits.
        state: the state at the end.
    """

    spikes_out: Int[Array, "*batch time out y x"]
    spikes: tuple[Int[Array, "*batch time out y x"], ...] | None
    vmem: tuple[Int[Array, "*batch time out y x"], ...] | None
    counts: tuple[Int[Array, "*batch out y x"], ...]
    arrived: tuple[Int[Array, "*batch height width"], ...]
    saturated: tuple[Int[Array, "*batch"], ...]
    state: SimState


def simulate(
    spec: Spec, raster: ArrayLike, state: SimState | None = None, *, record: bool = True
) -> Trace:
    """Run a network on a raster of events, in synchronous steps.

    Layer after layer, so that a spike reaches the last layer within the step. In each layer, with
    sat(x) the nearest integer of 16 bits:

    1. drive = convolution of the numbers of events with the weights; several sources, and the
       windows of a pool, are added up.
    2. vmem = sat(vmem + drive + bias), once per step.
    3. spikes = floor(vmem/threshold), at most `max_spikes`, where vmem >= threshold, else 0.
    4. vmem -= spikes*threshold, or vmem = 0 where there are spikes, as `reset` says.
    5. vmem = max(vmem, min_vmem).

    The chip has no steps: see `simulate_events` for what it does, `fidelity` for the difference.
    Drives are exact sums, cut at +-2^30, far beyond where vmem saturates. Without saturation the
    spikes are those of sinabs' discretised network. Sizes are not held against the chip's limits,
    which is what `check` is for; values are.

    Args:
        spec: a quantised network.
        raster: numbers of events, `(time, channels, height, width)` or `(batch, time, ...)`, of
            integer or boolean type, or floats with whole values outside of `jax.jit`. With a sensor
            layer they are those of the pixels, with two polarities.
        state: where to continue, as an earlier call returned it; what `spec` starts with if None.
        record: keep every layer's spikes and membrane potentials over time.

    Returns:
        Spikes, states and counts.

    Raises:
        ValueError: if `spec` is not quantised or has values that the chip cannot hold, if `raster`
            has the wrong shape, or events that are negative, fractional or not numbers, or if
            `state` does not fit.
    """
    require_integers(spec)
    events = as_counts(raster, spec)
    batched = events.ndim == 5
    if state is not None:
        require_state(state, spec, events.shape[:-4])
    if batched:
        return _run(spec, events, state, record)
    one = None if state is None else jax.tree.map(lambda x: x[None], state)
    return jax.tree.map(lambda x: x[0], _run(spec, events[None], one, record))


@eqx.filter_jit
def _run(
    spec: Spec,
    raster: Int[Array, "batch time channels height width"],
    state: SimState | None,
    record: bool,
) -> Trace:
    fed = jnp.swapaxes(raster, 0, 1)
    fed = fed if spec.sensor is None else spec.sensor(fed)
    spikes: list[Array] = []
    vmem, arrived, saturated, after = [], [], [], []
    for i, core in enumerate(spec.layers):
        counts = _gather(spec, i, fed, spikes)
        before = _kernel.rest(core, counts.shape[1:2]) if state is None else state.vmem[i]
        end, steps = _evolve(spec, i, counts, before, record)
        spikes.append(steps.spikes)
        vmem.append(steps.vmem)
        arrived.append(jnp.sum(counts, axis=(0, 2), dtype=jnp.int32))
        saturated.append(jnp.sum(steps.saturated, axis=0, dtype=jnp.int32))
        after.append(end)

    def batch_first(arrays: Sequence[Array | None]) -> tuple[Array, ...]:
        return tuple(jnp.swapaxes(x, 0, 1) for x in arrays if x is not None)

    return Trace(
        spikes_out=jnp.swapaxes(spikes[-1], 0, 1),
        spikes=batch_first(spikes) if record else None,
        vmem=batch_first(vmem) if record else None,
        counts=tuple(jnp.sum(x, axis=0, dtype=jnp.int32) for x in spikes),
        arrived=tuple(arrived),
        saturated=tuple(saturated),
        state=SimState(tuple(after)),
    )


def _gather(spec: Spec, layer: int, fed: Array, spikes: Sequence[Array]) -> Array:
    """What arrives at a layer: the pooled spikes of all that feed it."""
    arriving = [
        fed if source is None else sum_pool(spikes[source], (pool, pool))
        for source, pool in spec.sources(layer)
    ]
    return sum(arriving[1:], start=arriving[0])


class _Steps(NamedTuple):
    spikes: Int[Array, "time batch out y x"]
    vmem: Int[Array, "time batch out y x"] | None
    saturated: Int[Array, "time batch"]


def _evolve(
    spec: Spec,
    layer: int,
    counts: Int[Array, "time batch in height width"],
    vmem: Array,
    record: bool,
) -> tuple[Array, _Steps]:
    """A layer over all steps: one convolution, then its neurons step by step."""
    core, chip = spec.layers[layer], spec.chip
    time, batch = counts.shape[:2]
    drive = _kernel.convolve(
        core, counts.reshape(time * batch, *counts.shape[2:]), chip.weight_bits
    )

    def step(before, drive):  # type: ignore[no-untyped-def]
        after = _kernel.fire(core, before, drive, chip.state_bits)
        lost = jnp.sum(after.saturated, axis=(-3, -2, -1), dtype=jnp.int32)
        return after.vmem, _Steps(after.spikes, after.vmem if record else None, lost)

    return lax.scan(step, vmem, drive.reshape(time, batch, *drive.shape[1:]))


def require_state(state: SimState, spec: Spec, batch: tuple[int, ...] = ()) -> None:
    """Raise ValueError unless `state` is one of `spec`, with membrane potentials of its chip."""
    n = len(spec.layers)
    if not isinstance(state, SimState) or len(state.vmem) != n:
        kind = type(state).__name__
        found = f"{kind} for {len(state.vmem)}" if isinstance(state, SimState) else kind
        raise ValueError(
            f"`state` must be a SimState from an earlier call, for {n} layers; got a {found}"
        )
    low, high = bounds(spec.chip.state_bits)
    for i, (vmem, core) in enumerate(zip(state.vmem, spec.layers, strict=True)):
        wanted = (*batch, *core.output_shape)
        dtype, shape = getattr(vmem, "dtype", None), getattr(vmem, "shape", ())
        if dtype is None or not jnp.issubdtype(dtype, jnp.integer) or shape != wanted:
            found = f"{type(vmem).__name__}" if dtype is None else f"{dtype} of the shape {shape}"
            raise ValueError(
                f"`state.vmem[{i}]` must be an array of integers of the shape {wanted}, for this "
                f"`spec` and input; got {'None' if vmem is None else found}"
            )
        if not isinstance(vmem, jax.core.Tracer):
            known = np.asarray(vmem)
            if np.any((known < low) | (known > high)):
                raise ValueError(
                    f"`state.vmem[{i}]` must be from {low} to {high}; got {known.min()} to "
                    f"{known.max()}"
                )
