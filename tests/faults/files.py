"""Damaged files, and what loading them must do."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

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
