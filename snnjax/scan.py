"""Runs a neuron's step over time, and differentiates the run at little cost.

Values and derivatives are those of `lax.scan`, in forward and in reverse mode. Left to itself, the
reverse mode keeps most intermediate values of every step, and at every step adds to the gradient of
every parameter, summed over the batch. Here,

- a step is computed again on the way back, from the state before it. Only products of matrices,
  convolutions and what the step names with `jax.ad_checkpoint.checkpoint_name` are kept;
- the gradients of parameters add up for each sequence, and are summed over the batch at the end;
- the gradient of recurrent weights is one product of matrices over all steps, after the loop.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, subjaxprs
from jax.extend.core.primitives import custom_vjp_call_p

from ._typing import FloatArray, PyTree

State = TypeVar("State")
Feedback: TypeAlias = Callable[[FloatArray, Any], PyTree]

_KEPT = jax.checkpoint_policies.save_from_both_policies(
    jax.checkpoint_policies.dots_saveable, jax.checkpoint_policies.save_any_names_but_these()
)
"""Products of matrices, convolutions and what has a name."""


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

    `lax.scan` is not unrolled: on CPU, unrolling it costs more than it saves.

    Args:
        step: (state, input of one step) -> (state, output of one step). What it closes over is
            differentiated too.
        state: the state before the first step.
        inputs: pytree of arrays, time first.
        record: also return the state after every step. It is not kept otherwise.
        weights: recurrent weights, which `step` then takes as its third argument. All it may do
            with them is to add `feedback(weights, state)` to its input.
        feedback: (weights, state before a step) -> what is added to the input of that step: a
            pytree like it, with None where nothing is added. Only the gradient calls it.

    Returns:
        The state after the last step; the outputs, time first; the states, time first, or None.

    Raises:
        ValueError: if there are `weights` without `feedback`.
    """
    if weights is not None and feedback is None:
        raise ValueError("`weights` need `feedback`, which says what they add to the input")
    held = () if weights is None else (weights,)
    x = jax.tree.map(lambda xs: jax.ShapeDtypeStruct(xs.shape[1:], xs.dtype), inputs)
    # Makes what the step closes over leaves of it, so that their gradients pass through here.
    converted: Any = eqx.filter_closure_convert(lambda *args: step(*args), state, x, *held)
    if _has_reverse_rules(converted.jaxpr):
        # Inside a rule of our own, jax cannot map such a function over a batch.
        return _plain(_checkpointed(step), state, inputs, held, record)
    return _scan(converted, state, inputs, held, record=record, feedback=feedback)


def _has_reverse_rules(jaxpr: Jaxpr) -> bool:
    """Whether a `jax.custom_vjp` is called, in the program itself or in one that it calls."""
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

    if len(jax.tree.leaves(inputs)[0]) == 1:
        # Streaming. Outside jit, a loop would be compiled anew at every call.
        final, made = body(state, jax.tree.map(lambda xs: xs[0], inputs))
        outputs, states = jax.tree.map(lambda y: y[None], made)
    else:
        final, (outputs, states) = jax.lax.scan(body, state, inputs)
    return final, outputs, states


@eqx.filter_custom_jvp
def _scan(step, state, inputs, weights, *, record, feedback):  # type: ignore[no-untyped-def]
    return _plain(step, state, inputs, weights, record)


@_scan.def_jvp
def _scan_jvp(primals, tangents, *, record, feedback):  # type: ignore[no-untyped-def]
    (step, state, inputs, weights), (d_step, d_state, d_inputs, d_weights) = primals, tangents
    recurrent = bool(jax.tree.leaves(d_weights))
    if recurrent:
        # A change of the weights reaches the loop as a change of its inputs.
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
    """The same tangents, but one for each sequence where a batch of sequences is mapped over.

    As it is, the batch shares the tangents as it shares the parameters; so the gradient, which is
    their transpose, is summed over the batch at every step of the loop, and that costs more than
    all the rest of it. A parameter larger than the state is left alone: a gradient of it for each
    sequence would cost more still.
    """
    reference = next(filter(eqx.is_inexact_array, jax.tree.leaves(inputs)), None)
    if reference is None:
        return d_params
    # False whatever the input, but mapped over where the input is. The compiler removes it.
    never = jnp.any(reference[:1] != reference[:1]) & False
    size = sum(leaf.size for leaf in jax.tree.leaves(state))
    return jax.tree.map(lambda d: d if d.size > size else jnp.where(never, 0, d), d_params)


def _is_none(x: Any) -> bool:
    return x is None


def _or_zeros(tangent: FloatArray | None, x: Any) -> FloatArray | None:
    return jnp.zeros_like(x) if tangent is None and eqx.is_inexact_array(x) else tangent


def _plus(x: Any, added: FloatArray | None) -> Any:
    return x if added is None else x + added
