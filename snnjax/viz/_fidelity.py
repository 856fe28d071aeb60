"""The spikes of a network and of its integers, and their difference over time."""

from typing import TYPE_CHECKING

import numpy as np

from .._checks import explained
from .._extras import extra
from ..hardware import Fidelity, LayerFidelity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BOTH, _NETWORK, _INTEGERS = "#9aa8ba", "#c8722b", "#1b4f8f"


@explained
def fidelity(report: Fidelity) -> "Figure":
    """The spikes of the first recording, and the error of all recordings over time, by layer.

    On the left a mark for each neuron and step: grey where network and integers emit the same
    number of spikes, orange where the network emits more, blue where the integers do. On the right
    the mean difference of the number of spikes of a neuron at each step.

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
    figure = Figure(figsize=(9, 0.6 + 2.2 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False, sharex=True, width_ratios=(3, 2))
    for (left, right), layer in zip(axes, report.layers, strict=True):
        _draw_rasters(left, layer)
        right.plot(layer.error_over_time, color=_INTEGERS, lw=1)
        right.set_ylim(bottom=0)
        right.set_title(f"error: {layer.count_error:.1%} of the counts", loc="left", fontsize=9)
        for ax in (left, right):
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=8)
    legend = axes[0, 0].legend(
        loc="upper right", bbox_to_anchor=(1, 1.35), ncols=3, fontsize=8, frameon=False
    )
    for handle in legend.legend_handles:
        handle.set(sizes=[60], linewidths=[3])
    for ax in axes[-1]:
        ax.set_xlabel("step", fontsize=9)
    axes[rows // 2, 1].set_ylabel("spikes of a neuron", fontsize=9)
    return figure


def _draw_rasters(ax: "Axes", layer: LayerFidelity) -> None:
    network, integers = (np.asarray(raster) for raster in layer.rasters)
    kinds = (
        ("the same", _BOTH, (network == integers) & (network > 0)),
        ("more in the network", _NETWORK, network > integers),
        ("more in integers", _INTEGERS, network < integers),
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
    ax.set_title(layer.path, loc="left", fontsize=9, fontweight="bold")
    ax.set_ylabel("neuron", fontsize=9)
