"""Arrays by name, from a dictionary or a file. Pickles are not read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._checks import parse_json, read_arrays, read_bytes


def arrays_of(
    state: Mapping[str, Any] | str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], str]:
    """The arrays by name, and the name of their source for errors."""
    if isinstance(state, Mapping):
        return {str(name): _array(value) for name, value in state.items()}, "`state`"
    path = Path(state)
    readers = {".npz": read_arrays, ".safetensors": _safetensors}
    if path.suffix not in readers:
        raise ValueError(
            f"{path} must be an .npz or a .safetensors file; save the state_dict as one: "
            "numpy.savez(path, **{k: v.numpy() for k, v in net.state_dict().items()})"
        )
    return readers[path.suffix](path), str(path)


def _array(value: Any) -> np.ndarray:
    for name in ("detach", "cpu", "numpy"):
        value = getattr(value, name)() if hasattr(value, name) else value
    return np.asarray(value)


_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": jnp.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    """The format of safetensors: the length of a header, the header in JSON, the numbers."""
    data = read_bytes(path)
    length = int.from_bytes(data[:8], "little")
    try:
        if not 8 <= 8 + length <= len(data):
            raise ValueError("its header is longer than the file")
        header = parse_json(data[8 : 8 + length].decode(), "its header")
        if not isinstance(header, dict):
            raise ValueError("its header is no dictionary")
        body = memoryview(data)[8 + length :]
        return {
            name: _tensor(name, entry, body)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); save it again") from None


def _tensor(name: str, entry: Any, body: memoryview) -> np.ndarray:
    """An array, by its entry in the header."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} must have dtype, shape and data_offsets")
    kind, shape, places = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise ValueError(f"{name!r} has the dtype {kind!r}; there are {', '.join(_DTYPES)}")
    if not _are_whole(shape) or not _are_whole(places) or len(places) != 2:
        raise ValueError(f"{name!r} must have whole numbers as shape and two as data_offsets")
    (start, end), dtype = places, np.dtype(_DTYPES[kind])
    if not start <= end <= len(body):
        raise ValueError(f"{name!r} lies outside of the file")
    return np.frombuffer(body[start:end], dtype).reshape(shape)


def _are_whole(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
