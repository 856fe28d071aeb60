"""The page that has several runs side by side."""

from collections.abc import Sequence
from typing import Any

from .. import viz
from .._checks import explained
from . import _pictures
from ._findings import Findings
from ._page import accuracy, page, paragraph, picture, table
from ._report import _as_text


@explained
def compare(runs: Sequence[Findings]) -> str:
    """A page with several runs side by side: one file of HTML.

    Args:
        runs: from `examine`, two or more.

    Raises:
        ValueError: if there are less than two.
    """
    if len(runs) < 2:
        raise ValueError(f"`runs` must be two or more; got {len(runs)}")
    names = _names(runs)
    sections = [
        ("Accuracy", _accuracy(runs, names)),
        ("Training", _training(runs, names)),
        ("Network and integers", _fidelity(runs, names)),
        ("Costs and chip", _costs(runs, names)),
        ("Settings", _settings(runs, names)),
    ]
    if all(found.mismatch is not None for found in runs) and len(runs) <= 5:
        sections.insert(4, ("Robustness", _robustness(runs, names)))
    return page("Runs side by side", paragraph(", ".join(names)), sections)


def _names(runs: Sequence[Findings]) -> list[str]:
    """The names of the folders, or whole paths where two have one name."""
    short = [found.run.path.name for found in runs]
    whole = [str(found.run.path) for found in runs]
    return short if len(set(short)) == len(short) else whole


def _accuracy(runs: Sequence[Findings], names: Sequence[str]) -> str:
    rows = [
        (f"{name}: {form}", *accuracy(right, found.scores.total))
        for name, found in zip(names, runs, strict=True)
        for form, right, _ in found.scores.rows()
    ]
    heads = ("run and network", "right", "share", "95 % interval")
    return table("Right answers among the held-out recordings", heads, rows)


def _training(runs: Sequence[Findings], names: Sequence[str]) -> str:
    curves = {
        name: tuple(zip(*((row["epoch"], row["accuracy"]) for row in found.rows), strict=True))
        for name, found in zip(names, runs, strict=True)
        if found.rows
    }
    if not curves:
        return paragraph("No run has metrics.")

    def draw() -> Any:
        made = _pictures.figure(8, 3.2)
        ax = made.subplots()
        colors = viz.colors_of(ax).series
        for name, (x, y) in curves.items():
            ax.plot(x, y, label=name, color=colors[names.index(name) % len(colors)])
        ax.set(xlabel="epoch", ylabel="accuracy in training")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        return made

    told = [f"{name} ends at {y[-1]:.1%} after {len(x)} epochs" for name, (x, y) in curves.items()]
    return picture(draw, f"Accuracy in training over epochs: {'; '.join(told)}.")


def _fidelity(runs: Sequence[Findings], names: Sequence[str]) -> str:
    rows = [
        (f"{name}: {x.path}", f"{x.spikes_integers:,}", f"{x.count_error:.2%}", f"{x.equal:.2%}")
        for name, found in zip(names, runs, strict=True)
        for x in found.fidelity.layers
    ]
    agree = [
        (name, f"{found.fidelity.agreement:.2%}") for name, found in zip(names, runs, strict=True)
    ]
    return table("The same answer of network and integers", ("run", "share"), agree) + table(
        "Layers", ("run and layer", "spikes of the integers", "count error", "equal"), rows
    )


def _costs(runs: Sequence[Findings], names: Sequence[str]) -> str:
    rows = []
    for name, found in zip(names, runs, strict=True):
        cost = found.cost
        if cost is not None:
            cycles = "" if cost.cycles is None else f"{cost.cycles.mean:,.0f}"
            counts = (f"{cost.total(k):,.1f}" for k in ("spikes", "synops", "reads"))
            rows.append((name, found.spec.chip.name, f"{cost.rate:.4g}", *counts, cycles))
    heads = ("run", "chip", "spikes per neuron and step", "spikes", "operations", "reads", "cycles")
    return table("A recording on the chip, on average", heads, rows, words=[1])


def _robustness(runs: Sequence[Findings], names: Sequence[str]) -> str:
    sweeps = {n: f.mismatch for n, f in zip(names, runs, strict=True) if f.mismatch is not None}
    told = [f"{n} {s.accuracies[-1].mean():.1%} at {s.levels[-1]:.0%}" for n, s in sweeps.items()]
    alt = f"Right answers under mismatch: {', '.join(told)}."
    return picture(lambda: viz.robustness(sweeps), alt)


def _settings(runs: Sequence[Findings], names: Sequence[str]) -> str:
    """The settings that are not the same in all."""
    every = [found.settings | {"recipe": found.run.recipe} for found in runs]
    keys = list(dict.fromkeys(k for s in every for k in s))
    rows = [(k, *(_as_text(s.get(k, "-")) for s in every)) for k in keys]
    rows = [row for row in rows if len(set(row[1:])) > 1]
    if not rows:
        return paragraph("All settings are the same.")
    return table("Settings that differ", ("setting", *names), rows, words=range(1, len(names) + 1))
