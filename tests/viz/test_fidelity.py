"""A mark for every step at which a neuron spikes, in the colour of which of the two spikes more."""

import numpy as np

from snnjax import viz
from snnjax.hardware.xylo import Fidelity, LayerFidelity


def test_every_spike_of_either_is_a_mark():
    network = np.array([[0, 1, 2], [1, 0, 0]])
    integers = np.array([[0, 1, 1], [0, 2, 0]])
    error = np.abs(network - integers).mean(1)
    layer = LayerFidelity(
        *("layers[1]", 4, 4, 1.0, 0.5, 0, 3.0, 0, 0, None, 0, {}, {}),
        error_over_time=error,
        drift=error,
        rasters=(network, integers),
    )
    planned = layer._replace(error_over_time=error / 2)
    over_time = {"agreement_over_time": np.array([0.5, 1.0])}
    report = Fidelity((layer,), 2, 0, **over_time)
    figure = viz.fidelity(report._replace(through_plan=Fidelity((planned,), 2, 0, **over_time)))
    left, right, answers = figure.axes
    marks = {c.get_label(): c.get_offsets().tolist() for c in left.collections}
    assert marks == {
        "the same": [[0, 1]],
        "more in the network": [[0, 2], [1, 0]],
        "more in integers": [[1, 1]],
    }
    np.testing.assert_allclose(right.lines[0].get_ydata(), [1 / 3, 1])
    np.testing.assert_allclose(right.lines[1].get_ydata(), [1 / 6, 0.5])
    assert len(answers.lines) == 1  # without labels no share is right
    np.testing.assert_allclose(answers.lines[0].get_ydata(), [0.5, 1])
