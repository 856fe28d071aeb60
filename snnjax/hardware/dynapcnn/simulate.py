"""Runs a quantised network in synchronous steps, in the integers of the chip."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Int, Real

from . import _kernel
from ._chips import Chip, bounds
from ._pool import sum_pool
from ._raster import as_counts
from .check import require_integers
from .spec import Core, Spec


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

    The chip has no steps: see `simulate_events` for what it does, `compare_events` for the
    difference. Drives are exact sums, cut at +-2^30, far beyond where vmem saturates. Without
    saturation the spikes are those of sinabs' discretised network. Sizes are not held against the
    chip's limits, which is what `check` is for; values are.

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


class Course(NamedTuple):
    """A layer over all steps.

    Attributes:
        counts: events that arrive.
        drive: what they add to each neuron.
        spikes: spikes of each neuron.
        vmem: membrane potentials after reset and lower bound; None unless recorded.
        saturated: how many membrane potentials were cut.
        end: membrane potentials after the last step.
    """

    counts: Int[Array, "time batch in height width"]
    drive: Int[Array, "time batch out y x"]
    spikes: Int[Array, "time batch out y x"]
    vmem: Int[Array, "time batch out y x"] | None
    saturated: Int[Array, "time batch"]
    end: Int[Array, "batch out y x"]


@eqx.filter_jit
def _run(
    spec: Spec,
    raster: Int[Array, "batch time channels height width"],
    state: SimState | None,
    record: bool,
) -> Trace:
    courses = run_layers(spec, arriving(spec, raster), state, record)
    after = SimState(tuple(course.end for course in courses))
    counts, _, spikes, vmem, saturated, _ = zip(*courses, strict=True)
    found = over_time(counts, spikes, vmem if record else None, saturated)
    return Trace(**(found if record else found | {"spikes": None}), state=after)


def arriving(
    spec: Spec, raster: Real[Array, "batch time *pixels"]
) -> Real[Array, "time batch channels height width"]:
    """What the input sends to the cores, time first."""
    events = jnp.swapaxes(raster, 0, 1)
    return events if spec.sensor is None else spec.sensor(events)


def run_layers(spec: Spec, fed: Array, state: SimState | None, record: bool) -> list[Course]:
    """Each layer over all steps, after those that feed it."""
    courses: list[Course] = []
    for i, core in enumerate(spec.layers):
        counts = gather(spec, i, fed, [course.spikes for course in courses])
        before = _kernel.rest(core, counts.shape[1:2]) if state is None else state.vmem[i]
        courses.append(_evolve(core, spec.chip, counts, before, record))
    return courses


def gather(spec: Spec, layer: int, fed: Array, spikes: Sequence[Array]) -> Array:
    """What arrives at a layer: the pooled spikes of all that feed it."""
    sent = [
        fed if source is None else sum_pool(spikes[source], (pool, pool))
        for source, pool in spec.sources(layer)
    ]
    return sum(sent[1:], start=sent[0])


def over_time(
    counts: Sequence[Array],
    spikes: Sequence[Array],
    vmem: Sequence[Array] | None,
    saturated: Sequence[Array],
) -> dict[str, Any]:
    """The fields of a Trace, but for the state, from those of each layer's Course."""

    def batch_first(arrays: Sequence[Array]) -> tuple[Array, ...]:
        return tuple(jnp.swapaxes(x, 0, 1) for x in arrays)

    return {
        "spikes_out": jnp.swapaxes(spikes[-1], 0, 1),
        "spikes": batch_first(spikes),
        "vmem": None if vmem is None else batch_first(vmem),
        "counts": tuple(jnp.sum(x, axis=0, dtype=x.dtype) for x in spikes),
        "arrived": tuple(jnp.sum(x, axis=(0, 2), dtype=x.dtype) for x in counts),
        "saturated": tuple(jnp.sum(x, axis=0, dtype=x.dtype) for x in saturated),
    }


def _evolve(
    core: Core,
    chip: Chip,
    counts: Int[Array, "time batch in height width"],
    vmem: Int[Array, "batch out y x"],
    record: bool,
) -> Course:
    """One convolution, then the neurons step by step."""
    time, batch = counts.shape[:2]
    flat = counts.reshape(time * batch, *counts.shape[2:])
    drive = _kernel.convolve(core, flat, chip.weight_bits)
    drive = drive.reshape(time, batch, *drive.shape[1:])

    def step(before, drive):  # type: ignore[no-untyped-def]
        after = _kernel.fire(core, before, drive, chip.state_bits)
        lost = jnp.sum(after.saturated, axis=(-3, -2, -1), dtype=jnp.int32)
        return after.vmem, (after.spikes, after.vmem if record else None, lost)

    end, (spikes, states, lost) = lax.scan(step, vmem, drive)
    return Course(counts, drive, spikes, states, lost, end)


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
