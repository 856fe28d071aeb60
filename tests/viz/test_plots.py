"""Every plot draws what it is given, on the axes that it is given, in colours that are seen."""

import equinox as eqx
import jax
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from snnjax import LIF, SynNet, viz
from snnjax.hardware import dynapcnn, xylo
from snnjax.nn import IAF, Concatenate, Graph, Recurrent, Residual, Sequential
from snnjax.viz._style import DARK, LIGHT

SPIKES = np.array([[0, 1, 2], [1, 0, 0], [0, 0, 4]])


@pytest.fixture(scope="module")
def synnet():
    return SynNet(2, 3, (4,), (2,), key=jax.random.key(0))


def calls(model):
    """Each plot, with something to draw."""
    rows = [{"epoch": 1, "through": "float", "accuracy": 0.2}]
    return {
        viz.raster: (SPIKES,),
        viz.traces: (SPIKES,),
        viz.rates: ({"layers[1]": SPIKES},),
        viz.weights: (SPIKES,),
        viz.events: (np.ones((4, 2, 5, 6), int),),
        viz.network: (model, 3),
        viz.curves: (rows,),
    }


@pytest.mark.few(1)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axes_that_are_given_are_drawn_on_and_returned(synnet, mode):
    for plot, arguments in calls(synnet).items():
        with viz.style(mode):
            ax = Figure().add_subplot()
        assert plot(*arguments, ax=ax) is ax
        assert ax.has_data() or ax.patches
        made = plot(*arguments, title="a title")
        assert made.figure.axes[0] is made
        assert made.get_title("left") == "a title"


def contrast(one, other):
    """The ratio of luminances, as the guidelines of accessibility define it."""
    light = []
    for color in (one, other):
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        light.append(0.05 + np.dot((0.2126, 0.7152, 0.0722), parts))
    return max(light) / min(light)


@pytest.mark.parametrize(("colors", "back"), [(LIGHT, "#ffffff"), (DARK, "#16202a")])
def test_text_and_data_are_seen_on_the_background(colors, back):
    assert contrast(colors.ink, back) > 7
    assert min(contrast(color, back) for color in colors.series) > 2.2
    assert len({to_hex(color) for color in colors.series}) == len(colors.series)


def test_a_style_there_is_none_of():
    wrong = "`mode` must be 'light' or 'dark'; got 'grey'"
    with pytest.raises(ValueError, match=wrong), viz.style("grey"):
        pass


def test_raster_has_a_mark_for_each_neuron_and_step():
    ax = viz.raster(SPIKES, dt=0.5, groups={"a": 1, "b": 2})
    marks = [c.get_offsets().tolist() for c in ax.collections]
    assert marks == [[[0.5, 0]], [[0.0, 1], [0.0, 2], [1.0, 2]]]
    sizes = ax.collections[1].get_sizes()
    assert sizes[2] > sizes[1] > sizes[0]
    assert ax.get_xlabel() == "seconds"
    with pytest.raises(ValueError, match="`groups` must add up to 3 neurons; got 2"):
        viz.raster(SPIKES, groups={"a": 2})
    with pytest.raises(ValueError, match=r"`spikes` must be of one sequence, .*; got \(3,\)"):
        viz.raster(SPIKES[0])


def test_traces_have_thresholds_and_spikes():
    vmem = np.random.default_rng(0).normal(size=(9, 3))
    spikes = vmem > 1
    ax = viz.traces(vmem, threshold=[1.0, 1.0, np.inf], spikes=spikes, neurons=[0, 2])
    lines = [line for line in ax.lines if len(line.get_xdata()) == 9]
    assert len(lines) == 2
    assert len(ax.lines) == 3, "a threshold for the first, none for one at infinity"
    assert [len(c.get_offsets()) for c in ax.collections] == spikes[:, [0, 2]].sum(0).tolist()
    # A membrane at its threshold is on its line.
    level = ax.lines[1].get_ydata()[0]
    scale = np.ptp(lines[0].get_ydata()) / np.ptp(vmem[:, 0])
    assert level == pytest.approx(lines[0].get_ydata()[0] + (1.0 - vmem[0, 0]) * scale)
    for bad, match in (({"neurons": [3]}, "numbers from 0 to 2"), ({"names": "a"}, "one for each")):
        with pytest.raises(ValueError, match=match):
            viz.traces(vmem, **bad)


def test_rates_tell_of_the_silent_and_the_saturated():
    spikes = np.array([[0, 1, 3, 0], [0, 2, 3, 3], [0, 0, 3, 3]])
    ax = viz.rates({"a": spikes, "b": spikes[:, 1:2]}, max_spikes={"a": 3, "b": None})
    told = [text.get_text() for text in ax.texts]
    assert told == ["1 silent, 2 saturated", ""]
    rates = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections[:2]])
    np.testing.assert_allclose(sorted(rates), [0, 1, 2, 3])
    with pytest.raises(ValueError, match="`spikes` must have a layer or more"):
        viz.rates({})


def test_weights_are_a_map_around_zero():
    kernel = np.arange(24.0).reshape(2, 3, 2, 2) - 20
    image = viz.weights(kernel).images[0]
    assert image.get_clim() == (-20, 20)
    shown = np.asarray(image.get_array())
    assert shown.shape == (4, 6)
    np.testing.assert_array_equal(shown[2:, 4:], kernel[1, 2])
    with pytest.raises(ValueError, match=r"`weight` must be \(out, in\) or"):
        viz.weights(np.zeros(3))


def test_events_as_frames_and_in_three_dimensions():
    raster = np.zeros((4, 2, 5, 6), int)
    raster[3, 1, 2, 4] = 7
    picture = np.asarray(viz.events(raster, frames=2).images[0].get_array())
    assert picture.shape == (5, 6 + 1 + 6, 3)
    np.testing.assert_allclose(picture[2, 7 + 4], to_rgb(LIGHT.series[1]))
    np.testing.assert_allclose(picture[0, 0], 1)
    ax = viz.events(raster, kind="xyt", dt=1e-3)
    (mark,) = [c for c in ax.collections if len(c._offsets3d[0])]
    assert [float(x[0]) for x in mark._offsets3d] == [3e-3, 4, 2]
    for bad, match in (
        ({"kind": "film"}, "'film'"),
        ({"frames": 0}, "at least 1"),
        ({"dt": 0}, "0"),
    ):
        with pytest.raises(ValueError, match=match):
            viz.events(raster, **bad)
    with pytest.raises(ValueError, match="`ax` must have three dimensions"):
        viz.events(raster, kind="xyt", ax=Figure().add_subplot())


def arrows(ax):
    return [text.arrow_patch for text in ax.texts if getattr(text, "arrow_patch", None)]


def boxes(ax):
    texts = [t.get_text() for t in ax.texts if not getattr(t, "arrow_patch", None)]
    return [text for text in texts if text]


def test_network_has_a_box_for_each_layer_and_the_use_of_the_chip(synnet):
    spec = xylo.map_network(synnet)
    ax = viz.network(synnet, 3, spec=spec)
    shown = boxes(ax)
    assert [text for text in shown if "LIF" in text] == ["LIF 4", "LIF 2"]
    assert "hidden neurons: 4 of 992" in shown[-1]
    assert len(arrows(ax)) == 5
    conv = eqx.nn.Conv2d(1, 2, 3, key=jax.random.key(0))
    model = Sequential(conv, IAF((2, 4, 4)))
    cores = dynapcnn.map_network(model, input_shape=(1, 6, 6))
    shown = boxes(viz.network(model, (1, 6, 6), spec=cores))
    assert "core 0: kernel 0%, neuron 0%, bias 0%" in shown


def test_networks_of_any_wiring():
    def linear(*sizes):
        return eqx.nn.Linear(*sizes, key=jax.random.key(0))

    model = Sequential(
        Residual(linear(3, 3), LIF(3)),
        Concatenate(linear(3, 2), linear(3, 1)),
        Recurrent(LIF(3)),
    )
    ax = viz.network(model, 3)
    assert len(ax.patches) == 2 + 2 + 1 + 3 + 2
    late = [arrow for arrow in arrows(ax) if arrow.get_linestyle() == "--"]
    assert len(late) == 1
    graph = Graph(
        {"w": linear(2, 3), "lif": LIF(3), "rec": linear(3, 3)},
        [("input", "w"), ("w", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")],
    )
    ax = viz.network(graph, 2)
    assert len(ax.patches) == 5
    assert len(arrows(ax)) == 5


def test_curves_name_the_stages():
    rows = [
        {"epoch": i + 1, "through": "float" if i < 3 else "chip", "loss": 1 / (i + 1)}
        for i in range(5)
    ]
    ax = viz.curves(rows, ["loss"])
    assert [text.get_text() for text in ax.texts] == ["through float", "through chip"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1 / n for n in range(1, 6)])
    with pytest.raises(ValueError, match=r"`rows\[0\]` has no 'accuracy'; it has epoch, through"):
        viz.curves(rows)
    with pytest.raises(ValueError, match="`rows` and `metrics` must each"):
        viz.curves([])
