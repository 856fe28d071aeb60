"""Damaged files of every kind that a user gives: samples, damage, and what loading must do."""

import dataclasses
import gzip
import io
import json
import struct
import time
import tomllib
import wave
from collections.abc import Callable
from typing import Any

import numpy as np

from snnjax import transforms
from snnjax._checks import read_array, read_arrays, read_wav
from snnjax.datasets import read_idx
from snnjax.hardware import dynapcnn, xylo

from ..codegen.networks import dynapcnn_network, xylo_network

MOST_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of files.

    Attributes:
        name: of a file.
        sample: an undamaged file.
        load: the library's reader.
        same: whether what was loaded is what the file says, by a reader that is not the library's.
    """

    name: str
    sample: bytes
    load: Callable[[Any], Any]
    same: Callable[[Any, bytes], bool]


def _saved(save: Callable[..., Any], *args: Any, **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, *args, **arrays)
    return file.getvalue()


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(np.arange(-150, 150, dtype="<i2").tobytes())
    return file.getvalue()


def _text_of(save: Callable[..., Any], spec: Any, path: Any) -> Any:
    save(spec, path)
    return json.loads(path.read_text())


def _placed(spec: dynapcnn.Spec) -> dynapcnn.Spec:
    """With each layer on a core."""
    layers = tuple(dataclasses.replace(core, core=i) for i, core in enumerate(spec.layers))
    return dataclasses.replace(spec, layers=layers)


_IDX = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 9, 7) + bytes(range(126))
_TOML = b"""[by_family]
weights = { transform = "Int", bits = 4 }
decays = { transform = "Bitshift" }

[where]
"layers[6].weight" = { transform = "Int", bits = 8, symmetric = false }

[activations]
Linear = { transform = "Int", bits = 8 }

[states]
"*.vmem" = "none"
"""


def _equal(a: Any, b: Any) -> bool:
    return a.dtype.kind == b.dtype.kind and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _same_npz(found: Any, content: bytes) -> bool:
    with np.load(io.BytesIO(content)) as file:
        return found.keys() == set(file) and all(_equal(found[k], file[k]) for k in file)


def _same_idx(found: Any, content: bytes) -> bool:
    return content[2] == 8 and content.endswith(found.tobytes())


def _same_wav(found: Any, content: bytes) -> bool:
    return found.samples.tobytes() in content and struct.pack("<I", found.rate) in content


def _same_rules(found: Any, content: bytes) -> bool:
    tables = tomllib.loads(content.decode())
    return all(list(rules) == list(tables.get(t, {})) for t, rules in found._asdict().items())


def kinds(folder: Any) -> dict[str, Kind]:
    """All of them; networks are written to the folder on the way."""
    raster = np.random.default_rng(0).poisson(1.0, (7, 5))
    found = [
        Kind(
            "raster.npy",
            _saved(np.save, raster),
            read_array,
            lambda array, content: _equal(array, np.load(io.BytesIO(content))),
        ),
        Kind("arrays.npz", _saved(np.savez, x=raster, y=raster[0] / 3), read_arrays, _same_npz),
        Kind("packed.npz", _saved(np.savez_compressed, x=raster), read_arrays, _same_npz),
        Kind("images-ubyte", _IDX, read_idx, _same_idx),
        Kind(
            "images-ubyte.gz",
            gzip.compress(_IDX, mtime=0),
            read_idx,
            lambda array, content: _same_idx(array, gzip.decompress(content)),
        ),
        Kind("3_theo_7.wav", _wav(), read_wav, _same_wav),
        Kind("plan.toml", _TOML, transforms.load, _same_rules),
    ]
    for family, spec in ((xylo, xylo_network(1)[0]), (dynapcnn, _placed(dynapcnn_network(4)[0]))):
        path = folder / f"{family.__name__.rpartition('.')[2]}.json"
        family.save(spec, path)

        def same(spec: Any, content: bytes, save: Any = family.save) -> bool:
            return bool(_text_of(save, spec, folder / "again.json") == json.loads(content))

        found.append(Kind(path.name, path.read_bytes(), family.load, same))
    return {kind.name: kind for kind in found}


def damaged(content: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    """A file with one to three damages."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        _DAMAGES[rng.integers(len(_DAMAGES))](data, rng, others)
    return bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Anywhere, but half of the time in the first 64 bytes, where headers are."""
    end = min(len(data), 64) if rng.random() < 0.5 else len(data)
    return int(rng.integers(max(end, 1)))


def _flip(data: bytearray, rng: np.random.Generator, _: Any) -> None:
    if data:
        data[_place(data, rng) % len(data)] ^= 1 << int(rng.integers(8))


def _overwrite(data: bytearray, rng: np.random.Generator, _: Any) -> None:
    start, size = _place(data, rng), int(rng.choice([1, 2, 4, 8, 16]))
    value = rng.choice([0x00, 0xFF, 0x7F, 0x80, ord("9"), ord("("), ord("{"), -1])
    new = rng.bytes(size) if value < 0 else bytes([value]) * size
    data[start : start + size] = new


def _cut(data: bytearray, rng: np.random.Generator, _: Any) -> None:
    del data[int(rng.integers(len(data) + 1)) :]


def _remove(data: bytearray, rng: np.random.Generator, _: Any) -> None:
    start = _place(data, rng)
    del data[start : start + int(rng.integers(1, 40))]


def _insert(data: bytearray, rng: np.random.Generator, _: Any) -> None:
    start = _place(data, rng)
    data[start:start] = rng.choice(
        np.array(
            [
                rng.bytes(int(rng.integers(1, 40))),
                b"[" * 5000,
                b'{"a":' * 3000,
                b"(" * 5000,
                b"-" * 5000,
                b"9" * 5000,
                b"1e999",
                b"NaN",
                b"null",
                b"true",
                b"'''",
                b"\0" * 1000,
                "\u00e9\ufeff".encode(),
            ],
            object,
        )
    )


def _repeat(data: bytearray, rng: np.random.Generator, _: Any) -> None:
    start = _place(data, rng)
    part = data[start : start + int(rng.integers(1, 200))]
    data[start:start] = part * int(rng.integers(1, 4))


def _mix(data: bytearray, rng: np.random.Generator, others: list[bytes]) -> None:
    """Ends as another file does, or is one altogether."""
    other = others[rng.integers(len(others))]
    start = int(rng.integers(len(data) + 1)) if rng.random() < 0.7 else 0
    data[start:] = other[start:]


def _number(data: bytearray, rng: np.random.Generator, _: Any) -> None:
    """Another number in the place of one that is written out."""
    digits = [i for i, byte in enumerate(data) if chr(byte).isdigit()]
    if digits:
        start = end = digits[rng.integers(len(digits))]
        while end < len(data) and chr(data[end]).isdigit():
            end += 1
        new = rng.choice(["-1", "0", "7", "2147483648", "99999999999999999999", "1.5", "1e9", ""])
        data[start:end] = str(new).encode()


_DAMAGES = (_flip, _flip, _overwrite, _cut, _remove, _insert, _repeat, _mix, _number, _number)


def faults(kind: Kind, folder: Any, seeds: range, others: list[bytes]) -> tuple[list[str], int]:
    """What loading damaged files did wrong, and how many of them loaded."""
    path, wrong, loaded = folder / kind.name, [], 0
    for seed in seeds:
        content = damaged(kind.sample, np.random.default_rng(seed), others)
        path.write_bytes(content)
        start, problem = time.perf_counter(), None
        try:
            found = kind.load(path)
        except ValueError as error:
            if kind.name not in str(error):
                problem = f"an error that does not name the file: {error}"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            loaded += 1
            problem = _difference(kind, found, content)
        seconds = time.perf_counter() - start
        if seconds > MOST_SECONDS:
            problem = f"took {seconds:.1f} s"
        if problem is not None:
            wrong.append(f"{kind.name}, seed {seed}: {problem[:300]}")
    return wrong, loaded


def _difference(kind: Kind, found: Any, content: bytes) -> str | None:
    try:
        if kind.same(found, content):
            return None
    except Exception as error:
        return f"loaded, but its own reader refuses it: {error}"
    return "loaded as something else than the file says"
