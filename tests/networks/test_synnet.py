"""SynNet: what it is made of, and what of it is trained."""

import equinox as eqx
import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, SynNet, record, trainable
from snnjax._tree import leaves_with_path
from snnjax.nn import TimeStepDropout
from snnjax.surrogate import PeriodicExponential, PiecewiseLinear

DT = 1e-3
SIZES, CONSTANTS = (7, 5), (3, 2)


def make(**kwargs):
    defaults = {"n_classes": 3, "n_channels": 4}
    defaults |= {"size_hidden_layers": SIZES, "time_constants_per_layer": CONSTANTS}
    # This generator compiles in a third of the time of the usual one.
    return SynNet(**{**defaults, "key": jax.random.key(0, impl="rbg")} | kwargs)


def lifs(net):
    return [layer for layer in net.layers if isinstance(layer, LIF)]


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).poisson(2.0, (40, 4)), jnp.float32)


def trained_names(net):
    """The names of what is trained, for each layer."""
    names = [set() for _ in net.layers]
    for path, trained in leaves_with_path(trainable(net)):
        if trained:
            names[int(path[len("layers[")])].add(path.rpartition(".")[2])
    return names


# ----- structure


def test_linear_and_neuron_layers_alternate():
    net = make()
    assert [type(layer) for layer in net.layers] == [eqx.nn.Linear, LIF] * 3
    assert [layer.weight.shape for layer in net.layers[::2]] == [(7, 4), (5, 7), (3, 5)]
    assert [layer.shape for layer in lifs(net)] == [(7,), (5,), (3,)]


def test_there_are_no_biases():
    net = make()
    assert all(layer.bias is None for layer in net.layers)


def test_dropout_follows_every_hidden_layer_and_not_the_readout():
    net = make(p_dropout=0.25)
    assert [type(layer) for layer in net.layers] == [
        *[eqx.nn.Linear, LIF, TimeStepDropout] * 2,
        eqx.nn.Linear,
        LIF,
    ]
    assert all(layer.p == 0.25 for layer in net.layers[2:6:3])


def test_output_has_a_channel_for_each_class(x):
    y, state = make()(x)
    assert y.shape == (40, 3)
    assert len(state) == 6


def test_event_counts_may_be_integers(x):
    np.testing.assert_array_equal(make()(x.astype(int))[0], make()(x)[0])


def test_arguments_reach_the_layers():
    net = make(
        threshold=0.7, threshold_out=[1.0, 2.0, 3.0], max_spikes=5, max_spikes_out=2, dt=5e-4
    )
    *hidden, readout = lifs(net)
    for layer in hidden:
        np.testing.assert_array_equal(layer.threshold, np.full(layer.shape, np.float32(0.7)))
        assert layer.settings.max_spikes == 5
    np.testing.assert_array_equal(readout.threshold, [1, 2, 3])
    assert readout.settings.max_spikes == 2
    assert {layer.dt for layer in lifs(net)} == {5e-4}


def test_the_readout_has_the_threshold_of_the_hidden_layers_unless_told_otherwise():
    np.testing.assert_array_equal(lifs(make(threshold=0.5))[-1].threshold, np.full(3, 0.5))


def test_hidden_neurons_emit_up_to_31_spikes_and_the_readout_one():
    assert [layer.settings.max_spikes for layer in lifs(make())] == [31, 31, 1]


@pytest.mark.parametrize("surrogate", [None, PiecewiseLinear(0.2)])
def test_the_surrogate_is_the_periodic_exponential_or_the_one_given(surrogate):
    wanted = surrogate or PeriodicExponential()
    assert all(layer.settings.surrogate == wanted for layer in lifs(make(surrogate=surrogate)))


# ----- time constants


def test_synaptic_time_constants_are_powers_of_the_base_dealt_out_in_turn():
    net = make(tau_syn_base=3e-3, quantize_time_constants=False)
    first, second, readout = (layer.taus()[1][:, 0] / DT for layer in lifs(net))
    np.testing.assert_allclose(first, [3, 9, 27, 3, 9, 27, 3], rtol=1e-5)
    np.testing.assert_allclose(second, [3, 9, 3, 9, 3], rtol=1e-5)
    np.testing.assert_allclose(readout, [2, 2, 2], rtol=1e-5)


def test_time_constants_are_in_units_of_dt():
    net = make(tau_syn_base=6e-3, dt=2e-3, quantize_time_constants=False)
    np.testing.assert_allclose(lifs(net)[0].taus()[1][:3, 0], [6e-3, 18e-3, 54e-3], rtol=1e-5)


@pytest.mark.few(2)
@pytest.mark.parametrize("leak", ["taus", "decays", "bitshifts"])
def test_quantised_time_constants_are_whole_bit_shifts(leak):
    net = make(tau_syn_base=3e-3, tau_mem=7e-3, tau_syn_out=5e-3, leak=leak)
    for layer in lifs(net):
        for dash in layer.dashes():
            np.testing.assert_allclose(dash, np.round(dash), atol=1e-4)
    wanted = np.round(-np.log2(-np.expm1(-DT / (3e-3 ** np.arange(1, 4) * DT ** -np.arange(3)))))
    np.testing.assert_allclose(lifs(net)[0].dashes()[1][:3, 0], wanted, atol=1e-4)


def test_no_quantised_time_constant_clears_its_state_at_every_step_or_is_too_long_for_a_chip():
    net = make(tau_syn_base=1.01e-3, tau_mem=0.1e-3, tau_syn_out=1e3)
    dashes = np.concatenate([dash.ravel() for layer in lifs(net) for dash in layer.dashes()])
    assert dashes.min() >= 1 - 1e-4
    assert dashes.max() <= 15 + 1e-2


@pytest.mark.parametrize("leak", ["decays", "bitshifts"])
def test_every_leak_starts_from_the_same_decays(leak):
    for mine, wanted in zip(lifs(make(leak=leak)), lifs(make(leak="taus")), strict=True):
        np.testing.assert_allclose(mine.alphas()[0], wanted.alphas()[0], rtol=1e-6)
        np.testing.assert_allclose(mine.alphas()[1], wanted.alphas()[1], rtol=1e-6)


# ----- weights


def test_weights_start_uniform_and_scaled_by_the_synaptic_time_constant():
    net = make(
        n_classes=20,
        n_channels=30,
        size_hidden_layers=(200, 100),
        time_constants_per_layer=(4, 3),
    )
    for linear, lif in zip(net.layers[::2], lifs(net), strict=True):
        unit = linear.weight * lif.taus()[1] / DT / (6 / linear.in_features) ** 0.5
        assert np.abs(unit).max() == pytest.approx(1, abs=0.02)
        # The moments of the uniform distribution within -1 and 1.
        assert np.mean(unit) == pytest.approx(0, abs=4 * (1 / 3 / unit.size) ** 0.5)
        assert np.mean(unit**2) == pytest.approx(1 / 3, abs=4 * (4 / 45 / unit.size) ** 0.5)


def test_each_layer_draws_its_weights_with_a_key_of_its_own():
    """Layers of several sizes, which are drawn at once."""
    key = jax.random.key(1)
    linears = [layer for layer in make(key=key).layers if isinstance(layer, eqx.nn.Linear)]
    scales = [DT / lif.taus()[1] for lif in lifs(make(key=key, leak="taus"))]
    keys = jax.random.split(key, len(linears))
    for linear, scale, k in zip(linears, scales, keys, strict=True):
        bound = (6 / linear.in_features) ** 0.5
        drawn = jax.random.uniform(k, linear.weight.shape, minval=-bound, maxval=bound)
        np.testing.assert_array_equal(linear.weight, drawn * scale)


def test_few_programs_are_compiled_to_make_a_network():
    """New sizes, whose programs no other test has compiled."""
    compiled = []
    listener = lambda name, _, **__: compiled.append(name)  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        make(size_hidden_layers=(11, 13, 17), time_constants_per_layer=(2, 4, 8))
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)
    assert compiled.count("/jax/core/compile/backend_compile_duration") <= 12


def test_weights_follow_the_key():
    first, again, other = make(), make(), make(key=jax.random.key(1, impl="rbg"))
    for a, b, c in zip(first.layers[::2], again.layers[::2], other.layers[::2], strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
        assert not np.any(a.weight == c.weight)


def test_layers_of_equal_shape_start_with_different_weights():
    net = make(
        n_classes=4, n_channels=4, size_hidden_layers=(4, 4), time_constants_per_layer=(1, 1)
    )
    weights = [np.asarray(layer.weight) for layer in net.layers[::2]]
    assert not np.any(weights[0] == weights[1])
    assert not np.any(weights[1] == weights[2])


# ----- training


@pytest.mark.parametrize("leak", ["taus", "decays", "bitshifts"])
@pytest.mark.parametrize("train_time_constants", [False, True])
@pytest.mark.parametrize("train_threshold", [False, True])
def test_weights_are_trained_and_of_the_hidden_neurons_what_is_asked_for(
    leak, train_time_constants, train_threshold
):
    net = make(
        leak=leak, train_time_constants=train_time_constants, train_threshold=train_threshold
    )
    times = {"taus": "tau", "decays": "alpha", "bitshifts": "dash"}[leak]
    hidden = {f"{times}_mem", f"{times}_syn"} if train_time_constants else set()
    hidden |= {"threshold"} if train_threshold else set()
    assert trained_names(net) == [{"weight"}, hidden, {"weight"}, hidden, {"weight"}, set()]


def test_gradients_reach_every_parameter_that_is_trained_and_no_other(x):
    net = make(train_time_constants=True, train_threshold=True, threshold=0.5)
    grads = eqx.filter_jit(eqx.filter_grad(lambda net: net(x)[0].sum()))(net)
    trained, held = eqx.partition(grads, trainable(net))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(trained))
    held = eqx.filter(held, eqx.is_array)
    assert jax.tree.leaves(held)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(held))


# ----- output and dropout


def test_output_vmem_is_the_potential_of_a_readout_that_never_fires(x):
    net = make(output="vmem")
    y, _, records = record(net, 100 * x)
    assert not np.any(records["layers[5].spikes"])
    np.testing.assert_array_equal(y, records["layers[5].vmem"])
    assert np.abs(y).max() > 1
    np.testing.assert_array_equal(lifs(net)[-1].threshold, np.full(3, 2.0**15 - 1))


def test_dropout_needs_a_key_in_training_and_is_off_in_inference(x, key):
    net = make(p_dropout=0.5)
    with pytest.raises(ValueError, match="`key` is needed by TimeStepDropout"):
        net(x)
    _, _, records = record(net, x, key=key)
    spikes, kept = records["layers[1].output"], records["layers[2].output"]
    assert 0 < kept.sum() < spikes.sum()
    np.testing.assert_array_equal(eqx.nn.inference_mode(net)(x)[0], make()(x)[0])


# ----- errors


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size_hidden_layers": (7,)}, "one entry for each hidden layer.*got 1 and 2"),
        (
            {"size_hidden_layers": (), "time_constants_per_layer": ()},
            r"`size_hidden_layers` must be whole numbers .*, one entry for each .*; got \(\)",
        ),
        ({"tau_syn_base": 1e-3}, "`tau_syn_base` must be above dt"),
        ({"tau_syn_base": 2e-3, "dt": 5e-3}, "`tau_syn_base` must be above dt = 0.005 s"),
        ({"output": "vmem", "threshold_out": 1.0}, "`threshold_out` has no use"),
        ({"output": "potential"}, "`output` must be one of 'spikes', 'vmem'"),
        ({"leak": "tau"}, "`leak` must be one of 'taus', 'decays', 'bitshifts'; got 'tau'"),
        ({"threshold": 0.0}, "`threshold` must be above 0"),
        ({"threshold_out": [1.0, 2.0]}, "`threshold` must be one number or an array of shape"),
        ({"p_dropout": 1.5}, "`p_dropout` must be a probability, from 0 to 1; got 1.5"),
        ({"max_spikes": 0}, "`max_spikes` must be a whole number above 0"),
        ({"n_classes": 0}, "`n_classes` must be a whole number above 0; got 0"),
        ({"n_classes": 10.0}, "`n_classes` must be a whole number above 0; got 10.0"),
        ({"p_dropout": -1}, "`p_dropout` must be a probability, from 0 to 1; got -1"),
        ({"dt": 0}, "`dt` must be above 0; got 0"),
        ({"tau_mem": -1.0}, "`tau_mem` must be above 0; got -1.0"),
        ({"tau_syn_base": None}, "`tau_syn_base` must be above 0; got None"),
        ({"key": 0}, "`key` must be a random key, .*; got 0"),
        ({"size_hidden_layers": 60}, "`size_hidden_layers` must be whole numbers .*; got 60"),
        ({"time_constants_per_layer": 10}, "`time_constants_per_layer` must be .*; got 10"),
        ({"size_hidden_layers": (7.0, 5)}, r"`size_hidden_layers` must be .*; got \(7.0, 5\)"),
        ({"n_channels": 0}, "`n_channels` must be a whole number above 0; got 0"),
        ({"size_hidden_layers": (7, 0)}, r"`size_hidden_layers` must be whole .*; got \(7, 0\)"),
        (
            {"time_constants_per_layer": (3, 0)},
            r"`time_constants_per_layer` must be whole .*; got \(3, 0\)",
        ),
    ],
)
def test_a_bad_argument_is_an_error_that_names_it(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)
