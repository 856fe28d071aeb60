"""MNIST, from its IDX files."""

import math
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from .._checks import explained, read_bytes

_UINT8 = 8
_MOST_AXES = 32


class Mnist(NamedTuple):
    """Images of 28 by 28 pixels from 0 to 255, and their digits."""

    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, " n"]


@explained
def load_mnist(folder: str | Path, part: Literal["train", "t10k"] = "train") -> Mnist:
    """Images and labels from a folder with the original files, packed (.gz) or not.

    Args:
        folder: the folder of `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and so on.
        part: "train", 60,000 images, or "t10k", 10,000 others.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is damaged, or images and labels do not match.

    Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", CC BY-SA 3.0.
    """
    if part not in ("train", "t10k"):
        raise ValueError(f"`part` must be one of 'train', 't10k'; got {part!r}")
    images = read_idx(_find(Path(folder), f"{part}-images-idx3-ubyte"))
    labels = read_idx(_find(Path(folder), f"{part}-labels-idx1-ubyte"))
    if images.shape != (len(labels), 28, 28) or labels.ndim != 1:
        raise ValueError(
            f"`folder`: {folder} holds images of shape {images.shape} and labels of shape "
            f"{labels.shape}, not one label for each image of 28 by 28"
        )
    return Mnist(images, labels)


@explained
def read_idx(path: str | Path) -> UInt8[np.ndarray, "..."]:
    """An array of bytes from an IDX file, packed (.gz) or not.

    The format: two zeros, the type (8 for bytes), the number of axes, the size of each as a 32-bit
    big-endian number, and the data.

    Raises:
        OSError: if there is no such file or it cannot be read.
        ValueError: if the file is no IDX file of bytes, or is damaged; the message names it.
    """
    raw = read_bytes(path)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != _UINT8 or raw[3] > _MOST_AXES:
        raise ValueError(
            f"{path} is no IDX file of bytes: it begins with {raw[:4]!r}; download it again"
        )
    start = 4 + 4 * raw[3]
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, start, 4))
    if len(raw) != start + math.prod(shape):
        raise ValueError(
            f"{path} should hold {start + math.prod(shape):,} bytes for the shape {shape}, but has "
            f"{len(raw):,}; download it again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(f"`folder`: there is neither {name} nor {name}.gz in {folder}")
