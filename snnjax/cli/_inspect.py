"""`snnjax inspect`: a NIR file, how it is run, and the chips that it fits."""

import inspect as signatures
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ..hardware import FAMILIES, family
from ..interop import as_lif, nir
from ._options import one_line_errors

AS_LIF = "`snnjax.interop.as_lif`"
"""The cure that a chip names for the neurons that can become its own."""


def inspect(
    file: Annotated[Path, typer.Argument(help="A NIR file.")],
    dialect: Annotated[
        str | None, typer.Option(help="How the graph is run, where the file does not tell.")
    ] = None,
    dt: Annotated[float | None, typer.Option(help="Length of a step in seconds, likewise.")] = None,
    nodes: Annotated[
        str | None,
        typer.Option(help='What the file has lost, as JSON: {"*": {"reset": "subtract"}}.'),
    ] = None,
) -> None:
    """Show a NIR file: its graph, its dialect, what it has lost, and the chips that it fits.

    Exits with 1 if the file does not hold enough to run it.
    """
    with one_line_errors():
        found = nir.outline(file)
        told = None if nodes is None else _told(nodes)
    for name, kind, parameters in found.nodes:
        print(f"{name}: {kind}{parameters and '  ' + parameters}")
    print("edges: " + ", ".join(f"{a} -> {b}" for a, b in found.edges))
    print(f"marks of: {', '.join(found.dialects) or 'no tool'}")
    try:
        loaded = _quietly(nir.load, file, dialect=dialect, dt=dt, nodes=told)
    except ValueError as error:
        print(error)
        raise typer.Exit(1) from None
    print(f"dialect: {loaded.dialect}, dt {loaded.dt} s")
    for node, lines in loaded.losses.items():
        print("\n".join(f"{node}: {line}" for line in lines))
    for line in _fits(loaded):
        print(line)


def _told(nodes: str) -> Any:
    try:
        return json.loads(nodes)
    except ValueError as error:
        raise ValueError(f"`--nodes` must be JSON ({error}); got {nodes}") from None


def _fits(loaded: nir.Loaded) -> Iterator[str]:
    """A line for each chip: that the network fits, or the first reason that it does not."""
    for name in FAMILIES:
        for short, chip in family(name).CHIPS.items():
            why = _refusal(name, short, loaded, loaded.network)
            words = f"fits {chip.name}"
            if why is not None and AS_LIF in why:
                words += ", its neurons made LIF by `interop.as_lif`"
                try:
                    why = _refusal(name, short, loaded, _quietly(as_lif, loaded.network))
                except (ValueError, TypeError) as error:
                    why = str(error)
            yield f"{short}: {words if why is None else 'no: ' + why}"


def _refusal(name: str, chip: str, loaded: nir.Loaded, network: Any) -> str | None:
    """The first reason for which a chip does not take a network; None if it does."""
    module = family(name)
    takes = signatures.signature(module.map_network).parameters
    given = {"input_shape": loaded.input_shape} if "input_shape" in takes else {}
    try:
        spec = _quietly(module.map_network, network, chip=chip, **given)
        broken = [v.message for v in module.check(spec) if v.severity == "error"]
    except (ValueError, TypeError) as error:
        broken = [str(error).splitlines()[0]]
    return broken[0] if broken else None


def _quietly(call: Callable[..., Any], *given: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*given, **options)
