"""What the commands print and write for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import transforms
from ..train.deploy import Scores
from ..train.recipe import Trained
from ._runs import Opened
from ._targets import Target


def print_scores(scores: Scores) -> None:
    """The table that a training run ends with."""
    table = Table(title=f"held-out digits, all {scores.total}")
    table.add_column("network")
    table.add_column("right", justify="right")
    table.add_column("test accuracy", justify="right")
    for name, right, share in scores.rows():
        table.add_row(name, str(right), f"{share:.2%}")
    Console().print(table)


def print_usage(target: Target, spec: Any) -> None:
    """How full the chip is."""
    table = Table(title=spec.chip.name)
    for column in ("resource", "used", "limit"):
        table.add_column(column, justify="left" if column == "resource" else "right")
    for name, used, limit in target.usage(spec):
        table.add_row(name, f"{used:,}", "no limit" if limit is None else f"{limit:,}")
    Console().print(table)


def print_effects(
    title: str, effects: Sequence[transforms.Effect], rules: transforms.Rules
) -> None:
    """What a plan does to each parameter, and what it does to activations and states."""
    table = Table(title=title, box=box.SIMPLE_HEAD)
    for column in ("parameter", "family", "transform"):
        table.add_column(column, overflow="fold")
    for column in ("levels", "scale", "SQNR", "clipped"):
        table.add_column(column, justify="right", no_wrap=True)
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


def summary(opened: Opened, trained: Trained, spec: Any, scores: Scores) -> str:
    """`summary.txt`: settings, accuracies, how full the chip is, and what parameters became."""
    run, target, config, _, _ = opened
    usage = target.usage(spec)
    width = max(36, *(len(name) + 1 for name, _, _ in usage))
    lines = [f"{run.recipe} for {spec.chip.name}", "", "test accuracy on the held-out split"]
    lines += [f"  {n:<32}{k:>5} of {scores.total}  {p:.2%}" for n, k, p in scores.rows()]
    lines += ["", "chip"]
    lines += [f"  {n:<{width}}{u:>8,} of {'any' if m is None else f'{m:,}'}" for n, u, m in usage]
    title, details = target.details(config, trained, spec)
    lines += ["", title]
    lines += [f"  {line}" for line in details]
    lines += ["", "settings"]
    lines += [f"  {name} = {value}" for name, value in run.config.items()]
    return "\n".join(lines) + "\n"


def print_trace(target: Target, spec: Any, trace: Any) -> None:
    """Spikes of a simulation, in total and per sequence."""
    out, hidden = target.spikes(spec, trace)
    print(f"{len(out)} sequence(s) of {out.shape[1]} steps")
    print(f"hidden spikes: {hidden.sum() / len(out):.1f} per sequence")
    print(f"output spikes: {out.sum() / len(out):.1f} per sequence")
    for i, counts in enumerate(out.sum(axis=1)[:10]):
        print(f"  sequence {i}: {' '.join(map(str, counts))}")
    if len(out) > 10:
        print(f"  and {len(out) - 10} more; --out FILE.npz writes them all")


def write_trace(target: Target, trace: Any, path: Path) -> None:
    """Every spike and state over time, as arrays in one .npz."""
    arrays: dict[str, Any] = target.arrays(trace)
    np.savez_compressed(path, **arrays)
