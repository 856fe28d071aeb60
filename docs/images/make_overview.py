"""Draws overview.png: one neuron in float and in the chip's integers, and accuracy by bits.

overview_dark.png is the same for dark screens.

    python docs/images/make_overview.py

The accuracies are those of docs/training_through_integers.md (`python -m benchmarks.speech_table`).
"""

import re
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from snnjax import SynNet, record
from snnjax.hardware import xylo

HERE = Path(__file__).parent
BLUE, ORANGE, GREY = "#3a8fd8", "#e0632c", "#8a8a8a"
STEPS = 60


def accuracies():
    """Bits, and mean and deviation of the three columns of the table, in percent."""
    text = (HERE.parent / "training_through_integers.md").read_text()
    rows = re.findall(r"^\| (\d) \|(.*)\|$", text, re.MULTILINE)
    numbers = [re.findall(r"([\d.]+) ± ([\d.]+)", row) for _, row in rows]
    return np.array([int(bits) for bits, _ in rows]), np.array(numbers, float)


def draw_potentials(ax):
    model = SynNet(
        n_classes=3,
        n_channels=8,
        size_hidden_layers=(16,),
        time_constants_per_layer=(2,),
        key=jax.random.key(3),
    )
    raster = jax.random.poisson(jax.random.key(4), 0.6, (STEPS, 8))
    spec = xylo.quantize(xylo.map_network(model))
    trace = xylo.simulate(spec, raster)
    _, _, records = record(model, raster.astype(float))
    vmem, spikes = records["layers[1].vmem"], records["layers[1].spikes"]
    neuron = int(np.argmax(((spikes > 0).sum(0) >= 3) * np.ptp(vmem, axis=0)))
    threshold = np.broadcast_to(model.layers[1].threshold, vmem.shape[1:])[neuron]
    ax.plot(vmem[:, neuron] / threshold, color=GREY, lw=3, label="network, floating point")
    levels = trace.vmem[:, neuron] / int(spec.threshold[neuron])
    ax.step(range(STEPS), levels, color=BLUE, lw=1.2, where="mid", label="chip, 8-bit weights")
    fired = np.flatnonzero(trace.spikes[:, neuron])
    ax.plot(fired, np.full(len(fired), 1.25), "|", color=ORANGE, ms=9, mew=2, label="chip's spikes")
    ax.axhline(1, color=GREY, lw=0.8, ls=":")
    ax.set(xlabel="time step", ylabel="membrane potential / threshold", ylim=(-0.5, 1.7))
    ax.set_title("One neuron of a SynNet on Xylo Audio 3", fontsize=10, loc="left")
    ax.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)


def draw_accuracies(ax):
    bits, numbers = accuracies()
    names = ("rounded after training", "trained through the plan", "trained through the integers")
    styles = ((GREY, "s"), (ORANGE, "^"), (BLUE, "o"))
    for i, (name, (colour, marker)) in enumerate(zip(names, styles, strict=True)):
        mean, deviation = numbers[:, i].T
        ax.errorbar(bits, mean, deviation, color=colour, marker=marker, capsize=2, label=name)
    ax.set(xlabel="bits of the weights", ylabel="right answers on the chip (%)", xticks=bits)
    ax.set(ylim=(0, 104))
    ax.set_title("Spoken digits, three seeds", fontsize=10, loc="left")
    ax.legend(frameon=False, fontsize=8, loc="lower right")


def main():
    for name, style in (("overview", "default"), ("overview_dark", "dark_background")):
        with plt.style.context(style):
            figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
            draw_potentials(left)
            draw_accuracies(right)
            for ax in (left, right):
                ax.spines[["top", "right"]].set_visible(False)
            figure.savefig(HERE / f"{name}.png", dpi=130, transparent=name == "overview_dark")


if __name__ == "__main__":
    main()
