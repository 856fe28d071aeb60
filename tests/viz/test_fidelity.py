"""A mark for every step at which a neuron spikes, in the colour of which of the two spikes more."""

import numpy as np

from snnjax import viz
from snnjax.hardware.xylo import Fidelity, LayerFidelity


def test_every_spike_of_either_is_a_mark():
    network = np.array([[0, 1, 2], [1, 0, 0]])
    integers = np.array([[0, 1, 1], [0, 2, 0]])
    error = np.abs(network - integers).mean(1)
    layer = LayerFidelity(
        "layers[1]", 4, 4, 1.0, 0.5, 0, 3.0, 0, 0, None, 0, {}, {}, error, (network, integers)
    )
    figure = viz.fidelity(Fidelity((layer,), 1, 0, 1.0, None, None))
    left, right = figure.axes
    marks = {c.get_label(): c.get_offsets().tolist() for c in left.collections}
    assert marks == {
        "the same": [[0, 1]],
        "more in the network": [[0, 2], [1, 0]],
        "more in integers": [[1, 1]],
    }
    np.testing.assert_allclose(right.lines[0].get_ydata(), [1 / 3, 1])
