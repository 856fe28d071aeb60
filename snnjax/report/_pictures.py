"""The pictures of a page, each with its words."""

from typing import Any

import numpy as np

from .. import viz
from .._extras import extra
from ._findings import Findings
from ._page import picture

_MOST_NEURONS = 300
"""So many neurons of a layer are drawn, an even sample of them."""


def figure(width: float, height: float) -> Any:
    """A figure of matplotlib in the style of the library."""
    with extra("viz"):
        from matplotlib.figure import Figure
    return Figure(figsize=(width, height), layout="constrained")


def curves(found: Findings) -> str:
    """Loss and accuracy of training."""
    made = figure(9, 2.8)
    left, right = made.subplots(1, 2)
    viz.curves(found.rows, ["loss"], ax=left)
    viz.curves(found.rows, ["accuracy"], ax=right)
    first, last = found.rows[0], found.rows[-1]
    alt = (
        f"Two curves over {len(found.rows)} epochs: the loss goes from {first['loss']:.3g} to "
        f"{last['loss']:.3g}, the accuracy in training from {first['accuracy']:.1%} to "
        f"{last['accuracy']:.1%}."
    )
    return picture(made, alt)


def confusion(matrix: np.ndarray) -> str:
    """Answers against labels."""
    made = figure(5, 4.2)
    ax = made.subplots()
    n = len(matrix)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if n <= 12:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            color = "white" if share[row, column] > 0.5 else "black"
            at = {"ha": "center", "va": "center", "fontsize": 8, "color": color}
            ax.text(column, row, str(matrix[row, column]), **at)
    ax.set(xlabel="answer of the integers", ylabel="label")
    if n <= 20:
        ax.set_xticks(range(n))
        ax.set_yticks(range(n))
    ax.tick_params(labelsize=8)
    off = matrix * (1 - np.eye(n, dtype=int))
    worst = np.unravel_index(off.argmax(), off.shape)
    right = int(np.trace(matrix))
    alt = f"Confusion matrix of {n} classes; {right} of {matrix.sum()} on its diagonal"
    if off.any():
        alt += f". Most often {worst[0]} is taken for {worst[1]}: {off[worst]} times"
    return picture(made, alt + ".")


def example(found: Findings, i: int) -> str:
    """A recording: its events, the spikes of all layers, and the readout's potentials."""
    groups, spikes = {}, []
    for name, values in found.activity.items():
        kept = _sample(values.shape[-1])
        groups[name] = len(kept)
        spikes.append(values[i][:, kept])
    rows = 2 if found.vmem is None else 3
    made = figure(8, 1.4 + 2.4 * rows)
    axes = made.subplots(rows, sharex=True, height_ratios=(1, 2, 1.6)[:rows])
    events = found.rasters[i].reshape(found.rasters.shape[1], -1)
    viz.raster(events[:, _sample(events.shape[1])], title="events", ax=axes[0])
    viz.raster(np.concatenate(spikes, 1), groups=groups, title="spikes", ax=axes[1])
    if found.vmem is not None:
        _, out = list(found.activity.items())[-1]
        classes = found.vmem[i].shape[1]
        chosen = list(dict.fromkeys([int(found.labels[i]), int(found.answers[i]), *range(classes)]))
        shown = [n for n in chosen if n < classes][:4]
        viz.traces(
            found.vmem[i],
            spikes=out[i] if out[i].shape == found.vmem[i].shape else None,
            neurons=shown,
            title="potentials of the readout, with its spikes",
            ax=axes[2],
        )
    for ax in axes[:-1]:
        ax.set_xlabel("")
    label, answer, lead = found.labels[i], found.answers[i], found.margins[i]
    alt = (
        f"Recording {i} of class {label}, answer {answer}: {int(events.sum())} events, "
        + ", ".join(f"{int(v[i].sum())} spikes in {name}" for name, v in found.activity.items())
        + "."
    )
    caption = f"Recording {i}: label {label}, answer {answer}, lead of {lead} spikes"
    return picture(made, alt, caption)


def _sample(size: int) -> np.ndarray:
    return np.unique(np.linspace(0, size - 1, min(size, _MOST_NEURONS)).astype(int))


def histograms(found: Findings) -> str:
    """Weights in the network and as integers."""
    arrays = found.mapped.arrays()
    names = [n for n in arrays if ("w_" in n or n.endswith("weight")) and np.any(arrays[n])]
    made = figure(8, 1.8 * len(names) + 0.4)
    axes = made.subplots(len(names), 2, squeeze=False)
    told = []
    for (left, right), name in zip(axes, names, strict=True):
        before = np.asarray(arrays[name]).ravel()
        after = np.asarray(found.spec.arrays()[name]).ravel()
        used = before != 0
        before, after = before[used], after[used]
        left.hist(before, bins=51, color="#9bb8d3")
        low, high = (int(after.min()), int(after.max())) if after.size else (0, 0)
        right.hist(after, bins=np.arange(low - 0.5, high + 1.5), color="#0072b2")
        left.set_title(f"{name}: in the network", loc="left", fontsize=9, fontweight="bold")
        right.set_title("as integers", loc="left", fontsize=9, fontweight="bold")
        told.append(f"{name}: {before.size:,} weights become integers from {low} to {high}")
        for ax in (left, right):
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=8)
            ax.locator_params(nbins=5)
    return picture(made, "Histograms of weights before and after. " + "; ".join(told) + ".")


def rates(found: Findings) -> str:
    """Rates of the neurons of each layer."""
    caps = {name: _cap(found, name) for name in found.activity}
    ax = viz.rates(found.activity, max_spikes=caps)
    told = [f"{name} {v.mean():.3g}" for name, v in found.activity.items()]
    return picture(ax.figure, f"Spikes per neuron and step, on average: {', '.join(told)}.")


def _cap(found: Findings, name: str) -> int | None:
    last = name == list(found.activity)[-1]
    cap = getattr(found.spec.chip, "max_spikes_out" if last else "max_spikes_hidden", None)
    return None if cap is None else int(cap)


def robustness(found: Findings) -> str:
    """Accuracy under mismatch."""
    assert found.mismatch is not None
    made = viz.robustness({found.run.path.name: found.mismatch})
    means = zip(found.mismatch.levels, found.mismatch.accuracies.mean(1), strict=True)
    told = ", ".join(f"{share:.1%} at {level:.0%}" for level, share in means)
    return picture(made, f"Right answers against mismatch of the weights: {told}.")


def fidelity(found: Findings) -> str:
    """The spikes of the first recording in network and integers."""
    told = [f"{x.path} {x.equal:.2%}" for x in found.fidelity.layers]
    alt = (
        f"Spikes of network and integers over one another; equal are, by layer: {', '.join(told)}."
    )
    return picture(viz.fidelity(found.fidelity), alt)


def network(found: Findings) -> str:
    """The layers, and what they take."""
    shape = found.rasters.shape[2:]
    ax = viz.network(found.trained.network, shape, spec=found.spec)
    alt = f"Layers of the network from input to output: {found.trained.network!r}"
    return picture(ax.figure, " ".join(alt.split()))
