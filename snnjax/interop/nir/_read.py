"""NIR files, read with care: a damaged or hostile one is an error that names the file."""

import os
from pathlib import Path
from typing import Any

from ..._extras import extra
from ._node import MAX_DEPTH, Tree, tree

MAX_INFLATION = 1100
"""Bytes that a byte of a file can stand for. Deflate reaches 1032."""

SLACK = 1 << 20


def read(source: Any) -> tuple[Tree, str]:
    """A graph of a file or of a `nir.NIRGraph`, and the name of the source for errors.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no NIR file, or a damaged one; the message names the file.
    """
    if hasattr(source, "to_dict"):
        return _named(source.to_dict(), f"the {type(source).__name__}")
    path = Path(source)
    if path.is_dir():
        raise ValueError(f"{path} is a directory; give the NIR file")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    return _named(_content(path), str(path))


def _named(content: Any, source: str) -> tuple[Tree, str]:
    try:
        return tree(content), source
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{source}: {error}; export the network again") from None


def _content(path: Path) -> Any:
    with extra("nir"):
        import h5py
    budget = [SLACK + MAX_INFLATION * os.path.getsize(path)]
    try:
        with h5py.File(path, "r") as file:
            return _group(file["node"], budget, 0)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, EOFError) as error:
        text = " ".join(str(error).split())
        raise ValueError(
            f"{path} is no NIR file, or a damaged one ({text}); export the network again"
        ) from None


def _group(group: Any, budget: list[int], depth: int) -> dict[str, Any]:
    """A group of HDF5 as nested dictionaries."""
    import h5py

    if depth > 3 * MAX_DEPTH:
        raise ValueError("groups are nested too deeply")
    found: dict[str, Any] = {}
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is a link out of its group")
        item = group[name]
        budget[0] -= 1 if isinstance(item, h5py.Group) else max(int(item.nbytes), 1)
        if budget[0] < 0:
            raise ValueError(f"{name!r} holds more than a file of this size can")
        if isinstance(item, h5py.Group):
            found[name] = _group(item, budget, depth + 1)
        else:
            value = item[()]
            found[name] = value.decode() if isinstance(value, bytes) else value
    return found
