"""NIR files, read with care: a damaged or hostile one is an error that names the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..._checks import MOST_BYTES, open_hdf5, require_file
from ._node import MAX_DEPTH, Tree, tree


def read(source: Any) -> tuple[Tree, str]:
    """A graph of a file or of a `nir.NIRGraph`, and the name of the source for errors.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no NIR file, or a damaged one; the message names the file.
    """
    if hasattr(source, "to_dict"):
        return _named(source.to_dict(), f"the {type(source).__name__}")
    path = require_file(source, MOST_BYTES)
    return _named(_content(path), str(path))


def _named(content: Any, source: str) -> tuple[Tree, str]:
    try:
        return tree(content), source
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{source}: {error}; export the network again") from None


def _content(path: Path) -> Any:
    try:
        with open_hdf5(path, of="nir") as (file, require_sound):
            return _group(file["node"], require_sound, 0)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, EOFError) as error:
        text = " ".join(str(error).split())
        raise ValueError(
            f"{path} is no NIR file, or a damaged one ({text}); export the network again"
        ) from None


def _group(group: Any, require_sound: Callable[[Any], None], depth: int) -> dict[str, Any]:
    """A group of HDF5 as nested dictionaries."""
    import h5py

    if depth > 3 * MAX_DEPTH:
        raise ValueError("groups are nested too deeply")
    found: dict[str, Any] = {}
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is a link out of its group")
        item = group[name]
        require_sound(item)
        if isinstance(item, h5py.Group):
            found[name] = _group(item, require_sound, depth + 1)
        else:
            value = item[()]
            found[name] = value.decode() if isinstance(value, bytes) else value
    return found
