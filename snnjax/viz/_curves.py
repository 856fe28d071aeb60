"""Metrics over the epochs of a run."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from .._checks import explained
from ._style import axes, colors_of, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@explained
def curves(
    rows: Iterable[Mapping[str, Any]],
    metrics: Sequence[str] = ("accuracy",),
    *,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Metrics of a run over its epochs, its stages named above.

    Args:
        rows: one for each epoch, with "epoch" and the metrics, and "through" for the stage: the
            lines of `metrics.jsonl`.
        metrics: which of them.
        title: of the axes.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: if there are no rows, or one lacks a metric.
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    known = [dict(row) for row in rows]
    if not known or not metrics:
        raise ValueError("`rows` and `metrics` must each have an entry or more")
    for i, row in enumerate(known):
        for name in ("epoch", *metrics):
            if name not in row:
                raise ValueError(f"`rows[{i}]` has no {name!r}; it has {', '.join(row)}")
    ax = axes(ax, (6, 3))
    colors = colors_of(ax)
    epochs = [row["epoch"] for row in known]
    marker = "o" if len(known) == 1 else None
    for i, name in enumerate(metrics):
        color = colors.series[i % len(colors.series)]
        ax.plot(epochs, [row[name] for row in known], color=color, label=name, marker=marker)
    stages = [(k, list(g)) for k, g in groupby(known, lambda row: row.get("through"))]
    for i, (stage, own) in enumerate(stages):
        if i:
            ax.axvline(own[0]["epoch"] - 0.5, color=colors.faint, lw=0.8)
        if stage is not None:
            words: dict[str, Any] = {
                "transform": ax.get_xaxis_transform(),
                "fontsize": 8,
                "va": "bottom",
            }
            ax.text(own[0]["epoch"], 1.0, f"through {stage}", color=colors.ink, **words)
    ax.grid(axis="y", lw=0.4, color=colors.faint, alpha=0.5)
    tidy(ax, title=title, xlabel="epoch", ylabel=metrics[0] if len(metrics) == 1 else "")
    if title is not None and any(stage for stage, _ in stages):
        ax.set_title(title, loc="left", fontsize=9, fontweight="bold", pad=16)
    if len(metrics) > 1:
        ax.legend(frameon=False, fontsize=8)
    return ax
