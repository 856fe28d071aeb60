"""The integers of a mapped network, against the definition of each method in plain numpy."""

import dataclasses
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from snnjax import LIF, Sequential, SynNet, quant, transforms
from snnjax.decay import dash_to_alpha
from snnjax.hardware import xylo


def spec_of(seed=0, *, scale=1.0, **changes):
    """A mapped network of 5 hidden and 3 output neurons with random parameters."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(scale * rng.normal(size=shape), jnp.float32)  # noqa: E731
    spec = xylo.Spec(
        w_in=draw(4, 5, 2),
        w_rec=draw(5, 5, 2),
        w_out=draw(5, 3),
        dash_mem=jnp.asarray(rng.uniform(1, 6, 5), jnp.float32),
        dash_syn=jnp.asarray(rng.uniform(1, 6, (5, 2)), jnp.float32),
        dash_mem_out=jnp.asarray(rng.uniform(1, 6, 3), jnp.float32),
        dash_syn_out=jnp.asarray(rng.uniform(1, 6, 3), jnp.float32),
        threshold=jnp.asarray(rng.uniform(0.5, 2, 5), jnp.float32),
        threshold_out=jnp.asarray(rng.uniform(0.5, 2, 3), jnp.float32),
        bias=draw(5),
        bias_out=draw(3),
        dt=1e-3,
        chip=xylo.XYLO_AUDIO_3,
    )
    return dataclasses.replace(spec, **changes)


def check_scaled(spec, integers, scale, scale_out):
    """Every parameter is the rounded product of the real one and its neuron's scale."""
    expected = {
        "w_in": spec.w_in * scale[:, None],
        "w_rec": spec.w_rec * scale[:, None],
        "threshold": spec.threshold * scale,
        "bias": spec.bias * scale,
        "w_out": spec.w_out * scale_out,
        "threshold_out": spec.threshold_out * scale_out,
        "bias_out": spec.bias_out * scale_out,
    }
    for name, values in expected.items():
        # Half a unit, and the rounding of float32 at up to 2^15.
        np.testing.assert_allclose(getattr(integers, name), values, atol=0.5 + 2e-3, err_msg=name)
        assert getattr(integers, name).dtype == jnp.int32


def largest(*arrays):
    return max(float(jnp.abs(a).max()) for a in arrays)


@pytest.mark.few(1)
@pytest.mark.parametrize("seed", range(3))
def test_global_takes_the_largest_of_weights_and_biases_of_a_population_to_127(seed):
    spec = spec_of(seed)
    integers = xylo.quantize(spec, method="global")
    scale = np.full(5, 127 / largest(spec.w_in, spec.w_rec, spec.bias))
    scale_out = np.full(3, 127 / largest(spec.w_out, spec.bias_out))
    check_scaled(spec, integers, scale, scale_out)
    assert largest(integers.w_in, integers.w_rec, integers.bias) == 127
    assert largest(integers.w_out, integers.bias_out) == 127


@pytest.mark.few(1)
@pytest.mark.parametrize("seed", range(3))
def test_channel_takes_the_largest_weight_of_every_neuron_to_127(seed):
    spec = spec_of(seed)
    integers = xylo.quantize(spec, method="channel")
    weights = np.concatenate([spec.w_in, spec.w_rec])
    scale = 127 / np.abs(weights).max((0, 2))
    check_scaled(spec, integers, scale, 127 / np.abs(np.asarray(spec.w_out)).max(0))
    np.testing.assert_array_equal(
        np.abs(np.concatenate([integers.w_in, integers.w_rec])).max((0, 2)), 127
    )
    np.testing.assert_array_equal(np.abs(np.asarray(integers.w_out)).max(0), 127)


@pytest.mark.few(1)
@pytest.mark.parametrize("method", ["global", "channel"])
def test_a_threshold_beyond_16_bits_scales_down_its_own_neuron_and_no_other(method):
    plain = spec_of()
    spec = dataclasses.replace(
        plain,
        threshold=plain.threshold.at[2].set(3e4),
        threshold_out=plain.threshold_out.at[1].set(1e5),
    )
    with pytest.warns(
        xylo.QuantizationWarning, match="weights of hidden neuron 2 keep 3 of 8 bits"
    ):
        integers = xylo.quantize(spec, method=method)
    others = xylo.quantize(plain, method=method)
    assert integers.threshold[2] == 32767
    assert integers.threshold_out[1] == 32767
    np.testing.assert_allclose(integers.w_in[:, 2], spec.w_in[:, 2] * 32767 / 3e4, atol=0.501)
    np.testing.assert_allclose(integers.w_out[:, 1], spec.w_out[:, 1] * 32767 / 1e5, atol=0.501)
    keep = np.array([0, 1, 3, 4])
    np.testing.assert_array_equal(integers.w_in[:, keep], others.w_in[:, keep])
    np.testing.assert_array_equal(integers.w_rec[:, keep], others.w_rec[:, keep])
    np.testing.assert_array_equal(integers.w_out[:, [0, 2]], others.w_out[:, [0, 2]])


def test_a_bias_beyond_16_bits_scales_down_its_own_neuron():
    spec = spec_of()
    spec = dataclasses.replace(spec, bias=spec.bias.at[3].set(-2e4))
    with pytest.warns(xylo.QuantizationWarning, match="hidden neuron 3 keep 3 of 8 bits, since"):
        integers = xylo.quantize(spec, method="channel")
    assert integers.bias[3] == -32767
    np.testing.assert_allclose(integers.w_in[:, 3], spec.w_in[:, 3] * 32767 / 2e4, atol=0.501)


def test_output_biases_share_the_scale_of_output_weights():
    """Rockpool scales them with the hidden population's factor."""
    spec = spec_of()
    spec = dataclasses.replace(spec, w_in=10 * spec.w_in)
    integers = xylo.quantize(spec, method="global")
    scale_out = 127 / largest(spec.w_out, spec.bias_out)
    np.testing.assert_allclose(integers.bias_out, spec.bias_out * scale_out, atol=0.501)


def test_what_rounds_to_nothing_is_a_warning_that_names_it():
    spec = spec_of()
    small = {"w_in": spec.w_in.at[:, 1].multiply(1e-6), "w_rec": spec.w_rec.at[:, 1].set(0)}
    with pytest.warns(xylo.QuantizationWarning, match="all weights of hidden neuron 1 become 0"):
        integers = xylo.quantize(dataclasses.replace(spec, **small))
    assert not integers.w_in[:, 1].any()
    low = dataclasses.replace(spec, threshold=spec.threshold.at[2].set(1e-4))
    with pytest.warns(xylo.QuantizationWarning, match=r"`threshold\[2\]` becomes 1"):
        integers = xylo.quantize(low)
    assert int(integers.threshold[2]) == 1
    assert not [v for v in xylo.check(integers) if v.severity == "error"]


@pytest.mark.parametrize("method", ["global", "channel"])
def test_zero_weights_stay_zero_and_fit_the_chip(method):
    spec, names = spec_of(), ("w_in", "w_rec", "w_out", "bias", "bias_out")
    zero = dataclasses.replace(spec, **{name: 0 * getattr(spec, name) for name in names})
    integers = xylo.quantize(zero, method=method)
    for name in names:
        assert not np.asarray(getattr(integers, name)).any()
    assert not [v for v in xylo.check(integers) if v.severity == "error"]


@pytest.mark.few(1)
@pytest.mark.parametrize("method", ["global", "channel"])
def test_readout_of_membrane_potentials_keeps_its_weights_and_one_scale(method):
    model = SynNet(3, 4, (8,), (2,), output="vmem", key=jax.random.key(0))
    mapped = xylo.map_network(model)
    assert np.isinf(mapped.threshold_out).all()
    integers = xylo.quantize(mapped, method=method)
    np.testing.assert_array_equal(integers.threshold_out, 32767)
    np.testing.assert_allclose(
        integers.w_out, mapped.w_out * 127 / largest(mapped.w_out), atol=0.501
    )


def test_dashes_are_those_of_the_nearest_decay_and_never_0():
    dash = jnp.array([0.0, 0.2, 1.41, 1.42, 40.0])
    integers = xylo.quantize(spec_of(dash_mem=dash))
    np.testing.assert_array_equal(integers.dash_mem, [1, 1, 1, 2, 15])
    whole = np.arange(1, 16)
    nearest = whole[np.abs(dash_to_alpha(whole) - dash_to_alpha(dash)[:, None]).argmin(1)]
    np.testing.assert_array_equal(integers.dash_mem, nearest)


@pytest.mark.few(1)
@pytest.mark.parametrize(("method", "axis"), [("channel", 0), ("global", None)])
def test_training_sees_the_weights_that_the_chip_gets(method, axis):
    key = jax.random.key(1)
    neurons = LIF(6, bias=None, tau_syn=7e-3)
    layers = eqx.nn.Linear(4, 6, use_bias=False, key=key), neurons
    out = eqx.nn.Linear(6, 2, use_bias=False, key=key), LIF(2, bias=None, max_spikes=1)
    model = Sequential(*layers, *out)
    plan = transforms.plan(model, {"weights": quant.Int(8, axis=axis)})
    seen = transforms.apply(plan, model).layers
    integers = xylo.quantize(xylo.map_network(model), method=method)
    for weight, whole in (
        (seen[0].weight.T, integers.w_in[..., 0]),
        (seen[2].weight.T, integers.w_out),
    ):
        unit = np.abs(np.asarray(weight)).max(0 if method == "channel" else None) / 127
        np.testing.assert_allclose(weight / unit, whole, atol=1e-4)


@given(
    seed=st.integers(0, 2**16),
    log_scale=st.floats(-6, 4),
    method=st.sampled_from(["global", "channel"]),
    threshold=st.floats(1e-2, 1e6),
)
def test_integers_always_fit_the_chip(seed, log_scale, method, threshold):
    spec = spec_of(seed, scale=10**log_scale)
    spec = dataclasses.replace(spec, threshold=threshold * spec.threshold)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        integers = xylo.quantize(spec, method=method)
    assert not [v for v in xylo.check(integers) if v.severity == "error"]
    assert all(w.category is xylo.QuantizationWarning for w in caught)


@pytest.mark.few(1)
@pytest.mark.parametrize("method", ["channel", "least_squares"])
def test_a_neuron_without_weights_is_scaled_by_its_bias(method):
    spec = spec_of()
    none = {"w_in": spec.w_in.at[:, 1].set(0), "w_rec": spec.w_rec.at[:, 1].set(0)}
    none |= {"bias": spec.bias.at[1].set(-0.25), "threshold": spec.threshold.at[1].set(2.0)}
    integers = xylo.quantize(dataclasses.replace(spec, **none), method=method)
    assert (int(integers.bias[1]), int(integers.threshold[1])) == (-127, round(2 * 127 / 0.25))
    without = dataclasses.replace(spec, **none | {"bias": spec.bias.at[1].set(0)})
    integers = xylo.quantize(without, method=method)
    assert (int(integers.bias[1]), int(integers.threshold[1])) == (0, 127)


def test_quantizing_twice_or_by_an_unknown_method_is_an_error():
    with pytest.raises(ValueError, match=r"`method` must be one of 'global', .*; got 'layer'"):
        xylo.quantize(spec_of(), method="layer")
    with pytest.raises(ValueError, match="quantised already"):
        xylo.quantize(xylo.quantize(spec_of()))


@pytest.mark.few(2)
@pytest.mark.parametrize("bits", [4.0, "4", True])
def test_bits_are_a_whole_number(bits):
    with pytest.raises(ValueError, match=f"`bits` must be from 2 to 8, .* got {bits!r}"):
        xylo.quantize(spec_of(), bits=bits)
    assert eqx.tree_equal(
        xylo.quantize(spec_of(), bits=np.int64(4)), xylo.quantize(spec_of(), bits=4)
    )


def test_works_under_jit():
    spec = spec_of()
    compiled = eqx.filter_jit(xylo.quantize)(spec)
    assert eqx.tree_equal(compiled, xylo.quantize(spec))


@pytest.mark.few(1)
@pytest.mark.parametrize("bits", [2, 3, 8])
def test_least_squares_is_the_best_of_its_candidates(bits):
    spec, most = spec_of(bias=None), 2 ** (bits - 1) - 1
    integers = xylo.quantize(spec, method="least_squares", bits=bits)
    weights = np.concatenate([spec.w_in, spec.w_rec])
    found = np.concatenate([integers.w_in, integers.w_rec])
    clips = []
    for n in range(5):
        changes = {}
        for clip in np.arange(3, 11) / 10:
            unit = clip * np.abs(weights[:, n]).max() / most
            whole = np.clip(np.round(weights[:, n] / unit), -most, most)
            changes[clip] = np.square(whole * unit - weights[:, n]).sum()
        clips.append(min(changes, key=changes.get))
        unit = clips[-1] * np.abs(weights[:, n]).max() / most
        np.testing.assert_array_equal(
            found[:, n], np.clip(np.round(weights[:, n] / unit), -most, most)
        )
        threshold = float(spec.threshold[n]) / unit * 2 ** (8 - bits)
        assert abs(int(integers.threshold[n]) - threshold) <= 0.51
    assert min(clips) < 1 or bits == 8


def test_least_squares_leaves_a_neuron_without_weights_alone():
    none = spec_of(w_in=jnp.zeros((4, 5, 2)), w_rec=jnp.zeros((5, 5, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = xylo.quantize(none, method="least_squares"), xylo.quantize(none, method="channel")
    assert eqx.tree_equal(*found)
