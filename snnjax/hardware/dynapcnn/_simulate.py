"""Simulation of a quantised network in synchronous steps, in the integers of the chip."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int, Real

from ..._checks import explained
from ..._mesh import error_if, scan
from .._describe import describe_trace
from .._family import bounds, is_known
from .._inputs import Register, as_counts, batch_of, in_batch, marked, require_state
from . import _kernel
from ._check import require_integers
from ._chips import Chip
from ._sensor import sum_pool
from ._spec import Core, Spec

MAX_EVENTS = 2**15 - 1
"""Most events of a pixel in a step: sums over any window of a 128 by 128 map then fit 32 bits."""


class SimState(NamedTuple):
    """State of a network between two steps; pass it back to continue a sequence.

    Attributes:
        vmem: membrane potentials of each layer.
    """

    vmem: tuple[Int[Array, "*batch out y x"], ...]


class Trace(NamedTuple):
    """Result of a simulation, in int32. Tuples have an entry for each layer.

    Attributes:
        spikes_out: spikes of the last layer.
        spikes: spikes of each layer, before any pooling; None unless recorded.
        vmem: membrane potentials after reset and lower bound; None unless recorded.
        counts: number of spikes of each neuron, over all steps.
        arrived: number of events that came to each place of a layer's input map, over all channels
            and steps.
        saturated: number of times that the sum of a step left the bits of a potential, 16.
        state: state after the last step.
    """

    spikes_out: Int[Array, "*batch time out y x"]
    spikes: tuple[Int[Array, "*batch time out y x"], ...] | None
    vmem: tuple[Int[Array, "*batch time out y x"], ...] | None
    counts: tuple[Int[Array, "*batch out y x"], ...]
    arrived: tuple[Int[Array, "*batch height width"], ...]
    saturated: tuple[Int[Array, "*batch"], ...]
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
    """Run a quantised network on a raster of events, in synchronous steps.

    Layer after layer, so that a spike reaches the last layer within the step. In each layer:

    1. drive = convolution of the numbers of events with the weights; several sources, and the
       windows of a pool, are added up.
    2. total = vmem + drive + bias, exactly.
    3. spikes = floor(total/threshold), at most `max_spikes`, where total >= threshold, else 0.
    4. vmem = total - spikes*threshold; or 0 where there are spikes, if `reset` is "zero".
    5. vmem = sat(vmem), the nearest integer of 16 bits; vmem = max(vmem, min_vmem).

    The chip has no steps: each event is added, cut to 16 bits and followed by at most one spike, as
    in `simulate_events`. The two agree where no more than one event reaches a neuron in a step, and
    nearly where all weights are positive. They part where events of both signs cancel within a
    step, where the lower bound holds between two events, and where an event is worth several
    spikes, which then wait for later events. `compare_events` measures the difference. For three
    networks of random weights, with spikes of the last layer, and the sum of the differences of all
    neurons:

        network                      events/pixel      steps     events  difference
        convolutions, threshold 100           0.2         39         50      48.7%
                                                1        172        249      54.1%
                                               20      1,908      5,419     184.0%
        dense layers, threshold 100           0.2         18         22      22.2%
                                                1        128        147      19.5%
                                               20      2,508      2,928      23.4%
        weights above 0, threshold 50         0.2     75,991     75,952       0.1%
                                                1    380,148    380,106       0.0%
                                               20  7,760,058  7,759,917       0.0%

    Sums of a step are exact up to a magnitude of 2^24, and larger ones are refused; the trace
    counts those that left 16 bits. Without these the spikes are those of sinabs' discretised
    network. Sizes are not held against the chip's limits, which is the job of `check`; values are.

    Args:
        spec: a quantised network.
        raster: numbers of events, `(time, channels, height, width)` or `(batch, time, ...)`, of
            integer or boolean type, or floats with whole values outside of `jax.jit`. With a sensor
            layer they are those of the pixels, with two polarities.
        state: state to continue from, as an earlier call returned it; None for that of `spec`.
        record: keep the spikes and membrane potentials of every layer over time.
        checked: look at the values of `raster` and at the sums of steps. Otherwise numbers are cut
            to what a pixel may have, larger sums are wrong, and a program can be exported.

    Returns:
        Spikes, states and counts. On a mesh, all numbers of a recording are -2^31 where a program
        would raise.

    Raises:
        ValueError: if `spec` is not quantised or has values that the chip cannot hold, if `raster`
            has the wrong shape, or events that are negative, fractional or not numbers, if `state`
            does not fit, or if the sum of a step is beyond 2^24. Under `jax.jit` the program
            raises it when it runs.
    """
    require_integers(spec)
    require_synchronous(spec)
    events = as_counts(raster, spec.input_shape, most=MAX_EVENTS, checked=checked)
    if state is not None:
        require_state(state, registers(spec), batch_of(raster, spec.input_shape))
    run = lambda spec, events, state: _run(spec, events, state, record)  # noqa: E731
    trace, beyond = in_batch(run, spec, jnp.maximum(events, 0), state, spec.input_shape)
    trace = marked(trace, events, spec.input_shape)
    return refuse_beyond(trace, beyond, spec) if checked else trace


def registers(spec: Spec) -> SimState:
    """The shapes and ranges of a state of `spec`."""
    low, high = bounds(spec.chip.state_bits)
    each: Any = tuple(Register(core.output_shape, low, high) for core in spec.layers)
    return SimState(each)


def require_synchronous(spec: Spec) -> None:
    """Raise ValueError if the sensor's layer needs the times of single events."""
    if spec.sensor is not None and spec.sensor.noise_filter is not None:
        raise ValueError(
            "`spec.sensor.noise_filter` must be None in synchronous steps, which have no times of "
            "single events: use `simulate_events`, or filter the events before they are counted"
        )


class Beyond(NamedTuple):
    """Numbers that a layer cannot hold exactly.

    Attributes:
        sums: whether the sum of any step is beyond 2^24.
        counts: whether a number of events or spikes over all steps is beyond 2^31 - 1.
    """

    sums: Bool[Array, "*batch layers"]
    counts: Bool[Array, "*batch layers"]


_BEYOND = (
    f"the sum of a step must be within {_kernel.SUM_LIMIT:,}, up to which it is exact; {{}} has a "
    "larger one. Give fewer events in a step, or raise thresholds",
    "numbers of events over all steps must fit in 32 bits, but {} gets more. Give the sequence in "
    "parts, with `state`",
)


def refuse_beyond(found: Any, beyond: Beyond, spec: Spec) -> Any:
    """`found`, a pytree of results, or an error if a layer of `spec` is beyond its limits."""
    for flags, message in zip(beyond, _BEYOND, strict=True):
        if not is_known(flags):
            found = error_if(found, flags.any(-1), message.format("a layer"))
            continue
        layers = np.asarray(flags).reshape(-1, len(spec.layers)).any(0)
        if layers.any():
            raise ValueError(message.format(spec.name(int(layers.argmax()))))
    return found


class Course(NamedTuple):
    """A layer over all steps.

    Attributes:
        counts: events that arrive.
        drive: sum of what they and the bias add to each neuron.
        spikes: spikes of each neuron.
        vmem: membrane potentials after reset and lower bound; None unless recorded.
        saturated: number of sums that left the bits of a potential.
        beyond: whether any sum was beyond what is exact.
        end: membrane potentials after the last step.
    """

    counts: Int[Array, "time batch in height width"]
    drive: Int[Array, "time batch out y x"]
    spikes: Int[Array, "time batch out y x"]
    vmem: Int[Array, "time batch out y x"] | None
    saturated: Int[Array, "time batch"]
    beyond: Bool[Array, "time batch"]
    end: Int[Array, "batch out y x"]


@eqx.filter_jit
def _run(
    spec: Spec,
    raster: Int[Array, "batch time channels height width"],
    state: SimState | None,
    record: bool,
) -> tuple[Trace, Beyond]:
    courses = run_layers(spec, arriving(spec, raster), state, record)
    found = over_time(
        [course.counts for course in courses],
        [course.spikes for course in courses],
        [course.vmem for course in courses],
        [course.saturated for course in courses],
        record=record,
    )
    end = SimState(tuple(course.end for course in courses))
    return Trace(**found, state=end), beyond_of(courses)


def beyond_of(courses: Sequence[Course]) -> Beyond:
    """The limits that each layer is beyond."""
    wrap = _kernel.sums_wrap
    counts = [wrap(course.counts, (0, 2)) | wrap(course.spikes, (0,)) for course in courses]
    return Beyond(
        jnp.stack([course.beyond.any(0) for course in courses], axis=-1),
        jnp.stack(counts, axis=-1),
    )


def arriving(
    spec: Spec, raster: Real[Array, "batch time *pixels"]
) -> Real[Array, "time batch channels height width"]:
    """The events that the input sends to the cores, time first."""
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
    """The events that arrive at a layer: pooled spikes, each source at its channels."""
    channels = spec.layers[layer].input_shape[0]
    sent = [
        _shifted(fed if source is None else sum_pool(spikes[source], (pool, pool)), shift, channels)
        for source, pool, shift in spec.sources(layer)
    ]
    return sum(sent[1:], start=sent[0])


def _shifted(x: Array, shift: int, channels: int) -> Array:
    """Maps at their place among `channels`; the others are zero."""
    own = x.shape[-3]
    if own == channels:
        return x
    around = [(0, 0)] * x.ndim
    around[-3] = (shift, channels - shift - own)
    return jnp.pad(x, around)


def over_time(
    counts: Sequence[Array],
    spikes: Sequence[Array],
    vmem: Sequence[Array | None],
    saturated: Sequence[Array],
    *,
    record: bool,
) -> dict[str, Any]:
    """The fields of a Trace but the state, from those of each layer's Course."""

    def batch_first(arrays: Sequence[Array | None]) -> tuple[Array, ...]:
        return tuple(jnp.swapaxes(x, 0, 1) for x in arrays if x is not None)

    return {
        "spikes_out": jnp.swapaxes(spikes[-1], 0, 1),
        "spikes": batch_first(spikes) if record else None,
        "vmem": batch_first(vmem) if record else None,
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
    """One convolution over all steps, then the neurons, step by step and side by side.

    XLA's loops on CPUs are several times as slow over rows as short as those of a map.
    """
    drive = _kernel.drive(core, counts, chip.weight_bits)

    def step(before: Array, drive: Array) -> tuple[Array, Any]:
        after = _kernel.fire(core, before, drive, chip.state_bits)
        saturated = jnp.sum(_kernel.left(after.total, chip.state_bits), axis=-1, dtype=jnp.int32)
        beyond = jnp.any(jnp.abs(after.total) > _kernel.SUM_LIMIT, axis=-1)
        return after.vmem, (after.spikes, after.vmem if record else None, saturated, beyond)

    end, (spikes, states, saturated, beyond) = scan(step, *map(_kernel.flat, (vmem, drive)))
    apart = lambda x: x.reshape(*x.shape[:-1], *core.output_shape)  # noqa: E731
    spikes, states, end = jax.tree.map(apart, (spikes, states, end))
    return Course(counts, drive, spikes, states, saturated, beyond, end)
