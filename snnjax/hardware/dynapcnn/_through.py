"""Events on their way through the layers of a network, for `simulate_events`."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from ...datasets.events import Events
from . import _kernel, _visit
from ._check import require_integers
from ._spec import Shape, Source, Spec
from ._units import Tables, tables


class Flow(NamedTuple):
    """Events of a map.

    Attributes:
        cause: number of the input event or tick that caused each, ascending.
        place: its place in the map, in the order of channel, y and x.
        shape: of the map.
    """

    cause: Int[np.ndarray, " n"]
    place: Int[np.ndarray, " n"]
    shape: Shape


class Ready(NamedTuple):
    """A core, ready for its events: how it works, who feeds it, and the potentials at rest."""

    name: str
    tables: Tables
    input_shape: Shape
    sources: tuple[Source, ...]
    vmem: Int[np.ndarray, "out y x"]


def ready(spec: Spec) -> tuple[Ready, ...]:
    """The cores of a network of integers; those of the last few networks are kept."""
    # Arrays of JAX never change, those of NumPy may.
    fixed = all(isinstance(array, jax.Array) for array in jax.tree.leaves(spec))
    return _kept(_Same(spec)) if fixed else _kept.__wrapped__(_Same(spec))


class _Same:
    """A network that is equal to nothing but itself."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def __hash__(self) -> int:
        return id(self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.spec is other.spec


@functools.lru_cache(maxsize=8)
def _kept(same: _Same) -> tuple[Ready, ...]:
    spec = same.spec
    require_integers(spec)
    return tuple(
        Ready(
            name=spec.name(i),
            tables=tables(core, spec.chip),
            input_shape=core.input_shape,
            sources=spec.sources(i),
            vmem=np.asarray(_kernel.rest(core)),
        )
        for i, core in enumerate(spec.layers)
    )


class Layer:
    """A layer after some of its events.

    Attributes:
        counts: number of spikes of each neuron.
        vmem: the membrane potentials.
        saturated: number of times that one was cut.
    """

    def __init__(self, vmem: Int[np.ndarray, "out y x"]) -> None:
        self._events: list[Events] = []
        self.counts, self.vmem, self.saturated = np.zeros(vmem.shape, np.int64), vmem, 0

    def add(self, run: _visit.Run, times: Int[np.ndarray, " causes"]) -> None:
        """Go on by a run, with the times of its causes."""
        place = run.neuron.astype(np.intp)  # an index of another kind is made anew for each use
        at = (index.take(place) for index in _indices(run.vmem.shape))
        self._events.append(Events(times.take(run.cause), *at))
        self.counts += count(place, run.vmem.shape)
        self.vmem = run.vmem
        self.saturated += run.saturated

    def events(self) -> Events:
        """All spikes."""
        if len(self._events) == 1:
            return self._events[0]
        return Events(*map(np.concatenate, zip(*self._events, strict=True)))


def through(
    cores: Sequence[Ready],
    layers: Sequence[Layer],
    times: Int[np.ndarray, " causes"],
    fed: Flow,
    ticks: Int[np.ndarray, " ticks"],
) -> None:
    """Some causes go through all layers.

    Args:
        cores: as `ready` gives them.
        layers: one for each of them; they go on.
        times: of the causes; their numbers count from 0.
        fed: the input, as it reaches the first cores.
        ticks: the causes that are ticks of the biases, ascending.
    """
    sent: dict[int | None, Flow] = {None: fed}
    add: Callable[[], None] = _nothing
    for i, (core, layer) in enumerate(zip(cores, layers, strict=True)):
        arriving = _arriving(sent, core.sources, core.input_shape)
        run = _visit.run(core.tables, layer.vmem, *arriving, ticks, meanwhile=add)
        sent[i] = Flow(run.cause, run.neuron, run.vmem.shape)
        add = functools.partial(layer.add, run, times)
    add()


def _nothing() -> None:
    """The work that is left before the first layer."""


def count(place: np.ndarray, shape: Shape) -> Int[np.ndarray, "channels y x"]:
    """How often each place of a map occurs."""
    return np.bincount(place, minlength=math.prod(shape)).reshape(shape)


@functools.lru_cache(maxsize=64)
def _indices(shape: Shape) -> Int[np.ndarray, "3 places"]:
    """Channel, y and x of each place of a map."""
    return np.indices(shape).reshape(3, -1)


def _arriving(
    sent: Mapping[int | None, Flow], sources: Iterable[Source], shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """Cause and place of the events that arrive at a layer, in order."""
    parts = [_moved(sent[source], pool, shift, shape) for source, pool, shift in sources]
    if len(parts) == 1:
        return parts[0]
    cause, place = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(cause, kind="stable")
    return cause[order], place[order]


def _moved(sent: Flow, pool: int, shift: int, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Cause and place of events of a map in another one: pooled, and at later channels."""
    place = _places(sent.shape, pool, shift, shape).take(sent.place)
    if place.min(initial=0) == 0:
        return sent.cause, place
    kept = place >= 0
    return sent.cause[kept], place[kept]


@functools.lru_cache(maxsize=64)
def _places(before: Shape, pool: int, shift: int, after: Shape) -> Int[np.ndarray, " places"]:
    """The place in a map of each place of another one; -1 where an event is lost."""
    _, height, width = after
    channel, y, x = _indices(before)
    y, x = y // pool, x // pool
    inside = (y < before[1] // pool) & (x < before[2] // pool)
    place = ((channel + shift) * height + y) * width + x
    return np.where(inside, place, -1).astype(np.int32)


def arrived(
    numbers: Mapping[int | None, np.ndarray], sources: Iterable[Source]
) -> Int[np.ndarray, "height width"]:
    """Numbers of events that arrive at a layer, over all channels, from those that leave others."""
    total = np.zeros((), np.int64)
    for source, pool, _ in sources:
        _, height, width = (size // pool for size in numbers[source].shape)
        inside = numbers[source][:, : height * pool, : width * pool]
        total = total + inside.reshape(-1, height, pool, width, pool).sum(axis=(0, 2, 4))
    return total
