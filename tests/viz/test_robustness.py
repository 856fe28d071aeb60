import numpy as np
import pytest

from snnjax import viz


def test_a_line_of_means_for_each_network():
    levels = np.array([0.0, 0.2, 0.4])
    one = np.array([[0.9, 0.9], [0.8, 0.6], [0.5, 0.3]])
    figure = viz.robustness({"plain": (levels, one), "trained with mismatch": (levels, one + 0.05)})
    (ax,) = figure.axes
    means = [line for line in ax.lines if line.get_linestyle() == "-"]
    worst = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert [line.get_label() for line in means] == ["plain", "trained with mismatch"]
    for mean, low, band, of in zip(means, worst, ax.collections, (one, one + 0.05), strict=True):
        np.testing.assert_allclose(mean.get_ydata(), of.mean(1))
        np.testing.assert_allclose(low.get_ydata(), of.min(1))
        edges = band.get_paths()[0].vertices
        for level, draws in zip(levels, of, strict=True):
            heights = edges[edges[:, 0] == level, 1]
            np.testing.assert_allclose(np.ptp(heights), 2 * draws.std(), atol=1e-12)


def test_none_or_too_many_networks_are_an_error():
    with pytest.raises(ValueError, match="`sweeps` must be from 1 to 5 networks; got 0"):
        viz.robustness({})
