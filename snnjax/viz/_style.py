"""The one style of all pictures: colours that colour-blind people tell apart, light and dark."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from .._checks import explained
from .._extras import extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Colors(NamedTuple):
    """Colours by their use.

    Attributes:
        ink: text and lines.
        faint: what is of less weight.
        fill: faces of boxes.
        series: colours of data, in order.
        warn: what is wrong.
        diverging: name of a colour map around zero.
        rising: name of a colour map from zero.
    """

    ink: str
    faint: str
    fill: str
    series: tuple[str, ...]
    warn: str
    diverging: str
    rising: str


# Source of the series: Okabe and Ito 2008, "Color universal design"; on dark lighter ones of them.
LIGHT = Colors(
    ink="#1f2933",
    faint="#9aa5b1",
    fill="#e8eef5",
    series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a6761d", "#56b4e9"),
    warn="#d55e00",
    diverging="RdBu_r",
    rising="Blues",
)
DARK = Colors(
    ink="#e4e7eb",
    faint="#7b8794",
    fill="#2c3a47",
    series=("#56b4e9", "#f0a35e", "#35c99a", "#e3a6cb", "#f0e442", "#9bb8d3"),
    warn="#f0a35e",
    diverging="berlin",
    rising="cividis",
)
_BACKGROUND = {"light": "#ffffff", "dark": "#16202a"}
_DARK_BELOW = 0.5


@contextmanager
def style(mode: Literal["light", "dark"] = "light") -> Iterator[None]:
    """The style for figures that are made within: `with viz.style("dark"): ...`.

    The functions of `snnjax.viz` look at the background of their axes, so that those of any style
    of matplotlib get colours that are seen on it.

    Args:
        mode: "light" or "dark".

    Raises:
        ValueError: if `mode` is neither.
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    if mode not in _BACKGROUND:
        raise ValueError(f"`mode` must be 'light' or 'dark'; got {mode!r}")
    with extra("viz"):
        import matplotlib as mpl
    colors = LIGHT if mode == "light" else DARK
    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    back = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    settings: Any = dict.fromkeys(ink, colors.ink)
    settings |= dict.fromkeys(back, _BACKGROUND[mode])
    with mpl.rc_context(settings):
        yield


def axes(ax: "Axes | None", size: tuple[float, float], **subplot: Any) -> "Axes":
    """The axes to draw on: `ax`, or those of a new figure.

    Args:
        ax: axes; None for new ones.
        size: width and height of a new figure, in inches.
        **subplot: arguments of `Figure.add_subplot`.
    """
    if ax is None:
        with extra("viz"):
            from matplotlib.figure import Figure
        ax = Figure(figsize=size, layout="constrained", dpi=120).add_subplot(**subplot)
    return ax


@explained
def colors_of(ax: "Axes") -> Colors:
    """The colours that are seen on the background of some axes."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(ax.get_facecolor())
    return DARK if 0.3 * red + 0.6 * green + 0.1 * blue < _DARK_BELOW else LIGHT


def tidy(ax: "Axes", *, title: str | None = None, xlabel: str = "", ylabel: str = "") -> None:
    """Labels, and no lines that say nothing."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.set_xlabel(xlabel, fontsize=9)
    ax.set_ylabel(ylabel, fontsize=9)
    if title is not None:
        ax.set_title(title, loc="left", fontsize=9, fontweight="bold")


def over_time(name: str, values: Any) -> np.ndarray:
    """An array over time as `(time, neurons)`, its other axes flattened.

    Raises:
        ValueError: if it has no axis besides the time, or nothing in it.
    """
    x = np.asarray(values)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"`{name}` must be of one sequence, (time, neurons); got {x.shape}")
    return x.reshape(len(x), -1)


def steps(length: int, dt: float | None) -> tuple[np.ndarray, str]:
    """The times of steps, and the label of their axis.

    Raises:
        ValueError: if `dt` is not above 0.
    """
    if dt is not None and not dt > 0:
        raise ValueError(f"`dt` must be a number of seconds above 0; got {dt}")
    at = np.arange(length)
    return (at, "step") if dt is None else (at * dt, "seconds")
