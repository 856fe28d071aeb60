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

    def draw() -> Any:
        made = figure(9, 2.8)
        left, right = made.subplots(1, 2)
        viz.curves(found.rows, ["loss"], ax=left)
        viz.curves(found.rows, ["accuracy"], ax=right)
        return made

    first, last = found.rows[0], found.rows[-1]
    alt = (
        f"Two curves over {len(found.rows)} epochs: the loss goes from {first['loss']:.3g} to "
        f"{last['loss']:.3g}, the accuracy in training from {first['accuracy']:.1%} to "
        f"{last['accuracy']:.1%}."
    )
    return picture(draw, alt)


def confusion(matrix: np.ndarray) -> str:
    """Answers against labels."""
    n = len(matrix)
    off = matrix * (1 - np.eye(n, dtype=int))
    worst = np.unravel_index(off.argmax(), off.shape)
    right = int(np.trace(matrix))
    alt = f"Confusion matrix of {n} classes; {right} of {matrix.sum()} on its diagonal"
    if off.any():
        alt += f". Most often {worst[0]} is taken for {worst[1]}: {off[worst]} times"
    return picture(lambda: _confusion(matrix), alt + ".")


def _confusion(matrix: np.ndarray) -> Any:
    made = figure(5, 4.2)
    ax = made.subplots()
    n = len(matrix)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    shown = ax.imshow(shares, cmap=viz.colors_of(ax).rising, vmin=0, vmax=1)
    if n <= 12:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            red, green, blue, _ = shown.to_rgba(shares[row, column])
            color = "white" if 0.3 * red + 0.6 * green + 0.1 * blue < 0.5 else "black"
            at = {"ha": "center", "va": "center", "fontsize": 8, "color": color}
            ax.text(column, row, str(matrix[row, column]), **at)
    ax.set(xlabel="answer of the integers", ylabel="label")
    if n <= 20:
        ax.set_xticks(range(n))
        ax.set_yticks(range(n))
    ax.tick_params(labelsize=8)
    return made


def example(found: Findings, i: int) -> str:
    """A recording: its events, the spikes of all layers, and the readout's potentials."""
    label, answer, lead = found.labels[i], found.answers[i], found.margins[i]
    alt = (
        f"Recording {i} of class {label}, answer {answer}: {int(found.rasters[i].sum())} events, "
        + ", ".join(f"{int(v[i].sum())} spikes in {name}" for name, v in found.activity.items())
        + "."
    )
    caption = f"Recording {i}: label {label}, answer {answer}, lead of {lead} spikes"
    return picture(lambda: _example(found, i), alt, caption)


def _example(found: Findings, i: int) -> Any:
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
    axes[0].set_ylabel("channel")
    for ax in axes[:-1]:
        ax.set_xlabel("")
    return made


def _sample(size: int) -> np.ndarray:
    return np.unique(np.linspace(0, size - 1, min(size, _MOST_NEURONS)).astype(int))


def histograms(found: Findings) -> str:
    """Weights in the network and as integers."""
    arrays, integers = found.mapped.arrays(), found.spec.arrays()
    pairs = {}
    for name, values in arrays.items():
        used = np.asarray(values) != 0
        if ("w_" in name or name.endswith("weight")) and used.any():
            pairs[name] = np.asarray(values)[used], np.asarray(integers[name])[used]
    told = [
        f"{name}: {after.size:,} weights become integers from {after.min()} to {after.max()}"
        for name, (_, after) in pairs.items()
    ]
    alt = "Histograms of weights before and after. " + "; ".join(told) + "."
    return picture(lambda: _histograms(pairs), alt)


def _histograms(pairs: dict[str, tuple[np.ndarray, np.ndarray]]) -> Any:
    made = figure(8, 1.8 * len(pairs) + 0.4)
    axes = made.subplots(len(pairs), 2, squeeze=False)
    for (left, right), (name, (before, after)) in zip(axes, pairs.items(), strict=True):
        colors = viz.colors_of(left)
        left.hist(before, bins=51, color=colors.faint)
        edges = np.arange(int(after.min()) - 0.5, int(after.max()) + 1.5)
        right.hist(after, bins=edges, color=colors.series[0])
        left.set_title(f"{name}: in the network", loc="left", fontsize=9, fontweight="bold")
        right.set_title("as integers", loc="left", fontsize=9, fontweight="bold")
        for ax in (left, right):
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=8)
            ax.locator_params(nbins=5)
    return made


def rates(found: Findings) -> str:
    """Rates of the neurons of each layer."""
    caps = {name: _cap(found, name) for name in found.activity}
    told = [f"{name} {v.mean():.3g}" for name, v in found.activity.items()]
    alt = f"Spikes per neuron and step, on average: {', '.join(told)}."
    return picture(lambda: viz.rates(found.activity, max_spikes=caps).figure, alt)


def _cap(found: Findings, name: str) -> int | None:
    last = name == list(found.activity)[-1]
    cap = getattr(found.spec.chip, "max_spikes_out" if last else "max_spikes_hidden", None)
    return None if cap is None else int(cap)


def robustness(found: Findings) -> str:
    """Accuracy under mismatch."""
    sweep = found.mismatch
    assert sweep is not None
    means = zip(sweep.levels, sweep.accuracies.mean(1), strict=True)
    told = ", ".join(f"{share:.1%} at {level:.0%}" for level, share in means)
    alt = f"Right answers against mismatch of the weights: {told}."
    return picture(lambda: viz.robustness({found.run.path.name: sweep}), alt)


def fidelity(found: Findings) -> str:
    """The spikes of the first recording in network and integers."""
    told = [f"{x.path} {x.equal:.2%}" for x in found.fidelity.layers]
    alt = (
        f"Spikes of network and integers over one another; equal are, by layer: {', '.join(told)}."
    )
    return picture(lambda: viz.fidelity(found.fidelity), alt)


def network(found: Findings) -> str:
    """The layers, and what they take."""
    network, shape = found.trained.network, found.rasters.shape[2:]
    alt = " ".join(f"Layers of the network from input to output: {network!r}".split())
    return picture(lambda: viz.network(network, shape, spec=found.spec).figure, alt)
