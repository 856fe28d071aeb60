"""What the layers of neurons have in common."""

import abc
from typing import Any, ClassVar, Literal, Self, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import FloatArray, PyTree
from ..params import stop_frozen
from ._hooks import Hooks
from ._layer import Layer
from ._validate import InputError

Output: TypeAlias = Literal["spikes", "vmem"]
"""What a layer gives: its spikes, or its membrane potentials after the reset."""


class Neuron(Layer):
    """A layer of neurons, whose parameters can be frozen and whose states can be transformed.

    Attributes:
        output: what the layer gives.
        frozen: names of the parameters that are not trained: they get no gradient.
        on_state: transforms of its states by name; None for none.
        hookable: names of the states that can be transformed.
        fires: whether the neurons emit spikes.
    """

    output: eqx.AbstractVar[Output]
    frozen: eqx.AbstractVar[tuple[str, ...]]
    on_state: eqx.AbstractVar[Hooks | None]
    hookable: eqx.AbstractClassVar[tuple[str, ...]]
    fires: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the population, and of one step of the output."""

    def _without_frozen(self) -> Self:
        """The same layer; no gradient reaches its frozen parameters."""
        return stop_frozen(self) if self.frozen else self

    def _start(self, x: FloatArray, state: PyTree) -> PyTree:
        """`state`, or the resting state if it is None, once it and `x` are known to fit.

        Only shapes and dtypes are looked at, which costs nothing once compiled.

        Raises:
            InputError: if `state` has not the structure and the shapes of the resting state, or if
                the states would change their dtype from step to step.
        """
        rest = jax.eval_shape(self.initial_state)
        found, wanted = jax.tree.map(np.shape, state), jax.tree.map(np.shape, rest)
        kinds: list[Any] = [jax.tree.structure(tree) for tree in (state, rest)]
        if state is not None and (kinds[0] != kinds[1] or found != wanted):
            raise InputError(
                f"`state` must be of the kind and the shapes of `initial_state()`, {wanted}; got "
                f"{found}; with a batch axis, it needs `jax.vmap`"
            )
        self._check_dtypes(x, state, rest)
        return self.initial_state() if state is None else state

    def _check_dtypes(self, x: FloatArray, state: PyTree, rest: PyTree) -> None:
        # Transforms of states give back the dtype that they are given, whatever theirs is.
        parameters = {name: value for name, value in vars(self).items() if name != "on_state"}
        held, given = (_dtypes(tree) for tree in (parameters, state))
        with jax.numpy_dtype_promotion("standard"):
            computed = jnp.result_type(x.dtype, *held, *given)
        if [computed] != _dtypes(rest):
            states = f", the states {_names(given)}" if given else ""
            raise InputError(
                f"`x` and the parameters must have one dtype; `x` has {x.dtype}, the parameters "
                f"{_names(held)}{states}; convert it: x.astype({_names(_dtypes(rest))!r})"
            )


def _dtypes(tree: PyTree) -> list[jnp.dtype]:
    """The floating-point dtypes in a tree; jax converts arrays of NumPy to its own."""
    arrays = jax.Array | jax.ShapeDtypeStruct
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, arrays)]
    return list({x.dtype: None for x in leaves if jnp.issubdtype(x.dtype, jnp.inexact)})


def _names(dtypes: list[jnp.dtype]) -> str:
    return " and ".join(map(str, dtypes))
