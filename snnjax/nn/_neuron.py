"""What the layers of neurons have in common."""

import abc
from typing import ClassVar, Literal, Self, TypeAlias

import equinox as eqx

from ..params import stop_frozen
from ._hooks import Hooks
from ._layer import Layer

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
