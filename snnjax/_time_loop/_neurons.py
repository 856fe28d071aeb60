"""The neurons of a loop, each of which a thread of a kernel computes."""

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._blocks import Arrays, Loop
from ._lanes import Lanes, NotByLanes, by_lanes, entries, is_of_neurons

THREADS = 128
"""Neurons of a sequence that a block of a kernel's threads computes."""

MOST_LANES = 64
"""Numbers of a neuron in parameters, state and input that may be in registers."""


@functools.lru_cache(maxsize=64)
def fits(loop: Loop) -> bool:
    """Whether a step has a program of lanes, of 32-bit floating-point numbers."""
    kinds = [*loop.parameters, *loop.state, *loop.inputs, *loop.output]
    if not (loop.state and loop.output) or any(kind.dtype != jnp.float32 for kind in kinds):
        return False
    try:
        Neurons(loop)
    except NotByLanes:
        return False
    return True


class Neurons:
    """The programs of a loop's step, and its arrays as lanes.

    Attributes:
        shape: shape of the neurons.
        size: number of neurons.
        kinds: types of parameters, state, inputs of one step, and output of one step.
    """

    def __init__(self, loop: Loop) -> None:
        inputs = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in loop.inputs]
        self.kinds = (loop.parameters, loop.state, inputs, loop.output)
        self.shape = loop.output[0].shape
        self.size = math.prod(self.shape)
        if not all(is_of_neurons(kind, self.shape) for kind in [*loop.state, *inputs]):
            raise NotByLanes

        def step(*operands: Any) -> Arrays:
            state, outputs = loop.step(*loop.split(operands))
            return [*state, *outputs]

        types = [*loop.parameters, *loop.state, *inputs]
        if sum(map(self.count, types)) > MOST_LANES:
            raise NotByLanes
        self._step = by_lanes(step, types, self.shape)
        smooth = by_lanes(step, types, self.shape, rules=True)

        def back(given: Lanes, by_made: Lanes) -> Lanes:
            return jax.vjp(smooth, given)[1](by_made)[0]

        lane = jax.ShapeDtypeStruct((THREADS,), jnp.float32)
        given = [lane] * sum(map(self.count, types))
        made = [lane] * sum(map(self.count, [*loop.state, *loop.output]))
        jax.eval_shape(self._step, given)
        # A program of lanes again, since not all that differentiation brings is in `ELEMENTWISE`.
        self._back = by_lanes(back, (given, made), lane.shape)
        jax.eval_shape(self._back, [*given, *made])

    def count(self, kind: Any) -> int:
        """The number of lanes of an array."""
        return math.prod(entries(kind, self.shape))

    def step(self, parameters: Lanes, state: Lanes, x: Lanes) -> tuple[Lanes, Lanes]:
        """State and output."""
        made = self._step([*parameters, *state, *x])
        return made[: len(state)], made[len(state) :]

    def back(
        self, parameters: Lanes, state: Lanes, x: Lanes, by_state: Lanes, by_output: Lanes
    ) -> list[Lanes]:
        """Gradients by parameters, state and input, from those by the next state and output."""
        found = self._back([*parameters, *state, *x, *by_state, *by_output])
        return parts(found, [len(parameters), len(state), len(x)])

    def of_lanes(self, items: Sequence[Any], kinds: Sequence[Any]) -> list[Any]:
        """An item for each lane, from one for each array."""
        pairs = zip(items, kinds, strict=True)
        return [item for item, kind in pairs for _ in range(self.count(kind))]

    def spread(self, arrays: Sequence[Any], kinds: Sequence[Any]) -> Lanes:
        """The lanes of arrays with further axes before their own. Neurons lie along the last."""
        pairs = zip(arrays, kinds, strict=True)
        return [lane for x, kind in pairs for lane in self._spread(x, kind)]

    def _spread(self, x: Any, kind: Any) -> Lanes:
        further = x.shape[: x.ndim - len(kind.shape)]
        own = self._own(kind)
        x = x.reshape(*further, *own, self.count(kind))
        x = jnp.broadcast_to(x, (*further, *self.shape, self.count(kind)))
        missing = max(0, THREADS - self.size)
        x = x.reshape(*further, self.size, -1)
        x = jnp.pad(x, [(0, 0)] * len(further) + [(0, missing), (0, 0)])
        return [x[..., i] for i in range(x.shape[-1])]

    def _own(self, kind: Any) -> tuple[int, ...]:
        """The sizes of an array along the axes of the neurons: 1 where they share it."""
        shared = (1,) * len(self.shape)
        return tuple(kind.shape[: len(shared)]) if is_of_neurons(kind, self.shape) else shared

    def gathered(self, lanes: Lanes, kinds: Sequence[Any]) -> Arrays:
        """The arrays of lanes, summed over the neurons that share a number."""
        pairs = zip(parts(lanes, map(self.count, kinds)), kinds, strict=True)
        return [self._gathered(some, kind) for some, kind in pairs]

    def _gathered(self, lanes: Lanes, kind: Any) -> Any:
        further = lanes[0].shape[:-1]
        x = jnp.stack(lanes, -1).reshape(*further, *self.shape, len(lanes))
        sizes = enumerate(zip(self._own(kind), self.shape, strict=True), len(further))
        shared = [axis for axis, (own, all_) in sizes if own < all_]
        return x.sum(shared).reshape(*further, *kind.shape)


def parts(items: Sequence[Any], counts: Iterable[int]) -> list[list[Any]]:
    """The items in parts of so many."""
    rest = iter(items)
    return [list(itertools.islice(rest, count)) for count in counts]
