"""The loop over time as two primitives of JAX, so that the size of a batch decides how it runs.

`time_loop` is the loop. `time_loop_push` is its derivative, the linear map from tangents of
parameters, state and inputs to those of the last state and the outputs; its transpose goes back in
blocks.

Blocks pay from a size of the whole batch on, which `jax.vmap` hides from a rule of
`jax.custom_jvp`. The rule of a primitive for `jax.vmap` only notes the axes that are mapped, so
that in `jax.grad` of `jax.vmap` the rule for derivatives, which comes after it, sees all of them.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from ._blocks import Arrays, Loop, merged, only

Axes: TypeAlias = tuple[int | None, ...]
"""The place of an axis that `jax.vmap` maps in each operand; None for one that all share."""

Levels: TypeAlias = tuple[Axes, ...]
"""The axes of each `jax.vmap`, the outermost first."""

MANY_BYTES = 30 * 2**20
"""Inputs, states and outputs of all steps and sequences from which on blocks pay on a CPU. Arrays
of this size are taken from the system anew at every call, page by page."""

SOME_BYTES = 2**20
"""The same, from which on a loop in place pays, which spares copies with the time first."""


def run(loop: Loop, parameters: Arrays, state: Arrays, inputs: Arrays) -> tuple[Arrays, Arrays]:
    """The last state, and the outputs of all steps."""
    made = time_loop.bind(*parameters, *state, *inputs, loop=loop, levels=())
    return made[: len(state)], made[len(state) :]


def _of_outputs(loop: Loop, axes: Axes) -> int:
    """The place of a mapped axis in outputs: first, or after the time where the inputs have it."""
    inputs = loop.split(axes)[2][: len(loop.inputs)]
    return int(all(axis != 0 for axis in inputs) and any(axis is not None for axis in inputs))


def _of_made(loop: Loop, axes: Axes, more: int = 0) -> tuple[int, ...]:
    """The places of a mapped axis in last states, outputs, and `more` arrays."""
    out = _of_outputs(loop, axes)
    return (*(0 for _ in loop.state), *(out for _ in loop.output), *(0 for _ in range(more)))


def _over(
    function: Callable[..., Arrays], loop: Loop, levels: Levels, more: int = 0
) -> Callable[..., Arrays]:
    """`function` over all mapped axes, which gives last states, outputs, and `more` arrays."""
    for axes in reversed(levels):
        function = jax.vmap(function, axes, list(_of_made(loop, axes, more)))
    return function


def _batch(levels: Levels, shapes: Iterable[Sequence[int]]) -> list[int]:
    """The sizes of the mapped axes, from the shapes of operands."""
    left, sizes = list(map(list, shapes)), []
    for axes in levels:
        pairs = zip(left, axes, strict=True)
        stripped = [shape.pop(axis) for shape, axis in pairs if axis is not None]
        sizes.append(stripped[0])
    return sizes


def _types(*operands: Any, loop: Loop, levels: Levels, **_: Any) -> Arrays:
    shapes = [[*s.shape] for s in loop.state] + [[loop.time, *y.shape] for y in loop.output]
    sizes = _batch(levels, [x.shape for x in operands])
    for size, axes in zip(reversed(sizes), reversed(levels), strict=True):
        for shape, axis in zip(shapes, _of_made(loop, axes), strict=True):
            shape.insert(axis, size)
    pairs = zip(shapes, [*loop.state, *loop.output], strict=True)
    return [jax.core.ShapedArray(tuple(shape), kind.dtype) for shape, kind in pairs]


def _note_axis(
    operands: Sequence[Any],
    axes: Sequence[Any],
    *,
    primitive: Any,
    loop: Loop,
    levels: Levels,
    **params: Any,
) -> tuple[Arrays, list[int]]:
    """The rule for `jax.vmap`."""
    made = primitive.bind(*operands, loop=loop, levels=(tuple(axes), *levels), **params)
    return made, list(_of_made(loop, tuple(axes)))


def _pays(limit: int, loop: Loop, levels: Levels, operands: Sequence[Any]) -> bool:
    """Say whether to cut steps or blocks out of inputs of so many bytes.

    It spares copies with the time first, and where batches lie after the time there are none.
    """
    lie_first = not any(_of_outputs(loop, axes) for axes in levels)
    return lie_first and loop.is_above(limit, _batch(levels, map(jnp.shape, operands)))


def _run(*operands: Any, loop: Loop, levels: Levels) -> Arrays:
    in_place = levels and _pays(SOME_BYTES, loop, levels, operands)
    return _over(loop.in_place if in_place else loop.at_once, loop, levels)(*operands)


def _run_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, loop: Loop, levels: Levels
) -> tuple[Arrays, Arrays]:
    changing = [
        not isinstance(d, ad.Zero) and jnp.issubdtype(jax.typeof(x).dtype, jnp.inexact)
        for x, d in zip(primals, tangents, strict=True)
    ]
    moving = only(changing, tangents)
    if not _pays(MANY_BYTES, loop, levels, primals):
        run = _at(_over(loop.at_once, loop, levels), changing, primals)
        return jax.jvp(run, only(changing, primals), moving)
    made = _over(loop.with_starts, loop, levels, len(loop.state))(*primals)
    count = len(loop.state) + len(loop.output)
    parameters, _, inputs = loop.split(primals)
    pushed = time_loop_push.bind(
        *parameters,
        *made[count:],
        *inputs,
        *moving,
        loop=loop,
        levels=tuple(_with_tangents(loop, axes, changing) for axes in levels),
        changing=tuple(changing),
    )
    return made[:count], pushed


def _at(
    function: Callable[..., Arrays], changing: Sequence[bool], operands: Sequence[Any]
) -> Callable[..., Arrays]:
    """`function` of the operands that change, at the others as they are."""
    return lambda *changed: function(*merged(changing, changed, operands))


def _with_tangents(loop: Loop, axes: Axes, changing: Sequence[bool]) -> Axes:
    """The axes of the operands of `push`, from those of the loop."""
    parameters, state, inputs = loop.split(axes)
    # States before blocks have all mapped axes; a tangent has those of what it belongs to.
    return (*parameters, *(0 for _ in state), *inputs, *only(changing, axes))


def _push(*operands: Any, loop: Loop, levels: Levels, changing: tuple[bool, ...]) -> Arrays:
    return _over(functools.partial(loop.push, changing), loop, levels)(*operands)


def _push_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
    changing = [not isinstance(d, ad.Zero) for d in tangents]
    push = _at(functools.partial(_push, **params), changing, primals)
    return jax.jvp(push, only(changing, primals), only(changing, tangents))


def _push_transpose(
    given: Sequence[Any], *operands: Any, loop: Loop, levels: Levels, changing: tuple[bool, ...]
) -> Arrays:
    count = len(changing)
    pull: Callable[..., Arrays] = functools.partial(loop.pull, changing)
    for axes in reversed(levels):
        pull = _pull_over(pull, (*axes[:count], *_of_made(loop, axes)), axes[count:])
    found = pull(*operands[:count], *map(ad.instantiate_zeros, given))
    asked = [ad.is_undefined_primal(d) for d in operands[count:]]
    return [None] * count + [d if one else None for d, one in zip(found, asked, strict=True)]


def _pull_over(
    pull: Callable[..., Arrays], axes: Axes, of_gradients: Axes
) -> Callable[..., Arrays]:
    """`pull` over a mapped axis, summed over it for what all share."""
    over = jax.vmap(pull, axes, [axis or 0 for axis in of_gradients])

    def summed(*operands: Any) -> Arrays:
        pairs = zip(over(*operands), of_gradients, strict=True)
        return [d.sum(0) if axis is None else d for d, axis in pairs]

    return summed


def _primitive(name: str, evaluate: Callable[..., Arrays], jvp: Callable[..., Any]) -> Primitive:
    made = Primitive(name)
    made.multiple_results = True
    made.def_impl(evaluate)
    made.def_abstract_eval(_types)
    ad.primitive_jvps[made] = jvp
    batching.primitive_batchers[made] = functools.partial(_note_axis, primitive=made)
    mlir.register_lowering(made, mlir.lower_fun(evaluate, multiple_results=True))
    return made


time_loop = _primitive("time_loop", _run, _run_jvp)
time_loop_push = _primitive("time_loop_push", _push, _push_jvp)
ad.primitive_transposes[time_loop_push] = _push_transpose
