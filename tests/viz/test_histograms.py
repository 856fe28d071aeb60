"""Figures of what a plan does: what they show is read back from them."""

import builtins
import io

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Sequential, SynNet, transforms, viz
from snnjax.quant import Bitshift, Dropout, Int, Prune, Round


@pytest.fixture
def model():
    keys = jax.random.split(jax.random.key(0), 2)
    return Sequential(
        eqx.nn.Linear(6, 8, key=keys[0]),
        LIF(8, leak="decays", tau_mem=jnp.linspace(2e-3, 40e-3, 8)),
        eqx.nn.Linear(8, 4, key=keys[1]),
        LIF(4, leak="decays", threshold=0.4),
    )


def panels(figure):
    """The panels of a figure by what their axis counts."""
    return {ax.get_xlabel(): ax for ax in figure.axes if ax.axison}


def stems(ax):
    """The levels that have a stem, and its height."""
    return np.asarray(ax.collections[-1].get_offsets()).T


def rendered(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


@pytest.mark.slow
def test_there_is_a_figure_for_each_layer_with_a_panel_for_each_parameter(model):
    rules = {"weights": Int(4), "biases": Int(8), "decays": Bitshift()}
    figures = viz.parameter_histograms(transforms.plan(model, rules), model)
    assert {layer: set(panels(figure)) for layer, figure in figures.items()} == {
        "layers[0]": {"weight", "bias"},
        "layers[1]": {"alpha_mem", "alpha_syn", "bias"},
        "layers[2]": {"weight", "bias"},
        "layers[3]": {"alpha_mem", "alpha_syn", "bias"},
    }
    for layer, figure in figures.items():
        assert figure.get_suptitle() == layer
        assert rendered(figure).startswith(b"\x89PNG")


def test_only_what_the_plan_transforms_is_drawn(model):
    plan = transforms.plan(model, where={"layers[2].weight": Int(4)})
    figures = viz.parameter_histograms(plan, model)
    assert list(figures) == ["layers[2]"]
    assert set(panels(figures["layers[2]"])) == {"weight"}
    assert viz.parameter_histograms(transforms.plan(model), model) == {}


def test_the_stems_are_the_levels_in_use_and_how_often_they_are(model):
    plan = transforms.plan(model, where={"layers[0].weight": Int(3)})
    ax = panels(viz.parameter_histograms(plan, model)["layers[0]"])["weight"]
    after = np.asarray(transforms.burn_in(plan, model).layers[0].weight)
    levels, counts = np.unique(after, return_counts=True)
    at, height = stems(ax)
    np.testing.assert_allclose(at, levels, rtol=1e-6)
    np.testing.assert_allclose(height, -counts / counts.max())
    lines = [segment[0, 0] for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(lines, levels, rtol=1e-6)
    (effect,) = transforms.report(plan, model)
    text = ax.get_title(loc="left")
    assert "Int(bits=3)" in text
    assert f"{len(levels)} levels" in text
    assert f"{effect.sqnr:.1f} dB" in text


def test_the_values_before_are_a_histogram_upwards(model):
    plan = transforms.plan(model, where={"layers[0].weight": Int(3)})
    ax = panels(viz.parameter_histograms(plan, model)["layers[0]"])["weight"]
    (stairs,) = ax.patches
    values, edges, _ = stairs.get_data()
    counts, _ = np.histogram(model.layers[0].weight, edges)
    assert counts.sum() == 48
    np.testing.assert_allclose(values, counts / counts.max())


def test_channels_are_drawn_in_units_of_their_own_scale(model):
    plan = transforms.plan(model, where={"layers[0].weight": Int(4, axis=0)})
    (ax,) = viz.parameter_histograms(plan, model)["layers[0]"].axes
    assert ax.get_xlabel() == "weight / scale of its channel"
    at, _ = stems(ax)
    np.testing.assert_array_equal(at, np.unique(Int(4, axis=0).integers(model.layers[0].weight)))


@pytest.mark.slow
def test_very_many_levels_are_a_histogram_downwards():
    weight = jax.random.normal(jax.random.key(0), (40, 40))
    linear = eqx.nn.Linear(40, 40, key=jax.random.key(0))
    model = Sequential(eqx.tree_at(lambda m: m.weight, linear, weight))
    plan = transforms.plan(model, {"weights": Int(12)})
    (ax,) = viz.parameter_histograms(plan, model)["layers[0]"].axes
    up, down = (stairs.get_data()[0] for stairs in ax.patches)
    assert not ax.collections
    assert up.max() == 1
    assert down.min() == -1


def test_values_that_are_all_equal_and_values_that_do_not_change_are_drawn(model):
    plan = transforms.plan(model, {"thresholds": Round(0.2)})
    ax = panels(viz.parameter_histograms(plan, model)["layers[3]"])["threshold"]
    np.testing.assert_allclose(stems(ax), [[0.4], [-1]])
    assert "1 level, unchanged" in ax.get_title(loc="left")


def test_a_single_layer_is_named_by_its_class():
    model = LIF(3)
    figures = viz.parameter_histograms(transforms.plan(model, {"taus": Prune(0.5)}), model)
    assert list(figures) == [""]
    assert figures[""].get_suptitle() == "LIF"
    assert set(panels(figures[""])) == {"tau_mem", "tau_syn"}


def test_a_random_transform_needs_a_key(model, key):
    plan = transforms.plan(model, {"weights": Dropout(0.5)})
    with pytest.raises(ValueError, match="`key` is needed by Dropout"):
        viz.parameter_histograms(plan, model)
    assert set(viz.parameter_histograms(plan, model, key=key)) == {"layers[0]", "layers[2]"}


def test_a_plan_of_another_model_is_an_error(model, key):
    other = SynNet(3, 2, (4,), (2,), key=key)
    with pytest.raises(ValueError, match="made for a model of another structure"):
        viz.parameter_histograms(transforms.plan(other, {"weights": Int(8)}), model)


def test_without_matplotlib_the_error_names_the_extra(model, monkeypatch):
    found = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="matplotlib")
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r'matplotlib .* pip install "snnjax\[viz\]"'):
        viz.parameter_histograms(transforms.plan(model, {"weights": Int(4)}), model)
