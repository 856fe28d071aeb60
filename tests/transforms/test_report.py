"""What a plan does to the parameters of a model, in numbers."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import SynNet, families, transforms
from snnjax.quant import (
    Binary,
    Bitshift,
    Dropout,
    Int,
    Prune,
    Round,
    StateQuant,
    StochasticRounding,
    Ternary,
)

from ._network import Add, Double, make


def effect_of(transform, weight=None, key=None):
    """The row of a plan with one transform."""
    model = make()
    if weight is not None:
        model = eqx.tree_at(lambda m: m.layers[0].weight, model, jnp.asarray(weight, jnp.float32))
    plan = transforms.plan(model, where={"layers[0].weight": transform})
    (effect,) = transforms.report(plan, model, key=key)
    return effect


def weights(shape=(8, 6), seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def decibels(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return 10 * np.log10((x**2).sum() / ((x - y) ** 2).sum())


def test_there_is_a_row_for_each_parameter_that_the_plan_speaks_of_in_order():
    model = make()
    rules = {"weights": Int(4), "decays": Bitshift(), "biases": Double()}
    plan = transforms.plan(model, rules, activations={"Linear": Int(8)}, states={"*.vmem": Add()})
    rows = transforms.report(plan, model)
    found = families(model)
    assert [row.path for row in rows] == [path for path, f in found.items() if f in rules]
    assert {row.family for row in rows} == set(rules)
    for row in rows:
        assert row.family == found[row.path]
        assert row.transform == repr(rules[row.family])
        assert row.before.shape == row.after.shape


def test_before_and_after_are_the_parameters():
    model = make()
    plan = transforms.plan(model, {"weights": Int(3)})
    burned = transforms.burn_in(plan, model)
    row = {row.path: row for row in transforms.report(plan, model)}["layers[3].weight"]
    np.testing.assert_array_equal(row.before, model.layers[3].weight)
    np.testing.assert_array_equal(row.after, burned.layers[3].weight)


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_integers_of_one_scale_in_plain_numpy(bits):
    x = weights()
    row = effect_of(Int(bits), x)
    scale = np.abs(x).max() / (2 ** (bits - 1) - 1)
    y = np.round(x / scale) * scale
    assert row.scale == pytest.approx(scale, rel=1e-6)
    assert row.levels == len(np.unique(np.round(x / scale)))
    assert row.sqnr == pytest.approx(decibels(x, y), rel=1e-5)
    assert row.clipped == 0


def test_the_scale_of_channels_is_their_mean():
    x = weights()
    x *= np.arange(1, 9, dtype=np.float32)[:, None]
    row = effect_of(Int(4, axis=0), x)
    scales = np.abs(x).max(axis=1, keepdims=True) / 7
    assert row.scale == pytest.approx(scales.mean(), rel=1e-6)
    assert row.levels == max(len(np.unique(channel)) for channel in np.round(x / scales)) <= 15
    assert row.sqnr == pytest.approx(decibels(x, np.round(x / scales) * scales), rel=1e-5)
    assert row.clipped == 0


@pytest.mark.few(1)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_the_share_that_a_percentile_clips(axis):
    x = weights((40, 30))
    row = effect_of(Int(4, axis=axis, scale="percentile", percentile=90.0), x)
    others = None if axis is None else 1 - axis
    scale = np.percentile(np.abs(x), 90, axis=others, keepdims=True) / 7
    clipped = (np.abs(x) > 7.5 * scale).mean()
    assert 0.03 < clipped < 0.1
    assert row.clipped == pytest.approx(clipped, abs=1e-3)


def test_the_share_that_a_learned_scale_clips_is_that_beyond_its_last_level():
    x = weights((50, 50))
    model = eqx.tree_at(lambda m: m.layers[0].weight, make(), jnp.asarray(x))
    plan = transforms.plan(model, where={"layers[0].weight": Int(3, scale="learned")})
    plan = eqx.tree_at(lambda p: p.layers[0].weight.value, plan, jnp.float32(0.4))
    (row,) = transforms.report(plan, model)
    assert row.scale == pytest.approx(0.4)
    assert row.levels == 7
    assert row.clipped == pytest.approx((np.abs(x) > 3.501 * np.float32(0.4)).mean())
    assert 0.1 < row.clipped < 0.2


def test_a_number_near_the_end_of_the_range_is_not_clipped():
    # 1.4 units go to the last level, 1; 1.6 units are beyond it by more than half a unit.
    row = effect_of(Ternary(), np.array([[1.0, -1.0, 1.4, -1.4, 0.2, 0.6]]))
    scale = np.mean([1.0, 1.0, 1.4, 1.4])
    assert row.scale == pytest.approx(scale)
    assert row.levels == 3
    assert row.clipped == 0
    row = effect_of(Ternary(), np.array([[1.0, -1.0, 1.0, -1.0, 0.2, 3.0]]))
    assert row.clipped == pytest.approx(1 / 6)


def test_numbers_that_binary_moves_outwards_are_not_clipped():
    row = effect_of(Binary(), np.array([[0.1, -0.1, 1.0, -1.0]]))
    assert row.levels == 2
    assert row.scale == pytest.approx(0.55)
    assert row.clipped == pytest.approx(0.5)  # 1 is beyond 1.5 * 0.55


def test_what_changes_nothing_has_no_noise():
    row = effect_of(Round(0.5), np.array([[0.5, 1.0, -2.5]]))
    assert row.sqnr == np.inf
    assert row.levels == 3


def test_what_leaves_nothing_has_no_signal_left():
    row = effect_of(Prune(1.0), weights())
    assert row.levels == 1
    assert row.sqnr == pytest.approx(0, abs=1e-9)


def test_zeros_give_numbers_and_no_warning():
    row = effect_of(Int(8), np.zeros((4, 4)))
    assert (row.levels, row.clipped, row.sqnr) == (1, 0, np.inf)
    row = effect_of(Add(1.0), np.zeros((4, 4)))
    assert row.sqnr == -np.inf


def test_a_transform_without_a_scale_has_none():
    row = effect_of(Prune(0.5), weights())
    assert row.scale is None
    assert row.clipped is None
    assert row.levels == 8 * 6 // 2 + 1


def test_numbers_of_16_bits_are_summed_in_more():
    model = make()
    large = jnp.asarray(200 * weights(), jnp.float16)
    model = eqx.tree_at(lambda m: m.layers[0].weight, model, large)
    plan = transforms.plan(model, where={"layers[0].weight": Int(4)})
    (row,) = transforms.report(plan, model)
    assert row.before.dtype == np.float16
    assert row.sqnr == pytest.approx(decibels(np.asarray(large), row.after))
    assert 10 < row.sqnr < 30


def test_a_parameter_without_a_family_has_an_empty_one():
    class Gain(eqx.Module):
        factor: jnp.ndarray

    model = {"gain": Gain(jnp.arange(4.0)), "net": make()}
    (row,) = transforms.report(transforms.plan(model, where={"*factor": Int(2)}), model)
    assert (row.path, row.family) == ("['gain'].factor", "")


def test_random_transforms_need_a_key_and_repeat_with_it(key):
    with pytest.raises(ValueError, match="`key` is needed by Dropout"):
        effect_of(Dropout(0.5))
    for transform in (Dropout(0.5), StochasticRounding(8)):
        first, again = (effect_of(transform, key=key) for _ in range(2))
        np.testing.assert_array_equal(first.after, again.after)
        assert first.sqnr == again.sqnr


def test_a_plan_without_parameters_has_no_rows():
    model = make()
    plan = transforms.plan(model, states={"LIF.vmem": StateQuant()})
    assert transforms.report(plan, model) == []


def test_a_plan_of_another_model_is_an_error(key):
    other = SynNet(3, 2, (4,), (2,), key=key)
    with pytest.raises(ValueError, match="made for a model of another structure"):
        transforms.report(transforms.plan(other, {"weights": Int(8)}), make())


def test_more_bits_are_more_levels_and_less_noise():
    even = np.linspace(-1, 1, 1001)[None]
    rows = [effect_of(Int(bits), even) for bits in (2, 4, 6, 8)]
    levels, noise = [row.levels for row in rows], [row.sqnr for row in rows]
    assert levels == [3, 15, 63, 255]
    # A bit more is 6 dB.
    assert np.all(np.diff(noise) > 10)
