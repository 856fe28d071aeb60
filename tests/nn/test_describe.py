"""The text of a printed network or plan."""

import equinox as eqx
import jax
import pytest

from snnjax import LIF, Residual, Sequential, quant, transforms


def linear(*sizes):
    return eqx.nn.Linear(*sizes, use_bias=False, key=jax.random.key(0))


@pytest.fixture
def model():
    conv = eqx.nn.Conv2d(1, 2, 3, stride=2, key=jax.random.key(0))
    inner = Residual(linear(3, 3), LIF(3, recurrent="dense", key=jax.random.key(0)))
    return Sequential(("eye", conv), jax.nn.relu, inner)


def test_a_network_has_a_line_for_each_layer(model):
    lines = repr(model).splitlines()
    assert (
        lines[0]
        == f"Sequential, {20 + 9 + model.layers[2].layers[1].threshold.size * 4 + 9} parameters"
    )
    assert [line.split("  ")[1].strip() for line in lines[1:]] == [
        "[0] eye",
        "[1]",
        "[2]",
        "",
        "",
    ]
    assert "Conv2d 1 -> 2, kernel 3 x 3, stride 2 x 2, bias" in lines[1]
    assert "relu" in lines[2]
    assert "LIF 3, recurrent" in lines[5]
    assert lines[1].endswith(" 20")


def test_a_plan_has_its_transforms(model):
    plan = transforms.plan(model, {"weights": quant.Int(4)})
    text = repr(plan)
    assert "(weight: Int(bits=4))" in text
    assert "parameters" not in text


def test_a_part_of_a_network_can_be_printed(model):
    shapes = eqx.filter_eval_shape(lambda: model)
    for part in (eqx.filter(model, eqx.is_array), shapes, jax.tree.map(lambda x: None, shapes)):
        assert "Conv2d 1 -> 2" in repr(part)


def test_treescope_shows_networks(model):
    treescope = pytest.importorskip("treescope", reason="treescope is not installed")
    assert "LIF" in treescope.render_to_text(model)
    assert "<" in treescope.render_to_html(model)
