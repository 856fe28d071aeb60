"""The spikes of a network and of its integers, their difference and their answers over time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import explained
from .._extras import extra
from ..hardware import Fidelity, LayerFidelity
from ._style import Colors, colors_of, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ABOVE: Mapping[str, Any] = {
    "loc": "lower right",
    "bbox_to_anchor": (1, 1.08),
    "fontsize": 8,
    "frameon": False,
}
"""The place and the look of legends."""


@explained
def fidelity(report: Fidelity) -> "Figure":
    """The spikes of the first recording, the error of all recordings over time, and the answers.

    For each layer, on the left a mark for each neuron and step: grey where network and integers
    emit the same number of spikes, one colour where the network emits more, another where the
    integers do. On the right the mean difference of the number of spikes of a neuron at each step,
    beside the network in float and, where the report has it, through its plan. Below, the share of
    recordings with the same answer, and with the right one, had they ended at each step.

    Args:
        report: a result of `xylo.fidelity` or `dynapcnn.fidelity`.

    Returns:
        A matplotlib figure. `figure.savefig("fidelity.png")` writes it.

    Raises:
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    with extra("viz"):
        from matplotlib.figure import Figure
    rows = len(report.layers)
    figure = Figure(figsize=(9, 2.2 + 2.2 * rows), layout="constrained")
    grid = figure.add_gridspec(rows + 1, 2, width_ratios=(3, 2), height_ratios=[2.2] * rows + [1.6])
    planned = report.through_plan
    others = [None] * rows if planned is None else planned.layers
    for i, (layer, other) in enumerate(zip(report.layers, others, strict=True)):
        left, right = (figure.add_subplot(grid[i, j]) for j in (0, 1))
        _draw_rasters(left, layer, report.beside)
        _draw_error(right, layer, other)
        if not i:
            _draw_legend(left)
            if planned is not None:
                right.legend(**_ABOVE, ncols=2)
    _draw_answers(figure.add_subplot(grid[rows, :]), report)
    return figure


def _draw_error(ax: "Axes", layer: LayerFidelity, planned: LayerFidelity | None) -> None:
    first, second, *_ = colors_of(ax).series
    ax.plot(layer.error_over_time, color=first, lw=1, label="beside float")
    if planned is not None:
        ax.plot(planned.error_over_time, color=second, lw=1, label="beside its plan")
    ax.set_ylim(bottom=0)
    tidy(ax, xlabel="step", ylabel="spikes of a neuron")
    ax.set_title(f"error: {layer.count_error:.1%} of the counts", loc="left", fontsize=9)


def _draw_answers(ax: "Axes", report: Fidelity) -> None:
    colors = colors_of(ax)
    lines = {
        "same answer": report.agreement_over_time,
        f"right, {report.beside}": report.accuracy_over_time,
        "right, the integers": report.accuracy_integers_over_time,
    }
    for color, (label, share) in zip((colors.ink, *colors.series), lines.items(), strict=False):
        if share is not None:
            ax.plot(share, color=color, lw=1, label=label)
    tidy(ax, title="answers, had recordings ended at a step", xlabel="step", ylabel="share")
    ax.set_ylim(0, 1.04)
    ax.legend(**_ABOVE, ncols=3)


def _draw_legend(ax: "Axes") -> None:
    legend = ax.legend(**_ABOVE, ncols=3)
    for handle in legend.legend_handles:
        assert handle is not None
        handle.set(sizes=[60], linewidths=[3])


def _draw_rasters(ax: "Axes", layer: LayerFidelity, beside: str) -> None:
    network, integers = (np.asarray(raster) for raster in layer.rasters)
    colors: Colors = colors_of(ax)
    more, less, *_ = colors.series
    kinds = (
        ("the same", colors.faint, (network == integers) & (network > 0)),
        (f"more in {beside}", less, network > integers),
        ("more in integers", more, network < integers),
    )
    steps, neurons = network.shape
    # Marks cover a step and a neuron of the axes, within limits.
    shape = {"s": np.clip(250 / steps, 1.5, 40) ** 2, "lw": np.clip(100 / neurons, 0.8, 3)}
    for label, color, which in kinds:
        step, neuron = np.nonzero(which)
        ax.scatter(step, neuron, marker="_", color=color, label=label, **shape)
    ax.set_xlim(-0.5, steps - 0.5)
    ax.set_ylim(-0.5, neurons - 0.5)
    ax.locator_params("y", integer=True)
    tidy(ax, title=layer.path, xlabel="step", ylabel="neuron")
