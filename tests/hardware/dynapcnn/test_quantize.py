"""Real numbers become the integers of the chip, each core with one scale, and nothing is silent."""

import dataclasses
import re
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import QuantizationWarning, compat
from snnjax.nn import IAF

FLOATS = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
SHAPE = (3, 2, 2, 2)


def core(weight, *, bias=None, threshold=1.0, min_vmem=-1.0, vmem=None, **settings):
    numbers = (weight, bias, threshold, min_vmem, vmem)
    given = [None if x is None else jnp.asarray(x, jnp.float32) for x in numbers]
    return dynapcnn.discretize_core(*given, **settings)


def normal(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "bits", "scale"),
    [
        ([1.0, -1.0], 8, 127.0),
        ([1.0, -1.008], 8, 128 / 1.008),
        ([0.5, 0.25], 8, 254.0),
        ([-0.5, -0.25], 8, 256.0),
        ([-1.0, -0.999], 8, 128.0),  # by the side that is reached; the peer takes 127/0.999
        ([2.0, -3.0], 16, 32768 / 3),
        ([0.0, 0.0], 8, 1.0),
    ],
)
def test_scale_of_a_tensor(x, bits, scale):
    found = dynapcnn.discretization_scale(jnp.array(x), bits)
    np.testing.assert_allclose(found, scale, rtol=1e-6)


def test_the_peers_scale_of_zeros_is_infinite_and_ours_is_not():
    zeros = jnp.zeros(3)
    assert np.isinf(dynapcnn.discretization_scale(zeros, 8, compat="sinabs"))
    scale = dynapcnn.discretization_scale(zeros, 8)
    np.testing.assert_array_equal(dynapcnn.discretize(zeros, scale), [0, 0, 0])
    np.testing.assert_array_equal(dynapcnn.discretize(zeros, jnp.inf), [0, 0, 0])


def test_rounds_half_to_even():
    x = jnp.array([0.5, 1.5, 2.5, -0.5, -1.5])
    np.testing.assert_array_equal(dynapcnn.discretize(x, 1.0), [0, 2, 2, 0, -2])
    assert dynapcnn.discretize(x, 1.0).dtype == jnp.int32
    rounded = dynapcnn.discretize(x, 1.0, to_int=False)
    assert rounded.dtype == jnp.float32
    np.testing.assert_array_equal(rounded, [0, 2, 2, 0, -2])


@pytest.mark.slow
@given(
    weight=arrays(np.float32, SHAPE, elements=FLOATS),
    bias=arrays(np.float32, 3, elements=FLOATS),
    threshold=st.floats(0.015625, 1e3, width=32),
    min_vmem=st.none() | st.floats(-1e3, 0, width=32, allow_subnormal=False),
    vmem=arrays(np.float32, (3, 2, 2), elements=FLOATS),
)
def test_everything_fits_its_bits_with_one_scale(weight, bias, threshold, min_vmem, vmem):
    found = core(weight, bias=bias, threshold=threshold, min_vmem=min_vmem, vmem=vmem)
    inputs = {"weight": weight, "bias": bias, "vmem": vmem, "threshold": threshold}
    if min_vmem is None:
        assert found.min_vmem == -(2**15)
    else:
        inputs["min_vmem"] = min_vmem
    scale = float(found.scale)
    tightest = []
    for name, x in inputs.items():
        bits = 8 if name in ("weight", "bias") else 16
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        integers, x = np.asarray(getattr(found, name)), np.asarray(x, np.float64)
        assert integers.min() >= low
        assert integers.max() <= high
        exact = x * scale
        if name == "threshold":
            exact = max(exact, 0.5)
        assert np.abs(integers - exact).max() <= 0.5 + 1e-4 * np.abs(exact).max()
        tightest.append(np.max(exact / np.where(exact > 0, high, low)))
    # One of them uses all of its range, so that no larger scale would do.
    np.testing.assert_allclose(max(tightest), 1, rtol=1e-5)
    lost = {name: int(count) for name, count in found.clipped.items() if int(count)}
    assert lost == ({"threshold": 1} if threshold * scale < 0.5 else {})


def test_the_scale_of_a_core_is_the_smallest_of_its_parts():
    weight, bias = jnp.full(SHAPE, 0.5), jnp.array([0.1, -2.0, 0.0])
    one, low, vmem = jnp.float32(1.0), jnp.float32(-300.0), jnp.full((3, 2, 2), 1000.0)
    found = [
        dynapcnn.joint_scale(weight, None, one, None),
        dynapcnn.joint_scale(weight, bias, one, None),
        dynapcnn.joint_scale(weight, None, one, low),
        dynapcnn.joint_scale(weight, None, one, None, vmem),
    ]
    np.testing.assert_allclose(found, [254, 64, 32768 / 300, 32.767], rtol=1e-6)


def test_no_lower_bound_does_not_enter_the_scale():
    weight = normal()
    bounded, free = core(weight, min_vmem=-1.0), core(weight, min_vmem=None)
    np.testing.assert_array_equal(bounded.weight, free.weight)
    assert free.min_vmem == -32768
    # The peer's lower bound of -2^15 before scaling forces the scale to 1: most weights become 0.
    peer = core(weight, min_vmem=None, compat="sinabs")
    assert float(peer.scale) == 1
    assert np.count_nonzero(peer.weight) < np.count_nonzero(np.abs(weight) > 0.4)
    assert np.count_nonzero(free.weight) > 0.9 * weight.size


def test_all_zero_weights_give_zeros():
    found = core(np.zeros(SHAPE), bias=np.zeros(3))
    assert not np.any(found.weight)
    assert not np.any(found.bias)
    assert found.threshold == 2**15 - 1  # all of the range is left to the thresholds


def test_a_threshold_never_rounds_to_zero():
    found = core(np.full(SHAPE, 100.0), threshold=0.01, min_vmem=0.0)
    assert found.threshold == 1
    assert found.clipped["threshold"] == 1
    assert core(np.full(SHAPE, 100.0), threshold=0.01, compat="sinabs").threshold == 0


def test_a_percentile_trades_clipping_for_resolution():
    weight = normal()
    weight.flat[5] = -20
    whole, finer = core(weight), core(weight, percentile=95)
    assert float(finer.scale) > 10 * float(whole.scale)
    assert finer.clipped["weight"] == 1
    assert whole.clipped["weight"] == 0
    assert finer.weight.reshape(-1)[5] == -128


def test_a_percentile_of_zero_leaves_the_largest():
    weight = np.zeros(SHAPE)
    weight.flat[0] = 3.0
    found = core(weight, percentile=50)
    assert found.weight.reshape(-1)[0] == 127
    assert found.clipped["weight"] == 0


def test_to_int_keeps_rounded_floats():
    found, real = (core(normal(), bias=normal(1, 3), to_int=to_int) for to_int in (True, False))
    for name in ("weight", "bias", "threshold", "min_vmem"):
        a, b = getattr(found, name), getattr(real, name)
        assert (a.dtype, b.dtype) == (jnp.int32, jnp.float32)
        np.testing.assert_array_equal(a, b)


def test_the_gradient_passes_straight_through_and_not_into_the_scale():
    def total(weight):
        return core(weight, to_int=False, percentile=90).weight.sum()

    weight = jnp.asarray(normal())
    scale = core(weight, percentile=90).scale
    np.testing.assert_array_equal(jax.grad(total)(weight), jnp.full(SHAPE, scale))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: dynapcnn.discretization_scale(jnp.ones(2), 1),
            "`bits` must be from 2 to 32",
        ),
        (
            lambda: dynapcnn.discretization_scale(jnp.ones(2), 8, compat="rockpool"),
            "`compat` must be None or 'sinabs'; got 'rockpool'",
        ),
        (lambda: core(normal(), percentile=0), "`percentile` must be above 0 and at most 100"),
        (lambda: core(normal(), percentile=101), "`percentile` must be above 0 and at most 100"),
    ],
)
def test_bad_settings(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


# --- whole networks -------------------------------------------------------------------------


@pytest.fixture
def mapped(make_spec, replace):
    """A network as it is before rounding."""

    def make(scale=400.0, seed=0, **fields):
        spec = make_spec(seed)
        for i, layer in enumerate(spec.layers):
            real = {k: x.astype(jnp.float32) / scale for k, x in layer.arrays().items()}
            spec = replace(spec, i, **real, **fields)
        return spec

    return make


def weights(spec, **settings):
    """The rows of the weights."""
    return [row for row in dynapcnn.report(spec, **settings) if ".weight" in row.parameter]


def test_each_core_has_a_scale_of_its_own(mapped, replace):
    spec = mapped()
    louder = replace(spec, 0, weight=spec.layers[0].weight * 3)
    a, b = dynapcnn.quantize(spec), dynapcnn.quantize(louder)
    assert a.quantized
    np.testing.assert_array_equal(a.layers[0].weight, b.layers[0].weight)
    assert int(a.layers[0].threshold) > 2 * int(b.layers[0].threshold)
    assert eqx.tree_equal(a.layers[1], b.layers[1])
    assert not dynapcnn.check(a)


def test_works_under_jit(mapped):
    spec = mapped()
    assert eqx.tree_equal(eqx.filter_jit(dynapcnn.quantize)(spec), dynapcnn.quantize(spec))


def test_what_is_lost_is_warned_of(mapped, replace):
    spec = mapped()
    lossy = replace(spec, 1, weight=spec.layers[1].weight * 1.01, min_vmem=jnp.float32(-0.4))
    quality = weights(lossy)[1].sqnr
    assert 30 < quality < 60
    with pytest.warns(QuantizationWarning) as found:
        dynapcnn.quantize(lossy, min_sqnr=quality + 0.1)
    assert [str(w.message).partition(", at a scale of ")[0] for w in found] == [
        "`layers[1] (`layers[4]`)`"
    ]
    assert f"its weights have an SQNR of {quality:.1f} dB" in str(found[0].message)
    dynapcnn.quantize(lossy, min_sqnr=quality - 0.1)


def test_an_outlier_that_zeroes_the_other_weights_is_warned_of(mapped, replace):
    spec = mapped()
    weight = spec.layers[1].weight.at[0, 0, 0, 0].set(80.0)
    lossy = replace(spec, 1, weight=weight, threshold=jnp.float32(2.0))
    report = weights(lossy)[1]
    assert report.sqnr > 20  # which says nothing of it
    zeroed = report.zeroed / np.count_nonzero(weight)
    assert 0.5 < zeroed < 1
    with pytest.warns(QuantizationWarning, match=f"{zeroed:.0%} of its weights round to 0"):
        dynapcnn.quantize(lossy)
    dynapcnn.quantize(lossy, max_zeroed=zeroed)


def test_a_core_that_falls_silent_is_warned_of(mapped, replace):
    spec = replace(mapped(), 0, bias=jnp.full(3, 1e4))
    with pytest.warns(QuantizationWarning, match="all of its weights round to 0"):
        dynapcnn.quantize(spec)


def test_clipping_is_warned_of_and_counted(mapped):
    spec = mapped()
    with pytest.warns(QuantizationWarning, match=r"\d+ of `weight` clipped") as caught:
        dynapcnn.quantize(spec, percentile=[100, 60], min_sqnr=0)
    assert len(caught) == 1
    first, second = weights(spec, percentile=[100, 60])
    assert first.clipped == 0
    assert 0.3 * spec.layers[1].weight.size < second.clipped
    assert f"{second.clipped} clipped" in str(second)


def test_nothing_is_said_where_nothing_is_lost(mapped):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dynapcnn.quantize(mapped())


def test_the_report_agrees_with_the_integers(mapped):
    spec = mapped(scale=300.0, seed=3)
    integers = dynapcnn.quantize(spec)
    for loss, before, after in zip(weights(spec), spec.layers, integers.layers, strict=True):
        weight = np.asarray(before.weight, np.float64)
        noise = weight - np.asarray(after.weight) / loss.scale
        assert loss.sqnr == pytest.approx(10 * np.log10((weight**2).sum() / (noise**2).sum()))
        assert loss.integers == (int(after.weight.min()), int(after.weight.max()))
        assert float(after.threshold) == round(float(before.threshold) * loss.scale)


def test_bad_calls(mapped):
    spec = mapped()
    with pytest.raises(ValueError, match="`spec` is quantised already"):
        dynapcnn.quantize(dynapcnn.quantize(spec))
    with pytest.raises(ValueError, match=r"one for each of the 2 layers; got \[1, 2, 3\]"):
        dynapcnn.quantize(spec, percentile=[1, 2, 3])


# --- single layers --------------------------------------------------------------------------


@pytest.mark.few(3)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("min_vmem", [None, -0.7])
def test_single_layers_agree_with_the_core(bias, min_vmem):
    conv = eqx.nn.Conv2d(2, 3, 2, use_bias=bias, key=jax.random.key(0))
    neuron = IAF((3, 4, 4), threshold=0.4, min_vmem=min_vmem)
    vmem = jnp.asarray(normal(2, (3, 4, 4)))
    given = (conv.weight, None if conv.bias is None else conv.bias.ravel())
    lowest = None if min_vmem is None else jnp.float32(min_vmem)
    want = dynapcnn.discretize_core(*given, jnp.float32(0.4), lowest, vmem)
    both = compat.discretize_conv_spike(conv, neuron, vmem=vmem)
    alone = compat.discretize_conv(conv, 0.4, min_vmem, vmem=vmem)
    spike = compat.discretize_spike(neuron, conv.weight, conv.bias, vmem=vmem)
    for found_conv, scale in ((both[0], both[2]), alone):
        np.testing.assert_array_equal(found_conv.weight, want.weight)
        assert found_conv.weight.dtype == jnp.int32
        assert scale == want.scale
        if bias:
            np.testing.assert_array_equal(found_conv.bias.ravel(), want.bias)
    for found_neuron, scale in ((both[1], both[2]), spike):
        assert (found_neuron.threshold, found_neuron.min_vmem) == (want.threshold, want.min_vmem)
        assert scale == want.scale
    assert conv.weight.dtype == jnp.float32  # what was given stays as it is


def test_rounded_layers_run():
    linear = eqx.nn.Linear(5, 3, key=jax.random.key(1))
    neuron = IAF(3, threshold=0.5, min_vmem=-0.5)
    a, b, _ = compat.discretize_conv_spike(linear, neuron, to_int=False)
    x = jnp.asarray(np.random.default_rng(0).poisson(1.0, (20, 5)), jnp.float32)
    spikes, _ = b(jax.vmap(a)(x))
    assert 5 < float(spikes.sum()) < 100


def test_single_neurons_that_a_core_has_not():
    conv = eqx.nn.Conv2d(1, 1, 1, key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"`neuron` \(IAF\) has a reset of 'none'"):
        compat.discretize_conv_spike(conv, IAF((1, 2, 2), reset="none"))
    with pytest.raises(ValueError, match=r"`neuron` \(IAF\) has a `threshold` of the shape \(2,"):
        compat.discretize_spike(IAF((2, 2, 2), threshold=[1.0, 2.0]), conv.weight)


def test_discretized_parallel_neurons_stay_without_a_lower_bound():
    conv = eqx.nn.Conv2d(1, 1, 1, key=jax.random.key(0))
    neuron = IAF((1, 2, 2), parallel=True)
    found = compat.discretize_spike(neuron, conv.weight, to_int=False)[0]
    assert found.min_vmem is None
    assert dataclasses.asdict(found)["parallel"] is True
