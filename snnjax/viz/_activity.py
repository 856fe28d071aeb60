"""The activity of neurons: spikes, membranes, rates."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.typing import ArrayLike

from .._checks import explained
from ._style import Colors, axes, colors_of, over_time, steps, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NAMED = 40
_SPREAD = 0.3


@explained
def raster(
    spikes: ArrayLike,
    *,
    dt: float | None = None,
    groups: Mapping[str, int] | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """A mark for each neuron and step with spikes; the more spikes, the larger.

    Args:
        spikes: numbers of spikes of one sequence, `(time, ...)`; axes but the first are flattened.
        dt: length of a step in seconds; None counts steps.
        groups: sizes of groups of neurons by name, in order, each in a colour of its own.
        title: of the axes.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes. `ax.figure.savefig("raster.png")` writes them.

    Raises:
        ValueError: if there is nothing in `spikes`, or `groups` do not add up to its neurons.
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    counts = over_time("spikes", spikes)
    length, neurons = counts.shape
    named = {"": neurons} if groups is None else dict(groups)
    if sum(named.values()) != neurons:
        raise ValueError(f"`groups` must add up to {neurons} neurons; got {sum(named.values())}")
    times, label = steps(length, dt)
    ax = axes(ax, (7, 3))
    colors, start = colors_of(ax), 0
    height = np.clip(160 / neurons, 0.6, 7)
    for i, (name, size) in enumerate(named.items()):
        step, neuron = np.nonzero(counts[:, start : start + size])
        number = counts[step, start + neuron]
        color = colors.series[i % len(colors.series)]
        sizes = height * height * (1 + np.log2(np.abs(number)))
        lines: dict[str, Any] = {"marker": "|", "linewidths": np.clip(300 / length, 0.6, 2)}
        ax.scatter(times[step], start + neuron, sizes, color=color, label=name, **lines)
        if start:
            ax.axhline(start - 0.5, color=colors.faint, lw=0.5)
        if name:
            where: dict[str, Any] = {
                "transform": ax.get_yaxis_transform(),
                "va": "center",
                "fontsize": 8,
            }
            ax.text(1.01, start + size / 2 - 0.5, name, color=color, **where)
        start += size
    edge = times[1] - times[0] if length > 1 else 1.0
    ax.set_xlim(-0.5 * edge, times[-1] + 0.5 * edge)
    ax.set_ylim(-0.5, neurons - 0.5)
    ax.locator_params("y", integer=True)
    tidy(ax, title=title, xlabel=label, ylabel="neuron")
    return ax


@explained
def traces(
    vmem: ArrayLike,
    *,
    threshold: ArrayLike | None = None,
    spikes: ArrayLike | None = None,
    neurons: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    dt: float | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Membrane potentials under one another, each with its threshold and its spikes.

    Args:
        vmem: potentials of one sequence, `(time, ...)`.
        threshold: firing thresholds, one or one for each neuron; None for no line.
        spikes: numbers of spikes, of the shape of `vmem`; None for no marks.
        neurons: which of them to show, by number; None for the first eight.
        names: a name for each that is shown; None for its number.
        dt: length of a step in seconds; None counts steps.
        title: of the axes.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: if the shapes do not fit, or a neuron is not there.
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    potentials = over_time("vmem", vmem)
    length, size = potentials.shape
    chosen = list(range(min(8, size)) if neurons is None else neurons)
    if not chosen or not all(0 <= n < size for n in chosen):
        raise ValueError(f"`neurons` must be numbers from 0 to {size - 1}; got {neurons}")
    if names is not None and len(names) != len(chosen):
        raise ValueError(f"`names` must be {len(chosen)}, one for each neuron; got {len(names)}")
    fired = None if spikes is None else over_time("spikes", spikes)
    if fired is not None and fired.shape != potentials.shape:
        raise ValueError(f"`spikes` must have the shape of `vmem`; got {fired.shape}")
    limits = None if threshold is None else np.broadcast_to(np.ravel(threshold), (size,))
    times, label = steps(length, dt)
    ax = axes(ax, (7, 0.6 + 0.55 * len(chosen)))
    colors = colors_of(ax)
    for row, n in enumerate(chosen):
        _one_trace(ax, row, times, potentials[:, n], None if limits is None else limits[n], colors)
        if fired is not None:
            at = np.flatnonzero(fired[:, n])
            ax.scatter(times[at], np.full(len(at), -row + 0.42), 14, color=colors.warn, marker="|")
    shown = [str(n) for n in chosen] if names is None else list(names)
    ax.set_yticks(-np.arange(len(chosen)), shown)
    ax.set_ylim(-len(chosen) + 0.4, 0.6)
    tidy(ax, title=title, xlabel=label, ylabel="neuron")
    return ax


def _one_trace(
    ax: "Axes", row: int, times: np.ndarray, v: np.ndarray, limit: float | None, colors: Colors
) -> None:
    """A potential between -0.4 and 0.4 of its row, on the scale of all that is drawn there."""
    low, high = float(v.min()), float(v.max())
    seen = (
        limit is not None
        and np.isfinite(limit)
        and abs(limit) < 10 * max(abs(low), abs(high), 1e-9)
    )
    if seen and limit is not None:
        low, high = min(low, float(limit)), max(high, float(limit))
    scale = 0.75 / (high - low or 1.0)
    ax.plot(times, -row - 0.4 + (v - low) * scale, color=colors.series[0], lw=0.9)
    if seen and limit is not None:
        ax.axhline(-row - 0.4 + (limit - low) * scale, color=colors.faint, lw=0.7, ls="--")


@explained
def rates(
    spikes: Mapping[str, ArrayLike],
    *,
    max_spikes: int | Mapping[str, int | None] | None = None,
    dt: float | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """The rate of each neuron, by layer, with those marked that are silent or saturated.

    A neuron is silent if it never fires, and saturated if it fires at every step, or with the most
    spikes at every step that it fires.

    Args:
        spikes: numbers of spikes by layer, `(time, ...)` or with a batch and more axes first as
            long as the last one is neurons: `(batch, time, neurons)`.
        max_spikes: most spikes of a neuron in a step, of all layers or by layer; None for no cap.
        dt: length of a step in seconds, for rates in Hz; None for spikes per step.
        title: of the axes.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: if there are no layers, or nothing in one.
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    if not spikes:
        raise ValueError("`spikes` must have a layer or more; got none")
    _, unit = steps(1, dt)
    ax = axes(ax, (7, 0.8 + 0.5 * len(spikes)))
    colors = colors_of(ax)
    rng = np.random.default_rng(0)
    for row, (name, values) in enumerate(spikes.items()):
        counts = np.asarray(values)
        flat = over_time(f"spikes[{name!r}]", counts.reshape(-1, counts.shape[-1]))
        cap = max_spikes.get(name) if isinstance(max_spikes, Mapping) else max_spikes
        rate = flat.mean(0) / (dt or 1)
        silent = ~flat.any(0)
        full = (
            flat.all(0)
            if cap is None
            else ~silent & ((flat == cap) | (flat == 0)).all(0) & (cap > 1)
        )
        full |= flat.all(0)
        for which, color in ((~silent & ~full, colors.series[0]), (silent | full, colors.warn)):
            noise = rng.uniform(-_SPREAD, _SPREAD, int(which.sum()))
            ax.scatter(rate[which], -row + noise, 9, color=color, alpha=0.7, lw=0)
        ax.plot([rate.mean()] * 2, [-row - 0.36, -row + 0.36], color=colors.ink, lw=1.4)
        told = [
            f"{n} {word}" for n, word in ((silent.sum(), "silent"), (full.sum(), "saturated")) if n
        ]
        where: dict[str, Any] = {
            "transform": ax.get_yaxis_transform(),
            "va": "center",
            "fontsize": 8,
        }
        ax.text(1.01, -row, ", ".join(told), color=colors.warn, **where)
    ax.set_yticks(-np.arange(len(spikes)), list(spikes))
    ax.set_ylim(-len(spikes) + 0.4, 0.6)
    ax.set_xlim(left=-0.02 * ax.get_xlim()[1])
    tidy(ax, title=title, xlabel="spikes per step" if unit == "step" else "Hz")
    return ax
