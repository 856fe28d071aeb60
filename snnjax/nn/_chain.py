"""Networks that apply one layer after another."""

from collections.abc import Mapping

from .._typing import FloatArray, Key, PyTree
from ._layer import Records
from ._network import Block, Entry, Network
from ._validate import InputError


class Chain(Network):
    """Layers applied one after another, each over the whole sequence.

    Going layer after layer keeps the products of matrices out of the loops over time.
    """

    # Here and below, for type checkers: they make up an `__init__` of the fields where there is
    # none.
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

    def __init__(self, *layers: Entry | Mapping[str, Block]):
        super().__init__(*layers)


class Residual(Chain):
    """Layers with a connection past them: the output is the input plus that of the layers."""

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
