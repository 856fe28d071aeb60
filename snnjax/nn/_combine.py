"""Networks: layers one after another, side by side, and fed back."""

import abc
import functools
import operator
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import InputError, explained, shape_of
from .._typing import FloatArray, Key, PyTree
from ..scan import scan
from ._dsr import DSR
from ._layer import Records, float_dtype, or_at_rest
from ._network import Block, Entry, Network
from ._neuron import Neuron


class Chain(Network):
    """Layers applied one after another, each over the whole sequence.

    Going layer after layer keeps the products of matrices out of the loops over time.
    """

    # Here and below for type checkers, which else derive `__init__` from the fields.
    @explained
    def __init__(self, *layers: Entry | Mapping[str, Block]):
        super().__init__(*layers)

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. Records what every layer records, and every layer's `output`."""
        after, records = [], {}
        for i, before in enumerate(self._states(state)):
            x, s, found = self._evolve_layer(i, x, before, key, record)
            after.append(s)
            records.update(found)
        return x, tuple(after), records


class Sequential(Chain):
    """`Sequential(eqx.nn.Linear(...), LIF(...), ...)`: the output of each layer feeds the next.

    Layers may have names: `Sequential(("hidden", LIF(...)), ...)` or `Sequential({"hidden": ...})`.
    """

    @explained
    def __init__(self, *layers: Entry | Mapping[str, Block]):
        super().__init__(*layers)


class Residual(Chain):
    """Layers with a connection past them: the output is the input plus that of the layers."""

    @explained
    def __init__(self, *layers: Entry | Mapping[str, Block]):
        super().__init__(*layers)

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. `output` is recorded of the layers within and of the sum."""
        y, state, records = super().evolve(x, state, key=key, record=record)
        if y.shape != x.shape:
            raise InputError(
                "the layers of a Residual must keep the shape of their input; "
                f"got {x.shape} in and {y.shape} out"
            )
        total = x + y
        return total, state, {**records, "output": total} if record else {}


class Branches(Network):
    """Layers side by side, each over the whole sequence, their outputs joined."""

    @explained
    def __init__(self, *layers: Entry | Mapping[str, Block]):
        super().__init__(*layers)

    @abc.abstractmethod
    def _join(self, outputs: list[FloatArray]) -> FloatArray:
        """One output from those of the branches, time first."""

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. Records what every branch records, and every branch's `output`."""
        outputs, after, records = [], [], {}
        for i, before in enumerate(self._states(state)):
            y, s, found = self._evolve_layer(i, x, before, key, record)
            outputs.append(y)
            after.append(s)
            records.update(found)
        return self._join(outputs), tuple(after), records


class Parallel(Branches):
    """Layers side by side, their outputs summed: `Parallel(Sequential(...), eqx.nn.Conv2d(...))`.

    With a layer that gives its input as its output, `lambda x: x`, it is a residual connection.
    """

    @explained
    def __init__(self, *layers: Entry | Mapping[str, Block]):
        super().__init__(*layers)

    def _join(self, outputs: list[FloatArray]) -> FloatArray:
        shapes = [y.shape for y in outputs]
        if len(set(shapes)) > 1:
            raise InputError(f"the layers of a Parallel must give the same shape; got {shapes}")
        return functools.reduce(operator.add, outputs)


class Concatenate(Branches):
    """Layers side by side, their outputs one after another along `axis` of each time step.

    Attributes:
        axis: 0 for the first axis after the time: neurons, or channels.
    """

    axis: int = eqx.field(static=True)

    @explained
    def __init__(self, *layers: Entry | Mapping[str, Block], axis: int = 0):
        """Make a network.

        Args:
            *layers: as in `Network`.
            axis: axis of a time step.

        Raises:
            ValueError: if there are no layers, or if two have the same name.
            TypeError: if one of them cannot be called.
        """
        super().__init__(*layers)
        self.axis = axis

    def _join(self, outputs: list[FloatArray]) -> FloatArray:
        shapes = [y.shape for y in outputs]
        axis = self.axis + 1 if self.axis >= 0 else self.axis
        ranks = {len(shape) for shape in shapes}
        fits = len(ranks) == 1 and -min(ranks) < axis < min(ranks)
        rest = {_without(shape, axis) for shape in shapes} if fits else set()
        if len(rest) != 1:
            raise InputError(
                "the layers of a Concatenate must give the same shape but for "
                f"`axis`={self.axis}; got {shapes}"
            )
        return jnp.concatenate(outputs, axis)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


class Recurrent(Network):
    """A network with a recurrent input: y_t = layer(x_t + feedback(y_(t-1))), y_0 = 0.

    `layer` and `feedback` may be any layer or network, with a state or without. The network runs
    step by step, with its matrix products inside the loop over time. To feed back neurons alone,
    `recurrent` and `w_rec` of their layer are faster. The layers are `layers[0]`, and `layers[1]`
    for `feedback`.

    Attributes:
        shape: the shape of one step of the output.
    """

    shape: tuple[int, ...] = eqx.field(static=True)

    @explained
    def __init__(
        self,
        layer: Block,
        feedback: Block | None = None,
        *,
        shape: int | Sequence[int] | None = None,
    ):
        """Make a network.

        Args:
            layer: the network whose output is fed back.
            feedback: maps the output of a step to the recurrent input of the next; None is the
                identity.
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
        self.shape = found

    def initial_state(self) -> PyTree:
        """The states of both layers, and an output of zeros."""
        return super().initial_state(), jnp.zeros(self.shape, float_dtype(self, float))

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time, step by step. Records what both layers record, and their `output`."""
        inner, fed = self._halves(state)
        own = None if inner is None else self._states(inner)
        silence = jnp.zeros(self.shape, float_dtype(self, x.dtype))
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
            if y.shape[1:] != self.shape:
                raise InputError(f"`shape` must be that of the output, {y.shape[1:]}")
            records = {name: values[0] for name, values in {**more, **found}.items()}
            return ((own, back), y[0]), (y[0], records)

        after, (y, records), _ = scan(step, before, (x, keys))
        return y, after, records

    def _halves(self, state: PyTree) -> tuple[PyTree, FloatArray | None]:
        """The states of both layers, and the output of the step before."""
        inner, fed = state if type(state) is tuple and len(state) == 2 else (None, state)
        if fed is not None and np.shape(fed) != self.shape:
            raise InputError(
                f"`state` must be the states of both layers and an output of the shape {self.shape}"
                f", as `initial_state()` gives it; got {jax.tree.map(np.shape, state)}"
            )
        return inner, fed


def _unchanged(x: FloatArray) -> FloatArray:
    return x


def output_shape(layer: Block) -> tuple[int, ...] | None:
    """The shape of a step of the output, where a layer of neurons ends the network."""
    if isinstance(layer, Neuron | DSR | Recurrent):
        return layer.shape
    return output_shape(layer.layers[-1]) if isinstance(layer, Network) else None
