"""Tables, summaries and files that the commands give to people."""

import dataclasses
import io
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .. import transforms, viz
from .._files import write_whole
from ..hardware import family
from ..hardware.xylo.frontend import Audio3
from ..train import Recipe, Scores
from ..train.recipes import RECIPES
from ._runs import Opened


def training_progress() -> Progress:
    """Bars of epochs, with the fields `loss` and `accuracy`."""
    return Progress(
        TextColumn("training {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("epochs  loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.1%}"),
        TimeRemainingColumn(),
    )


def _table(title: str, *columns: str, left: int = 1, **style: Any) -> Table:
    """A table whose headings are wrapped where there is no room for them."""
    table = Table(title=title, **style)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right", overflow="fold")
    return table


def print_settings(name: str, recipe: type[Recipe]) -> None:
    """The settings of a recipe, with their defaults."""
    table = _table(f"settings of {name}", "--set", "default", "", left=3, box=box.SIMPLE_HEAD)
    defaults = dataclasses.asdict(recipe())
    for setting, words in recipe.documentation().items():
        table.add_row(Text(setting), Text(_as_text(defaults[setting])), Text(words))
    Console().print(table)
    print(f"recipes: {', '.join(RECIPES)}; `snnjax train RECIPE --help` shows the settings of each")


def _as_text(value: Any) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(_as_text, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)


def print_scores(scores: Scores) -> None:
    """The table that a training run ends with."""
    table = _table(f"held-out data, all {scores.total}", "network", "right", "test accuracy")
    for name, right, share in scores.rows():
        table.add_row(name, str(right), f"{share:.2%}")
    Console().print(table)


def print_usage(spec: Any) -> None:
    """How full the chip is."""
    table = _table(spec.chip.name, "resource", "used", "limit")
    for row in family(spec).usage(spec):
        limit = "no limit" if row.has is None else f"{row.has:,}"
        table.add_row(Text(_resource(row)), f"{row.used:,}", limit)
    Console().print(table)


def _resource(row: Any) -> str:
    return row.resource if row.layer is None else f"{row.resource}, {row.layer}"


def print_effects(
    title: str, effects: Sequence[transforms.Effect], rules: transforms.Rules
) -> None:
    """Print the effect of a plan on parameters, and its transforms of activations and states."""
    names = "parameter", "family", "transform", "levels", "scale", "SQNR", "clipped"
    table = _table(title, *names, left=3, box=box.SIMPLE_HEAD)
    for e in effects:
        scale = "" if e.scale is None else f"{e.scale:.3g}"
        clipped = "" if e.clipped is None else f"{e.clipped:.2%}"
        noise = "unchanged" if e.sqnr == np.inf else f"{e.sqnr:.1f} dB"
        # Brackets of a path are no markup.
        words = (Text(word) for word in (e.path, e.family, e.transform))
        table.add_row(*words, f"{e.levels:,}", scale, noise, clipped)
    # A file or a pipe has no width to keep to.
    console = Console()
    Console(width=None if console.is_terminal else 160).print(table)
    for path, transform in rules.activations.items():
        print(f"output of {path}: {transform}")
    for path, transform in rules.states.items():
        print(f"state {path}: {transform}")


def summary(opened: Opened, spec: Any, scores: Scores) -> str:
    """`summary.txt`: settings, accuracies, how full the chip is, and what parameters became."""
    settings = dataclasses.asdict(opened.recipe)
    usage = family(spec).usage(spec)
    width = max(36, *(len(_resource(row)) + 1 for row in usage))
    lines = [
        f"{opened.run.recipe.rpartition(':')[2]} for {spec.chip.name}",
        "",
        "test accuracy on the held-out split",
    ]
    lines += [f"  {n:<32}{k:>5} of {scores.total}  {p:.2%}" for n, k, p in scores.rows()]
    lines += ["", "chip"]
    for row in usage:
        limit = "any" if row.has is None else f"{row.has:,}"
        lines.append(f"  {_resource(row):<{width}}{row.used:>8,} of {limit}")
    lines += ["", "parameters"]
    lines += [f"  {row}" for row in opened.recipe.report(opened.state.model)]
    lines += ["", "settings"]
    lines += [f"  {name} = {_as_text(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def print_trace(trace: Any) -> None:
    """Spikes of a simulation, in total and per sequence."""
    out = np.asarray(trace.spikes_out)
    layers = trace.spikes[:-1] if isinstance(trace.spikes, tuple) else (trace.spikes,)
    hidden = sum(int(np.asarray(x).sum()) for x in layers)
    if out.ndim % 2 == 0:  # one recording: (time, classes), or with the two axes of a map
        out = out[None]
    print(f"{len(out)} sequence(s) of {out.shape[1]} steps")
    print(f"hidden spikes: {hidden / len(out):.1f} per sequence")
    print(f"output spikes: {out.sum() / len(out):.1f} per sequence")
    cut = int(np.asarray(getattr(trace, "cut_events", 0)).sum(dtype=np.int64))
    if cut:
        print(f"{cut:,} events are more than an input channel takes in a step, and are ignored")
    for i, counts in enumerate(out.sum(axis=1)[:10]):
        print(f"  sequence {i}: {' '.join(map(str, counts.ravel()))}")


def write_trace(trace: Any, path: Path) -> None:
    """Every spike and state over time, as arrays in one .npz."""
    arrays: dict[str, Any] = {}
    for name, value in trace._asdict().items():
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            arrays |= {f"{name}_{i}": np.asarray(x) for i, x in enumerate(value)}
        elif value is not None and name != "state":
            arrays[name] = np.asarray(value)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_whole(path, content.getvalue())


def write_figure(figure: Any, path: Path) -> None:
    """A picture as a file of the kind that its name says, PNG for none."""
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix(".") or "png", dpi=150)
    write_whole(path, content.getvalue())


def write_heard(opened: Opened, spec: Any) -> bool:
    """A picture of a held-out recording on its way through a chip's front end to the answer.

    Returns:
        Whether it was written: it is where the run has such a front end, and the extra `viz`.
    """
    run, recipe, data, _ = opened
    front, sound = recipe.make_front_end(), recipe.make_example()
    if not isinstance(front, Audio3) or sound is None or find_spec("matplotlib") is None:
        return False
    events, _ = front(sound)
    network = recipe.make_network(data)
    _, spikes = recipe.target.simulate(network, spec, events[None])
    write_figure(viz.front_end(front, front.trace(sound), events, spikes[0]), run.heard)
    return True


def write_export(value: Any, path: Path) -> None:
    """The result of `export` as a file: text and bytes as they are, anything else as JSON."""
    if isinstance(value, str | bytes):
        write_whole(path, value)
    else:
        write_json(value, path)


def write_json(value: Any, path: Path) -> None:
    """A value as a JSON file."""
    write_whole(path, json.dumps(value, indent=2, default=lambda array: array.tolist()) + "\n")
