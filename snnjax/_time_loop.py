"""The loop over time as two primitives of JAX, so that the size of a batch decides how it runs.

`time_loop` is the loop. `time_loop_push` is its derivative, the linear map from tangents of
parameters, state and inputs to those of the last state and the outputs; its transpose goes back in
blocks.

Blocks pay from a size of the whole batch on, which `jax.vmap` hides from a rule of
`jax.custom_jvp`. The rule of a primitive for `jax.vmap` only notes the axes that are mapped, so
that in `jax.grad` of `jax.vmap` the rule for derivatives, which comes after it, sees all of them.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from ._blocks import Arrays, Loop, merged, only

Levels: TypeAlias = tuple[tuple[bool, ...], ...]
"""For each mapped axis, the outermost first: which operands have it. It is then a first axis."""

MANY_BYTES = 32 * 2**20
"""Inputs, states and outputs of all steps and sequences from which on blocks pay on a CPU. Arrays
of this size are taken from the system anew at every call, page by page."""

SOME_BYTES = 2**20
"""The same, from which on a loop in place pays, which spares copies with the time first."""


def run(loop: Loop, parameters: Arrays, state: Arrays, inputs: Arrays) -> tuple[Arrays, Arrays]:
    """The last state, and the outputs of all steps."""
    made = time_loop.bind(*parameters, *state, *inputs, loop=loop, levels=())
    return made[: len(state)], made[len(state) :]


def _over(function: Callable[..., Arrays], levels: Levels) -> Callable[..., Arrays]:
    """`function` over all mapped axes. They are the first axes of all that it gives."""
    for has in reversed(levels):
        function = jax.vmap(function, tuple(0 if mapped else None for mapped in has))
    return function


def _batch(levels: Levels, operands: Sequence[Any]) -> tuple[int, ...]:
    """The sizes of the mapped axes."""
    sizes = []
    for depth, has in enumerate(levels):
        one = has.index(True)
        sizes.append(operands[one].shape[sum(level[one] for level in levels[:depth])])
    return tuple(sizes)


def _types(*operands: Any, loop: Loop, levels: Levels, **_: Any) -> Arrays:
    batch = _batch(levels, operands)
    final = [jax.core.ShapedArray((*batch, *s.shape), s.dtype) for s in loop.state]
    shape = (*batch, loop.time)
    return final + [jax.core.ShapedArray((*shape, *y.shape), y.dtype) for y in loop.output]


def _note_axis(
    operands: Sequence[Any], axes: Sequence[Any], *, primitive: Any, levels: Levels, **params: Any
) -> tuple[Arrays, list[int]]:
    """The rule for `jax.vmap`."""
    mapped = tuple(axis is not None for axis in axes)
    first = [
        jnp.moveaxis(x, axis, 0) if has else x
        for x, axis, has in zip(operands, axes, mapped, strict=True)
    ]
    made = primitive.bind(*first, levels=(mapped, *levels), **params)
    return made, [0] * len(made)


def _run(*operands: Any, loop: Loop, levels: Levels) -> Arrays:
    in_place = levels and loop.is_above(SOME_BYTES, _batch(levels, operands))
    return _over(loop.in_place if in_place else loop.at_once, levels)(*operands)


def _run_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, loop: Loop, levels: Levels
) -> tuple[Arrays, Arrays]:
    changing = [
        not isinstance(d, ad.Zero) and jnp.issubdtype(x.dtype, jnp.inexact)
        for x, d in zip(primals, tangents, strict=True)
    ]
    moving = only(changing, tangents)
    if not loop.is_above(MANY_BYTES, _batch(levels, primals)):
        run = _over(loop.at_once, levels)
        of = lambda *changed: run(*merged(changing, changed, primals))  # noqa: E731
        return jax.jvp(of, only(changing, primals), moving)
    made = _over(loop.with_starts, levels)(*primals)
    count = len(loop.state) + len(loop.output)
    parameters, _, inputs = loop.split(primals)
    pushed = time_loop_push.bind(
        *parameters,
        *made[count:],
        *inputs,
        *moving,
        loop=loop,
        levels=tuple(_with_tangents(loop, has, changing) for has in levels),
        changing=tuple(changing),
    )
    return made[:count], pushed


def _with_tangents(loop: Loop, has: Sequence[bool], changing: Sequence[bool]) -> tuple[bool, ...]:
    """The operands of `push` with an axis, from those of the loop."""
    parameters, state, inputs = loop.split(has)
    # States before blocks have all mapped axes; a tangent has those of what it belongs to.
    return (*parameters, *(True for _ in state), *inputs, *only(changing, has))


def _push(*operands: Any, loop: Loop, levels: Levels, changing: tuple[bool, ...]) -> Arrays:
    return _over(functools.partial(loop.push, changing), levels)(*operands)


def _push_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
    changing = [not isinstance(d, ad.Zero) for d in tangents]
    of = lambda *changed: _push(*merged(changing, changed, primals), **params)  # noqa: E731
    return jax.jvp(of, only(changing, primals), only(changing, tangents))


def _push_transpose(
    given: Sequence[Any], *operands: Any, loop: Loop, levels: Levels, changing: tuple[bool, ...]
) -> Arrays:
    count = len(changing)
    given = [ad.instantiate_zeros(d) for d in given]
    of = functools.partial(loop.pull, changing)
    outer = tuple((*has[:count], *(True for _ in given)) for has in levels)
    found = _over(of, outer)(*operands[:count], *given)
    gradients = []
    for i, gradient in enumerate(found, start=count):
        shared = tuple(depth for depth, has in enumerate(levels) if not has[i])
        gradients.append(gradient.sum(shared) if shared else gradient)
    asked = [ad.is_undefined_primal(d) for d in operands[count:]]
    return [None] * count + [d if one else None for d, one in zip(gradients, asked, strict=True)]


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
