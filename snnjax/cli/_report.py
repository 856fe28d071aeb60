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
from ..hardware import xylo
from ..nn import Chain
from ..train.deploy import Scores
from ..train.run import Run


def print_scores(scores: Scores) -> None:
    """The table that a training run ends with."""
    table = Table(title=f"held-out digits, all {scores.total}")
    table.add_column("network")
    table.add_column("right", justify="right")
    table.add_column("test accuracy", justify="right")
    for name, right, share in scores.rows():
        table.add_row(name, str(right), f"{share:.2%}")
    Console().print(table)


def print_usage(spec: xylo.Spec) -> None:
    """How full the chip is."""
    table = Table(title=spec.chip.name)
    for column in ("resource", "used", "limit"):
        table.add_column(column, justify="left" if column == "resource" else "right")
    for name, used, limit in usage(spec):
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


def usage(spec: xylo.Spec) -> list[tuple[str, int, int | None]]:
    """Resource, how much of it a network takes and how much there is."""
    chip, w_in, w_out = spec.chip, np.asarray(spec.w_in), np.asarray(spec.w_out)
    recurrent = np.count_nonzero(np.asarray(spec.w_rec), axis=(0, 1)).max(initial=0)
    return [
        ("input channels", spec.n_inputs, chip.n_inputs),
        ("hidden neurons", spec.n_hidden, chip.n_hidden),
        ("hidden neurons with input weights", _used(w_in, 1), chip.max_input_neurons),
        ("hidden neurons with output weights", _used(w_out, 0), chip.max_output_neurons),
        ("output neurons", spec.n_outputs, chip.n_outputs),
        ("synapses per neuron", spec.n_synapses, chip.n_synapses),
        ("recurrent weights per synapse", int(recurrent), chip.max_recurrent_weights),
    ]


def _used(weights: np.ndarray, axis: int) -> int:
    others = tuple(i for i in range(weights.ndim) if i != axis)
    return int(weights.any(axis=others).sum())


def summary(run: Run, model: Chain, spec: xylo.Spec, scores: Scores) -> str:
    """`summary.txt`: settings, accuracies, how full the chip is, and what each decay became."""
    lines = [f"{run.recipe} for {spec.chip.name}", "", "test accuracy on the held-out split"]
    lines += [f"  {n:<32}{k:>5} of {scores.total}  {p:.2%}" for n, k, p in scores.rows()]
    lines += ["", "chip"]
    lines += [f"  {n:<36}{u:>8,} of {'any' if m is None else f'{m:,}'}" for n, u, m in usage(spec)]
    lines += ["", "decays"]
    lines += [f"  {change}" for change in xylo.decay_report(model, spec.chip)]
    lines += ["", "settings"]
    lines += [f"  {name} = {value}" for name, value in run.config.items()]
    return "\n".join(lines) + "\n"


def print_trace(trace: xylo.Trace) -> None:
    """Spikes of a simulation, in total and per sequence."""
    out = np.asarray(trace.spikes_out)
    out = out[None] if out.ndim == 2 else out
    hidden = np.asarray(trace.spikes)
    print(f"{len(out)} sequence(s) of {out.shape[1]} steps")
    print(f"hidden spikes: {hidden.sum() / len(out):.1f} per sequence")
    print(f"output spikes: {out.sum() / len(out):.1f} per sequence")
    for i, counts in enumerate(out.sum(axis=1)[:10]):
        print(f"  sequence {i}: {' '.join(map(str, counts))}")
    if len(out) > 10:
        print(f"  and {len(out) - 10} more; --out FILE.npz writes them all")


def write_trace(trace: xylo.Trace, path: Path) -> None:
    """Every spike and state over time, as arrays in one .npz."""
    names = ("spikes_out", "vmem_out", "isyn_out", "spikes", "vmem", "isyn")
    arrays: dict[str, Any] = {name: np.asarray(getattr(trace, name)) for name in names}
    np.savez_compressed(path, **arrays)
