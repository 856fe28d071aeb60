"""The cost of recordings on a DYNAP-CNN or Speck: events and operations of each core, power."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..._checks import explained
from ...nn import Work, Workload
from .._cost import Cost, Figure, LayerCost, as_batch, per_recording
from .._inputs import as_counts
from . import _kernel
from ._check import require_integers
from ._simulate import MAX_EVENTS, Trace, arriving, gather, simulate
from ._simulate_events import EventTrace
from ._spec import Core, Spec

_YAO = "Yao et al. 2024, Nature Communications, doi:10.1038/s41467-024-47811-6"
SPECK_RESTING = Figure(0.42e-3, "W", "the processor of Speck without any input", _YAO)
"""Power of a Speck without input."""
SPECK_LOWEST = Figure(
    0.70e-3, "W", "Speck in real time, the lowest of the publication's tasks", _YAO
)
"""Power of a Speck in the task that takes the least."""


@explained
def cost(
    spec: Spec,
    raster: ArrayLike,
    *,
    trace: Trace | EventTrace | None = None,
    dt: float | None = None,
    max_synops: float | None = None,
) -> Cost:
    """The cost of recordings on the chip, counted from the trace of its integers.

    A synaptic operation is an event at a neuron whose kernel covers its place, whatever the weight.
    It reads the weight and the potential; a bias reads both once a step. If a core gets more
    operations per second than its limit, the whole chip stalls. The vendor does not publish that
    limit, so `Chip.max_synops` is None: give a measured one.

    The metrics of NeuroBench are those of synchronous steps.

    Args:
        spec: a quantised network.
        raster: numbers of events, `(time, channels, height, width)` or with a batch first.
        trace: a trace of `raster`, to spare another run: from `simulate` with everything recorded,
            or for one recording from `simulate_events`, whose events are then counted.
        dt: length of a step in seconds; None leaves out what is per second.
        max_synops: most synaptic operations per second of a core; that of the chip if None.

    Raises:
        ValueError: as `simulate` does, if `dt` is not above 0, or if `trace` is not one of
            `raster` with its spikes.
    """
    require_integers(spec)
    if dt is not None and not 0 < dt < math.inf:
        raise ValueError(f"`dt` must be a number of seconds above 0; got {dt}")
    events = as_counts(raster, spec.input_shape, most=MAX_EVENTS)
    if not isinstance(trace, EventTrace):
        trace = simulate(spec, raster) if trace is None else trace
    batch = jnp.asarray(as_batch(events, 4))
    n, steps = batch.shape[:2]
    _require(spec, trace, n, steps)
    limit = spec.chip.max_synops if max_synops is None else max_synops
    layers = tuple(_layer(spec, i, trace, steps, limit) for i in range(len(spec.layers)))
    in_steps = simulate(spec, raster) if isinstance(trace, EventTrace) else trace
    return Cost(
        chip=spec.chip.name,
        recordings=n,
        steps=steps,
        seconds=None if dt is None else steps * dt,
        layers=layers,
        workload=_workload(spec, batch, in_steps),
    )


def _require(spec: Spec, trace: Trace | EventTrace, n: int, steps: int) -> None:
    if isinstance(trace, EventTrace):
        fits = n == 1 and len(trace.counts) == len(spec.layers)
    else:
        fits = trace.spikes is not None and np.shape(trace.spikes_out)[-4] == steps
    if not fits:
        raise ValueError(
            "`trace` must be that of `simulate(spec, raster)` with `record=True`, or for one "
            "recording that of `simulate_events`"
        )


def _layer(
    spec: Spec, i: int, trace: Trace | EventTrace, steps: int, limit: float | None
) -> LayerCost:
    core = spec.layers[i]
    arrived, counts = (
        as_batch(x[i], axes).astype(np.float64).mean(0)
        for x, axes in ((trace.arrived, 2), (trace.counts, 3))
    )
    synops = float((arrived * np.asarray(_kernel.fan_out(core))).sum())
    ticks = 0 if core.bias is None else steps * counts.size
    return LayerCost(
        layer=spec.name(i) + ("" if core.core is None else f" on core {core.core}"),
        neurons=counts.size,
        events=float(arrived.sum()),
        spikes=float(counts.sum()),
        synops=synops,
        reads=2 * (synops + ticks),
        limit=limit,
    )


def _workload(spec: Spec, events: Any, trace: Any) -> Workload:
    """The metrics of NeuroBench for all recordings one after another."""
    n, steps = events.shape[:2]
    spikes = [jnp.asarray(as_batch(x, 4)) for x in trace.spikes]
    fed = arriving(spec, events)
    sent = [jnp.swapaxes(x, 0, 1) for x in spikes]
    works = []
    for i, core in enumerate(spec.layers):
        given = np.asarray(gather(spec, i, fed, sent))
        given = given.reshape(n * steps, *given.shape[2:])
        works.append(Work.of(*_synapses(core), given, core.weight))
    flat = [np.asarray(x) for x in spikes]
    return per_recording(Workload.of(works, flat, _footprint(spec)), n)


def _synapses(core: Core) -> tuple[np.ndarray, np.ndarray]:
    """The neurons that an event at each input reaches, and those with a weight that is not 0."""
    every = np.broadcast_to(np.asarray(_kernel.fan_out(core)), core.input_shape)
    # A place sees kernel entry k from one neuron along an axis, or from none.
    sees = [
        np.stack([((k == entry) & (to >= 0)).any(1) for entry in range(size)])
        for axis, size in enumerate(core.kernel_size)
        for to, k in [_kernel.reached(core, axis, np.arange(core.input_shape[1 + axis]))]
    ]
    present = np.count_nonzero(np.asarray(core.weight), axis=0).astype(np.int64)
    return every, np.einsum("cij,iy,jx->cyx", present, *(s.astype(np.int64) for s in sees))


def _footprint(spec: Spec) -> int:
    """Bytes of the weights, the other parameters and the potentials, each in its bits."""
    chip, bits = spec.chip, 0
    for core in spec.layers:
        bits += math.prod(core.output_shape) * chip.state_bits
        for name, array in core.arrays().items():
            width = {"weight": chip.weight_bits, "bias": chip.bias_bits, "vmem": 0}
            bits += array.size * width.get(name, chip.state_bits)
    return -(-bits // 8)
