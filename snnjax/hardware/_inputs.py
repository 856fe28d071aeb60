"""Checks of the rasters and states that simulators and emulations are given."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int

from .._checks import require_counts as require_counts
from .._mesh import automatic, error_if, is_there as is_mesh
from .._tree import leaves_with_path
from .._typing import PyTree
from ._family import MAX_INT32, is_known

Network = TypeVar("Network")
Out = TypeVar("Out")


def as_counts(
    raster: ArrayLike, shape: tuple[int, ...], *, most: int = MAX_INT32, checked: bool = True
) -> Int[Array, "..."]:
    """A raster of numbers of events in int32.

    Args:
        raster: the numbers, of integer or boolean type, or floats with whole values where these are
            known.
        shape: shape of one time step.
        most: largest number of events of a channel or pixel in a step.
        checked: look at the values. Otherwise they are cut to the range.

    Returns:
        The numbers. On a mesh, all of a recording within a program become -2^31 where one of them
        is wrong; see `marked`.

    Raises:
        ValueError: if the shape is neither `(time, *shape)` nor `(batch, time, *shape)`, or a
            number is negative, not whole, or above `most`. Under `jax.jit` the program raises it
            when it runs.
    """
    require_shape(raster, shape)
    if not isinstance(raster, jax.Array):
        raster = np.asarray(raster)
        require_counts("raster", raster, most=most)
        return jnp.asarray(raster.astype(np.int32))
    if checked and not isinstance(raster, jax.core.Tracer):
        require_known_counts("raster", raster, most=most)
        return raster.astype(jnp.int32)
    return _as_traced_counts(raster, len(shape), most, checked)


def _as_traced_counts(raster: Array, rank: int, most: int, checked: bool) -> Int[Array, "..."]:
    """The same where values are not known, or not looked at."""
    if raster.dtype == bool:
        return raster.astype(jnp.int32)
    if not jnp.issubdtype(raster.dtype, jnp.integer):
        raise ValueError(
            f"`raster` must be of integer type within jit and vmap; got {raster.dtype}"
        )
    held = min(most, int(jnp.iinfo(raster.dtype).max))  # 8 bits may not hold `most`
    if not checked:
        return raster.clip(0, held).astype(jnp.int32)
    wrong = _of_each_recording((raster < 0) | (raster > held), rank)
    message = f"`raster` must hold whole numbers from 0 to {most}"
    return error_if(raster.astype(jnp.int32), wrong, message)


def _of_each_recording(wrong: Array, rank: int) -> Bool[Array, "*batch"]:
    return wrong.any(axis=tuple(range(-1 - rank, 0)))


def marked(found: Out, raster: Int[Array, "..."], shape: tuple[int, ...]) -> Out:
    """`found`, marked as wrong on a mesh where `as_counts` marked a recording."""
    if not (is_mesh() and isinstance(raster, jax.core.Tracer)):
        return found
    return error_if(found, _of_each_recording(raster < 0, len(shape)), "")


def require_shape(raster: ArrayLike, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless a raster is one recording, or a batch, of steps of that shape."""
    found = np.shape(raster)
    if len(found) - len(shape) not in (1, 2) or found[-len(shape) :] != shape:
        sizes = ", ".join(map(str, shape))
        raise ValueError(
            f"`raster` must have the shape (time, {sizes}) or (batch, time, {sizes}), for the "
            f"input of `spec`; got {found}"
        )


def require_known_counts(name: str, array: ArrayLike, *, most: int = MAX_INT32) -> None:
    """`require_counts` of any array; of one of JAX, each process looks at what its devices hold."""
    for start, values in pieces(array):
        require_counts(name, values, most=most, start=start)


def pieces(array: ArrayLike) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """The parts of an array on this process's devices, each once, and where they begin in it."""
    if not isinstance(array, jax.Array):
        array = np.asarray(array)
        yield (0,) * array.ndim, array
        return
    held = {str(shard.index): shard for shard in array.addressable_shards}
    for shard in held.values():
        yield tuple(part.start or 0 for part in shard.index), np.asarray(shard.data)


def in_batch(
    run: Callable[[Network, Array, PyTree], Out],
    network: Network,
    raster: Array,
    state: PyTree,
    shape: tuple[int, ...],
) -> Out:
    """Call a function of a batch with a batch or with one recording.

    Args:
        run: function of `network`, of `(batch, time, *shape)` and of a state with the batch as
            first axis, or None; all of its results have the batch as first axis.
        network: what the batch shares.
        raster: one recording or a batch.
        state: its state, without a batch axis for one recording; None for rest.
        shape: shape of one time step.
    """
    if raster.ndim == len(shape) + 2:
        return automatic(lambda network, batch: run(network, *batch), network, (raster, state))
    one = jax.tree.map(lambda x: jnp.asarray(x)[None], (raster, state))
    return jax.tree.map(lambda x: x[0], run(network, *one))


class Register(NamedTuple):
    """An array of a chip's state: its shape without a batch, and its lowest and highest value."""

    shape: tuple[int, ...]
    low: int
    high: int


def batch_of(raster: ArrayLike, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The batch axis of a raster whose steps have that shape: () or (batch,)."""
    return np.shape(raster)[: -1 - len(shape)]


def require_state(
    state: Any, registers: Any, batch: tuple[int, ...], *, floats: bool = False
) -> None:
    """Raise ValueError unless a state fits a network and a raster, and the chip can hold it.

    Args:
        state: a NamedTuple of arrays, as an earlier call returned it.
        registers: a state of the same class with a `Register` in place of each array.
        batch: the batch axis of the raster.
        floats: allow whole numbers in floating point, which an emulation returns.
    """
    kind = type(registers)
    wanted = leaves_with_path(registers, is_leaf=lambda x: isinstance(x, Register))
    given = dict(leaves_with_path(state)) if isinstance(state, kind) else None
    if given is None or given.keys() != dict(wanted).keys():
        found = type(state).__name__ if given is None else f"one of {', '.join(given) or 'nothing'}"
        raise ValueError(
            f"`state` must be a {kind.__name__} from an earlier call, of "
            f"{', '.join(name for name, _ in wanted)}; got {found}"
        )
    for name, register in wanted:
        _require_register(f"state.{name}", given[name], register, batch, floats)


def _require_register(
    name: str, array: Any, register: Register, batch: tuple[int, ...], floats: bool
) -> None:
    dtype, shape = jnp.result_type(array), (*batch, *register.shape)
    whole = jnp.issubdtype(dtype, jnp.integer) or (floats and jnp.issubdtype(dtype, jnp.floating))
    if not whole or np.shape(array) != shape:
        raise ValueError(
            f"`{name}` must be integers of the shape {shape}, for this `spec` and `raster`; got "
            f"{dtype} of the shape {np.shape(array)}"
        )
    if not is_known(array):
        return
    for _, values in pieces(array):
        if values.size and not register.low <= values.min() <= values.max() <= register.high:
            raise ValueError(
                f"`{name}` must be from {register.low} to {register.high}; got {values.min()} to "
                f"{values.max()}"
            )


def saturating_sum(counts: Int[Array, "..."], axes: tuple[int, ...]) -> Int[Array, "..."]:
    """The sum of numbers of at least 0 over some axes, at most 2^31 - 1: it does not wrap."""

    def add(a: Array, b: Array) -> Array:
        return jnp.where(a > MAX_INT32 - b, MAX_INT32, a + b)

    axes = tuple(axis % counts.ndim for axis in axes)
    return jax.lax.reduce(counts.astype(jnp.int32), jnp.int32(0), add, axes)
