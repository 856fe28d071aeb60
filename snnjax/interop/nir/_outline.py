"""The graph of a NIR file, as it is."""

from typing import Any, NamedTuple

import numpy as np

from ..._checks import explained
from ._dialects import DIALECTS
from ._node import Node
from ._read import read
from ._save import NOTES
from ._wiring import flatten


class Outline(NamedTuple):
    """The contents of a NIR file.

    Attributes:
        nodes: for each node its name, its primitive, and its parameters: a number, or the range
            and the shape of an array.
        edges: names of source and target; inner graphs are opened.
        dialects: the dialects whose marks the graph bears; "snnjax" for a file of `save`.
    """

    nodes: tuple[tuple[str, str, str], ...]
    edges: tuple[tuple[str, str], ...]
    dialects: tuple[str, ...]


@explained
def outline(source: Any) -> Outline:
    """The nodes, the edges and the marks of a file, or of a `nir.NIRGraph`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no NIR file, or a damaged one; the message names the file.
    """
    tree, name = read(source)
    try:
        wiring = flatten(tree)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    rows = tuple((name, node.kind, _parameters(node)) for name, node in wiring.nodes.items())
    own = ("snnjax",) if NOTES in tree.metadata else ()
    found = tuple(name for name, dialect in DIALECTS.items() if dialect.recognises(wiring))
    return Outline(rows, wiring.edges, own or found)


def _parameters(node: Node) -> str:
    return ", ".join(
        f"{name} {_short(value)}" for name, value in node.parameters.items() if value is not None
    )


def _short(value: Any) -> str:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.size <= 3:
        return str(value if array.dtype.kind not in "f" else array.tolist())
    low, high = float(array.min()), float(array.max())
    spread = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    return f"{spread} {array.shape}"
