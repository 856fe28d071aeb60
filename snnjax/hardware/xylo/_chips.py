"""The chips of the Xylo family, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..._checks import explained
from .. import _family


@dataclass(frozen=True, kw_only=True)
class Chip(_family.Chip):
    """The sizes of a chip and its arithmetic.

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
        reads_unused: whether it takes clock cycles for input and output weights of hidden neurons
            that have none; None if the vendor has no formula of its cycles.
    """

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
    dash_bits: int = 4
    max_weight_shift: int = 15
    max_spikes_in: int = 15
    max_spikes_hidden: int = 31
    max_spikes_out: int = 1
    reads_unused: bool | None = None

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
"""Xylo 1, of the first generation: no biases."""

XYLO_AUDIO_2 = Chip(
    name="Xylo Audio 2 (SYNS61201)",
    core=2,
    n_hidden=1000,
    n_outputs=8,
    n_synapses=2,
    reads_unused=True,
)
"""Xylo Audio 2, with an analogue front end for sound."""

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
    reads_unused=False,
)
"""Xylo Audio 3, with a digital front end for sound."""

XYLO_IMU = Chip(
    name="Xylo IMU (SYNS63300)",
    core=2,
    n_hidden=496,
    n_outputs=16,
    n_synapses=1,
    max_recurrent_weights=31744,
    max_input_neurons=128,
    max_output_neurons=128,
    reads_unused=False,
)
"""Xylo IMU, with a front end for motion."""

CHIPS: Mapping[str, Chip] = MappingProxyType(
    {"xylo1": XYLO_1, "audio2": XYLO_AUDIO_2, "audio3": XYLO_AUDIO_3, "imu": XYLO_IMU}
)
"""The chips by their short names."""


@explained
def get_chip(chip: Chip | str) -> Chip:
    """The chip of a short name; a chip is returned as it is.

    Raises:
        ValueError: if there is no chip of that name; the message lists the names.
    """
    return _family.find_chip(chip, CHIPS)
