"""Rounding to equally spaced levels, plain rounding and limiting; the random kind: test_random."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import quant
from snnjax.quant import DeterministicRounding, deterministic_rounding, int_quant

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def rounded(x, *args, **settings):
    """`deterministic_rounding`, compiled: many operations on many shapes are slow one by one."""
    return jax.jit(lambda x: deterministic_rounding(x, *args, **settings))(x)


def integers(x, *args, **settings):
    """`int_quant`, compiled."""
    return jax.jit(lambda x: int_quant(x, *args, **settings))(x)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        # Levels -1, 0, 1, numbers 0, 1, 2; halfway to the even number.
        ({"num_levels": 3}, [-1, -1, 0, 1, 1]),
        # Levels -1, -1/3, 1/3, 1: zero, halfway between numbers 1 and 2, goes to 2.
        ({"num_levels": 4}, [-1, -1 / 3, 1 / 3, 1 / 3, 1]),
        ({"num_levels": 2, "output_range": (-3.0, 5.0)}, [-3, -3, -3, 5, 5]),
        # Levels 0, 1, ... 4 for -1, -0.5, ... 1.
        ({"num_levels": 5, "output_range": (0.0, 4.0)}, [0, 1, 2, 3, 4]),
        ({"num_levels": 3, "input_range": (-0.5, 0.5)}, [-1, -0.5, 0, 0.5, 1]),
        ({"num_levels": 3, "input_range": (-0.5, 0.5), "clip": True}, [-0.5, -0.5, 0, 0.5, 0.5]),
    ],
)
def test_values_are_those_worked_out_by_hand(settings, wanted):
    x = jnp.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    np.testing.assert_allclose(rounded(x, **settings), wanted, rtol=1e-6)


def test_without_maintain_zero_the_levels_span_the_numbers():
    y = rounded(jnp.array([1.0, 1.4, 1.6, 4.0]), 4, maintain_zero=False)
    np.testing.assert_array_equal(y, [1, 1, 2, 4])


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        # 4 levels leave 3 that are symmetric about zero.
        ({"num_levels": 4}, [-2, -2, 0, 0, 0, 2]),
        ({"num_levels": 5}, [-2, -1, 0, 0, 0, 2]),
        # From -1.2 to 2: steps of 1 down and 2 up cost 1.2, of 2 and 1 cost 2.
        ({"num_levels": 4, "input_range": (-1.2, 2.0), "clip": True}, [-1.2, -1.2, 0, 0, 0, 1.2]),
        # As a chip has them, -8 to 7: zero is 0, and the largest is 7.
        ({"num_levels": 16, "output_range": (-8.0, 7.0)}, [-7, -4, 0, 1, 2, 7]),
        ({"num_levels": 4, "input_range": (-1.0, 1.0)}, [-2, -1, 0, 0, 0, 2]),
    ],
)
def test_zero_is_a_level_of_the_grid_about_zero(settings, wanted):
    x = jnp.array([-2.0, -1.2, 0.0, 0.4, 0.49, 2.0])
    y = rounded(x, grid="zero", **settings)
    np.testing.assert_allclose(y, wanted, rtol=1e-6)


def test_with_an_even_number_of_levels_only_the_grid_about_zero_keeps_zero():
    x = jnp.array([-1.0, 0.0, 1.0])
    assert rounded(x, 256)[1] != 0  # as in Rockpool
    assert rounded(x, 256, grid="zero")[1] == 0


def test_with_an_odd_number_of_levels_the_grids_are_the_same():
    y = rounded(X, 15)
    np.testing.assert_allclose(rounded(X, 15, grid="zero"), y, atol=1e-6)


@pytest.mark.few(5)
@pytest.mark.parametrize("grid", ["endpoints", "zero"])
@pytest.mark.parametrize("maintain_zero", [True, False])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_along_an_axis_every_index_has_a_range_of_its_own(axis, maintain_zero, grid):
    settings = {"num_levels": 6, "maintain_zero": maintain_zero, "grid": grid}
    wanted = jax.lax.map(DeterministicRounding(**settings), np.moveaxis(X, axis, 0))
    y = rounded(X, axis=axis, **settings)
    np.testing.assert_allclose(np.moveaxis(y, axis, 0), wanted, rtol=1e-6)


@pytest.mark.few(3)
@pytest.mark.parametrize("grid", ["endpoints", "zero"])
@pytest.mark.parametrize("maintain_zero", [True, False])
@pytest.mark.parametrize("output", [None, (-4.0, 4.0)])
def test_zeros_stay_zeros_and_can_be_trained(output, maintain_zero, grid):
    def loss(x):
        y = deterministic_rounding(x, 8, None, output, maintain_zero, grid=grid)
        return (jnp.arange(1.0, 5.0) * y).sum(), y

    grad, y = jax.jit(jax.grad(loss, has_aux=True))(jnp.zeros(4))
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_array_equal(grad, [1, 2, 3, 4])


def test_equal_numbers_stay_what_they_are():
    x = jnp.full(3, 0.3)
    np.testing.assert_array_equal(rounded(x, 8, maintain_zero=False), x)


def test_the_gradient_of_the_grid_about_zero_goes_into_the_range_too():
    # y = round(x/M)*M, so that the slope by M is round(x/M) - x/M: -0.2 and 0.
    grad = jax.grad(lambda x: rounded(x, 3, grid="zero").sum())(jnp.array([0.2, 1.0]))
    np.testing.assert_allclose(grad, [1, 0.8], rtol=1e-6)


@pytest.mark.parametrize("grid", ["endpoints", "zero"])
@pytest.mark.parametrize(("clip", "wanted"), [(False, [1, 1, 1, 1]), (True, [0, 1, 1, 0])])
def test_clipping_cuts_the_gradient_outside_of_the_range(clip, wanted, grid):
    x = jnp.array([-1.5, -1.0, 0.3, 1.5])
    settings = DeterministicRounding(5, (-1.0, 1.0), grid=grid, clip=clip)
    np.testing.assert_array_equal(jax.jit(jax.grad(lambda x: settings(x).sum()))(x), wanted)


@pytest.mark.few(1)
@pytest.mark.parametrize("grid", ["endpoints", "zero"])
def test_one_compiled_call_sweeps_over_the_number_of_levels(grid):
    levels = [3, 4, 16, 255]
    swept = jax.jit(jax.vmap(lambda t: t(X)))(DeterministicRounding(jnp.array(levels), grid=grid))
    wanted = np.stack([rounded(X, n, grid=grid) for n in levels])
    np.testing.assert_allclose(swept, wanted, rtol=1e-5, atol=1e-6)


def test_ranges_can_be_arrays():
    bound = jnp.abs(X).max(0)
    y = rounded(X, 9, (-bound, bound))
    np.testing.assert_allclose(y, rounded(X, 9, axis=1), rtol=1e-6)


def test_the_transform_is_the_function():
    settings = {"num_levels": 7, "maintain_zero": False, "axis": 0, "grid": "zero"}
    transform = DeterministicRounding(**settings)
    np.testing.assert_array_equal(jax.jit(transform)(X), rounded(X, **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_levels": 1}, "`num_levels` must be .* at least 2; got 1"),
        ({"num_levels": 4.0}, "`num_levels` must be a whole number"),
        ({"num_levels": 2, "grid": "zero"}, "`num_levels` must be .* at least 3; got 2"),
        ({"grid": "middle"}, "`grid` must be one of 'endpoints', 'zero'; got 'middle'"),
        ({"input_range": (1.0, 1.0)}, "`input_range` must be .* low below high"),
        ({"output_range": (1.0, -1.0)}, "`output_range` must be .* low below high"),
        ({"input_range": 3.0}, r"`input_range` must be a pair"),
        ({"output_range": (0.0, 9.0), "grid": "zero"}, "`output_range` must have zero inside"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        DeterministicRounding(**settings)
    with pytest.raises(ValueError, match=message):
        rounded(X, **settings)


def test_arrays_that_do_not_fit_are_an_error():
    with pytest.raises(ValueError, match="`axis` is 2, but the array has the shape"):
        rounded(X, axis=2)
    with pytest.raises(TypeError, match="`x`: deterministic_rounding works on floating-point"):
        rounded(jnp.arange(3))
    with pytest.raises(TypeError, match="`num_levels` must hold whole numbers"):
        DeterministicRounding(jnp.array([2.0, 4.0]))
    with pytest.raises(ValueError, match=r"a setting of the shape .* does not broadcast"):
        rounded(jnp.ones(3), 4, (jnp.zeros((2, 1)), jnp.ones((2, 1))))


# ----- numbers to integers


def test_integers_are_those_worked_out_by_hand():
    x = jnp.array([-1.0, -0.5, 0.25, 0.0, 0.25, 0.5, 1.0])
    np.testing.assert_array_equal(integers(x, 3), [-3, -2, 1, 0, 1, 2, 3])
    # Rockpool has [-127, -64, 32, 0, 32, 64, 127] here: as many levels as 8 bits, not as 3.
    np.testing.assert_array_equal(integers(x, 3, map_to_max=True), [-127, -85, 42, 0, 42, 85, 127])
    # Rockpool subtracts half of the width, 1, and has [1, 2, 3] here.
    y = integers(jnp.array([2.0, 3.0, 4.0]), 3, maintain_zero=False)
    np.testing.assert_array_equal(y, [-3, 0, 3])


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_spreading_the_integers_keeps_their_number(bits):
    x = jnp.linspace(-1, 1, 1001)
    assert np.unique(integers(x, bits)).size == 2**bits - 1
    spread = np.unique(integers(x, bits, map_to_max=True))
    assert spread.size == 2**bits - 1  # in Rockpool 255
    assert spread[0] == -127
    assert spread[-1] == 127


@pytest.mark.parametrize("maintain_zero", [True, False])
def test_integers_of_zeros_are_zeros(maintain_zero):
    np.testing.assert_array_equal(integers(jnp.zeros(3), 4, maintain_zero), 0)
    grad = jax.grad(lambda x: integers(x, 4, maintain_zero).sum())(jnp.zeros(3))
    assert np.all(np.isfinite(grad))


def test_integers_along_an_axis_and_over_a_sweep():
    wanted = jax.lax.map(quant.IntQuant(4, False), X)
    np.testing.assert_array_equal(jax.jit(quant.IntQuant(4, False, axis=0))(X), wanted)
    swept = jax.jit(jax.vmap(lambda t: t(X)))(quant.IntQuant(jnp.array([3, 6])))
    np.testing.assert_array_equal(swept, np.stack([integers(X, 3), integers(X, 6)]))


def test_integers_of_impossible_bits_are_an_error():
    with pytest.raises(ValueError, match=r"`bits` must be .* from 2 to 31; got 1"):
        quant.IntQuant(1)
    with pytest.raises(ValueError, match=r"`max_bits` must be .* from 9 to 31; got 8"):
        quant.IntQuant(9, map_to_max=True)


# ----- plain rounding and limiting


def test_round_goes_to_whole_multiples_of_the_step():
    x = jnp.array([-0.7, 0.1, 0.4, 2.6])
    np.testing.assert_array_equal(quant.Round()(x), [-1, 0, 0, 3])
    np.testing.assert_array_equal(quant.Round(0.5)(x), [-0.5, 0, 0.5, 2.5])
    np.testing.assert_array_equal(jax.grad(lambda x: quant.Round(0.5)(x).sum())(x), 1)


@pytest.mark.parametrize(
    ("transform", "values", "slopes"),
    [
        (quant.Clip(-1.0, 1.0), [-1, -1, 0.5, 1], [0, 1, 1, 0]),
        (quant.Clip(-1.0, 1.0, passthrough=True), [-1, -1, 0.5, 1], [1, 1, 1, 1]),
        (quant.Clip(low=0.0), [0, 0, 0.5, 3], [0, 0, 1, 1]),
        (quant.Clip(high=0.0), [-2, -1, 0, 0], [1, 1, 0, 0]),
    ],
)
def test_clip_limits_and_cuts_the_gradient_unless_told_otherwise(transform, values, slopes):
    x = jnp.array([-2.0, -1.0, 0.5, 3.0])
    np.testing.assert_array_equal(transform(x), values)
    np.testing.assert_array_equal(jax.grad(lambda x: transform(x).sum())(x), slopes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: quant.Round(0.0), "`step` must be above 0; got 0.0"),
        (lambda: quant.Clip(), "`low` or `high` must be given"),
        (lambda: quant.Clip(1.0, 0.0), "`low` must not be above `high`; got 1.0 and 0.0"),
    ],
)
def test_limits_that_make_no_sense_are_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ----- decays by bit shift, as Rockpool rounds them


def test_the_tau_mode_takes_the_shift_nearest_to_log2_of_tau():
    tau_in_steps = np.array([0.5, 1.0, 1.3, 1.5, 2.7, 3.0, 40.0, 1000.0], np.float32)
    dash = np.round(np.log2(tau_in_steps)).clip(0)
    y = quant.bitshift_decay(np.exp(-1 / tau_in_steps), mode="tau")
    np.testing.assert_array_equal(y, np.float32(1 - 2.0**-dash))


def test_the_tau_mode_has_the_limits_that_it_is_given_and_no_nan():
    alpha = jnp.array([-1.0, 0.0, 0.5, 0.99999, 1.0, 2.0])  # in Rockpool the last two become 0
    limited = quant.Bitshift(max_dash=4, min_dash=2, mode="tau")(alpha)
    np.testing.assert_array_equal(limited, [0.75, 0.75, 0.75, 0.9375, 0.9375, 0.9375])
    free = quant.bitshift_decay(alpha, mode="tau")
    assert np.all((free >= 0) & (free < 1))
    assert np.all(np.diff(free) >= 0)
    assert free[3] == np.float32(1 - 2.0**-17)


def test_a_decay_that_is_not_a_number_shows():
    y = quant.bitshift_decay(jnp.array([jnp.nan, 0.5]))
    np.testing.assert_array_equal(y, [np.nan, 0.5])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "fast"}, "`mode` must be one of 'nearest', 'tau'; got 'fast'"),
        ({"min_dash": -1}, "`min_dash` must be .* at least 0; got -1"),
        ({"max_dash": 2, "min_dash": 3}, "`max_dash` must be .* at least 3; got 2"),
    ],
)
def test_shifts_that_make_no_sense_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        quant.Bitshift(**settings)


def test_counts_are_static_when_compiled_but_can_be_arrays():
    traced = []

    @eqx.filter_jit
    def f(transform, x):
        traced.append(transform)
        return transform(x)

    for levels in (4, 4, 8):
        f(DeterministicRounding(levels), X)
    assert [type(t.num_levels) for t in traced] == [int, int]
    # Under plain jit, a number is traced, and the result the same.
    y = jax.jit(lambda t, x: t(x))(DeterministicRounding(8), X)
    np.testing.assert_allclose(y, DeterministicRounding(8)(X), rtol=1e-6)
