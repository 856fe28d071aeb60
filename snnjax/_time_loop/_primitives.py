"""The loop over time as three primitives of JAX, so that the size of a batch decides how it runs.

`time_loop` is the loop. `time_loop_push` is its derivative, the linear map from tangents of
parameters, state and inputs to those of the last state and the outputs. `time_loop_pull` is the
transpose of that, which goes back in blocks.

Blocks pay from a size of the whole batch on, which `jax.vmap` hides from a rule of
`jax.custom_jvp`. The rule of a primitive for `jax.vmap` only notes the axes that are mapped, so
that in `jax.grad` of `jax.vmap` the rule for derivatives, which comes after it, sees all of them.
On a GPU a primitive is one kernel, whatever the size.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from . import _kernels
from ._axes import Axes, Levels, of_each, over, sizes
from ._blocks import Arrays, Loop, merged, only
from ._neurons import fits

MANY_BYTES = 30 * 2**20
"""Inputs, states and outputs of all steps and sequences from which on blocks pay on a CPU. Arrays
of this size are taken from the system anew at every call, page by page."""

SOME_BYTES = 2**20
"""The same, from which on a loop in place pays, which spares copies with the time first."""


def has_kernels() -> bool:
    """Whether a loop is one kernel on the device at hand."""
    return _kernels.are_there()


def is_of_use() -> bool:
    """Whether these primitives do more than `lax.scan` on the devices at hand."""
    return jax.default_backend() == "cpu" or has_kernels()


def run(loop: Loop, parameters: Arrays, state: Arrays, inputs: Arrays) -> tuple[Arrays, Arrays]:
    """The last state, and the outputs of all steps."""
    found = time_loop.bind(*parameters, *state, *inputs, loop=loop, levels=(), made=(), keeps=False)
    return found[: len(state)], found[len(state) :]


def _lies_after(loop: Loop, axes: Axes) -> bool:
    """Whether a mapped axis lies after the time in the inputs."""
    inputs = loop.split(axes)[2][: len(loop.inputs)]
    return all(axis != 0 for axis in inputs) and any(axis is not None for axis in inputs)


def _places(loop: Loop, axes: Axes, more: int, *, after: bool = False) -> Axes:
    """The places of a mapped axis in last states, outputs, and `more` arrays.

    It lies first; in outputs it lies `after` the time if asked for, or if it does in the inputs.
    """
    out = int(after or _lies_after(loop, axes))
    return (*(0 for _ in loop.state), *(out for _ in loop.output), *(0 for _ in range(more)))


def _places_of_loop(loop: Loop, levels: Levels, operands: Sequence[Any], *, keeps: bool) -> Axes:
    """The places of the outermost mapped axis in the results of `time_loop`.

    On a CPU, a small batch leaves with the time first: layers that follow need no copies then.
    """
    after = jax.default_backend() == "cpu" and not _is_large(MANY_BYTES, loop, levels, operands)
    return _places(loop, levels[0], len(loop.state) if keeps else 0, after=after)


def _pays(limit: int, loop: Loop, levels: Levels, operands: Sequence[Any]) -> bool:
    """Say whether to cut steps or blocks out of inputs of so many bytes, as measured on CPUs.

    It spares copies with the time first, and where batches lie after the time there are none.
    """
    lie_first = not any(_lies_after(loop, axes) for axes in levels)
    on_cpu = jax.default_backend() == "cpu"
    return on_cpu and lie_first and _is_large(limit, loop, levels, operands)


def _is_large(limit: int, loop: Loop, levels: Levels, operands: Sequence[Any]) -> bool:
    return loop.is_above(limit, sizes(levels, map(jnp.shape, operands)))


def _is_fused(loop: Loop, levels: Levels, operands: Sequence[Any]) -> bool:
    """Whether a loop is a kernel where its program runs on a GPU."""
    batch = sizes(levels, map(jnp.shape, operands))
    some = all(isinstance(size, int) and size > 0 for size in batch)
    return some and _kernels.are_there() and fits(loop)


def _either(
    kernel: Callable[..., Arrays], other: Callable[..., Arrays], operands: Sequence[Any]
) -> Arrays:
    """The results of a kernel where the program runs on a GPU, of another function elsewhere."""
    if _kernels.INTERPRETED:
        return kernel(*operands)
    found: Arrays = lax.platform_dependent(*operands, cuda=kernel, default=other)
    return found


def _run(*operands: Any, loop: Loop, levels: Levels, made: Levels, keeps: bool) -> Arrays:
    in_place = levels and _pays(SOME_BYTES, loop, levels, operands)
    step = loop.with_starts if keeps else loop.in_place if in_place else loop.at_once
    other = over(step, levels, made)
    if not _is_fused(loop, levels, operands):
        return other(*operands)
    count = len(loop.state) * (1 + keeps) + len(loop.output)
    given = of_each(levels, len(operands))
    kernel = functools.partial(_kernels.forward, loop, given, of_each(made, count))
    return _either(kernel, other, operands)


def _run_types(*operands: Any, loop: Loop, levels: Levels, made: Levels, keeps: bool) -> Arrays:
    starts = loop.starts if keeps else []
    return _types([*loop.state, *loop.outputs, *starts], operands, levels, made)


def _types(kinds: Sequence[Any], operands: Sequence[Any], levels: Levels, made: Levels) -> Arrays:
    """The types of results, from those of one sequence."""
    shapes = [[*kind.shape] for kind in kinds]
    batch = sizes(levels, [x.shape for x in operands])
    for size, places in zip(reversed(batch), reversed(made), strict=True):
        for shape, place in zip(shapes, places, strict=True):
            if place is not None:
                shape.insert(place, size)
    pairs = zip(shapes, kinds, strict=True)
    return [jax.core.ShapedArray(tuple(shape), kind.dtype) for shape, kind in pairs]


def _run_jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    loop: Loop,
    levels: Levels,
    made: Levels,
    keeps: bool,
) -> tuple[Arrays, Arrays]:
    changing = [
        not isinstance(d, ad.Zero) and jnp.issubdtype(jax.typeof(x).dtype, jnp.inexact)
        for x, d in zip(primals, tangents, strict=True)
    ]
    moving = only(changing, tangents)
    in_blocks = _is_fused(loop, levels, primals) or _pays(MANY_BYTES, loop, levels, primals)
    if keeps or not in_blocks:
        step = loop.with_starts if keeps else loop.at_once
        run = _at(over(step, levels, made), changing, primals)
        return jax.jvp(run, only(changing, primals), moving)
    with_starts = tuple((*places, *(0 for _ in loop.state)) for places in made)
    found = time_loop.bind(*primals, loop=loop, levels=levels, made=with_starts, keeps=True)
    count = len(loop.state) + len(loop.output)
    parameters, _, inputs = loop.split(primals)
    pushed = time_loop_push.bind(
        *parameters,
        *found[count:],
        *inputs,
        *moving,
        loop=loop,
        levels=tuple(_with_tangents(loop, axes, changing) for axes in levels),
        made=made,
        changing=tuple(changing),
    )
    return found[:count], pushed


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


def _push(
    *operands: Any, loop: Loop, levels: Levels, made: Levels, changing: tuple[bool, ...]
) -> Arrays:
    return over(functools.partial(loop.push, changing), levels, made)(*operands)


def _push_types(*operands: Any, loop: Loop, levels: Levels, made: Levels, **_: Any) -> Arrays:
    return _types([*loop.state, *loop.outputs], operands, levels, made)


def _push_transpose(
    given: Sequence[Any],
    *operands: Any,
    loop: Loop,
    levels: Levels,
    made: Levels,
    changing: tuple[bool, ...],
) -> Arrays:
    count = len(changing)
    pairs = zip(levels, made, strict=True)
    found = time_loop_pull.bind(
        *operands[:count],
        *map(ad.instantiate_zeros, given),
        loop=loop,
        levels=tuple((*axes[:count], *places) for axes, places in pairs),
        made=tuple(axes[count:] for axes in levels),
        changing=changing,
    )
    asked = [ad.is_undefined_primal(d) for d in operands[count:]]
    return [None] * count + [d if one else None for d, one in zip(found, asked, strict=True)]


def _pull(
    *operands: Any, loop: Loop, levels: Levels, made: Levels, changing: tuple[bool, ...]
) -> Arrays:
    other = _pull_in_blocks(loop=loop, levels=levels, made=made, changing=changing)
    if not _is_fused(loop, levels, operands):
        return other(*operands)
    given, places = of_each(levels, len(operands)), of_each(made, sum(changing))
    kernel = functools.partial(_kernels.backward, loop, changing, given, places)
    return _either(kernel, other, operands)


def _pull_in_blocks(
    *, loop: Loop, levels: Levels, made: Levels, changing: tuple[bool, ...]
) -> Callable[..., Arrays]:
    return over(functools.partial(loop.pull, changing), levels, made)


def _pull_types(
    *operands: Any, loop: Loop, levels: Levels, made: Levels, changing: tuple[bool, ...]
) -> Arrays:
    kinds = only(changing, [*loop.parameters, *loop.state, *loop.inputs])
    return _types(kinds, operands, levels, made)


def _derived(
    evaluate: Callable[..., Callable[..., Arrays]],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    **params: Any,
) -> tuple[Arrays, Arrays]:
    """The derivative of a primitive, as that of a function that computes the same."""
    changing = [not isinstance(d, ad.Zero) for d in tangents]
    function = _at(evaluate(**params), changing, primals)
    return jax.jvp(function, only(changing, primals), only(changing, tangents))


def _note_axis(
    operands: Sequence[Any],
    axes: Sequence[Any],
    *,
    primitive: Any,
    places_of: Callable[..., Axes],
    loop: Loop,
    levels: Levels,
    made: Levels,
    **params: Any,
) -> tuple[Arrays, Axes]:
    """The rule for `jax.vmap`."""
    levels = tuple(axes), *levels
    places = places_of(loop, levels, operands, **params)
    made = places, *made
    return primitive.bind(*operands, loop=loop, levels=levels, made=made, **params), places


def _primitive(
    name: str,
    evaluate: Callable[..., Arrays],
    types: Callable[..., Arrays],
    jvp: Callable[..., Any],
    places_of: Callable[..., Axes],
) -> Primitive:
    """A primitive.

    Args:
        name: its name.
        evaluate: what it computes.
        types: the types of that.
        jvp: its rule for derivatives.
        places_of: the places in the results of an axis that is mapped.
    """
    primitive = Primitive(name)
    primitive.multiple_results = True
    primitive.def_impl(evaluate)
    primitive.def_abstract_eval(types)
    ad.primitive_jvps[primitive] = jvp
    note = functools.partial(_note_axis, primitive=primitive, places_of=places_of)
    batching.primitive_batchers[primitive] = note
    mlir.register_lowering(primitive, mlir.lower_fun(evaluate, multiple_results=True))
    return primitive


time_loop = _primitive(
    "time_loop",
    _run,
    _run_types,
    _run_jvp,
    _places_of_loop,
)
time_loop_push = _primitive(
    "time_loop_push",
    _push,
    _push_types,
    functools.partial(_derived, lambda **params: functools.partial(_push, **params)),
    lambda loop, levels, operands, changing: _places(loop, levels[0], 0),
)
ad.primitive_transposes[time_loop_push] = _push_transpose
time_loop_pull = _primitive(
    "time_loop_pull",
    _pull,
    _pull_types,
    functools.partial(_derived, _pull_in_blocks),
    lambda loop, levels, operands, changing: (0,) * sum(changing),
)
