"""From a spec to the files."""

import dataclasses
import importlib.metadata
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ..._checks import explained
from ..._files import write_whole
from ...hardware import dynapcnn, family, xylo
from ...hardware.xylo.frontend import Audio3
from . import _audio3, _dynapcnn, _xylo
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
        front_end: its front end; None if there is none.
    """

    name: str
    header: str
    source: str
    host: str
    footprint: Footprint
    front_end: _audio3.FrontEnd | None = None

    def files(self) -> dict[str, str]:
        """The texts by the names of their files."""
        made = {
            f"{self.name}.h": self.header,
            f"{self.name}.c": self.source,
            f"{self.name}_host.c": self.host,
        }
        if self.front_end is not None:
            made[f"{self.name}_front_end.h"] = self.front_end.header
            made[f"{self.name}_front_end.c"] = self.front_end.source
        return made


@explained
def generate(
    spec: xylo.Spec | dynapcnn.Spec, *, name: str = "network", front_end: Audio3 | None = None
) -> Program:
    """Write a quantised network as portable C99.

    The C computes what `simulate` of the network's family computes, bit for bit: `<name>_init`
    brings a state to rest, `<name>_step` takes the events of a step and gives the output spikes. It
    takes no library, allocates nothing and has no floating point. Weights take 2, 4 or 8 bits,
    whatever holds all of a matrix, and zeros are left out where that is smaller.

    A front end becomes `<name>_front_end_step`, which takes samples and gives, at the end of each
    window, the events for a step of the network, bit for bit as `Audio3.step` does.

    Args:
        spec: a quantised network of either family. Sizes need not fit the chip.
        name: beginning of all public names, and name of the files.
        front_end: what makes the network's events.

    Returns:
        The texts of header, source and of a program that runs rasters on a PC.

    Raises:
        TypeError: if `spec` is no Spec, or `front_end` no Audio3.
        ValueError: if `spec` is not quantised or has values that its chip cannot hold, if `name`
            cannot begin a name in C, or if `front_end` has not as many channels as the network has
            inputs or cannot be a stream.
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
    heard = None if front_end is None else _heard(front_end, spec, values)
    render: Callable[..., Rendered] = (_xylo if isinstance(spec, xylo.Spec) else _dynapcnn).render
    made = render(spec, values)
    host = fill("host.c", {**values, **made.host})
    return Program(name, made.header, made.source, host, made.footprint, heard)


def _heard(
    front_end: Audio3, spec: xylo.Spec | dynapcnn.Spec, values: Mapping[str, object]
) -> _audio3.FrontEnd:
    if not isinstance(front_end, Audio3):
        raise TypeError(
            "`front_end` must be an Audio3 of hardware.xylo.frontend, the front end that there is "
            f"in C; got {type(front_end).__name__}"
        )
    inputs = spec.n_inputs if isinstance(spec, xylo.Spec) else None
    if front_end.channels != inputs:
        raise ValueError(
            f"`front_end` has {front_end.channels} channels, but the network "
            + ("takes maps of events" if inputs is None else f"has {inputs} inputs")
        )
    return _audio3.render(front_end, values)


def _require_name(name: str) -> None:
    if not isinstance(name, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,23}", name):
        raise ValueError(
            "`name` must be a letter and up to 23 letters, digits and underscores, since names in "
            f"C begin with it; got {name!r}"
        )


@explained
def export(
    spec: xylo.Spec | dynapcnn.Spec,
    folder: str | os.PathLike[str],
    *,
    name: str = "network",
    front_end: Audio3 | None = None,
) -> Program:
    """Write the files of `generate` into a folder, which is made if it does not exist.

    Returns:
        What was written.

    Raises:
        TypeError, ValueError: as `generate` does.
    """
    program = generate(spec, name=name, front_end=front_end)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for file, text in program.files().items():
        write_whole(target / file, text)
    return program
