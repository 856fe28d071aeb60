"""A loop over time as one GPU kernel, forward and backward, with its state in registers.

A thread computes one neuron of one sequence through all steps, by the program of lanes that
`_lanes` makes of the step. So kernels read and write every input, output and gradient once, and of
the states only those before each block of steps, from which the way back computes the others again,
as in `_blocks`. Pallas compiles the kernels through Mosaic GPU, for NVIDIA's Hopper and newer.
"""

import functools
import importlib
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from . import _blocks
from ._axes import Axes, axes_back, batch_first
from ._blocks import Arrays, Loop, only
from ._lanes import Lanes
from ._neurons import THREADS, Neurons, parts

INTERPRETED = False
"""Whether kernels run in Pallas' simulation of a GPU, as in tests."""


def are_there() -> bool:
    """Whether a loop becomes a kernel here: with 32-bit numbers, by a jax and on a GPU for it."""
    # Counters and constants of a step traced with 64 bits have as many.
    return not jax.config.jax_enable_x64 and is_there()  # type: ignore[attr-defined]


@functools.cache
def is_there() -> bool:
    """Whether jax runs these kernels here: it is 0.11 or newer, on one GPU that is new enough.

    XLA cuts programs for several devices along the batch, but cannot cut a kernel.
    """
    if jax.default_backend() != "gpu" or jax.device_count() > 1:
        return False
    major = str(getattr(jax.devices()[0], "compute_capability", "")).partition(".")[0]
    return major.isdecimal() and int(major) >= 9 and is_new() and is_compiled()


def is_new() -> bool:
    """Whether jax has what a kernel needs."""
    return hasattr(_mosaic(), "InterpretGPUParams")


def is_compiled() -> bool:
    """Whether jax makes a kernel of a loop. Pallas is experimental, and its next version another.

    Warns:
        UserWarning: if it does not.
    """
    kind = jax.ShapeDtypeStruct((1,), jnp.float32)
    xs = jax.ShapeDtypeStruct((1, 1), jnp.float32)
    loop = Loop(lambda p, s, x: (s, x), lambda p, s, x: (s, x), [], [kind], [kind], [xs])
    try:
        traced = jax.jit(functools.partial(forward, loop, [(), ()], [(), ()])).trace(kind, xs)
        traced.lower(lowering_platforms=("cuda",))
    except Exception as error:
        warnings.warn(
            f"jax {jax.__version__} compiles no kernel for the loop over time; `lax.scan` runs it:"
            f" {error}",
            stacklevel=2,
        )
        return False
    return True


def _mosaic() -> Any:
    # Its import takes as long as that of half of snnjax.
    return importlib.import_module("jax.experimental.pallas.mosaic_gpu")


class _Place:
    """The neurons of a block of threads: those of a sequence from some neuron on."""

    def __init__(self, sequence: Any, neurons: Any) -> None:
        self.sequence, self.neurons = sequence, neurons

    def _of(self, ref: Any, *step: Any) -> tuple[Any, ...]:
        # What all sequences share has one row.
        return (0 if ref.shape[0] == 1 else self.sequence, *step, self.neurons)

    def read(self, refs: Sequence[Any], *step: Any) -> Lanes:
        return [ref[self._of(ref, *step)] for ref in refs]

    def read_steps(self, refs: Sequence[Any], first: Any, count: int) -> list[Lanes]:
        return [self.read(refs, first + i) for i in range(count)]

    def write(self, refs: Sequence[Any], lanes: Lanes, *step: Any) -> None:
        for ref, lane in zip(refs, lanes, strict=True):
            ref[self._of(ref, *step)] = lane


def _in_registers(lanes: Lanes) -> Lanes:
    """The lanes, each thread's own even if a lane is the same for all, as a loop needs them."""
    mosaic = _mosaic()
    layout = mosaic.Layout.WG_STRIDED((THREADS,), vec_size=1)
    return [mosaic.layout_cast(lane, layout) for lane in lanes]


def forward(loop: Loop, given: Sequence[Axes], made: Sequence[Axes], *operands: Any) -> Arrays:
    """Last state, outputs and, if `made` has places for them, the states before each block.

    Args:
        loop: a loop whose step `fits`.
        given: mapped axes of the operands.
        made: mapped axes of the results.
        operands: parameters, state and inputs.
    """
    neurons = Neurons(loop)
    batch, arrays = batch_first(operands, given)
    pairs = zip(loop.split(arrays), neurons.kinds[:3], strict=True)
    lists = [neurons.spread(*pair) for pair in pairs]
    states, outputs = len(lists[1]), sum(map(neurons.count, loop.output))
    kept = states if len(made) > len(loop.state) + len(loop.output) else 0
    whole, rest = divmod(loop.time, _blocks.LENGTH)

    def body(place: _Place, *refs: Any) -> None:
        p, s, inputs, finals, ys, starts = parts(refs, [*map(len, lists), states, outputs, kept])
        parameters = place.read(p)

        def block(k: Any, state: Lanes, xs: list[Lanes]) -> Lanes:
            place.write(starts, state[: len(starts)], k)
            for i, x in enumerate(xs):
                state, y = neurons.step(parameters, state, x)
                place.write(ys, y, k * _blocks.LENGTH + i)
            return _in_registers(state)

        def one(k: Any, carry: Any) -> Any:
            # The next steps are read ahead, so that threads do not wait for memory.
            ahead = place.read_steps(
                inputs, lax.min(k + 1, whole - 1) * _blocks.LENGTH, _blocks.LENGTH
            )
            return block(k, *carry), ahead

        state = place.read(s)
        if whole:
            first = place.read_steps(inputs, 0, _blocks.LENGTH)
            state, _ = lax.fori_loop(0, whole, one, (state, first))
        if rest:
            state = block(whole, state, place.read_steps(inputs, whole * _blocks.LENGTH, rest))
        place.write(finals, state)

    lengths = [()] * states + [(loop.time,)] * outputs + [(-(-loop.time // _blocks.LENGTH),)] * kept
    lanes = _launched(body, math.prod(batch), neurons.size, lists, lengths)
    kinds = [*loop.state, *loop.output, *(loop.state if kept else [])]
    return [
        axes_back(x, batch, axes)
        for x, axes in zip(neurons.gathered(lanes, kinds), made, strict=True)
    ]


def backward(
    loop: Loop,
    changing: Sequence[bool],
    given: Sequence[Axes],
    made: Sequence[Axes],
    *operands: Any,
) -> Arrays:
    """Gradients by those of parameters, state and inputs that are changing.

    Args:
        loop: a loop whose step `fits`.
        changing: what has a gradient.
        given: mapped axes of the operands.
        made: mapped axes of the gradients.
        operands: parameters, states before each block, inputs; the gradients by the last state and
            the outputs.
    """
    neurons = Neurons(loop)
    batch, arrays = batch_first(operands, given)
    kinds = [*neurons.kinds[:3], loop.state, loop.output]
    pairs = zip(parts(arrays, map(len, kinds)), kinds, strict=True)
    lists = [neurons.spread(*pair) for pair in pairs]
    changes, start_changes, moves = loop.split(changing)
    is_learned = neurons.of_lanes(changes, loop.parameters)
    is_moved = neurons.of_lanes(moves, neurons.kinds[2])
    learned, states, moved = sum(is_learned), len(lists[1]), sum(is_moved)
    whole, rest = divmod(loop.time, _blocks.LENGTH)

    def body(place: _Place, *refs: Any) -> None:
        p, starts, inputs, finals, ys, *found = parts(
            refs, [*map(len, lists), learned, states, moved]
        )
        parameters = place.read(p)

        def read(k: Any, count: int = _blocks.LENGTH) -> tuple[list[Lanes], list[Lanes]]:
            return (
                place.read_steps(inputs, k * _blocks.LENGTH, count),
                place.read_steps(ys, k * _blocks.LENGTH, count),
            )

        def block(
            k: Any, later: Lanes, sums: Lanes, xs: list[Lanes], by_ys: list[Lanes]
        ) -> tuple[Lanes, Lanes]:
            before = [place.read(starts, k)]
            for x in xs[:-1]:
                before.append(neurons.step(parameters, before[-1], x)[0])
            for i in reversed(range(len(xs))):
                by_parameters, later, by_x = neurons.back(
                    parameters, before[i], xs[i], later, by_ys[i]
                )
                sums = [a + b for a, b in zip(sums, only(is_learned, by_parameters), strict=True)]
                place.write(found[2], only(is_moved, by_x), k * _blocks.LENGTH + i)
            return _in_registers(later), sums

        def one(i: Any, carry: Any) -> Any:
            (later, sums), steps = carry
            k = whole - 1 - i
            return block(k, later, sums, *steps), read(lax.max(k - 1, 0))

        carry = place.read(finals), _in_registers([jnp.zeros(THREADS)] * learned)
        if rest:
            carry = block(whole, *carry, *read(whole, rest))
        if whole:
            carry, _ = lax.fori_loop(0, whole, one, (carry, read(whole - 1)))
        later, sums = carry
        place.write(found[0], sums)
        place.write(found[1], later)

    lengths = [()] * (learned + states) + [(loop.time,)] * moved
    lanes = _launched(body, math.prod(batch), neurons.size, lists, lengths)
    kinds = [*only(changes, loop.parameters), *loop.state, *only(moves, neurons.kinds[2])]
    asked = [True] * sum(changes) + start_changes + [True] * sum(moves)
    return [
        axes_back(x, batch, axes)
        for x, axes in zip(only(asked, neurons.gathered(lanes, kinds)), made, strict=True)
    ]


def _launched(
    body: Callable[..., None],
    sequences: int,
    neurons: int,
    lists: Sequence[Lanes],
    lengths: Sequence[tuple[int, ...]],
) -> Lanes:
    """The lanes that a kernel writes, from all that it reads.

    Args:
        body: writes the part of a place.
        sequences: number of them.
        neurons: number of neurons of each.
        lists: what is read.
        lengths: sizes, without those of sequences and neurons, of what is written.
    """
    mosaic, pallas = _mosaic(), importlib.import_module("jax.experimental.pallas")
    width = max(neurons, THREADS)
    blocks = -(-width // THREADS)

    def kernel(*refs: Any) -> None:
        block = lax.axis_index("block")
        # The last block begins earlier if there are not enough neurons for it: some are computed
        # twice, to the same bits.
        first = lax.min(lax.rem(block, blocks) * THREADS, width - THREADS)
        body(_Place(lax.div(block, blocks), pallas.ds(first, THREADS)), *refs)

    made = mosaic.kernel(
        kernel,
        out_type=tuple(
            jax.ShapeDtypeStruct((sequences, *length, width), jnp.float32) for length in lengths
        ),
        grid=(sequences * blocks,),
        grid_names=("block",),
        compiler_params=mosaic.CompilerParams(lowering_semantics=mosaic.LoweringSemantics.Lane),
        interpret=mosaic.InterpretGPUParams() if INTERPRETED else None,
    )
    read = [lane for lanes in lists for lane in lanes]
    return [x[..., :neurons] for x in made(*read)]
