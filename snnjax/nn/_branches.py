"""Networks whose layers all get the same input."""

import abc
import functools
import operator
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp

from .._typing import FloatArray, Key, PyTree
from ._layer import Records
from ._network import Block, Entry, Network
from ._validate import InputError


class Branches(Network):
    """Layers side by side, each over the whole sequence, their outputs joined."""

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
