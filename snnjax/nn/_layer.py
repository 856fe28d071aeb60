"""What every layer with a state can do."""

import abc
from collections.abc import Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .._typing import FloatArray, Key, PyTree
from ._validate import InputError

Records: TypeAlias = dict[str, FloatArray]
"""States and outputs over time, by path."""


class Layer(eqx.Module):
    """A layer with a state that it takes and returns, and never keeps.

    Works on one sequence without a batch axis, time first; `jax.vmap` gives batches.
    """

    @abc.abstractmethod
    def initial_state(self) -> PyTree:
        """The resting state."""

    def step(
        self, x: ArrayLike, state: PyTree = None, *, key: Key | None = None
    ) -> tuple[FloatArray, PyTree]:
        """One time step, for streaming.

        Step by step, neurons do exactly what they do in a whole sequence. A product of matrices may
        differ in its last digit from that of many steps at once, as its terms are added up in
        another order; where they add up without rounding, all outputs are exactly the same.

        Args:
            x: the input of one step: what `__call__` takes, without the time axis.
            state: the state before the step; None is the resting state.
            key: needed where something in the layer is random.

        Returns:
            The output of the step, and the state after it.
        """
        one: Any = jax.tree.map(lambda x: x[None], as_floats(x, self))
        y, state, _ = self.evolve(one, state, key=key, record=False)
        return jax.tree.map(lambda y: y[0], y), state

    @abc.abstractmethod
    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """What `__call__` and `record` share: a run over time that may be recorded.

        A layer of your own defines this one. It returns the output, the state after the last step,
        and, if `record`, its states and outputs over time by name; otherwise an empty dictionary.
        """

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
        y, state, _ = self.evolve(as_floats(x, self), state, key=key, record=False)
        return y, state


def as_float(x: ArrayLike, layer: Any) -> Float[Array, "..."]:
    """`x` as a floating-point array: of its dtype if it is one already, else of the layer's.

    Raises:
        InputError: if it holds complex numbers.
    """
    x = jnp.asarray(x)
    if jnp.iscomplexobj(x):
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
    return layer.evolve(as_floats(x, layer), state, key=key, record=True)
