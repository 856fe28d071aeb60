"""The network that a Xylo chip holds."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Int, Real

from ..._checks import explained, of_kind
from .. import _family
from .._family import as_array
from ._chips import Chip

DIMENSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "w_in": ("inputs", "hidden", "synapses"),
        "w_rec": ("hidden", "hidden", "synapses"),
        "w_out": ("hidden", "outputs"),
        "dash_mem": ("hidden",),
        "dash_syn": ("hidden", "synapses"),
        "dash_mem_out": ("outputs",),
        "dash_syn_out": ("outputs",),
        "threshold": ("hidden",),
        "threshold_out": ("outputs",),
        "bias": ("hidden",),
        "bias_out": ("outputs",),
        "aliases": ("hidden",),
    }
)
"""The axes of each array of a Spec, by what they count."""

OPTIONAL = ("bias", "bias_out", "aliases")
"""The arrays of a Spec that may be None."""


class Part(NamedTuple):
    """The neurons of one layer of the model among those of a chip.

    Attributes:
        path: path of its neurons in the model.
        size: number of its neurons.
    """

    path: str
    size: int


class Spec(_family.Spec):
    """A network as a chip holds it: one population of hidden neurons, and output neurons.

    Once quantised every array holds integers (int32, within the chip's ranges). Before that, a
    network that was only mapped holds real numbers in the same places, its aliases excepted.

    Attributes:
        w_in: weights from input channels to the synapses of hidden neurons.
        w_rec: weights among hidden neurons, source first.
        w_out: weights from hidden to output neurons.
        dash_mem: bit shifts of the hidden membrane potentials' decay, v -= v >> dash.
        dash_syn: bit shifts of the hidden synaptic currents' decay.
        dash_mem_out: bit shifts of the output membrane potentials' decay.
        dash_syn_out: bit shifts of the output synaptic currents' decay.
        threshold: firing thresholds of the hidden neurons.
        threshold_out: firing thresholds of the output neurons.
        bias: added to the hidden membrane potentials at every step; None for no biases.
        bias_out: the same for the output neurons.
        aliases: for each hidden neuron the one that repeats its spikes, -1 for none; None if no
            neuron has one.
        weight_shift_in: left shift of the input weights, in bits.
        weight_shift_rec: left shift of the recurrent weights, in bits.
        weight_shift_out: left shift of the output weights, in bits.
        layers: the layers of the model in the order of their neurons, the readout last, for
            messages and reports; empty where they are not known.
        dt: length of a step in seconds.
        chip: the chip that the network is meant for.
    """

    w_in: Real[Array, "inputs hidden synapses"] = eqx.field(converter=as_array)
    w_rec: Real[Array, "hidden hidden synapses"] = eqx.field(converter=as_array)
    w_out: Real[Array, "hidden outputs"] = eqx.field(converter=as_array)
    dash_mem: Real[Array, " hidden"] = eqx.field(converter=as_array)
    dash_syn: Real[Array, "hidden synapses"] = eqx.field(converter=as_array)
    dash_mem_out: Real[Array, " outputs"] = eqx.field(converter=as_array)
    dash_syn_out: Real[Array, " outputs"] = eqx.field(converter=as_array)
    threshold: Real[Array, " hidden"] = eqx.field(converter=as_array)
    threshold_out: Real[Array, " outputs"] = eqx.field(converter=as_array)
    bias: Real[Array, " hidden"] | None = eqx.field(converter=as_array, default=None)
    bias_out: Real[Array, " outputs"] | None = eqx.field(converter=as_array, default=None)
    aliases: Int[Array, " hidden"] | None = eqx.field(converter=as_array, default=None)
    weight_shift_in: int = eqx.field(static=True, default=0)
    weight_shift_rec: int = eqx.field(static=True, default=0)
    weight_shift_out: int = eqx.field(static=True, default=0)
    layers: tuple[Part, ...] = eqx.field(static=True, default=())
    dt: float = eqx.field(static=True, kw_only=True)
    chip: Chip = eqx.field(static=True, kw_only=True)

    @explained
    def __check_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, jax.Array):  # no number for the converter
                of_kind(field.name, value, field.type)
        if self.w_in.ndim != 3 or self.w_out.ndim != 2:
            raise ValueError(
                "`w_in` must have the shape (inputs, hidden, synapses) and `w_out` "
                f"(hidden, outputs); got {self.w_in.shape} and {self.w_out.shape}"
            )
        for name, array in self.arrays().items():
            shape = self.shape_of(name)
            if array.shape != shape:
                wanted = ", ".join(DIMENSIONS[name])
                raise ValueError(f"`{name}` must be ({wanted}) = {shape}; got {array.shape}")
            if 0 in shape:
                raise ValueError(f"`{name}` is empty: its shape is {shape}")
        if not 0 < self.dt < math.inf:
            raise ValueError(f"`dt` must be a number of seconds above 0; got {self.dt}")
        *hidden, readout = (layer.size for layer in self.layers or self._unnamed())
        if (sum(hidden), readout) != (self.n_hidden, self.n_outputs):
            raise ValueError(
                f"`layers` must add up to the {self.n_hidden} hidden and {self.n_outputs} output "
                f"neurons; got {self.layers}"
            )

    @property
    def n_inputs(self) -> int:
        """Number of input channels."""
        return self.w_in.shape[0]

    @property
    def n_hidden(self) -> int:
        """Number of hidden neurons."""
        return self.w_in.shape[1]

    @property
    def n_outputs(self) -> int:
        """Number of output neurons."""
        return self.w_out.shape[1]

    @property
    def n_synapses(self) -> int:
        """Number of synapses of a hidden neuron."""
        return self.w_in.shape[2]

    @property
    def parts(self) -> tuple[tuple[str, slice], ...]:
        """The path of each layer of hidden neurons, and its place among them."""
        *hidden, _ = self.layers or self._unnamed()
        ends = np.cumsum([layer.size for layer in hidden]).tolist()
        return tuple(
            (layer.path, slice(end - layer.size, end))
            for layer, end in zip(hidden, ends, strict=True)
        )

    @property
    def readout(self) -> str:
        """The path of the output neurons."""
        return (self.layers or self._unnamed())[-1].path

    def owner(self, name: str, index: Sequence[int]) -> str:
        """The path of the layer that an entry of an array belongs to; "" where it is not known."""
        if not self.layers:
            return ""
        if "outputs" in DIMENSIONS[name]:
            return self.readout
        # Of sources and targets the latter own a weight.
        neuron = index[1 if name.startswith("w_") else 0]
        return next(path for path, own in self.parts if neuron < own.stop)

    def _unnamed(self) -> tuple[Part, Part]:
        return Part("hidden", self.n_hidden), Part("output", self.n_outputs)

    def arrays(self) -> dict[str, Array]:
        """The arrays by name, without those that are None."""
        found = {name: getattr(self, name) for name in DIMENSIONS}
        return {name: array for name, array in found.items() if array is not None}

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape that the array of that name has for these numbers of neurons."""
        return tuple(getattr(self, f"n_{dimension}") for dimension in DIMENSIONS[name])
