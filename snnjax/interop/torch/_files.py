"""Arrays by name, from a dictionary or a file. Pickles are not read."""

import json
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np


def arrays_of(
    state: Mapping[str, Any] | str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], str]:
    """The arrays by name, and the name of their source for errors."""
    if isinstance(state, Mapping):
        return {str(name): _array(value) for name, value in state.items()}, "`state`"
    path = Path(state)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    readers = {".npz": _npz, ".safetensors": _safetensors}
    if path.suffix not in readers:
        raise ValueError(
            f"{path} must be an .npz or a .safetensors file; save the state_dict as one: "
            "numpy.savez(path, **{k: v.numpy() for k, v in net.state_dict().items()})"
        )
    try:
        return readers[path.suffix](path), str(path)
    except (ValueError, OSError, KeyError, TypeError, EOFError, struct.error) as error:
        text = " ".join(str(error).split())
        raise ValueError(f"{path} is damaged ({text}); save it again") from None


def _array(value: Any) -> np.ndarray:
    for name in ("detach", "cpu", "numpy"):
        value = getattr(value, name)() if hasattr(value, name) else value
    return np.asarray(value)


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        raise ValueError(str(error)) from None


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
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise ValueError("its header is longer than the file")
    header = json.loads(data[8 : 8 + length])
    found, body = {}, memoryview(data)[8 + length :]
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        if not 0 <= start <= end <= len(body):
            raise ValueError(f"{name!r} lies outside of the file")
        found[name] = np.frombuffer(body[start:end], dtype).reshape(shape)
    return found
