"""The picture of a chip's cores says what the report says."""

import numpy as np

from snnjax.hardware.dynapcnn import SPECK_2F, Core, Destination, Spec
from snnjax.viz import core_map


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_each_core_has_its_layer_and_its_memories():
    first = Core(
        np.ones((4, 2, 3, 3), int),
        input_shape=(2, 10, 10),
        core=5,
        destinations=(Destination(1, 2),),
        path="layers[1]",
    )
    second = Core(np.ones((3, 4, 4, 4), int), [1, 2, 3], input_shape=(4, 4, 4), core=0)
    spec = Spec((first, second), chip=SPECK_2F)
    figure = core_map(spec)
    figure.canvas.draw()
    axes = figure.axes
    assert len(axes) == 9
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[5] == "core 5: layers[1], 4 of 8 by 8 → core 0 (pool 2)"
    assert titles[0] == "core 0: layer 1, 3 of 1 by 1 → out"
    assert titles[3] == "core 3: idle"
    for core, has in enumerate(SPECK_2F.cores):
        used = {5: first.memory, 0: second.memory}.get(core, (0, 0, 0))
        lengths = [bar.get_width() for bar in axes[core].patches[1::2]]
        np.testing.assert_allclose(lengths, np.divide(used, has))
    assert texts(axes[5]) == ["128 of 65,536", "256 of 16,384", "0 of 1,024"]
    assert texts(axes[3]) == []
