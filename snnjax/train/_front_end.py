"""Front ends as files, and the events of a data set, kept for the next run."""

import dataclasses
import hashlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from .._checks import explained, read_arrays, read_header
from .._files import cache_folder, write_whole
from ..datasets import MelEvents
from ..hardware.xylo.frontend import Audio3, BandPass, Imu

FrontEnd: TypeAlias = MelEvents | Audio3 | Imu
"""The front ends that make events of a signal."""

_FORMAT, _VERSION = "snnjax-frontend", 1
_KINDS: dict[str, type[FrontEnd]] = {"mel": MelEvents, "audio3": Audio3, "imu": Imu}
_BATCH = 64
"""Recordings at once: more take more memory, and are not faster."""


@explained
def front_end_text(front_end: FrontEnd) -> str:
    """A front end's settings as JSON, every register of a chip's included."""
    (kind,) = (name for name, cls in _KINDS.items() if type(front_end) is cls)
    settings = {f.name: getattr(front_end, f.name) for f in dataclasses.fields(front_end)}
    if "filters" in settings:
        settings["filters"] = [dataclasses.asdict(band) for band in settings["filters"]]
    content = {"format": _FORMAT, "version": _VERSION, "kind": kind, "settings": settings}
    return json.dumps(content, indent=2) + "\n"


@explained
def save_front_end(front_end: FrontEnd, path: str | os.PathLike[str]) -> None:
    """Write a front end's settings to a file, whole or not at all."""
    write_whole(path, front_end_text(front_end))


@explained
def load_front_end(path: str | os.PathLike[str]) -> FrontEnd:
    """Read what `save_front_end` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such file, one of a later version, or has settings that the front
            end refuses; the message names the file.
    """
    content = read_header(path, _FORMAT, (_VERSION,))
    kind, settings = content.get("kind"), content.get("settings")
    if not isinstance(kind, str) or kind not in _KINDS or not isinstance(settings, dict):
        raise ValueError(f'{path} is damaged: "kind" must be one of {", ".join(_KINDS)}')
    try:
        return _KINDS[kind](**_of_json(settings))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _of_json(settings: dict[str, Any]) -> dict[str, Any]:
    made = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    if "filters" in made:
        made["filters"] = tuple(BandPass(**band) for band in made["filters"])
    return made


def cached_events(
    front_end: Audio3, sound: Float[np.ndarray, "n samples"], steps: int
) -> Int[np.ndarray, "n steps channels"]:
    """Events of recordings, computed once and kept in `cache_folder()`.

    The file's name is a hash of all settings and all samples. A file that is damaged is made anew;
    if the folder cannot be written to, the events are computed every time.

    Args:
        front_end: the front end.
        sound: the recordings, at its rate.
        steps: steps of the result; what is longer is cut off, what is shorter ends in zeros.
    """
    name = hashlib.sha256(f"{front_end_text(front_end)}{steps}{sound.shape}{sound.dtype}".encode())
    name.update(np.ascontiguousarray(sound).tobytes())
    path = cache_folder() / "events" / f"{name.hexdigest()[:32]}.npz"
    shape = (len(sound), steps, front_end.channels)
    if (kept := _read_events(path, shape)) is not None:
        return kept
    events = events_of(front_end, sound, steps)
    content = io.BytesIO()
    np.savez_compressed(content, events=events)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue())
    except OSError as error:
        print(f"the events are not kept for the next run: {error}", file=sys.stderr)
    return events


def _read_events(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        events = read_arrays(path)["events"]
    except (OSError, ValueError, KeyError):
        return None
    return events if events.shape == shape and events.dtype == np.uint8 else None


def events_of(
    front_end: Audio3, sound: Float[np.ndarray, "n samples"], steps: int
) -> Int[np.ndarray, "n steps channels"]:
    """Events of recordings, of so many steps, in a byte each."""
    made = []
    for i in range(0, len(sound), _BATCH):
        part = sound[i : i + _BATCH]
        # Every batch has the same shape, so that one program serves all.
        padded = np.zeros((_BATCH, sound.shape[1]), sound.dtype)
        padded[: len(part)] = part
        events, _ = front_end(padded)
        made.append(np.asarray(events, np.uint8)[: len(part), :steps])
    joined = np.concatenate(made)
    return np.pad(joined, ((0, 0), (0, steps - joined.shape[1]), (0, 0)))
