"""A loop over time in pieces: forward, its derivative, and the gradient block by block.

All of it is of one sequence. `_time_loop` makes a primitive of it, and docs/time_loop.md derives
the gradient: only the state before each block is kept, and a block's states stay in the cache.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

Arrays: TypeAlias = list[Any]

LENGTH = 10
"""Steps of a block."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Loop:
    """A loop over one sequence. All it takes and gives are lists of arrays, with the time first.

    Attributes:
        step: (parameters, state, input) -> (state, output), of one step.
        plain: (parameters, state, inputs) -> (last state, outputs), with a derivative of its own.
        parameters: types of the parameters.
        state: types of the state, of floating-point numbers.
        output: types of the output of one step, of floating-point numbers.
        inputs: types of the inputs of all steps.
    """

    step: Callable[[Arrays, Arrays, Arrays], tuple[Arrays, Arrays]]
    plain: Callable[[Arrays, Arrays, Arrays], tuple[Arrays, Arrays]]
    parameters: Arrays
    state: Arrays
    output: Arrays
    inputs: Arrays

    @property
    def time(self) -> int:
        """Number of steps."""
        return int(self.inputs[0].shape[0])

    @property
    def outputs(self) -> Arrays:
        """Types of the outputs of all steps."""
        return [jax.ShapeDtypeStruct((self.time, *y.shape), y.dtype) for y in self.output]

    @property
    def starts(self) -> Arrays:
        """Types of the states before each block."""
        blocks = -(-self.time // LENGTH)
        return [jax.ShapeDtypeStruct((blocks, *s.shape), s.dtype) for s in self.state]

    def is_above(self, limit: int, batch: Sequence[int]) -> bool:
        """Whether inputs, states and outputs of all steps and sequences have so many bytes.

        False for a batch of any size, as `jax.export` has it.
        """
        step = sum(map(_bytes, [*self.state, *self.output]))
        one = self.time * step + sum(map(_bytes, self.inputs))
        return all(isinstance(n, int) for n in batch) and math.prod(batch) * one >= limit

    def split(self, operands: Sequence[Any]) -> tuple[Arrays, Arrays, Arrays]:
        """Parameters; state; all that follows."""
        start = len(self.parameters)
        end = start + len(self.state)
        return list(operands[:start]), list(operands[start:end]), list(operands[end:])

    def at_once(self, *operands: Any) -> Arrays:
        """Last state and outputs, by `plain`."""
        state, outputs = self.plain(*self.split(operands))
        return [*state, *outputs]

    def in_place(self, *operands: Any) -> Arrays:
        """The same. Each step is cut out of the inputs where it lies, whatever axes are mapped."""
        parameters, state, inputs = self.split(operands)
        return self._steps(parameters, inputs, 0, self.time, [*state, *self._rows()])

    def _rows(self) -> Arrays:
        """Room for the outputs of all steps."""
        return [jnp.zeros(y.shape, y.dtype) for y in self.outputs]

    def _steps(
        self, parameters: Arrays, inputs: Arrays, start: Any, count: int, carry: Arrays
    ) -> Arrays:
        """State and outputs after `count` steps from `start` on."""

        def one(i: Any, carry: Arrays) -> Arrays:
            t = start + i
            x = [lax.dynamic_index_in_dim(xs, t, keepdims=False) for xs in inputs]
            state, y = self.step(parameters, carry[: len(self.state)], x)
            return state + _put(carry[len(self.state) :], [y[None] for y in y], t)

        return lax.fori_loop(0, count, one, carry)

    def with_starts(self, *operands: Any) -> Arrays:
        """Last state, outputs, and the states before each block."""
        parameters, state, inputs = self.split(operands)
        starts = [jnp.zeros(s.shape, s.dtype) for s in self.starts]

        def block(k: Any, carry: Any, length: int = LENGTH) -> Any:
            made, starts = carry
            starts = _put(starts, [s[None] for s in made[: len(state)]], k)
            return self._steps(parameters, inputs, k * LENGTH, length, made), starts

        whole, rest = divmod(self.time, LENGTH)
        carry = lax.fori_loop(0, whole, block, ([*state, *self._rows()], starts))
        if rest:
            carry = block(whole, carry, rest)
        made, starts = carry
        return [*made, *starts]

    def push(self, changing: Sequence[bool], *operands: Any) -> Arrays:
        """Tangents of last state and outputs.

        Args:
            changing: which of parameters, state and inputs have a tangent.
            operands: parameters, states before each block, inputs; the tangents that there are.
        """
        operands, tangents = operands[: len(changing)], operands[len(changing) :]
        parameters, starts, inputs = self.split(operands)
        primals = [*parameters, *(s[0] for s in starts), *inputs]

        def run(*changed: Any) -> Arrays:
            parameters, state, inputs = self.split(merged(changing, changed, primals))
            state, outputs = lax.scan(
                lambda state, x: self.step(parameters, state, x), state, inputs
            )
            return [*state, *outputs]

        return jax.jvp(run, only(changing, primals), list(tangents))[1]

    def pull(self, changing: Sequence[bool], *operands: Any) -> Arrays:
        """Gradients by what is changing: the transpose of `push`.

        Args:
            changing: which of parameters, state and inputs have a gradient.
            operands: parameters, states before each block, inputs; the gradients by the last
                state and the outputs.
        """
        operands, given = operands[: len(changing)], list(operands[len(changing) :])
        parameters, starts, inputs = self.split(operands)
        by_state, by_outputs = given[: len(self.state)], given[len(self.state) :]
        changes, start_changes, inputs_change = self.split(changing)
        learned, moved = only(changes, parameters), only(inputs_change, inputs)

        def step(learned: Arrays, state: Arrays, moved: Arrays, x: Arrays) -> tuple[Arrays, Arrays]:
            x = merged(inputs_change, moved, x)
            return self.step(merged(changes, learned, parameters), state, x)

        def block(k: Any, carry: Any, length: int = LENGTH) -> Any:
            later, by_learned, by_moved = carry
            x, by_y = _cut(inputs, k, length), _cut(by_outputs, k, length)
            start = [s[k] for s in starts]

            def again(state: Arrays, x: Arrays) -> tuple[Arrays, Arrays]:
                return self.step(parameters, state, x)[0], state

            def back(later: Arrays, at: Any) -> tuple[Arrays, Arrays]:
                state, x, by_y = at
                pull = jax.vjp(lambda state: self.step(parameters, state, x), state)[1]
                return pull((later, by_y))[0], later

            def add(by_learned: Arrays, at: Any) -> tuple[Arrays, None]:
                state, x, later, by_y = at
                pull = jax.vjp(lambda p: step(p, state, only(inputs_change, x), x), learned)[1]
                return jax.tree.map(jnp.add, by_learned, pull((later, by_y))[0]), None

            states = lax.scan(again, start, x)[1]
            before, laters = lax.scan(back, later, (states, x, by_y), reverse=True)
            if learned:
                by_learned, _ = lax.scan(add, by_learned, (states, x, laters, by_y))
            if moved:
                each = jax.vmap(functools.partial(step, learned))
                pull = jax.vjp(lambda m: each(states, m, x), only(inputs_change, x))[1]
                by_moved = _put(by_moved, pull((laters, by_y))[0], k * LENGTH)
            return before, by_learned, by_moved

        whole, rest = divmod(self.time, LENGTH)
        carry = (by_state, [jnp.zeros_like(p) for p in learned], [jnp.zeros_like(x) for x in moved])
        if rest:
            carry = block(whole, carry, rest)
        if whole:
            carry = lax.fori_loop(0, whole, lambda i, carry: block(whole - 1 - i, carry), carry)
        by_start, by_learned, by_moved = carry
        return [*by_learned, *only(start_changes, by_start), *by_moved]


def _bytes(kind: Any) -> int:
    return math.prod(kind.shape) * kind.dtype.itemsize


def _cut(arrays: Arrays, k: Any, length: int) -> Arrays:
    """The steps of block `k`."""
    return [lax.dynamic_slice_in_dim(x, k * LENGTH, length) for x in arrays]


def _put(arrays: Arrays, parts: Arrays, t: Any) -> Arrays:
    """`arrays` with `parts` from step `t` on."""
    pairs = zip(arrays, parts, strict=True)
    return [lax.dynamic_update_slice_in_dim(x, part, t, 0) for x, part in pairs]


def only(which: Sequence[bool], items: Sequence[Any]) -> Arrays:
    """The items of `which`."""
    return [item for item, is_one in zip(items, which, strict=True) if is_one]


def merged(which: Sequence[bool], items: Sequence[Any], others: Sequence[Any]) -> Arrays:
    """`others` with `items` in the places of `which`."""
    rest = iter(items)
    return [next(rest) if is_one else o for o, is_one in zip(others, which, strict=True)]
