"""Any network, fed back with one step's delay."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import FloatArray, Key, PyTree
from ..scan import scan
from ._layer import Records, float_dtype, or_at_rest
from ._network import Block, Network
from ._neuron import Neuron
from ._validate import InputError, shape_of


class Recurrent(Network):
    """A network whose output comes back as input, one step later: y_t = layer(x_t + feedback(y)).

    y is the output of the step before, zero at first. Both `layer` and `feedback` may be any layer
    or network, with a state or without. Within, it goes step by step, and so its products of
    matrices are inside the loop over time: where only neurons are to be fed back, `recurrent` and
    `w_rec` of their layer are faster. Its layers are `layers[0]`, and `layers[1]` for `feedback`.

    Attributes:
        size: the shape of one step of the output.
    """

    size: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        layer: Block,
        feedback: Block | None = None,
        *,
        shape: int | Sequence[int] | None = None,
    ):
        """Make a network.

        Args:
            layer: what is fed back.
            feedback: from the output of a step to what it adds to the input of the next; None adds
                the output itself.
            shape: the shape of one step of the output. It need not be given where `layer` is, or
                ends with, a layer of neurons.

        Raises:
            ValueError: if `shape` is not given and cannot be seen.
            TypeError: if `layer` or `feedback` cannot be called.
        """
        super().__init__(layer, _unchanged if feedback is None else feedback)
        found = output_shape(layer) if shape is None else shape_of(shape)
        if found is None:
            raise ValueError("`shape` of the output is needed: `layer` does not end with neurons")
        self.size = found

    def initial_state(self) -> PyTree:
        """The states of both layers, and an output of zeros."""
        return super().initial_state(), jnp.zeros(self.size, float_dtype(self, float))

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time, step by step. Records what both layers record, and their `output`."""
        inner, fed = self._halves(state)
        own = None if inner is None else self._states(inner)
        silence = jnp.zeros(self.size, float_dtype(self, x.dtype))
        before = or_at_rest((own, fed), (super().initial_state(), silence))
        keys = None if key is None else jax.random.split(key, len(x))

        def step(before: PyTree, now: PyTree) -> tuple[PyTree, tuple[FloatArray, Records]]:
            (own, back), y = before
            x_t, key_t = now
            returned, back, found = self._evolve_layer(1, y[None], back, key_t, record)
            if returned.shape[1:] != x_t.shape:
                raise InputError(
                    f"`feedback` must give the shape of the input, {x_t.shape}; "
                    f"got {returned.shape[1:]}"
                )
            y, own, more = self._evolve_layer(0, x_t[None] + returned, own, key_t, record)
            if y.shape[1:] != self.size:
                raise InputError(f"`shape` must be that of the output, {y.shape[1:]}")
            records = {name: values[0] for name, values in {**more, **found}.items()}
            return ((own, back), y[0]), (y[0], records)

        after, (y, records), _ = scan(step, before, (x, keys))
        return y, after, records

    def _halves(self, state: PyTree) -> tuple[PyTree, FloatArray | None]:
        """The states of both layers, and the output of the step before."""
        inner, fed = state if type(state) is tuple and len(state) == 2 else (None, state)
        if fed is not None and np.shape(fed) != self.size:
            raise InputError(
                f"`state` must be the states of both layers and an output of the shape {self.size}"
                f", as `initial_state()` gives it; got {jax.tree.map(np.shape, state)}"
            )
        return inner, fed


def _unchanged(x: FloatArray) -> FloatArray:
    return x


def output_shape(layer: Block) -> tuple[int, ...] | None:
    """The shape of a step of the output, where a layer of neurons ends the network."""
    if isinstance(layer, Neuron):
        return layer.shape
    if isinstance(layer, Recurrent):
        return layer.size
    return output_shape(layer.layers[-1]) if isinstance(layer, Network) else None
