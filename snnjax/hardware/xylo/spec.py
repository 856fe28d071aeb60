"""The chips of the Xylo family, and the network that one of them holds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int, Real


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What a chip can hold and how it computes.

    Attributes:
        name: the name of the product and of its part.
        core: generation of the digital core, 1 or 2; they leak and integrate differently.
        n_inputs: input channels.
        n_hidden: hidden neurons.
        n_outputs: output neurons.
        n_synapses: synapses of a hidden neuron. An output neuron always has one.
        has_bias: whether neurons have a bias.
        max_outputs_advised: more output neurons than this work, but are advised against; None for
            no such number.
        max_recurrent_weights: recurrent weights that are not zero, per synapse; None for no limit.
        max_input_neurons: only so many hidden neurons, the first ones, have input weights; None for
            all of them.
        max_output_neurons: only so many hidden neurons, the last ones in use, have output weights;
            None for all of them.
        weight_bits: bits of a weight, sign included.
        state_bits: bits of a synaptic current, membrane potential, threshold or bias, sign
            included.
        dash_bits: bits of a decay's bit shift.
        max_weight_shift: largest left shift of the weights.
        max_spikes_in: most events of an input channel in one step.
        max_spikes_hidden: most spikes of a hidden neuron in one step.
        max_spikes_out: most spikes of an output neuron in one step.
    """

    name: str
    core: int
    n_inputs: int = 16
    n_hidden: int
    n_outputs: int
    n_synapses: int
    has_bias: bool = True
    max_outputs_advised: int | None = None
    max_recurrent_weights: int | None = None
    max_input_neurons: int | None = None
    max_output_neurons: int | None = None
    weight_bits: int = 8
    state_bits: int = 16
    dash_bits: int = 4
    max_weight_shift: int = 15
    max_spikes_in: int = 15
    max_spikes_hidden: int = 31
    max_spikes_out: int = 1

    @property
    def max_weight(self) -> int:
        """Largest weight: 127 for 8 bits."""
        return 2 ** (self.weight_bits - 1) - 1

    @property
    def max_state(self) -> int:
        """Largest state, threshold or bias: 32767 for 16 bits."""
        return 2 ** (self.state_bits - 1) - 1

    @property
    def max_dash(self) -> int:
        """Largest bit shift: 15 for 4 bits."""
        return 2**self.dash_bits - 1


XYLO_1 = Chip(
    name="Xylo 1 (SYNS61300)",
    core=1,
    n_hidden=1000,
    n_outputs=8,
    n_synapses=2,
    has_bias=False,
)

XYLO_AUDIO_2 = Chip(
    name="Xylo Audio 2 (SYNS61201)", core=2, n_hidden=1000, n_outputs=8, n_synapses=2
)

XYLO_AUDIO_3 = Chip(
    name="Xylo Audio 3 (SYNS65302)",
    core=2,
    n_hidden=992,
    n_outputs=32,
    n_synapses=2,
    max_outputs_advised=16,
    max_recurrent_weights=31744,
    max_input_neurons=128,
    max_output_neurons=128,
)

XYLO_IMU = Chip(
    name="Xylo IMU (SYNS63300)",
    core=2,
    n_hidden=496,
    n_outputs=16,
    n_synapses=1,
    max_recurrent_weights=31744,
    max_input_neurons=128,
    max_output_neurons=128,
)

CHIPS = MappingProxyType(
    {"xylo1": XYLO_1, "audio2": XYLO_AUDIO_2, "audio3": XYLO_AUDIO_3, "imu": XYLO_IMU}
)
"""The chips by their short names."""


def get_chip(chip: Chip | str) -> Chip:
    """The chip of a short name; a chip is returned as it is.

    Raises:
        ValueError: if there is no chip of that name; the message lists the names.
    """
    if isinstance(chip, Chip):
        return chip
    if chip not in CHIPS:
        raise ValueError(f"`chip` must be a Chip or one of {', '.join(CHIPS)}; got {chip!r}")
    return CHIPS[chip]


def _as_array(value: ArrayLike) -> Array:
    """`value` as an array of JAX, its integers as int32; refuses those that int32 cannot hold."""
    if not isinstance(value, jax.Array):
        value = np.asarray(value)
        low, high = np.iinfo(np.int32).min, np.iinfo(np.int32).max
        whole = np.issubdtype(value.dtype, np.integer) and value.size > 0
        if whole and (value.min() < low or value.max() > high):
            raise ValueError(f"integers must fit in 32 bits; got {value.min()} to {value.max()}")
    array = jnp.asarray(value)
    return array.astype(jnp.int32) if jnp.issubdtype(array.dtype, jnp.integer) else array


def _as_optional_array(value: ArrayLike | None) -> Array | None:
    return None if value is None else _as_array(value)


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
"""What the axes of each array of a Spec count."""

OPTIONAL = ("bias", "bias_out", "aliases")
"""The arrays of a Spec that may be None."""


class Spec(eqx.Module):
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
        dt: length of a step in seconds.
        chip: the chip that the network is meant for.
    """

    w_in: Real[Array, "inputs hidden synapses"] = eqx.field(converter=_as_array)
    w_rec: Real[Array, "hidden hidden synapses"] = eqx.field(converter=_as_array)
    w_out: Real[Array, "hidden outputs"] = eqx.field(converter=_as_array)
    dash_mem: Real[Array, " hidden"] = eqx.field(converter=_as_array)
    dash_syn: Real[Array, "hidden synapses"] = eqx.field(converter=_as_array)
    dash_mem_out: Real[Array, " outputs"] = eqx.field(converter=_as_array)
    dash_syn_out: Real[Array, " outputs"] = eqx.field(converter=_as_array)
    threshold: Real[Array, " hidden"] = eqx.field(converter=_as_array)
    threshold_out: Real[Array, " outputs"] = eqx.field(converter=_as_array)
    bias: Real[Array, " hidden"] | None = eqx.field(converter=_as_optional_array, default=None)
    bias_out: Real[Array, " outputs"] | None = eqx.field(converter=_as_optional_array, default=None)
    aliases: Int[Array, " hidden"] | None = eqx.field(converter=_as_optional_array, default=None)
    weight_shift_in: int = eqx.field(static=True, default=0)
    weight_shift_rec: int = eqx.field(static=True, default=0)
    weight_shift_out: int = eqx.field(static=True, default=0)
    dt: float = eqx.field(static=True, kw_only=True)
    chip: Chip = eqx.field(static=True, kw_only=True)

    def __check_init__(self) -> None:
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
    def quantized(self) -> bool:
        """Whether every array holds integers."""
        return all(jnp.issubdtype(x.dtype, jnp.integer) for x in self.arrays().values())

    def arrays(self) -> dict[str, Array]:
        """The arrays by name, without those that are None."""
        found = {name: getattr(self, name) for name in DIMENSIONS}
        return {name: array for name, array in found.items() if array is not None}

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape that the array of that name has for these numbers of neurons."""
        return tuple(getattr(self, f"n_{dimension}") for dimension in DIMENSIONS[name])
