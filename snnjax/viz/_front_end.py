"""Sound, the stages of a chip's front end, and the answer, under one another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jax.typing import ArrayLike

from .._checks import explained
from .._extras import extra
from ..hardware.xylo.frontend import Audio3, Audio3Trace
from ._style import colors_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES = ("-", "--", ":")
"""Of the first classes, and of those after the last colour."""


@explained
def front_end(
    made: Audio3,
    trace: Audio3Trace,
    events: ArrayLike,
    spikes_out: ArrayLike | None = None,
    classes: Sequence[str] = (),
) -> "Figure":
    """One recording from the samples to the answer, over seconds.

    From above: the samples; the loudest output of each filter in a step, in dB below full scale;
    the events of each channel in a step; and, of a network that heard them, each class's spikes of
    the readout so far, of which the most is the answer.

    Args:
        made: the front end.
        trace: `made.trace(sound)` of one recording.
        events: its event counts, `(steps, channels)`.
        spikes_out: spikes of the readout, `(steps, classes)`, if a network heard it.
        classes: their names.

    Returns:
        A matplotlib figure. `figure.savefig("front_end.png")` writes it.

    Raises:
        ValueError: if `trace` is of a batch.
        ImportError: if matplotlib is missing, naming the extra that brings it.
    """
    if trace.samples.ndim != 1:
        raise ValueError(f"`trace` must be of one recording; got {trace.samples.shape[0]}")
    with extra("viz"):
        from matplotlib.figure import Figure
    counts, dt = np.asarray(events), made.dt
    rows = 3 if spikes_out is None else 4
    figure = Figure(figsize=(9, 1 + 1.7 * rows), layout="constrained")
    axes = figure.subplots(rows, sharex=True)
    colors = colors_of(axes[0])
    seconds = np.arange(len(trace.samples)) * dt / made.window
    axes[0].plot(seconds, np.asarray(trace.samples) / 2**13, color=colors.series[0], lw=0.4)
    axes[0].set_ylabel("samples")
    edges = (0, len(counts) * dt, -0.5, made.channels - 0.5)
    shown = {"aspect": "auto", "origin": "lower", "interpolation": "none", "extent": edges}
    levels = axes[1].imshow(_levels(made, trace).T, cmap="magma", vmin=-80, vmax=0, **shown)
    axes[1].set_ylabel("filter")
    figure.colorbar(levels, ax=axes[1], label="dB")
    heard = axes[2].imshow(counts.T, cmap=colors.rising, vmin=0, vmax=15, **shown)
    axes[2].set_ylabel("channel")
    figure.colorbar(heard, ax=axes[2], label="events")
    if spikes_out is not None:
        totals = np.cumsum(np.asarray(spikes_out), axis=0)
        for i, total in enumerate(totals.T):
            again, which = divmod(i, len(colors.series))
            look = {"color": colors.series[which], "linestyle": _LINES[again % len(_LINES)]}
            label = classes[i] if classes else str(i)
            axes[3].plot((np.arange(len(total)) + 1) * dt, total, label=label, **look)
        axes[3].set_ylabel("spikes so far")
        axes[3].legend(loc="upper left", fontsize=8, frameon=False, ncols=2)
    for ax in axes[1:3]:
        ax.locator_params("y", integer=True)
    axes[-1].set_xlabel("seconds")
    for ax in axes:
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _levels(made: Audio3, trace: Audio3Trace) -> np.ndarray:
    """The loudest output of each filter in each step, in dB below a sine of full scale."""
    size = np.abs(np.asarray(trace.filtered)).astype(float)
    starts = np.arange(0, len(size), made.window)
    loudest = np.maximum.reduceat(size, starts)
    full = 2.0**13 * np.array([band.gain for band in made.filters])
    return 20 * np.log10(np.maximum(loudest, 1) / full)
