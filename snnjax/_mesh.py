"""Loops and errors within programs on meshes.

On a mesh with explicit axes, an array's type says how it is split; within `jax.shard_map`, along
which axes it varies. A loop needs a state of one type, but a state at rest is the same everywhere,
and after one step it is as the input is. Where all axes are automatic, types say nothing of it.

An error within a program is raised by the host, which sees an array only once it is gathered there,
and while one device waits for its host, the others wait for that device. So on a mesh an error is a
mark in the results.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool

from ._typing import PyTree

State = TypeVar("State")
Tree = TypeVar("Tree")
Out = TypeVar("Out")


def _is_typed() -> bool:
    """Whether there is a mesh that the types of arrays tell of."""
    mesh = jax.sharding.get_abstract_mesh()
    return not mesh.empty and not mesh.are_all_axes_auto


def is_there() -> bool:
    """Whether there is a mesh: within `jax.set_mesh` or `jax.shard_map`."""
    return not jax.sharding.get_abstract_mesh().empty


def error_if(tree: Tree, wrong: Bool[Array, "*batch"], message: str) -> Tree:
    """`tree`, or an error when the program runs.

    On a mesh no error is raised, but floating-point numbers become NaN and integers the lowest
    there are.

    Args:
        tree: arrays; of those that have the axes of `wrong` first, only what is wrong is marked.
        wrong: whether there is an error, for all of `tree` or for each entry of a batch.
        message: the message of the error.
    """
    if not is_there():
        return eqx.error_if(tree, jnp.any(wrong), message)

    def marked(x: Any) -> Any:
        mark = jnp.nan if eqx.is_inexact_array(x) else jnp.iinfo(x.dtype).min
        axes = wrong.shape + (1,) * (x.ndim - wrong.ndim)
        return jnp.where(wrong.reshape(axes), jnp.asarray(mark, x.dtype), x)

    return jax.tree.map(marked, tree)


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    state: PyTree,
    inputs: PyTree = None,
    *,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """`lax.scan` from a state that need not be spread yet."""
    step, state = settled(step, state, one_of(inputs))
    return lax.scan(step, state, inputs, reverse=reverse, unroll=unroll)


def while_loop(go_on: Callable[[Any], Any], step: Callable[[Any], Any], state: PyTree) -> PyTree:
    """`lax.while_loop` from a state that need not be spread yet."""
    step_and_none, state = settled(lambda state: (step(state), None), state)
    return lax.while_loop(go_on, lambda state: step_and_none(state)[0], state)


def one_of(inputs: PyTree) -> PyTree:
    """The types of one step of `inputs`, arrays with the time first."""
    if not _is_typed():
        return jax.tree.map(lambda xs: jax.ShapeDtypeStruct(xs.shape[1:], xs.dtype), inputs)
    return jax.eval_shape(lambda inputs: jax.tree.map(_sum, inputs), inputs)


def _sum(xs: Any) -> Any:
    """An array of the type of one step: a sum, since there may be no steps at all."""
    if jnp.issubdtype(xs.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_sum(jax.random.key_data(xs)), impl=jax.random.key_impl(xs))
    return xs.sum(0).astype(xs.dtype)


def settled(
    step: Callable[..., tuple[State, Any]], state: State, *inputs: PyTree
) -> tuple[Callable[..., tuple[State, Any]], State]:
    """A step of a loop and the state before it, spread so that a step leaves its type as it is.

    Args:
        step: (state, *inputs) -> (state, anything).
        state: the state before the first step.
        inputs: those of one step, or their types.
    """
    if not _is_typed():
        return step, state
    leaves, structure = jax.tree.flatten(state)
    for _ in range(len(leaves) + 1):  # each round spreads one leaf more, or is the last
        after = jax.tree.leaves(jax.eval_shape(lambda *args: step(*args)[0], state, *inputs))
        spread = [as_spread(x, like) for x, like in zip(leaves, after, strict=True)]
        if all(x is y for x, y in zip(spread, leaves, strict=True)):
            break
        leaves, state = spread, jax.tree.unflatten(structure, spread)
    kinds = [jax.typeof(x) for x in leaves]

    def kept(state: State, *inputs: PyTree) -> tuple[State, Any]:
        after, out = step(state, *inputs)
        found, structure = jax.tree.flatten(after)
        return jax.tree.unflatten(structure, map(as_spread, found, kinds)), out

    return kept, state


def varying_as(tree: Tree, x: PyTree) -> Tree:
    """`tree` with arrays that vary along all axes of `jax.shard_map` that the arrays of `x` do.

    The gradients of parameters that went through here are summed over devices once, after the loop
    over time. Otherwise they are at every step. Arrays that are on no mesh come to that which is
    set.
    """
    if not _is_typed():
        return tree
    axes = frozenset().union(*(_axes(jax.typeof(leaf)) for leaf in jax.tree.leaves(x)))
    return jax.tree.map(lambda y: _vary(y, axes) if eqx.is_array(y) else y, tree)


def automatic(run: Callable[..., Out], shared: PyTree, batch: PyTree) -> Out:
    """`run(shared, batch)`, within which axes of a mesh that are explicit are automatic.

    Args:
        run: function of two pytrees; all of its results have the batch as first axis.
        shared: what all of a batch share.
        batch: arrays with the batch as first axis.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if not mesh.explicit_axes:
        return run(varying_as(shared, batch), batch)
    arrays, rest = eqx.partition((shared, batch), eqx.is_array)
    spec = jax.typeof(jax.tree.leaves(batch)[0]).sharding.spec
    of_arrays = lambda arrays: run(*eqx.combine(arrays, rest))  # noqa: E731
    return jax.sharding.auto_axes(of_arrays, out_sharding=P(*spec[:1]))(arrays)


def take_along(x: Any, order: Any) -> Any:
    """`x[order]`; split over devices along its first axis, it is so along the last of `order`."""
    spec = jax.typeof(x).sharding.spec
    if not any(spec[:1]):
        return x[order]
    out = P(*(None,) * (order.ndim - 1), *spec)
    return jax.sharding.auto_axes(lambda x, order: x[order], out_sharding=out)(x, order)


def as_spread(x: Any, like: Any) -> Any:
    """`x`, which varies along the axes that the type `like` does, and is split as it is."""
    x = _vary(x, _axes(like))
    wanted, found = like.sharding, jax.typeof(x).sharding
    if wanted is None or not any(wanted.spec) or wanted.spec == found.spec:
        return x
    return jax.sharding.reshard(x, wanted)


def _axes(kind: Any) -> frozenset[str]:
    """The axes of `jax.shard_map` along which arrays of a type vary."""
    manual = kind.manual_axis_type
    return frozenset() if manual is None else manual.varying


def _vary(x: Any, axes: frozenset[str]) -> Any:
    found = jax.typeof(x).sharding
    if found is not None and found.mesh.empty and jax.sharding.get_abstract_mesh().explicit_axes:
        x = jax.sharding.reshard(x, P())
    missing = tuple(sorted(axes - _axes(jax.typeof(x))))
    return lax.pcast(x, missing, to="varying") if missing else x
