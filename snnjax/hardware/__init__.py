"""Chips: what each family can hold, and how a network becomes what it runs.

A family is a module with these verbs, the same in each:

    plan(model, *, chip=...)            a plan for `transforms.apply`: train on the chip's integers
    map_network(model, *, chip=...)     a Spec in real numbers, laid out on the chip
    check(spec), require(spec)          the limits that it breaks
    usage(spec), report(spec)           what it takes of the chip; what became of each parameter
    quantize(spec)                      the Spec in integers
    simulate(spec, raster)              what the chip computes, bit for bit
    emulate(model)(raster)              the same as a differentiable function of the model
    fidelity(model, spec, raster)       network and integers compared, layer by layer; `plan=` too
    cost(spec, raster)                  spikes, operations, reads of memory, cycles, power
    save(spec, path), load(path), export(spec, format=...)

`CHIPS` of a family has its chips by their short names, which are unique over all families.
"""

import importlib
import os
from types import ModuleType

from .._checks import explained, parse_json
from . import _files
from ._cost import (
    Cost as Cost,
    Cycles as Cycles,
    Device as Device,
    Figure as Figure,
    LayerCost as LayerCost,
)
from ._family import (
    Chip as Chip,
    MappingWarning as MappingWarning,
    ParameterReport as ParameterReport,
    QuantizationWarning as QuantizationWarning,
    Spec as Spec,
    Usage as Usage,
    Violation as Violation,
)
from ._fidelity import Fidelity as Fidelity, LayerFidelity as LayerFidelity, Share as Share

FAMILIES: dict[str, str] = {
    "xylo": "snnjax.hardware.xylo",
    "dynapcnn": "snnjax.hardware.dynapcnn",
}
"""The module of each family by its name. They are imported when they are first asked for."""


@explained
def family(of: str | Chip | Spec) -> ModuleType:
    """The module of the family that a chip belongs to.

    Args:
        of: the name of a family, the short name of a chip, a chip, or a spec.

    Raises:
        ValueError: if no family has it; the message lists the families and their chips.

    >>> family("audio3").__name__
    'snnjax.hardware.xylo'
    """
    if isinstance(of, str) and of in FAMILIES:
        return importlib.import_module(FAMILIES[of])
    for path in FAMILIES.values():
        module = importlib.import_module(path)
        if isinstance(of, module.Spec | module.Chip) or (
            isinstance(of, str) and of in module.CHIPS
        ):
            return module
    chips = (f"{name} ({', '.join(family(name).CHIPS)})" for name in FAMILIES)
    raise ValueError(f"`of` must be a family, a chip or a spec of {' or '.join(chips)}; got {of!r}")


@explained
def load(path: str | os.PathLike[str]) -> Spec:
    """Read a network from a file that `save` of any family wrote.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is none of a family; else as `load` of the family.
    """
    content = parse_json(_files.read(path), str(path))
    chip = content.get("chip") if isinstance(content, dict) else None
    known = [chip for name in FAMILIES for chip in family(name).CHIPS]
    if not isinstance(chip, str) or chip not in known:
        raise ValueError(
            f"{path} is no network that `save` of a family wrote: its `chip` must be one of "
            f"{', '.join(known)}; got {chip!r}"
        )
    found: Spec = family(chip).load(path)
    return found
