import numpy as np
import pytest

from snnjax import viz


def test_a_line_of_means_for_each_network():
    levels = np.array([0.0, 0.2, 0.4])
    one = np.array([[0.9, 0.9], [0.8, 0.6], [0.5, 0.3]])
    figure = viz.robustness({"plain": (levels, one), "trained with mismatch": (levels, one + 0.05)})
    (ax,) = figure.axes
    assert [line.get_label() for line in ax.lines] == ["plain", "trained with mismatch"]
    for line, of in zip(ax.lines, (one, one + 0.05), strict=True):
        np.testing.assert_allclose(line.get_ydata(), of.mean(1))
    light = ax.collections[0].get_paths()[0].vertices
    for level, of in zip(levels, one, strict=True):
        heights = light[light[:, 0] == level, 1]
        np.testing.assert_allclose([heights.min(), heights.max()], [of.min(), of.max()])


def test_none_or_too_many_networks_are_an_error():
    with pytest.raises(ValueError, match="`sweeps` must be from 1 to 5 networks; got 0"):
        viz.robustness({})
