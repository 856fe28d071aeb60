"""What holds for every transform, whatever the numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from snnjax import quant
from snnjax.quant import DeterministicRounding, Int, StateQuant, StochasticRounding

SHAPE = (3, 8)
KEY = jax.random.key(0, impl="rbg")  # XLA compiles this generator in a third of the time
START = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)

# Each with the most levels that it may use for each range of its own, or None, and with whether the
# result lies within the range of the numbers.
TRANSFORMS = {
    "deterministic": (DeterministicRounding(5), 5, True),
    "deterministic_even": (DeterministicRounding(16), 16, True),
    "deterministic_free": (DeterministicRounding(7, maintain_zero=False), 7, True),
    "deterministic_rows": (DeterministicRounding(6, axis=0), 6, True),
    "deterministic_mapped": (DeterministicRounding(9, output_range=(-3.0, 2.0)), 9, False),
    "deterministic_clipped": (DeterministicRounding(9, (-1.5, 2.0), clip=True), 9, False),
    "grid_zero": (DeterministicRounding(8, grid="zero"), 8, True),
    "grid_zero_free": (DeterministicRounding(8, None, None, False, grid="zero"), 8, True),
    "stochastic": (StochasticRounding(16), 16, True),
    "stochastic_free": (StochasticRounding(7, maintain_zero=False), 7, True),
    "stochastic_rows": (StochasticRounding(6, axis=0, grid="zero"), 6, True),
    "int": (Int(3), 8, True),
    "int_wide": (Int(3, narrow=False), 8, True),
    "int_asymmetric": (Int(3, symmetric=False), 8, False),
    "int_percentile": (Int(4, scale="percentile", percentile=80.0), 16, True),
    "int_power_of_two": (Int(4, 0, scale="power_of_two"), 16, False),
    "int_learned": (Int.learned(START, 4), 16, False),
    "int_quant": (quant.IntQuant(4), 16, False),
    "int_quant_free": (quant.IntQuant(4, False, True), 16, False),
    "binary": (quant.Binary(), 2, True),
    "ternary": (quant.Ternary(), 3, True),
    "bitshift": (quant.Bitshift(), 15, False),
    "bitshift_tau": (quant.Bitshift(max_dash=7, mode="tau"), 8, False),
    "dropout": (quant.Dropout(0.4), None, True),
    "mismatch": (quant.Mismatch(0.2), None, False),
    "prune": (quant.Prune(0.4), None, True),
    "round": (quant.Round(0.25), None, False),
    "clip": (quant.Clip(-0.5, 2.0), None, False),
    "state": (StateQuant(4, threshold=1.0), 16, False),
    "state_crowded": (StateQuant(4, False, threshold=1.0), 16, False),
}
# A transform whose result has another range than what it was made of, or that draws anew.
CHANGES_AGAIN = {"deterministic_mapped", "int_asymmetric", "int_percentile", "mismatch"}
CHANGES_AGAIN |= {"int_quant_free", "bitshift_tau", "grid_zero_free"}
ROWS = {"deterministic_rows", "stochastic_rows", "int_power_of_two"}

# Away from where float32 ends: a range of both signs has twice the width of its largest number.
magnitudes = st.floats(2.0**-100, 2.0**100, width=32)
numbers = st.one_of(
    st.just(0.0),
    st.floats(-4, 4, width=32, allow_subnormal=False),
    magnitudes,
    magnitudes.map(lambda x: -x),
)
arrays = hnp.arrays(np.float32, SHAPE, elements=numbers)
names = st.sampled_from(sorted(TRANSFORMS))


@functools.cache
def compiled(name):
    return jax.jit(lambda x: TRANSFORMS[name][0](x, key=KEY))


def transformed(name, x):
    return np.asarray(compiled(name)(x))


@pytest.mark.slow
@given(names, arrays)
def test_no_number_becomes_nan_or_infinite(name, x):
    assert np.all(np.isfinite(transformed(name, x)))


@pytest.mark.few(13)
@pytest.mark.parametrize("name", sorted(TRANSFORMS.keys() - {"dropout"}))
def test_what_is_not_a_number_stays_so(name):
    x = START.copy()
    x[1, 2] = np.nan
    assert np.isnan(transformed(name, x)[1, 2])


@given(st.sampled_from(sorted(TRANSFORMS.keys() - CHANGES_AGAIN)), arrays)
def test_transforming_again_changes_nothing_but_the_last_digit(name, x):
    once = transformed(name, x)
    largest = np.abs(once).max(1 if name in ROWS else None, keepdims=True)
    assert np.all(np.abs(transformed(name, once) - once) <= 2e-6 * largest)


@given(st.sampled_from([name for name, (_, levels, _) in TRANSFORMS.items() if levels]), arrays)
def test_no_more_levels_are_used_than_were_asked_for(name, x):
    levels = TRANSFORMS[name][1]
    y = transformed(name, x)
    for part in y if name in ROWS else [y]:
        assert np.unique(part).size <= levels


@given(st.sampled_from([name for name, (*_, within) in TRANSFORMS.items() if within]), arrays)
def test_the_result_lies_within_the_range_of_the_numbers(name, x):
    y, symmetric = transformed(name, x), "free" not in name
    axis = 1 if name in ROWS else None
    low, high = x.min(axis, keepdims=True), x.max(axis, keepdims=True)
    if "zero" in name:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    if symmetric:
        high = np.abs(x).max(axis, keepdims=True)
        low = -high
    slack = 0 if "round" in name or "stic" in name else 2e-6 * np.maximum(high, -low)
    assert np.all(y >= low - slack)
    assert np.all(y <= high + slack)


@given(
    st.sampled_from(["deterministic", "deterministic_even", "grid_zero", "int", "int_quant"]),
    arrays,
)
def test_the_order_of_the_numbers_is_kept(name, x):
    order = np.argsort(x, axis=None)
    assert np.all(np.diff(transformed(name, x).ravel()[order]) >= 0)


@pytest.mark.few(44)
@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    "like",
    [
        jax.ShapeDtypeStruct((), jnp.float32, weak_type=True),
        jax.ShapeDtypeStruct((8,), jnp.float32, weak_type=True),
        jax.ShapeDtypeStruct(SHAPE, jnp.float32),
        jax.ShapeDtypeStruct((2, 3, 8), jnp.float16),
        jax.ShapeDtypeStruct((5, 1), jnp.bfloat16),
        jax.ShapeDtypeStruct((0, 4), jnp.float32),
    ],
    ids=str,
)
def test_shapes_dtypes_and_weak_types_are_kept(name, like):
    transform = TRANSFORMS[name][0]
    if like.ndim == 0 and name in ROWS:
        pytest.skip("a number has no axes")
    y = jax.eval_shape(lambda x: transform(x, key=KEY), like)
    assert (y.shape, y.dtype, y.weak_type) == (like.shape, like.dtype, like.weak_type)
    grad = jax.eval_shape(jax.grad(lambda x: transform(x, key=KEY).sum()), like)
    assert (grad.shape, grad.dtype) == (like.shape, like.dtype)


@pytest.mark.few(7)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_mapping_over_leaves_is_a_loop_over_them_and_gradients_are_finite(name):
    leaves = np.random.default_rng(1).normal(size=(4, *SHAPE)).astype(np.float32)
    leaves[2:] = np.float32([0, 1])[:, None, None]

    def total(x):
        y = TRANSFORMS[name][0](x, key=KEY)
        return y.sum(), y

    grads, mapped = jax.jit(jax.vmap(jax.grad(total, has_aux=True)))(leaves)
    wanted = np.stack([transformed(name, leaf) for leaf in leaves])
    np.testing.assert_allclose(mapped, wanted, rtol=1e-5, atol=1e-6)
    assert np.all(np.isfinite(grads))


DRAWS = 4096


@functools.cache
def many_draws(transform):
    keys = jax.random.split(jax.random.key(0), DRAWS)
    return jax.jit(lambda x: jax.vmap(lambda key: transform(x, key=key))(keys))


@given(
    hnp.arrays(np.float32, 6, elements=st.floats(-8, 8, width=32, allow_subnormal=False)),
    st.sampled_from([StochasticRounding(6), StochasticRounding(7, None, None, False)]),
)
def test_stochastic_rounding_is_right_on_average(x, transform):
    y = np.asarray(many_draws(transform)(x), np.float64)
    step = np.float64(np.ptp(x) if not transform.maintain_zero else 2 * np.abs(x).max())
    step /= transform.num_levels - 1
    low = x.min() if not transform.maintain_zero else -np.abs(x).max()
    fraction = (np.float64(x) - low) / step % 1 if step > 0 else np.zeros(6)
    # Six numbers and a hundred examples: one in 400 draws of an honest coin is 3 errors off, one in
    # 16,000 is 4.
    error = step * np.sqrt(fraction * (1 - fraction) / DRAWS)
    assert np.all(np.abs(y.mean(0) - x) <= 4 * error + 1e-5 * step + 1e-30)
