"""Integers whose scale is learned, a percentile or a power of two; two and three values."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.quant import Binary, Int, Ternary, int_scale

X = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)

KINDS = {
    "absmax": Int(4),
    "per_channel": Int(4, axis=0),
    "wide": Int(4, narrow=False),
    "asymmetric": Int(4, symmetric=False),
    "asymmetric_per_channel": Int(4, axis=-1, symmetric=False),
    "percentile": Int(4, scale="percentile", percentile=95.0),
    "asymmetric_percentile": Int(4, symmetric=False, scale="percentile", percentile=95.0),
    "power_of_two": Int(4, scale="power_of_two"),
    "learned": Int.learned(X, 4),
    "learned_per_channel": Int.learned(X, 4, axis=0),
    "learned_unsigned": Int.learned(np.abs(X), 4, symmetric=False),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.few(4)
@each_kind
def test_the_scale_and_the_integers_read_back_are_those_in_use(kind):
    transform = KINDS[kind]
    scale, zero_point = transform.scale_of(X), transform.zero_point_of(X)
    integers = transform.integers(X)
    assert integers.dtype == zero_point.dtype == jnp.int32
    assert scale.shape == zero_point.shape
    rebuilt = (integers - zero_point).astype(jnp.float32) * scale
    np.testing.assert_array_equal(transform(X), rebuilt)
    lowest, highest = transform.levels
    assert lowest <= integers.min()
    assert integers.max() <= highest


@pytest.mark.few(4)
@each_kind
def test_zero_is_exact_and_zeros_stay_zeros(kind):
    transform, x = jax.jit(lambda x: KINDS[kind](x)), np.where(np.arange(40) % 2, X, 0)
    assert not np.any(transform(x)[x == 0])
    np.testing.assert_array_equal(transform(np.zeros_like(x)), 0)
    assert np.all(np.isfinite(jax.jit(jax.grad(lambda x: transform(x).sum()))(np.zeros_like(x))))


@pytest.mark.parametrize(
    ("settings", "levels"),
    [
        ({}, (-7, 7)),
        ({"narrow": False}, (-8, 7)),
        ({"symmetric": False}, (0, 15)),
    ],
)
def test_the_levels_are_those_of_the_bits(settings, levels):
    assert Int(4, **settings).levels == levels


def test_the_level_without_a_partner_is_used_where_it_helps():
    x = jnp.array([-8.0, 1.0, 6.9])
    np.testing.assert_array_equal(Int(4, narrow=False)(x), [-8, 1, 7])
    np.testing.assert_allclose(Int(4, narrow=False)(-x), [8, -8 / 7, -48 / 7], rtol=1e-6)


def test_a_range_on_one_side_uses_all_levels_without_symmetry():
    x = jnp.linspace(0, 1.5, 16)
    np.testing.assert_allclose(Int(4, symmetric=False)(x), x, atol=1e-6)
    assert Int(4, symmetric=False).zero_point_of(x) == 0
    assert Int(4, symmetric=False).zero_point_of(-x) == 15
    assert np.unique(Int(4)(x)).size == 8


@pytest.mark.few(1)
@pytest.mark.parametrize(("symmetric", "clipped"), [(True, [99]), (False, [0, 1, 99])])
def test_a_percentile_clips_what_lies_beyond_and_cuts_its_gradient(symmetric, clipped):
    x = jnp.concatenate([jnp.linspace(-1, 1, 99), jnp.array([100.0])])
    transform = Int(6, symmetric=symmetric, scale="percentile", percentile=98.0)
    y, pullback = jax.vjp(transform, x)
    assert y[-1] < 1.1
    (grad,) = pullback(jnp.ones(100))
    np.testing.assert_array_equal(np.flatnonzero(grad == 0), clipped)
    np.testing.assert_allclose(y[:-1], x[:-1], atol=0.06)
    # With all of the range a step is larger than all of the others.
    assert np.all(Int(6)(x)[:-1] == 0)


def test_a_percentile_of_many_zeros_is_not_zero():
    x = jnp.zeros(1000).at[3].set(2.0)
    np.testing.assert_allclose(Int(4, scale="percentile", percentile=90.0)(x), x)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("axis", [None, 0])
def test_a_power_of_two_is_the_next_that_clips_nothing(axis, symmetric):
    exact = Int(4, axis, symmetric).scale_of(X)
    scale = Int(4, axis, symmetric, "power_of_two").scale_of(X)
    np.testing.assert_array_equal(np.frexp(scale)[0], 0.5)
    assert np.all((scale >= exact) & (scale < 2 * exact))


def test_a_scale_that_is_a_power_of_two_already_stays():
    assert Int(3, scale="power_of_two").scale_of(jnp.array([0.75])) == 0.25
    assert Int(3, scale="power_of_two").scale_of(jnp.array([0.7500001])) == 0.5


# ----- the learned scale


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_learned_scale_starts_where_the_source_says(bits, axis):
    others = None if axis is None else 1
    wanted = 2 * np.abs(X).mean(others, keepdims=True) / np.sqrt(2 ** (bits - 1) - 1)
    np.testing.assert_allclose(Int.learned(X, bits, axis=axis).scale_of(X), wanted, rtol=1e-6)
    assert Int.learned(jnp.zeros(3), 4).scale_of(jnp.zeros(3)) == 1


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("axis", [None, 0])
def test_the_gradients_of_the_learned_scale_are_those_of_the_source(axis, narrow):
    x = jnp.asarray(X).at[0, :2].set(jnp.array([-9.0, 9.0]))  # both sides clipped
    transform = Int.learned(x, 3, axis=axis, narrow=narrow)
    weights = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    gradients = eqx.filter_jit(eqx.filter_grad(lambda tx: (weights * tx[0](tx[1])).sum()))
    by_scale, by_x = gradients((transform, x))

    low, high = (-3 if narrow else -4), 3
    v = np.float64(x) / np.float64(transform.scale_of(x))
    slope = np.where(v <= low, low, np.where(v >= high, high, np.round(v) - v))
    others = None if axis is None else 1
    shared = X.size if axis is None else X.shape[1]
    wanted = (weights * slope).sum(others) / np.sqrt(shared * high)
    np.testing.assert_allclose(np.squeeze(by_scale.value), wanted, rtol=1e-4)
    np.testing.assert_array_equal(by_x, np.where((v > low) & (v < high), weights, 0))
    assert {float(low), 3.0} <= set(np.unique(slope))


def test_the_last_integers_belong_to_what_is_clipped():
    x = jnp.array([-3.0, 3.0, 2.5])  # in units of the scale, 1
    transform = eqx.tree_at(lambda t: t.value, Int.learned(x, 3), jnp.ones(()))
    for i, slope in enumerate((-3, 3, -0.5)):
        by_scale, by_x = eqx.filter_grad(lambda tx, i=i: tx[0](tx[1])[i])((transform, x))
        assert float(by_scale.value) == pytest.approx(slope / np.sqrt(3 * 3))
        assert float(by_x[i]) == (i == 2)


def test_training_the_learned_scale_reduces_the_error():
    transform = Int.learned(X, 3)

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def error(transform):
        return ((transform(X) - X) ** 2).mean()

    start, _ = error(transform)
    for _ in range(100):
        _, grad = error(transform)
        transform = eqx.apply_updates(transform, jax.tree.map(lambda g: -2.0 * g, grad))
    assert error(transform)[0] < 0.8 * start


def test_the_learned_scale_is_the_only_array_and_needs_an_array_to_start_from():
    assert len(jax.tree.leaves(eqx.filter(Int.learned(X, 4), eqx.is_array))) == 1
    unset = Int(4, scale="learned")
    with pytest.raises(ValueError, match=r"make it with `Int.learned\(x, bits\)`"):
        unset(X)
    np.testing.assert_array_equal(unset.init(X)(X), KINDS["learned"](X))
    assert Int(4).init(X) is not None
    assert Int(4).init(X).value is None


def test_one_learned_scale_for_all_serves_any_shape():
    transform = Int.learned(X, 4)
    np.testing.assert_array_equal(transform(X[0]), transform(X)[0])


# ----- sweeps


@pytest.mark.parametrize(
    "settings",
    [{}, {"axis": 0, "narrow": False}, {"symmetric": False}, {"scale": "power_of_two"}],
    ids=str,
)
def test_one_compiled_call_sweeps_over_the_bits(settings):
    wanted = np.stack([Int(b, **settings)(X) for b in range(2, 9)])
    swept = Int(jnp.arange(2, 9), **settings)
    call = eqx.filter_jit(eqx.filter_vmap(lambda t, x: t(x), in_axes=(eqx.if_array(0), None)))
    np.testing.assert_allclose(call(swept, X), wanted, rtol=1e-5, atol=1e-6)
    assert wanted.std(0).max() > 0.05  # the bits matter


def test_the_bits_are_the_only_leaf_so_that_plain_vmap_will_do():
    swept = Int(jnp.arange(2, 5), axis=0, scale="power_of_two")
    y = jax.jit(jax.vmap(lambda t: t(X)))(swept)
    wanted = np.stack([Int(b, axis=0, scale="power_of_two")(X) for b in range(2, 5)])
    np.testing.assert_array_equal(y, wanted)


def test_learned_scales_are_swept_over_with_their_bits():
    make = eqx.filter_jit(eqx.filter_vmap(lambda bits: Int.learned(X, bits)))
    swept = make(jnp.arange(2, 6))
    y = eqx.filter_jit(eqx.filter_vmap(lambda t: t(X)))(swept)
    wanted = np.stack([Int.learned(X, b)(X) for b in range(2, 6)])
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)


def test_the_scale_of_swept_bits_is_that_of_each():
    swept = jax.jit(jax.vmap(lambda bits: int_scale(X, bits, 0)))(jnp.arange(2, 32))
    np.testing.assert_allclose(swept, [int_scale(X, b, 0) for b in range(2, 32)], rtol=1e-6)


# ----- two and three values


def test_two_values_are_the_sign_and_the_mean_magnitude():
    x = jnp.array([-1.0, 0.0, 2.0, 3.0])
    np.testing.assert_array_equal(Binary()(x), [-1.5, 1.5, 1.5, 1.5])
    np.testing.assert_array_equal(Binary().scale_of(x), [1.5])


def test_three_values_leave_out_the_small_ones():
    x = jnp.array([-1.0, 0.1, 2.0, -3.0])  # the mean magnitude is 1.525
    np.testing.assert_allclose(Ternary()(x), [0, 0, 2.5, -2.5])
    np.testing.assert_allclose(Ternary(cut=0.5)(x), [-2, 0, 2, -2])
    np.testing.assert_allclose(Ternary().scale_of(x), [2.5])


@pytest.mark.parametrize("transform", [Binary(), Ternary(), Binary(axis=0), Ternary(axis=0)])
def test_few_values_pass_the_gradient_and_keep_zeros(transform):
    weights = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    grad = jax.jit(jax.grad(lambda x: (weights * transform(x)).sum()))(X)
    np.testing.assert_array_equal(grad, weights)
    np.testing.assert_array_equal(jax.jit(transform)(np.zeros_like(X)), 0)


@pytest.mark.parametrize("kind", [Binary, Ternary])
def test_few_values_along_an_axis(kind):
    wanted = jax.lax.map(kind(), X)
    np.testing.assert_allclose(jax.jit(kind(axis=0))(X), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Int(1), "`bits` must be .* from 2 to 31; got 1"),
        (lambda: Int(32), "`bits` must be .* from 2 to 31; got 32"),
        (lambda: Int(8.0), "`bits` must be a whole number"),
        (lambda: Int(8, scale="max"), "`scale` must be one of 'absmax', .*; got 'max'"),
        (lambda: Int(8, scale="percentile", percentile=101), "`percentile` must be from 50 to 100"),
        (lambda: Int(8, value=jnp.ones(())), "`value` is a learned scale, but `scale` is 'absmax'"),
        (lambda: Ternary(cut=1.0), "`cut` must be from 0 to below 1; got 1.0"),
        (lambda: Int(8, axis=2)(X), "`axis` is 2, but the array has the shape"),
        (lambda: Int.learned(X, 4, axis=1)(X[:, :7]), "does not broadcast against `x`"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Int(8, axis="0")(X), "`axis` must be a whole number or None; got '0'"),
        (lambda: Int(8, axis=(0, 1))(X), r"`axis` must be .*; got \(0, 1\)"),
        (lambda: Binary(axis=0.0)(X), "`axis` must be .*; got 0.0"),
        (lambda: Ternary(cut="0.5"), "`cut` must be from 0 to below 1; got '0.5'"),
    ],
)
def test_settings_of_another_type_are_an_error(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_whole_numbers_are_no_parameters():
    for transform in (Int(8), Binary(), Ternary()):
        with pytest.raises(TypeError, match=r"`x`: .* works on floating-point numbers; got int32"):
            transform(jnp.arange(4))
