"""A generated network: its texts, its memory and its operations."""

from collections.abc import Mapping
from typing import NamedTuple


class Footprint(NamedTuple):
    """Memory and operations of a generated network, for any compiler.

    Attributes:
        flash: bytes of constant tables. Compiled code adds about 1 KiB.
        ram: bytes of the state, which is all the memory that changes but for the stack.
        additions: most additions of a weight in one step, when every source has events.
        updates: updates of a neuron in each step: leak, charge and fire.
    """

    flash: int
    ram: int
    additions: int
    updates: int

    def text(self) -> str:
        """All of it in a sentence."""
        return (
            f"Tables of {self.flash:,} bytes, state of {self.ram:,} bytes; a step adds at most "
            f"{self.additions:,} weights and updates {self.updates:,} neurons."
        )


class Rendered(NamedTuple):
    """The C code of a network.

    Attributes:
        header: the text.
        source: the text.
        footprint: memory and operations.
        host: values for the template of the program that runs rasters.
    """

    header: str
    source: str
    footprint: Footprint
    host: Mapping[str, object]
