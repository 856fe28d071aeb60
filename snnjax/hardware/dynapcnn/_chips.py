"""The chips of the DYNAP-CNN family, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

_KI = 1024


class Memory(NamedTuple):
    """Words of memory, as a core has them or as a layer takes them.

    Attributes:
        kernel: for weights.
        neuron: for membrane potentials.
        bias: for biases.
    """

    kernel: int
    neuron: int
    bias: int

    def fits(self, core: "Memory") -> bool:
        """Whether a layer that takes this much goes on a core that has that much."""
        return all(need <= has for need, has in zip(self, core, strict=True))


CORES = (
    *[Memory(16 * _KI, 64 * _KI, _KI)] * 3,
    *[Memory(32 * _KI, 32 * _KI, _KI)] * 2,
    *[Memory(64 * _KI, 16 * _KI, _KI)] * 2,
    *[Memory(16 * _KI, 16 * _KI, _KI)] * 2,
)
"""The nine cores that every chip of the family has."""


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What a chip can hold and how it computes.

    Sizes are (height, width). Sources: the vendor's overview of the chips (sinabs' documentation,
    "Chip Resources") for the geometry, sinabs 3.1 for the memories and the readout.

    Attributes:
        name: the name of the product.
        cores: the memory of each core.
        max_input: largest input map of a core.
        max_output: largest map of neurons of a core, before pooling.
        max_channels: most input or output channels of a core.
        max_kernel: largest height and width of a kernel, which is square.
        strides: strides that a kernel may have, along each axis.
        max_padding: most zeros around a map, along each axis.
        pools: sizes of the sum pooling between cores, the same along both axes.
        max_destinations: most cores that a core, or the event sensor, sends its spikes to.
        weight_bits: bits of a weight, sign included.
        bias_bits: bits of a bias, sign included.
        state_bits: bits of a membrane potential or threshold, sign included.
        sensor_size: the map of the event sensor's layer.
        has_sensor: whether the sensor is on the chip; otherwise its events come from outside.
        max_classes: most classes of the readout.
        readout_channels: class i is read from channel i*readout_channels of the last core.
        max_synops: most synaptic operations per second of a core. None: the vendor says that there
            is a limit, but not which.
    """

    name: str
    cores: tuple[Memory, ...] = CORES
    max_input: tuple[int, int] = (128, 128)
    max_output: tuple[int, int] = (64, 64)
    max_channels: int = 1024
    max_kernel: int = 16
    strides: tuple[int, ...] = (1, 2, 4, 8)
    max_padding: int = 7
    pools: tuple[int, ...] = (1, 2, 4)
    max_destinations: int = 2
    weight_bits: int = 8
    bias_bits: int = 8
    state_bits: int = 16
    sensor_size: tuple[int, int] = (128, 128)
    has_sensor: bool = True
    max_classes: int = 15
    readout_channels: int = 4
    max_synops: float | None = None


def bounds(bits: int) -> tuple[int, int]:
    """The lowest and the highest integer of that many bits: -128 and 127 for 8."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


SPECK_2E = Chip(name="Speck 2e")

SPECK_2F = Chip(name="Speck 2f")

DYNAPCNN = Chip(name="DYNAP-CNN dev kit", has_sensor=False, readout_channels=1)

CHIPS: Mapping[str, Chip] = MappingProxyType(
    {"speck2e": SPECK_2E, "speck2f": SPECK_2F, "dynapcnn": DYNAPCNN}
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
