"""The chips of the DYNAP-CNN family, as data; checks of integers that describe them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from ..._checks import whole as whole, wholes as wholes
from .._family import Chip as AnyChip

Pair: TypeAlias = tuple[int, int]

_KI = 1024


class Memory(NamedTuple):
    """Words of memory that a core has, or that a layer takes.

    Attributes:
        kernel: for weights.
        neuron: for membrane potentials.
        bias: for biases.
    """

    kernel: int
    neuron: int
    bias: int

    def fits(self, core: "Memory") -> bool:
        """Whether a core with that memory holds a layer that takes this much."""
        return all(need <= has for need, has in zip(self, core, strict=True))


CORES = (
    *[Memory(16 * _KI, 64 * _KI, _KI)] * 3,
    *[Memory(32 * _KI, 32 * _KI, _KI)] * 2,
    *[Memory(64 * _KI, 16 * _KI, _KI)] * 2,
    *[Memory(16 * _KI, 16 * _KI, _KI)] * 2,
)
"""The nine cores of every chip of the family."""


@dataclass(frozen=True, kw_only=True)
class Chip(AnyChip):
    """Limits of a chip, and the bits it computes with.

    Sizes are (height, width). Sources: the vendor's overview of the chips (sinabs' documentation,
    "Chip Resources") for the geometry, sinabs 3.1 for the memories and the readout.

    Attributes:
        cores: the memory of each core.
        max_input: largest input map of a core.
        max_output: largest map of neurons of a core, before pooling.
        max_channels: most input or output channels of a core.
        max_kernel: largest height and width of a kernel, which is square.
        strides: strides that a kernel may have, along each axis.
        max_padding: most zeros around a map, along each axis.
        pools: sizes of the sum pooling between cores, the same along both axes.
        max_destinations: most cores that a core, or the event sensor, sends its spikes to.
        bias_bits: bits of a bias, sign included.
        sensor_size: the map of the event sensor's layer.
        has_sensor: whether an event sensor is on the chip.
        max_classes: most classes of the readout.
        readout_channels: class i is read from channel i*readout_channels of the last core.
        max_synops: most synaptic operations per second of a core; None, since the vendor does not
            publish the limit.
    """

    cores: tuple[Memory, ...] = CORES
    max_input: tuple[int, int] = (128, 128)
    max_output: tuple[int, int] = (64, 64)
    max_channels: int = 1024
    max_kernel: int = 16
    strides: tuple[int, ...] = (1, 2, 4, 8)
    max_padding: int = 7
    pools: tuple[int, ...] = (1, 2, 4)
    max_destinations: int = 2
    bias_bits: int = 8
    sensor_size: tuple[int, int] = (128, 128)
    has_sensor: bool = True
    max_classes: int = 15
    readout_channels: int = 4
    max_synops: float | None = None


def pair(name: str, value: Any, least: int) -> Pair:
    """A pair of Python integers from any sequence of two; see `wholes`."""
    first, second = wholes(name, value, 2, least)
    return first, second


SPECK_2E = Chip(name="Speck 2e")
"""Speck 2e: nine cores and a sensor of 128 by 128 pixels."""

SPECK_2F = Chip(name="Speck 2f")
"""Speck 2f: nine cores and a sensor of 128 by 128 pixels."""

DYNAPCNN = Chip(name="DYNAP-CNN dev kit", has_sensor=False, readout_channels=1)
"""The DYNAP-CNN development kit: nine cores, no sensor."""

CHIPS: Mapping[str, Chip] = MappingProxyType(
    {"speck2e": SPECK_2E, "speck2f": SPECK_2F, "dynapcnn": DYNAPCNN}
)
"""The chips by their short names."""
