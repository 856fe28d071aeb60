"""Weights of a layer, as a map around zero."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jax.typing import ArrayLike

from .._checks import explained
from ._style import axes, colors_of, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_TICKS = 12


@explained
def weights(weight: ArrayLike, *, title: str | None = None, ax: "Axes | None" = None) -> "Axes":
    """The weights of a layer, red above zero and blue below; on dark the same map of "berlin".

    A kernel's channels lie side by side: `(out, in, ky, kx)` is a grid with a row for each output
    channel and a column for each input channel.

    Args:
        weight: weights with the targets first, `(out, in)` or `(out, in, ...)`.
        title: of the axes.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: if `weight` has less than two axes, or is empty.
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    w = np.asarray(weight)
    if w.ndim < 2 or not w.size:
        raise ValueError(f"`weight` must be (out, in) or (out, in, ...); got {w.shape}")
    out, n_in = w.shape[:2]
    w = w.reshape(out, n_in, *(w.shape[2:] if w.ndim == 4 else (1, -1)))
    ky, kx = w.shape[2:]
    picture = w.transpose(0, 2, 1, 3).reshape(out * ky, n_in * kx)
    largest = float(np.abs(picture).max()) or 1.0
    ax = axes(ax, (6, 3.6))
    colors = colors_of(ax)
    look: dict[str, Any] = {
        "aspect": "auto",
        "interpolation": "none",
        "vmin": -largest,
        "vmax": largest,
    }
    image = ax.imshow(picture, cmap=_diverging(colors.diverging), **look)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    if ky * kx > 1:
        for y in range(ky, out * ky, ky):
            ax.axhline(y - 0.5, color=colors.faint, lw=0.4)
        for x in range(kx, n_in * kx, kx):
            ax.axvline(x - 0.5, color=colors.faint, lw=0.4)
        for ticks, size, wide in ((ax.set_xticks, n_in, kx), (ax.set_yticks, out, ky)):
            numbers = np.arange(0, size, -(-size // _MOST_TICKS))
            ticks((numbers + 0.5) * wide - 0.5, list(map(str, numbers)))
    tidy(ax, title=title, xlabel="from", ylabel="to")
    return ax


def _diverging(name: str) -> str:
    """The colour map, or one that every matplotlib has."""
    import matplotlib as mpl

    return name if name in mpl.colormaps else "RdBu_r"
