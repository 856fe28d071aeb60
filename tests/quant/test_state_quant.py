"""States rounded to levels around the threshold. Against snnTorch: tests/parity/test_quant.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.quant import StateQuant, state_levels, state_quant


def quantized(transform, x, threshold=None):
    """The transform, compiled."""
    return np.asarray(jax.jit(lambda x: transform(x, threshold=threshold))(x))


SHAPES = [(True, True), (False, True), (False, False)]
each_shape = pytest.mark.parametrize(("uniform", "centered"), SHAPES)


def test_uniform_levels_are_equally_spaced():
    wanted = [-1.0, -0.6, -0.2, 0.2, 0.6, 1.0, 1.4, 1.8]
    np.testing.assert_allclose(state_levels(3, upper_limit=0.8), wanted, atol=1e-6)
    low, high = state_levels(1, threshold=2.0, lower_limit=0.5, upper_limit=0.25)
    assert (low, high) == (-3, 2.5)


def test_other_levels_crowd_around_the_threshold():
    # Of 4 levels floor(4 * 2/3) = 2 lie below 1, on a range of 2, and 2 above, on a range of 1.
    levels = state_levels(2, False, upper_limit=1.0, multiplier=0.25)
    np.testing.assert_allclose(levels, [-1, -1 + 2 / 1.25, 2 - 1 / 1.25, 2], rtol=1e-6)


def test_other_levels_crowd_around_zero():
    # Of 4 levels floor(4 * 1/3) = 1 lies below 0, and 3 above, on a range of 2.
    levels = state_levels(2, False, False, upper_limit=1.0, multiplier=0.5)
    np.testing.assert_allclose(levels, [-1, 2 - 6 / 3.5, 2 - 4 / 3.5, 2], rtol=1e-5)


@each_shape
@pytest.mark.parametrize("bits", [1, 4, 8, 10])
def test_there_are_two_to_the_bits_levels_in_order(bits, uniform, centered):
    levels = np.asarray(state_levels(bits, uniform, centered))
    assert levels.shape == (2**bits,)
    assert np.all(np.diff(levels) >= 0)
    assert levels[-1] == np.float32(1.2)
    if bits > 1:
        assert levels[0] == -1
    if bits <= 8:  # with more, float32 cannot tell those apart that are nearest to the centre
        assert np.unique(levels).size == 2**bits
        assert uniform or not np.any(levels == (1.0 if centered else 0.0))


def test_levels_scale_with_the_threshold_of_each_neuron():
    thresholds = jnp.array([0.5, 1.0, 3.0])
    for uniform in (True, False):
        levels = state_levels(3, uniform, threshold=thresholds)
        np.testing.assert_allclose(
            levels, np.outer(thresholds, state_levels(3, uniform)), atol=1e-6
        )


@each_shape
@pytest.mark.parametrize("bits", [1, 3, 8])
@pytest.mark.parametrize("threshold", [1.0, 0.3])
def test_a_state_goes_to_the_nearest_of_all_levels(threshold, bits, uniform, centered):
    settings = (bits, uniform, centered, threshold)
    x = np.random.default_rng(bits).uniform(-1.5, 1.5, 4000).astype(np.float32) * threshold
    y = np.asarray(jax.jit(lambda x: state_quant(x, *settings))(x))
    levels = np.asarray(state_levels(*settings), np.float64)
    nearest = np.abs(levels[:, None] - x).min(0)
    np.testing.assert_allclose(np.abs(y - np.float64(x)), nearest, atol=4e-7)
    assert np.abs(levels[:, None] - y).min(0).max() < 3e-7
    assert np.unique(y).size <= 2**bits


@pytest.mark.parametrize(
    ("settings", "levels", "halfways"),
    [
        ({"upper_limit": 1.0}, [-1, 0, 1, 2], [-0.5, 0.5, 1.5]),
        # Steps that do not shrink: two below the threshold, two above it.
        (
            {"uniform": False, "upper_limit": 1.0, "multiplier": 1.0},
            [-1, 0, 1.5, 2],
            [-0.5, 0.75, 1.75],
        ),
    ],
)
def test_halfway_the_lower_level_is_taken(settings, levels, halfways):
    transform, halfways = StateQuant(2, threshold=1.0, **settings), np.float32(halfways)
    np.testing.assert_array_equal(transform.levels(), levels)
    np.testing.assert_array_equal(quantized(transform, halfways), levels[:-1])
    np.testing.assert_array_equal(quantized(transform, halfways + np.float32(1e-6)), levels[1:])


@each_shape
def test_what_is_not_a_number_stays_so_and_infinity_ends(uniform, centered):
    x = jnp.array([jnp.nan, jnp.inf, -jnp.inf, 1e30, 0.0])
    y = quantized(StateQuant(4, uniform, centered, threshold=1.0), x)
    np.testing.assert_array_equal(y[:4], np.float32([np.nan, 1.2, -1, 1.2]))


@each_shape
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_stays_and_takes_the_level_of_the_full_one(dtype, uniform, centered):
    transform = jax.jit(StateQuant(8, uniform, centered, threshold=1.0))
    x = jnp.linspace(-1.2, 1.3, 500).astype(dtype)
    y = transform(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, transform(x.astype(jnp.float32)).astype(dtype))


@each_shape
def test_the_gradient_is_one_and_none_goes_into_the_threshold(uniform, centered):
    x, threshold = jnp.linspace(-3, 3, 20), jnp.float32(0.7)

    def loss(x, threshold):
        return StateQuant(3, uniform, centered)(x, threshold=threshold).sum()

    by_x, by_threshold = jax.jit(jax.grad(loss, (0, 1)))(x, threshold)
    np.testing.assert_array_equal(by_x, 1)
    assert by_threshold == 0


@pytest.mark.few(1)
@pytest.mark.parametrize("uniform", [True, False])
def test_levels_are_tied_to_the_threshold_of_the_neuron_unless_there_is_one(uniform):
    x = jnp.linspace(-2, 2, 12).reshape(3, 4)
    thresholds = jnp.array([0.5, 1.0, 2.0, 4.0])
    y = quantized(StateQuant(4, uniform), x, thresholds)
    for i, threshold in enumerate(thresholds):
        own = StateQuant(4, uniform, threshold=float(threshold))
        np.testing.assert_allclose(y[:, i], quantized(own, x, thresholds)[:, i], atol=1e-6)
    per_neuron = StateQuant(4, uniform, threshold=thresholds)
    np.testing.assert_allclose(jax.jit(lambda t, x: t(x))(per_neuron, x), y, atol=1e-6)
    assert StateQuant(4, uniform).levels(thresholds).shape == (4, 16)


def test_a_missing_threshold_is_an_error():
    for call in (lambda: StateQuant()(jnp.zeros(3)), lambda: StateQuant().levels()):
        with pytest.raises(ValueError, match=r"`threshold` is missing: StateQuant has none"):
            call()


@pytest.mark.few(1)
@pytest.mark.parametrize("uniform", [True, False])
def test_one_compiled_call_sweeps_over_the_bits(uniform):
    x = jnp.linspace(-1.5, 1.5, 300)
    swept = StateQuant(jnp.arange(1, 9), uniform)
    y = jax.jit(jax.vmap(lambda t: t(x, threshold=jnp.float32(1))))(swept)
    wanted = [quantized(StateQuant(b, uniform), x, jnp.float32(1)) for b in range(1, 9)]
    np.testing.assert_allclose(y, wanted, atol=3e-7)


def test_swept_bits_beyond_the_tables_show():
    swept = StateQuant(jnp.array([0, 8, 9]), False, threshold=jnp.ones(3))
    y = jax.jit(jax.vmap(lambda t: t(jnp.zeros(2))))(swept)
    np.testing.assert_array_equal(np.isnan(y).all(1), [True, False, True])


@pytest.mark.parametrize("uniform", [True, False])
def test_memory_and_work_do_not_grow_with_the_levels(uniform):
    x = jax.ShapeDtypeStruct((131_072,), jnp.float32)
    compiled = jax.jit(StateQuant(8, uniform, threshold=1.0)).lower(x).compile()
    # A comparison with every level has 256 times the input even at one bit for each.
    assert compiled.memory_analysis().temp_size_in_bytes <= 4 * 131_072 * 4
    # Where it is fused it needs no such array, but still more than 256 operations for each number.
    assert compiled.cost_analysis()["flops"] <= 100 * 131_072


@pytest.mark.parametrize("uniform", [True, False])
def test_a_state_can_be_carried_through_a_scan(uniform):
    transform = StateQuant(4, uniform)
    threshold = jnp.ones(2)

    def step(mem, x):
        mem = transform(0.9 * mem + x, threshold=threshold)
        return mem, mem

    x = jax.random.normal(jax.random.key(0), (30, 2))
    last, mem = jax.jit(lambda x: jax.lax.scan(step, jnp.zeros(2), x))(x)
    np.testing.assert_array_equal(last, mem[-1])
    assert 3 < np.unique(mem).size <= 16


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 0}, r"`bits` must be .* from 1 to 16; got 0"),
        ({"bits": 17}, r"`bits` must be .* from 1 to 16; got 17"),
        ({"threshold": 0.0}, r"`threshold` must be above 0; got 0.0"),
        ({"lower_limit": -1.5}, r"`lower_limit` must be at least -1"),
        # In snnTorch the highest of the levels around the threshold is then below it.
        ({"upper_limit": 0.0}, r"`upper_limit` must be above 0, .* no neuron fires; got 0.0"),
        ({"upper_limit": 1e-30}, r"`upper_limit` must be above 0"),
        ({"multiplier": 0.0}, r"`multiplier` must be above 0"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        StateQuant(**settings)
    with pytest.raises(ValueError, match=message):
        state_levels(**settings)


def test_arguments_that_do_not_fit_are_an_error():
    with pytest.raises(TypeError, match="`x`: state_quant works on floating-point numbers"):
        state_quant(jnp.arange(3))
    with pytest.raises(ValueError, match="`bits` must be an int here"):
        state_levels(jnp.arange(1, 3))
    with pytest.raises(ValueError, match=r"shape \(2,\) does not broadcast against `x`"):
        StateQuant()(jnp.zeros(3), threshold=jnp.ones(2))
