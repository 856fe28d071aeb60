"""Recordings of event cameras."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jax.typing import ArrayLike

from .._checks import explained
from ._style import axes, colors_of, steps, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_MARKS = 20_000


@explained
def events(
    raster: ArrayLike,
    *,
    kind: Literal["frames", "xyt"] = "frames",
    frames: int = 6,
    dt: float | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Events of a camera, as frames side by side or as marks over place and time.

    The first channel is in the first colour, the second in the second, and so on; frames show the
    channel with most events of a pixel, the stronger the more there are.

    Args:
        raster: numbers of events of one recording, `(time, channels, height, width)`;
            `datasets.to_raster` makes one of single events.
        kind: "frames" sums the events of parts of the time; "xyt" draws each in three dimensions,
            an even sample of them if there are more than 20,000 places.
        frames: how many frames.
        dt: length of a step in seconds; None counts steps.
        title: of the axes.
        ax: axes to draw on, for "xyt" with `projection="3d"`; None for a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: if `raster` has another number of axes, `kind` is neither, `frames` is less than
            1, or `ax` has no three dimensions for "xyt".
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    counts = np.asarray(raster)
    if counts.ndim != 4 or not counts.size:
        raise ValueError(f"`raster` must be (time, channels, height, width); got {counts.shape}")
    if kind not in ("frames", "xyt"):
        raise ValueError(f"`kind` must be 'frames' or 'xyt'; got {kind!r}")
    if frames < 1:
        raise ValueError(f"`frames` must be at least 1; got {frames}")
    times, label = steps(len(counts), dt)
    if kind == "xyt":
        return _marks(counts, times, label, title, ax)
    ax = axes(ax, (1.6 * min(frames, len(counts)) + 0.4, 2.1))
    _frames(ax, counts, min(frames, len(counts)), times, label)
    tidy(ax, title=title)
    ax.spines[:].set_visible(False)
    return ax


def _frames(ax: "Axes", counts: np.ndarray, frames: int, times: np.ndarray, label: str) -> None:
    from matplotlib.colors import to_rgb

    colors = colors_of(ax)
    series = np.array([to_rgb(color) for color in colors.series])
    back = np.array(to_rgb(ax.get_facecolor()))
    parts = [part.sum(0) for part in np.array_split(counts, frames)]
    most = max(float(part.max()) for part in parts) or 1.0
    edge = np.full((counts.shape[2], max(1, counts.shape[3] // 20), 3), 1.0) * to_rgb(colors.faint)
    tiles: list[np.ndarray] = []
    for part in parts:
        strength = (part.max(0) / most)[..., None] ** 0.5
        color = series[part.argmax(0) % len(series)]
        tiles += [back + strength * (color - back), edge]
    ax.imshow(np.concatenate(tiles[:-1], axis=1), interpolation="none")
    wide = counts.shape[3] + edge.shape[1]
    firsts = [times[part[0]] for part in np.array_split(np.arange(len(counts)), frames)]
    ax.set_xticks(np.arange(frames) * wide + counts.shape[3] / 2 - 0.5, [f"{t:g}" for t in firsts])
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.set_xlabel(f"from {label}")


def _marks(counts: np.ndarray, times: np.ndarray, label: str, title: str | None, ax: Any) -> "Axes":
    if ax is not None and not hasattr(ax, "set_zlabel"):
        raise ValueError('`ax` must have three dimensions: `projection="3d"`')
    ax = axes(ax, (6, 4.5), projection="3d")
    colors = colors_of(ax)
    places = np.argwhere(counts)
    places = places[:: -(-len(places) // _MOST_MARKS) or 1]
    for channel in range(counts.shape[1]):
        t, _, y, x = places[places[:, 1] == channel].T
        color = colors.series[channel % len(colors.series)]
        ax.scatter(times[t], x, y, s=2, color=color, depthshade=False, label=f"channel {channel}")
    ax.set_ylim(0, counts.shape[3] - 1)
    ax.set_zlim(counts.shape[2] - 1, 0)
    ax.set(xlabel=label, ylabel="x", zlabel="y")
    ax.tick_params(labelsize=7)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color((0, 0, 0, 0))
    if title is not None:
        ax.set_title(title, loc="left", fontsize=9, fontweight="bold")
    ax.legend(frameon=False, fontsize=8, markerscale=4)
    return ax
