"""The cores of a chip: their layers and the use of their memories."""

from typing import TYPE_CHECKING

from .._checks import explained
from .._extras import extra
from ..hardware import dynapcnn
from ._style import colors_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3


@explained
def core_map(spec: dynapcnn.Spec) -> "Figure":
    """A panel for each core of a DYNAP-CNN or Speck: its layer, its memories, where spikes go.

    A bar is as long as the share of a memory that is taken; beside it, the words of memory.

    Args:
        spec: a network on its cores, as `map_network` gives it.

    Returns:
        A matplotlib figure. `figure.savefig("cores.png")` writes it.

    Raises:
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    with extra("viz"):
        from matplotlib.figure import Figure
    cores = spec.chip.cores
    rows = -(-len(cores) // _COLUMNS)
    figure = Figure(figsize=(4.0 * _COLUMNS, 1.75 * rows + 0.4), layout="constrained", dpi=120)
    figure.suptitle(spec.chip.name, x=0.01, ha="left", fontsize=13, fontweight="bold")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    layers = {layer.core: layer for layer in spec.layers}
    for number, ax in enumerate(axes[: len(cores)]):
        _draw(ax, number, layers.get(number), spec)
    for ax in axes[len(cores) :]:
        ax.set_axis_off()
    return figure


def _draw(ax: "Axes", core: int, layer: dynapcnn.Core | None, spec: dynapcnn.Spec) -> None:
    colors = colors_of(ax)
    has_all, kinds = spec.chip.cores[core], dynapcnn.Memory._fields
    used_all = dynapcnn.Memory(0, 0, 0) if layer is None else layer.memory
    for row, (used, has) in enumerate(zip(used_all, has_all, strict=True)):
        ax.barh(row, 1, 0.7, color=colors.fill, alpha=0.5 if layer is None else 1)
        ax.barh(row, used / has, 0.7, color=colors.series[0])
        if layer is not None:
            within = used / has > 0.4
            ax.text(
                min(used / has, 1) - 0.02 if within else used / has + 0.02,
                row,
                f"{used:,} of {has:,}",
                ha="right" if within else "left",
                va="center",
                fontsize=8,
                color=ax.get_facecolor() if within else colors.ink,
            )
    ax.set_xlim(0, 1)
    ax.set_yticks(range(len(kinds)), kinds, fontsize=8)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    color = colors.faint if layer is None else colors.ink
    ax.set_title(f"core {core}: {_caption(layer, spec)}", loc="left", fontsize=9, color=color)


def _caption(layer: dynapcnn.Core | None, spec: dynapcnn.Spec) -> str:
    if layer is None:
        return "idle"
    name = layer.path or f"layer {spec.layers.index(layer)}"
    channels, height, width = layer.output_shape
    to = [
        f"core {spec.layers[d.layer].core}" + (f" (pool {d.pool})" if d.pool > 1 else "")
        for d in layer.destinations
    ]
    return f"{name}, {channels} of {height} by {width} → {', '.join(to) or 'out'}"
