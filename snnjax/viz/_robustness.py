"""Accuracy of networks under mismatch of their parameters."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Float

from .._checks import explained
from .._extras import extra
from ._style import colors_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 5

Sweep: TypeAlias = tuple[Float[np.ndarray, " levels"], Float[np.ndarray, "levels draws"]]
"""Levels of mismatch and the accuracies at each: a result of `mismatch_sweep`."""


@explained
def robustness(sweeps: Mapping[str, Sweep]) -> "Figure":
    """Accuracy against mismatch, a line for each network.

    The line is the mean over the draws of a level, the band one standard deviation to both sides,
    and the dotted line the worst draw.

    Args:
        sweeps: results of `snnjax.train.mismatch_sweep` by the name of the network; at most five.

    Returns:
        A matplotlib figure. `figure.savefig("robustness.png")` writes it.

    Raises:
        ImportError: if matplotlib is missing, naming the extra that brings it.
        ValueError: if there are none or more than five.
    """
    if not 1 <= len(sweeps) <= _MOST:
        raise ValueError(f"`sweeps` must be from 1 to {_MOST} networks; got {len(sweeps)}")
    with extra("viz"):
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    ax = figure.subplots()
    colors = colors_of(ax)
    for (name, (levels, accuracies)), color in zip(sweeps.items(), colors.series, strict=False):
        mean, std = accuracies.mean(1), accuracies.std(1)
        ax.fill_between(levels, mean - std, mean + std, color=color, alpha=0.13, lw=0)
        ax.plot(levels, accuracies.min(1), color=color, lw=1, ls=":")
        ax.plot(levels, mean, color=color, lw=1.6, marker="o", ms=4, label=name)
    ax.set(xlabel="mismatch of the parameters (standard deviation)", ylabel="right answers")
    ax.set_ylim(0, 1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", lw=0.5, color=colors.fill)
    ax.legend(frameon=False, loc="lower left")
    return figure
