"""Histograms of the parameters of each layer, before and after a plan."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._checks import explained
from .._extras import extra
from .._tree import leaves_with_path, modules_with_path
from .._typing import Key, PyTree
from ..nn import Leak
from ..quant import Transform
from ..transforms import Effect, report
from ._style import Colors, colors_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS, _COLUMNS = 61, 3
_FEW_LEVELS, _MOST_LEVELS = 40, 160
"""Up to this many levels the stems are thick; up to this many there are stems, then a histogram."""


class _Panel(NamedTuple):
    """A flattened parameter before and after, and the label of its axis."""

    effect: Effect
    before: np.ndarray
    after: np.ndarray
    unit: str


@explained
def parameter_histograms(
    plan: PyTree, model: PyTree, *, key: Key | None = None
) -> dict[str, "Figure"]:
    """A figure for each layer that a plan transforms, with its parameters before and after.

    The upper half is a histogram of the values before. The lower half has a stem for each level in
    use after, with a line across both halves. Each half is normalised to its peak. With scales per
    channel, values are divided by the scale, so that the levels are the integers.

    Args:
        plan: a plan of `transforms.plan(model, ...)`.
        model: the model.
        key: needed if a transform of a parameter is random.

    Returns:
        matplotlib figures by the path of the layer. `figure.savefig("layer.png")` writes one.

    Raises:
        ImportError: if matplotlib is missing, naming the extra that brings it.
        ValueError: if the plan was made for a model of another structure.
    """
    rules = dict(leaves_with_path(plan, is_leaf=lambda node: isinstance(node, Transform)))
    layers: dict[str, list[_Panel]] = {}
    for effect in report(plan, model, key=key):
        if effect.before.size:
            panel = _panel(effect, rules[effect.path])
            layers.setdefault(_layer(model, effect.path), []).append(panel)
    return {layer: _figure(layer or type(model).__name__, rows) for layer, rows in layers.items()}


def _layer(model: PyTree, path: str) -> str:
    """The path of the layer of a parameter. A leak belongs to its layer."""
    owner = path.rpartition(".")[0]
    if isinstance(dict(modules_with_path(model)).get(owner), Leak):
        return owner.rpartition(".")[0]
    return owner


def _panel(effect: Effect, rule: Any) -> _Panel:
    x, y = (np.asarray(v, np.float64) for v in (effect.before, effect.after))
    name = effect.path.rpartition(".")[2]
    scale = None if effect.scale is None else np.asarray(rule.scale_of(effect.before))
    if scale is None or scale.size == 1:
        return _Panel(effect, x.ravel(), y.ravel(), name)
    # Rounding removes the division's rounding errors, which leaves whole numbers.
    return _Panel(
        effect,
        (x / scale).ravel(),
        np.round(y / scale, 3).ravel(),
        f"{name} / scale of its channel",
    )


def _figure(title: str, panels: list[_Panel]) -> "Figure":
    with extra("viz"):
        from matplotlib.figure import Figure
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.4 * columns + 0.4, 2.7 * rows + 0.4), layout="constrained", dpi=120)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, panel in zip(axes, panels, strict=False):
        _draw(ax, panel)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    return figure


def _draw(ax: "Axes", panel: _Panel) -> None:
    colors = colors_of(ax)
    low, high = _limits(panel)
    edges = np.linspace(low, high, _BINS + 1)
    _hang(ax, panel.before, edges, 1, colors.faint)
    levels, counts = np.unique(panel.after, return_counts=True)
    if len(levels) <= _MOST_LEVELS:
        _stems(ax, levels, -counts / np.max(counts), colors)
    else:
        _hang(ax, panel.after, edges, -1, colors.series[0])
    ax.axhline(0, color=colors.ink, lw=0.8)
    ax.set_xlim(low, high)
    ax.set_ylim(-1.12, 1.12)
    ax.set_xlabel(panel.unit)
    ax.locator_params(axis="x", nbins=6)
    ax.set_yticks([0.5, -0.5], ["before", "after"], rotation=90, va="center")
    ax.tick_params(axis="y", length=0)
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.set_title(_caption(panel.effect, len(levels)), loc="left", fontsize=9)


def _limits(panel: _Panel) -> tuple[float, float]:
    both = np.concatenate([panel.before, panel.after])
    low, high = float(both.min()), float(both.max())
    margin = 0.04 * (high - low) or 0.05 * max(abs(low), 1.0)
    return low - margin, high + margin


def _hang(ax: "Axes", values: np.ndarray, edges: np.ndarray, peak: int, color: str) -> None:
    """A histogram with the height `peak`; negative for downwards."""
    counts = np.histogram(values, edges)[0]
    ax.stairs(peak * counts / max(counts.max(), 1), edges, fill=True, color=color, lw=0)


def _stems(ax: "Axes", levels: np.ndarray, heights: np.ndarray, colors: Colors) -> None:
    """A line across for each level, and a stem with the number of its values."""
    few = len(levels) <= _FEW_LEVELS
    ax.vlines(levels, -1.12, 1.12, color=colors.fill, lw=0.7 if few else 0.4, zorder=0)
    ax.vlines(levels, 0, heights, color=colors.series[0], lw=2.4 if few else 1.2)
    ax.scatter(levels, heights, 18 if few else 5, color=colors.series[0], zorder=3)


def _caption(effect: Effect, levels: int) -> str:
    parts = [f"{levels:,} level{'s' if levels > 1 else ''}"]
    parts.append("unchanged" if effect.sqnr == np.inf else f"{effect.sqnr:.1f} dB")
    if effect.clipped:
        parts.append(f"{effect.clipped:.1%} clipped")
    return f"{effect.transform}\n{', '.join(parts)}"
