"""`snnjax listen`: sound in, answers out as they come."""

import dataclasses
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np
import typer

from .. import viz
from .._extras import extra
from ..datasets.audio import MelEvents, resample
from ..datasets.fsdd import read_mono
from ..hardware import family, xylo
from ..hardware.xylo.frontend import Audio3
from ..train import Run, listen as hear
from . import _report, _runs
from ._options import RunArgument, one_line_errors

_BLOCK = 0.05
"""Seconds of sound that come at once."""


def listen(
    run: RunArgument,
    wav: Annotated[Path | None, typer.Option(help="A recording, mono with 16 bits.")] = None,
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Listen until it is stopped (extra: listen).")
    ] = False,
    memory: Annotated[
        int | None, typer.Option(help="Steps whose spikes count for the answer; all by default.")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            help="With `--wav`, a picture of sound, filters, events and answer (extra: viz)."
        ),
    ] = None,
) -> None:
    """Feed sound through a run's front end into its integers; print each new answer.

    A line has the time, the answer and the spikes of the readout that speak for each class.
    """
    with one_line_errors():
        if (wav is None) == (not microphone):
            raise ValueError("give either `--wav FILE` or `--microphone`")
        opened = Run.open(run)
        recipe = _runs.recipe_of(opened)
        front: Any = _runs.front_end_of(opened, recipe)
        if not isinstance(front, MelEvents | Audio3):
            raise ValueError(f"{run} does not hear: its recipe, {opened.recipe}, takes events")
        spec = family(opened.spec.stem).load(opened.spec)
        if figure is not None and (wav is None or not isinstance(front, Audio3)):
            raise ValueError("`--figure` shows a recording in a chip's own front end: `--wav`")
        late = xylo.latency(recipe.make_network(None))  # type: ignore[arg-type]
        if wav is None:
            blocks = _live(front)
        else:
            front, sound = _recorded(wav, front)
            blocks = _in_blocks(sound, front)
        answer, heard, spikes = None, None, []
        for step, heard in enumerate(hear(blocks, front, spec, late=late, memory=memory)):
            if heard.totals.any() and heard.answer != answer:
                answer = heard.answer
                _print(step, late, front, heard)
            if figure is not None:
                spikes.append(heard.spikes)
        if heard is not None:
            _print(step, late, front, heard, "at the end: ")
        if figure is not None:
            events, _ = front(sound)
            picture = viz.front_end(front, front.trace(sound), events, np.stack(spikes[late:]))
            _report.write_figure(picture, figure)
            print(f"wrote {figure}")


def _print(step: int, late: int, front: MelEvents | Audio3, heard: Any, words: str = "") -> None:
    seconds = max(0, step + 1 - late) * front.dt
    totals = " ".join(f"{int(total)}" for total in heard.totals)
    print(f"{words}{seconds:7.2f} s  {heard.answer}  of spikes {totals}", flush=True)


def _recorded(path: Path, front: Any) -> tuple[Any, np.ndarray]:
    """The front end for a file of any rate, and the sound for it."""
    sound, rate = read_mono(path)
    if isinstance(front, Audio3):
        front = dataclasses.replace(front, rate=float(rate))
    elif rate != front.rate:
        sound = np.asarray(resample(jnp.asarray(sound), rate, front.rate))
    return front, sound


def _in_blocks(sound: np.ndarray, front: Any) -> Iterator[np.ndarray]:
    length = max(1, round(_BLOCK * front.rate))
    return (sound[i : i + length] for i in range(0, len(sound), length))


def _live(front: Any) -> Iterator[np.ndarray]:
    with extra("listen"):
        import sounddevice
    waiting: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    stream = sounddevice.InputStream(
        samplerate=front.rate,
        channels=1,
        dtype="float32",
        blocksize=max(1, round(_BLOCK * front.rate)),
        callback=lambda sound, *_: waiting.put(sound[:, 0].copy()),
    )
    with stream:
        while True:
            yield waiting.get()
