"""Free Spoken Digit Dataset: 3,000 recordings of spoken digits by six speakers."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from .._checks import explained, read_wav

_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
_TEST_INDICES = range(5)


class Recordings(NamedTuple):
    """Recordings of one sampling rate, padded with silence to the length of the longest.

    Attributes:
        audio: samples from -1 to 1.
        samples: length of each recording before padding.
        labels: spoken digit.
        speakers: name of each speaker.
        rate: samples per second.
    """

    audio: Float[np.ndarray, "n samples"]
    samples: Int[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"]
    speakers: tuple[str, ...]
    rate: int


@explained
def load_fsdd(path: str | Path) -> tuple[Recordings, Recordings]:
    """Read the data set from a clone of its repository.

    Args:
        path: the clone, or its folder `recordings`, of files `{digit}_{speaker}_{index}.wav`.

    Returns:
        The training recordings (index 5 and up) and the test recordings (index 0 to 4), which is
        the official split, each in the order of the file names. Source:
        github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.

    Raises:
        FileNotFoundError: if there is no such folder or it holds no recordings.
        ValueError: if a file is not a mono WAV of 16 bits, or the sampling rates differ.
    """
    folder = Path(path)
    folder = folder / "recordings" if (folder / "recordings").is_dir() else folder
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {path}; clone the data set there first")
    found = [
        (match, file) for file in sorted(folder.iterdir()) if (match := _NAME.fullmatch(file.name))
    ]
    parts = [
        [(m, f) for m, f in found if (int(m[3]) in _TEST_INDICES) == is_test]
        for is_test in (False, True)
    ]
    if not all(parts):
        raise FileNotFoundError(
            f"{folder} holds no recordings such as 3_theo_0.wav and 3_theo_7.wav, of which index "
            "0 to 4 is the test set"
        )
    train, test = (_read(part) for part in parts)
    if train.rate != test.rate:
        raise _different_rates({train.rate, test.rate})
    return train, test


def _different_rates(rates: set[int]) -> ValueError:
    return ValueError(f"the recordings have different sampling rates: {sorted(rates)} Hz")


def _read(files: list[tuple[re.Match[str], Path]]) -> Recordings:
    sounds, rates = zip(*(read_mono(file) for _, file in files), strict=True)
    if len(set(rates)) > 1:
        raise _different_rates(set(rates))
    lengths = np.array([len(sound) for sound in sounds], np.int32)
    audio = np.zeros((len(sounds), max(map(len, sounds))), np.float32)
    for row, sound in zip(audio, sounds, strict=True):
        row[: len(sound)] = sound
    labels = np.array([int(match[1]) for match, _ in files], np.int32)
    return Recordings(audio, lengths, labels, tuple(match[2] for match, _ in files), rates[0])


@explained
def read_mono(file: Path) -> tuple[Float[np.ndarray, " samples"], int]:
    """Samples from -1 to 1, and the sampling rate, of a WAV of one channel; else ValueError."""
    samples, rate = read_wav(file)
    if samples.shape[1] != 1:
        raise ValueError(f"{file} must have one channel; got {samples.shape[1]}")
    return samples[:, 0].astype(np.float32) / 2**15, rate
