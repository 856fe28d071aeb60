"""A `lax.scan` over time with a cheaper gradient.

Values and derivatives equal those of `lax.scan`, in forward and in reverse mode. Reverse mode
through `lax.scan` stores most intermediate values of every step, and sums the gradient of every
parameter over the batch at every step. This scan does less:

- The backward pass recomputes each step from the state before it. Only matrix products,
  convolutions and values named with `jax.ad_checkpoint.checkpoint_name` are stored.
- The gradients of parameters accumulate per sequence. The sum over the batch comes after the loop.
- The gradient of recurrent weights is one matrix product over all steps, after the loop.
- Sequences that are large together go back in blocks, and forward where they lie.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, subjaxprs
from jax.extend.core.primitives import custom_vjp_call_p

from . import _time_loop
from ._checks import explained
from ._mesh import is_there, one_of, settled
from ._typing import FloatArray, PyTree

State = TypeVar("State")
Feedback: TypeAlias = Callable[[FloatArray, Any], PyTree]
"""(weights, state before a step) -> the recurrent part of the input of that step."""

_KEPT = jax.checkpoint_policies.save_from_both_policies(
    jax.checkpoint_policies.dots_saveable, jax.checkpoint_policies.save_any_names_but_these()
)
"""Store matrix products, convolutions and named values; recompute the rest."""


@explained
def scan(
    step: Callable[..., tuple[State, Any]],
    state: State,
    inputs: PyTree,
    *,
    record: bool = False,
    weights: FloatArray | None = None,
    feedback: Feedback | None = None,
) -> tuple[State, Any, State | None]:
    """Apply `step` along the first axis of `inputs`.

    The loop is not unrolled. On CPU, unrolling costs more than it saves.

    Args:
        step: (state, input of one step) -> (state, output of one step). The derivative includes
            the arrays that it closes over.
        state: the state before the first step.
        inputs: pytree of arrays, time first.
        record: also return the state after every step.
        weights: recurrent weights, passed to `step` as its third argument. `step` must use them
            only to add `feedback(weights, state)` to its input.
        feedback: (weights, state before a step) -> a pytree like the input of that step: the
            recurrent input, with None where there is none. Only the gradient calls it.

    Returns:
        The state after the last step; the outputs, time first; the states, time first, or None.

    Raises:
        ValueError: if `weights` come without `feedback`.

    >>> import jax.numpy as jnp
    >>> from snnjax.scan import scan
    >>> leaky_sum = lambda state, x: (0.5 * state + x, state)
    >>> final, outputs, _ = scan(leaky_sum, jnp.array(0.0), jnp.array([1.0, 1.0, 1.0]))
    >>> print(final, outputs)
    1.75 [0.  1.  1.5]
    """
    if weights is not None and feedback is None:
        raise ValueError("`weights` need `feedback`, the function that gives the recurrent input")
    held = () if weights is None else (weights,)
    x = one_of(inputs)
    step, state = settled(step, state, x, *held)
    # `converted` has the arrays that `step` closes over as leaves, so it can be differentiated.
    converted: Any = eqx.filter_closure_convert(lambda *args: step(*args), state, x, *held)
    if _has_reverse_rules(converted.jaxpr):
        # jax cannot vmap a `custom_vjp` function inside our `custom_jvp` rule.
        return _plain(_checkpointed(step), state, inputs, held, record)
    if weights is None and _may_be_cut(converted, state, inputs):
        if not record:
            return (*_cut(converted, state, inputs), None)
        if _time_loop.has_kernels():
            return _cut_recorded(converted, state, inputs)
    return _scan(converted, state, inputs, held, record=record, feedback=feedback)


def _may_be_cut(converted: Any, state: PyTree, inputs: PyTree) -> bool:
    """Whether a loop may go back in blocks.

    It may if all of its state, inputs and outputs are floating-point numbers, no parameter
    is larger than the state, and a step has no effect besides.
    """
    after, y = converted.out_struct
    states, outputs = jax.tree.leaves(state), jax.tree.leaves(y)
    times = {x.shape[0] for x in jax.tree.leaves(inputs)}
    size = sum(x.size for x in states if eqx.is_array(x))
    return (
        _time_loop.is_of_use()
        and not is_there()
        and not converted.jaxpr.effects
        and all(map(eqx.is_inexact_array, jax.tree.leaves((state, inputs))))
        and all(jnp.issubdtype(y.dtype, jnp.inexact) for y in outputs)
        and list(map(_kind, states)) == list(map(_kind, jax.tree.leaves(after)))
        and len(times) == 1
        and all(isinstance(time, int) and time > 1 for time in times)
        and all(jnp.size(x) <= size for x in converted.consts)
    )


def _kind(x: Any) -> tuple[tuple[int, ...], Any]:
    return x.shape, x.dtype


def _cut(converted: Any, state: PyTree, inputs: PyTree) -> tuple[PyTree, PyTree]:
    """The state after the last step, and the outputs, by a loop that may go back in blocks."""
    arrays, rest = eqx.partition(converted, eqx.is_array)
    leaves, structures = zip(*map(jax.tree.flatten, (arrays, state, inputs)), strict=True)
    outputs, of_outputs = jax.tree.flatten(converted.out_struct[1])

    def trees(*lists: list[Any]) -> tuple[Any, PyTree, PyTree]:
        arrays, state, inputs = map(jax.tree.unflatten, structures, lists)
        return eqx.combine(arrays, rest), state, inputs

    def step(*lists: list[Any]) -> tuple[list[Any], list[Any]]:
        converted, state, x = trees(*lists)
        after, y = converted(state, x)
        return jax.tree.leaves(after), jax.tree.leaves(y)

    def plain(*lists: list[Any]) -> tuple[list[Any], list[Any]]:
        final, ys, _ = _scan(*trees(*lists), (), record=False, feedback=None)
        return jax.tree.leaves(final), jax.tree.leaves(ys)

    types = [[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in some] for some in leaves]
    loop = _time_loop.Loop(step, plain, types[0], types[1], outputs, types[2])
    final, ys = _time_loop.run(loop, *leaves)
    return jax.tree.unflatten(structures[1], final), jax.tree.unflatten(of_outputs, ys)


def _cut_recorded(converted: Any, state: PyTree, inputs: PyTree) -> tuple[PyTree, PyTree, PyTree]:
    """The same with the states after every step, which are outputs as well."""

    def recorded(state: PyTree, x: PyTree) -> tuple[PyTree, tuple[PyTree, PyTree]]:
        after, y = converted(state, x)
        return after, (y, after)

    whole = eqx.filter_closure_convert(recorded, state, one_of(inputs))
    final, (outputs, states) = _cut(whole, state, inputs)
    return final, outputs, states


def _has_reverse_rules(jaxpr: Jaxpr) -> bool:
    """Whether the program calls a `jax.custom_vjp`, at any depth."""
    called = any(equation.primitive is custom_vjp_call_p for equation in jaxpr.eqns)
    return called or any(map(_has_reverse_rules, subjaxprs(jaxpr)))


def _checkpointed(step: Callable[..., Any]) -> Callable[..., Any]:
    return eqx.filter_checkpoint(step, policy=_KEPT, prevent_cse=False)


def _plain(
    step: Callable[..., Any], state: PyTree, inputs: PyTree, weights: PyTree, record: bool
) -> tuple[PyTree, PyTree, PyTree]:
    def body(before: PyTree, x: PyTree) -> tuple[PyTree, tuple[PyTree, PyTree]]:
        after, y = step(before, x, *weights)
        return after, (y, after if record else None)

    if jax.tree.leaves(inputs)[0].shape[0] == 1:
        # Streaming. Outside jit, every call would compile a loop anew.
        final, made = body(state, jax.tree.map(lambda xs: xs[0], inputs))
        outputs, states = jax.tree.map(lambda y: y[None], made)
    else:
        final, (outputs, states) = jax.lax.scan(body, state, inputs)
    return final, outputs, states


@eqx.filter_custom_jvp
def _scan(step, state, inputs, weights, *, record, feedback):  # type: ignore[no-untyped-def]
    # The loop must be that of the rule below: under `jax.vmap` within a program that is
    # differentiated later, the batch axes of both must lie at the same place.
    return _plain(step, state, inputs, weights, record)


@_scan.def_jvp
def _scan_jvp(primals, tangents, *, record, feedback):  # type: ignore[no-untyped-def]
    (step, state, inputs, weights), (d_step, d_state, d_inputs, d_weights) = primals, tangents
    recurrent = bool(jax.tree.leaves(d_weights))
    if recurrent:
        # The tangents of the weights enter the loop as tangents of its inputs.
        d_inputs = jax.tree.map(_or_zeros, d_inputs, inputs, is_leaf=_is_none)
    d_step = _of_each_sequence(d_step, state, inputs)
    changes = jax.tree.map(lambda d: d is not None, (d_step, d_state, d_inputs), is_leaf=_is_none)
    changing, fixed = eqx.partition((step, state, inputs), changes)

    def run(changing):  # type: ignore[no-untyped-def]
        step, state, inputs = eqx.combine(changing, fixed)
        return _plain(_checkpointed(step), state, inputs, weights, record or recurrent)

    (final, outputs, states), push = jax.linearize(run, changing)
    if recurrent:
        before = jax.tree.map(lambda s, ss: jnp.concatenate([s[None], ss[:-1]]), state, states)
        at_every_step = jax.vmap(feedback, (None, 0))
        _, added = jax.jvp(lambda w: at_every_step(w, before), weights, d_weights)
        d_inputs = jax.tree.map(_plus, d_inputs, added, is_leaf=_is_none)
    d_final, d_outputs, d_states = push((d_step, d_state, d_inputs))
    if not record:
        states = d_states = None
    return (final, outputs, states), (d_final, d_outputs, d_states)


def _of_each_sequence(d_params: PyTree, state: PyTree, inputs: PyTree) -> PyTree:
    """Broadcast the tangents of the parameters over the vmapped batch.

    The batch shares the parameters. With shared tangents, their transpose, the gradient, is summed
    over the batch at every step of the loop, which costs more than the rest of the loop. A tangent
    larger than the state stays shared: its copies would cost more than the sums.
    """
    reference = next(filter(eqx.is_inexact_array, jax.tree.leaves(inputs)), None)
    if reference is None:
        return d_params
    # Always False, but vmapped as the input is. The compiler removes it.
    never = jnp.any(reference[:1] != reference[:1]) & False
    size, kind = sum(leaf.size for leaf in jax.tree.leaves(state)), jax.typeof(never)

    def broadcast(d: FloatArray) -> FloatArray:
        # Within `shard_map`, the tangents of what all devices share cannot vary among them.
        shared = d.size > size or jax.typeof(d).manual_axis_type != kind.manual_axis_type
        return d if shared else jnp.where(never, 0, d)

    return jax.tree.map(broadcast, d_params)


def _is_none(x: Any) -> bool:
    return x is None


def _or_zeros(tangent: FloatArray | None, x: Any) -> FloatArray | None:
    return jnp.zeros_like(x) if tangent is None and eqx.is_inexact_array(x) else tangent


def _plus(x: Any, added: FloatArray | None) -> Any:
    return x if added is None else x + added
