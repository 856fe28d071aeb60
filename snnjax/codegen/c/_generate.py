"""From a spec to the files."""

import dataclasses
import importlib.metadata
import os
import re
from collections.abc import Callable
from pathlib import Path

from ..._files import write_whole
from ...hardware import dynapcnn, family, xylo
from . import _dynapcnn, _xylo
from ._footprint import Footprint, Rendered
from ._template import fill


@dataclasses.dataclass(frozen=True)
class Program:
    """A network in C.

    Attributes:
        name: the name of the files, with which all public names begin.
        header: the text of `<name>.h`.
        source: the text of `<name>.c`.
        host: the text of `<name>_host.c`, a program that runs rasters from `.npy` files on a PC.
        footprint: memory and operations.
    """

    name: str
    header: str
    source: str
    host: str
    footprint: Footprint

    def files(self) -> dict[str, str]:
        """The texts by the names of their files."""
        return {
            f"{self.name}.h": self.header,
            f"{self.name}.c": self.source,
            f"{self.name}_host.c": self.host,
        }


def generate(spec: xylo.Spec | dynapcnn.Spec, *, name: str = "network") -> Program:
    """Write a quantised network as portable C99.

    The C computes what `simulate` of the network's family computes, bit for bit: `<name>_init`
    brings a state to rest, `<name>_step` takes the events of a step and gives the output spikes. It
    takes no library, allocates nothing and has no floating point. Weights take 2, 4 or 8 bits,
    whatever holds all of a matrix, and zeros are left out where that is smaller.

    Args:
        spec: a quantised network of either family. Sizes need not fit the chip.
        name: beginning of all public names, and name of the files.

    Returns:
        The texts of header, source and of a program that runs rasters on a PC.

    Raises:
        TypeError: if `spec` is no Spec.
        ValueError: if `spec` is not quantised or has values that its chip cannot hold, or if
            `name` cannot begin a name in C.
    """
    _require_name(name)
    values = {
        "name": name,
        "NAME": name.upper(),
        "version": importlib.metadata.version("snnjax"),
    }
    if not isinstance(spec, xylo.Spec | dynapcnn.Spec):
        raise TypeError(
            "`spec` must be a Spec of hardware.xylo or hardware.dynapcnn; got "
            f"{type(spec).__name__}"
        )
    family(spec).require_integers(spec)
    render: Callable[..., Rendered] = (_xylo if isinstance(spec, xylo.Spec) else _dynapcnn).render
    made = render(spec, values)
    host = fill("host.c", {**values, **made.host})
    return Program(name, made.header, made.source, host, made.footprint)


def _require_name(name: str) -> None:
    if not isinstance(name, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,23}", name):
        raise ValueError(
            "`name` must be a letter and up to 23 letters, digits and underscores, since names in "
            f"C begin with it; got {name!r}"
        )


def export(
    spec: xylo.Spec | dynapcnn.Spec, folder: str | os.PathLike[str], *, name: str = "network"
) -> Program:
    """Write the files of `generate` into a folder, which is made if it does not exist.

    Returns:
        What was written.

    Raises:
        TypeError, ValueError: as `generate` does.
    """
    program = generate(spec, name=name)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for file, text in program.files().items():
        write_whole(target / file, text)
    return program
