"""Use of the chip by a network: memory, events and synaptic operations."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .._family import Usage, find_chip, require_kind
from . import _kernel
from ._chips import CHIPS, Chip, Memory
from ._simulate import Trace
from ._simulate_events import EventTrace
from ._spec import Spec


def usage(spec: Spec, *, chip: Chip | str | None = None) -> tuple[Usage, ...]:
    """The cores that a network takes, and the memory on each.

    Args:
        spec: a network, quantised or only mapped.
        chip: the chip, or its short name; None for the one that `spec` is meant for.

    Returns:
        A row for the number of cores, and one for each memory that a layer takes. A layer without a
        core has no limit.

    >>> import equinox as eqx, jax
    >>> from snnjax import IAF, Sequential
    >>> from snnjax.hardware import dynapcnn
    >>> conv = eqx.nn.Conv2d(1, 2, 3, key=jax.random.key(0))
    >>> spec = dynapcnn.map_network(Sequential(conv, IAF((2, 4, 4))), input_shape=(1, 6, 6))
    >>> for row in dynapcnn.usage(spec):
    ...     print(row)
    cores: 1 of 9
    kernel memory of core 0 (layers[0] (`layers[1]`)): 32 of 16,384
    neuron memory of core 0 (layers[0] (`layers[1]`)): 32 of 65,536
    bias memory of core 0 (layers[0] (`layers[1]`)): 2 of 1,024
    """
    require_kind(spec, Spec)
    chip = spec.chip if chip is None else find_chip(chip, CHIPS)
    cores = Usage("cores", len(spec.layers), len(chip.cores))
    return (cores, *_memories(spec, chip))


def _memories(spec: Spec, chip: Chip) -> Iterator[Usage]:
    for i, layer in enumerate(spec.layers):
        has = dict(enumerate(chip.cores)).get(-1 if layer.core is None else layer.core)
        on = "" if layer.core is None else f" of core {layer.core}"
        for kind, used in zip(Memory._fields, layer.memory, strict=True):
            if used:
                limit = None if has is None else getattr(has, kind)
                yield Usage(f"{kind} memory{on}", used, limit, spec.name(i))


class CoreActivity(NamedTuple):
    """Events and operations of a core, the mean of all recordings.

    Attributes:
        layer: name of the layer on it.
        core: its number; None for not yet assigned.
        events_in: events that came to it.
        events_out: spikes of its neurons.
        synops: synaptic operations: updates of a neuron by an event, padding not counted.
        events_per_second: those that came to it.
        synops_per_second: synaptic operations.
        limit: most of those per second; None if it is not known.
    """

    layer: str
    core: int | None
    events_in: float
    events_out: float
    synops: float
    events_per_second: float
    synops_per_second: float
    limit: float | None

    @property
    def load(self) -> float | None:
        """Share of the limit; above 1 the chip stalls. None if there is no limit."""
        return None if self.limit is None else self.synops_per_second / self.limit


def activity(
    spec: Spec, trace: Trace | EventTrace, seconds: float, *, max_synops: float | None = None
) -> tuple[CoreActivity, ...]:
    """Events and synaptic operations of each core, against the limit of a core.

    If a core gets more synaptic operations than that, the whole chip stalls. The vendor does not
    publish the limit, so `Chip.max_synops` is None; pass a measured one.

    Args:
        spec: the network.
        trace: its trace from `simulate` or `simulate_events`.
        seconds: length of one recording.
        max_synops: most synaptic operations per second of a core; that of the chip if None.

    Raises:
        ValueError: if `seconds` is not above 0.
    """
    if not seconds > 0:
        raise ValueError(f"`seconds` must be above 0; got {seconds}")
    limit = spec.chip.max_synops if max_synops is None else max_synops
    found = []
    for i, core in enumerate(spec.layers):
        arrived, counts = (_mean(x[i], n) for x, n in ((trace.arrived, 2), (trace.counts, 3)))
        synops = float((arrived * np.asarray(_kernel.fan_out(core))).sum())
        events = float(arrived.sum())
        found.append(
            CoreActivity(
                layer=spec.name(i),
                core=core.core,
                events_in=events,
                events_out=float(counts.sum()),
                synops=synops,
                events_per_second=events / seconds,
                synops_per_second=synops / seconds,
                limit=limit,
            )
        )
    return tuple(found)


def _mean(x: Any, axes: int) -> np.ndarray:
    """The mean over a batch, if there is one, in double precision. The last axes are kept."""
    array = np.asarray(x, np.float64)
    return array.mean(axis=0) if array.ndim > axes else array
