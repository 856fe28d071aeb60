"""The base of all layers with a state, and what they share with their callers."""

import abc
from collections.abc import Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .._checks import InputError, explained
from .._mesh import varying_as
from .._typing import FloatArray, Key, PyTree
from ..quant import Transform

Records: TypeAlias = dict[str, FloatArray]
"""States and outputs over time, by path."""


class Hooks(eqx.Module):
    """Transforms that a network applies as it runs: to outputs of layers or to states of neurons.

    Attributes:
        transforms: transforms by name: of a network, the number of a layer as text; of neurons,
            the name of a state.
    """

    transforms: dict[str, Transform]

    @explained
    def __call__(
        self,
        name: str,
        x: FloatArray,
        *,
        key: Key | None = None,
        threshold: FloatArray | None = None,
    ) -> FloatArray:
        """`x` after the transform called `name`; `x` itself where there is none."""
        transform = self.transforms.get(name)
        return x if transform is None else transform(x, key=key, threshold=threshold)

    def updated(self, other: "Hooks") -> "Hooks":
        """These transforms and those of `other`, which win where both have one."""
        return Hooks({**self.transforms, **other.transforms})


class Layer(eqx.Module):
    """A layer with a state. The state is an argument and a result; the layer never stores it.

    Input is one sequence without a batch axis, time first; `jax.vmap` maps over batches.

    >>> import jax.numpy as jnp, snnjax
    >>> layer = snnjax.IAF(2, threshold=1.0)
    >>> y, state = layer(jnp.array([[0.5, 2.0], [0.5, 0.25]]))
    >>> print(y)
    [[0. 2.]
     [1. 0.]]
    >>> y_t, state = layer.step(jnp.array([1.0, 0.75]), state)
    >>> print(y_t, state.vmem)
    [1. 1.] [0. 0.]
    """

    @abc.abstractmethod
    def initial_state(self) -> PyTree:
        """The resting state."""

    @explained
    def step(
        self, x: ArrayLike, state: PyTree = None, *, key: Key | None = None
    ) -> tuple[FloatArray, PyTree]:
        """One time step, for streaming.

        Neurons step by step equal neurons over a whole sequence exactly. A matrix product of one
        step may differ in its last digit from that of many, as its terms add up in another order.
        Where they add up without rounding, all outputs are equal.

        Args:
            x: the input of one step, that of `__call__` without the time axis.
            state: the state before the step; None is the resting state.
            key: needed where something in the layer is random.

        Returns:
            The output of the step, and the state after it.
        """
        one: Any = jax.tree.map(lambda x: x[None], as_floats(x, self))
        y, state, _ = varying_as(self, one).evolve(one, state, key=key, record=False)
        return jax.tree.map(lambda y: y[0], y), state

    @abc.abstractmethod
    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """The run over time behind `__call__`, `step` and `record`; a layer of your own defines it.

        Args:
            x: input, time first.
            state: the state before the first step; None is the resting state.
            key: needed where something in the layer is random.
            record: whether to record.

        Returns:
            The output, time first; the state after the last step; states and outputs over time by
            name if `record`, else an empty dictionary.
        """

    @explained
    def __call__(
        self, x: ArrayLike, state: PyTree = None, *, key: Key | None = None
    ) -> tuple[FloatArray, PyTree]:
        """A whole sequence.

        Args:
            x: input, time first. Integers, such as event counts, become floating-point numbers of
                the dtype of the parameters.
            state: the state before the first step; None is the resting state.
            key: needed where something in the layer is random.

        Returns:
            The output, time first, and the state after the last step.
        """
        floats = as_floats(x, self)
        y, state, _ = varying_as(self, floats).evolve(floats, state, key=key, record=False)
        return y, state


def as_float(x: ArrayLike, layer: Any) -> Float[Array, "..."]:
    """`x` as a floating-point array: of its dtype if it is one already, else of the layer's.

    Raises:
        InputError: if it is no array of real numbers.
    """
    try:
        x = jnp.asarray(x)
    except (TypeError, ValueError):
        shown = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else repr(x)[:60]
        raise InputError(f"`x` must be an array of real numbers; got {shown}") from None
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) or jnp.iscomplexobj(x):
        raise InputError(f"`x` must hold real numbers; got {x.dtype}")
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float_dtype(layer, float))


def as_floats(x: Any, layer: Any) -> Any:
    """`as_float` of an array, or of every array in a dictionary of inputs by name."""
    if isinstance(x, Mapping):
        return {name: as_float(value, layer) for name, value in x.items()}
    return as_float(x, layer)


def float_dtype(layer: Any, default: Any) -> Any:
    """The dtype of the first floating-point parameter within `layer`, if there is one."""
    leaves = jax.tree.leaves(layer)
    return next((leaf.dtype for leaf in leaves if eqx.is_inexact_array(leaf)), default)


def require_layer(name: str, layer: Any) -> None:
    """Raise TypeError unless `layer` is a `Layer`."""
    if not isinstance(layer, Layer):
        raise TypeError(
            f"`{name}` must be a layer with a state or a network; got {type(layer).__name__}; "
            "make it a network: Sequential(layer)"
        )


def or_at_rest(state: PyTree, rest: PyTree) -> PyTree:
    """`state`, with the resting state `rest` wherever it has None, as a loop over time needs it."""
    if state is None:
        return rest
    if type(state) is tuple and len(state) == len(rest):
        return tuple(or_at_rest(s, r) for s, r in zip(state, rest, strict=True))
    return state


@explained
def record(
    layer: Layer, x: ArrayLike, state: PyTree = None, *, key: Key | None = None
) -> tuple[FloatArray, PyTree, Records]:
    """Run a network over a sequence and keep every layer's states and outputs.

    Args:
        layer: a network or a single layer.
        x: input, time first.
        state: the state before the first step; None is the resting state.
        key: needed where something in the network is random.

    Returns:
        The output and the state, as `layer(x, state, key=key)` gives them, and a dictionary of
        arrays, time first, keyed by the layer's path and the name of the state:
        `records["layers[1].vmem"]`, `records["layers[1].output"]`.

    Raises:
        TypeError: if `layer` is no `Layer`, but one of equinox's for instance.
    """
    require_layer("layer", layer)
    floats = as_floats(x, layer)
    return varying_as(layer, floats).evolve(floats, state, key=key, record=True)


def start_of(layer: Layer, x: FloatArray, state: PyTree) -> PyTree:
    """`state`, or the resting state if it is None, once it and `x` are known to fit the layer.

    Only shapes and dtypes are compared, so nothing of it remains in a compiled program.

    Raises:
        InputError: if `state` has another structure or other shapes than the resting state, or if
            the dtypes of input, parameters and states would promote the states.
    """
    rest = jax.eval_shape(layer.initial_state)
    found, wanted = jax.tree.map(np.shape, state), jax.tree.map(np.shape, rest)
    kinds: list[Any] = [jax.tree.structure(tree) for tree in (state, rest)]
    if state is not None and (kinds[0] != kinds[1] or found != wanted):
        raise InputError(
            f"`state` must be of the kind and the shapes of `initial_state()`, {wanted}; got "
            f"{found}; with a batch axis, it needs `jax.vmap`"
        )
    # Transforms of states give back the dtype that they are given, whatever theirs is.
    parameters = {name: value for name, value in vars(layer).items() if name != "on_state"}
    held, given = (_dtypes(tree) for tree in (parameters, state))
    with jax.numpy_dtype_promotion("standard"):
        computed = jnp.result_type(x.dtype, *held, *given)
    if [computed] != _dtypes(rest):
        states = f", the states {_names(given)}" if given else ""
        raise InputError(
            f"`x` and the parameters must have one dtype; `x` has {x.dtype}, the parameters "
            f"{_names(held)}{states}; convert it: x.astype({_names(_dtypes(rest))!r})"
        )
    return layer.initial_state() if state is None else state


def check_input(x: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """`x`, once each step of it is known to have the shape `shape`."""
    if x.shape[1:] != shape:
        wanted = ", ".join(map(str, ("time", *shape)))
        raise InputError(f"`x` must have the shape ({wanted}); got {x.shape}")
    return x


def _dtypes(tree: PyTree) -> list[jnp.dtype]:
    """The floating-point dtypes of the jax arrays in a tree; jax converts those of NumPy."""
    arrays = jax.Array | jax.ShapeDtypeStruct
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, arrays)]
    return list({x.dtype: None for x in leaves if jnp.issubdtype(x.dtype, jnp.inexact)})


def _names(dtypes: list[jnp.dtype]) -> str:
    return " and ".join(map(str, dtypes))
