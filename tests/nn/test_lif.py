"""The LIF layer: parameters, state, recording, noise and errors."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, decay, record, trainable
from snnjax.neurons.lif import LIFState
from snnjax.neurons.recurrent import RecurrentState
from snnjax.nn import Bitshifts, Decays, Taus
from snnjax.surrogate import PeriodicExponential, PiecewiseLinear

N, S, STEPS, DT = 3, 2, 30, 1e-3
LEAKS = {"taus": Taus, "decays": Decays, "bitshifts": Bitshifts}
TAU_MEM = np.float32([2e-3, 10e-3, 50e-3])
TAU_SYN = np.float32([[1e-3, 3e-3], [5e-3, 7e-3], [20e-3, 40e-3]])

each_leak = pytest.mark.parametrize("leak", LEAKS)
run = eqx.filter_jit(lambda layer, x, state=None, key=None: layer(x, state, key=key))


def make(**kwargs):
    """A recurrent layer of two synapses, which uses every parameter that there is."""
    defaults = {"synapses": S, "tau_mem": TAU_MEM, "tau_syn": TAU_SYN, "bias": 0.05}
    w_rec = np.random.default_rng(0).normal(0, 0.1, (N, N * S))
    return LIF(N, **{**defaults, "w_rec": w_rec, "threshold": 0.7} | kwargs)


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(1).normal(0.2, 0.5, (STEPS, N, S)), jnp.float32)


def assert_trees_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_trees_close(a, b, atol=1e-5):
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=atol), a, b)


# ----- parameters


@each_leak
def test_leak_says_which_of_the_three_are_the_parameters(leak):
    layer = make(leak=leak)
    assert type(layer.leak) is LEAKS[leak]
    assert {leaf.shape for leaf in jax.tree.leaves(layer.leak)} == {(N,), (N, S)}


@each_leak
def test_all_decays_are_derived_from_the_parameters(leak):
    layer = make(leak=leak, dt=2e-3)
    for values, convert in (
        (layer.taus(), lambda tau, _: tau),
        (layer.alphas(), decay.tau_to_alpha),
        (layer.dashes(), decay.tau_to_dash),
    ):
        np.testing.assert_allclose(values[0], convert(TAU_MEM, 2e-3), rtol=1e-5)
        np.testing.assert_allclose(values[1], convert(TAU_SYN, 2e-3), rtol=1e-5)


@pytest.mark.parametrize("leak", ["decays", "bitshifts"])
def test_every_leak_computes_the_same(leak, x):
    spikes, state = run(make(), x)
    others = run(make(leak=leak), x)
    assert spikes.sum() > N
    np.testing.assert_array_equal(others[0], spikes)
    assert_trees_close(others[1], state, atol=1e-4)


def test_defaults_are_those_of_the_documentation():
    layer = LIF(N)
    np.testing.assert_allclose(layer.taus()[0], np.full(N, 20e-3))
    np.testing.assert_allclose(layer.taus()[1], np.full((N, 1), 20e-3))
    np.testing.assert_array_equal(layer.threshold, np.ones(N))
    np.testing.assert_array_equal(layer.bias, np.zeros(N))
    settings = layer.settings
    assert (layer.dt, settings.max_spikes, settings.output) == (1e-3, 31, "spikes")
    assert (settings.reset, settings.refractory, layer.v_reset) == ("subtract", 0, None)
    assert settings.surrogate == PiecewiseLinear(0.5)
    assert not layer.recurrent


def test_a_synaptic_time_constant_for_each_neuron_may_leave_out_the_axis_of_one_synapse():
    np.testing.assert_array_equal(LIF(N, tau_syn=TAU_MEM).taus()[1], TAU_MEM[:, None])


def test_recurrent_weights_are_drawn_within_their_bound_and_differ_by_key(key):
    layer = LIF(20, synapses=2, recurrent=True, key=key)
    assert layer.w_rec.shape == (20, 40)
    assert 0.9 < np.abs(layer.w_rec).max() / (6 / 20) ** 0.5 <= 1
    assert layer.w_rec.min() < 0
    other = LIF(20, synapses=2, recurrent=True, key=jax.random.key(1))
    assert not np.any(layer.w_rec == other.w_rec)


PARAMETERS = {
    "taus": ("tau_mem", "tau_syn", "threshold", "bias", "w_rec"),
    "decays": ("alpha_mem", "alpha_syn", "threshold", "bias", "w_rec"),
    "bitshifts": ("dash_mem", "dash_syn", "threshold", "bias", "w_rec"),
}


def by_name(layer):
    """The leaves that are parameters, by the names that `frozen` takes."""
    names = ("threshold", "bias", "w_rec")
    return {**vars(layer.leak), **{name: getattr(layer, name) for name in names}}


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("leak", "frozen"),
    [
        ("taus", ()),
        ("taus", ("tau_mem", "bias")),
        ("decays", ("alpha_syn", "w_rec")),
        ("bitshifts", ("dash_mem", "dash_syn", "threshold")),
    ],
)
def test_frozen_parameters_get_no_gradient_and_are_not_trainable(leak, frozen, x):
    layer = make(leak=leak, frozen=frozen)
    grads = eqx.filter_jit(eqx.filter_grad(lambda layer: layer(x)[0].sum()))(layer)
    for name in PARAMETERS[leak]:
        assert bool(jnp.any(by_name(grads)[name])) == (name not in frozen), name
        assert by_name(trainable(layer))[name] == (name not in frozen), name


def test_frozen_parameters_do_not_change_the_output(x):
    assert_trees_equal(run(make(frozen=PARAMETERS["taus"]), x), run(make(), x))


# ----- input, output, state


def test_input_may_be_flat_or_split_into_synapses(x):
    assert_trees_equal(run(make(), x.reshape(STEPS, N * S)), run(make(), x))


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "bool"])
def test_integers_become_floating_point_numbers(dtype):
    counts = np.random.default_rng(0).integers(0, 2, (STEPS, N)).astype(dtype)
    spikes, _ = LIF(N, tau_syn=5e-3)(counts)
    assert spikes.dtype == jnp.float32
    assert spikes.sum() > 0
    np.testing.assert_array_equal(spikes, LIF(N, tau_syn=5e-3)(counts.astype(np.float32))[0])


def test_no_state_is_the_resting_state(x):
    layer = make()
    assert_trees_equal(run(layer, x), run(layer, x, layer.initial_state()))


@pytest.mark.parametrize("cuts", [(10, 20), (1, 29)])
def test_pieces_with_the_state_carried_over_equal_the_whole_exactly(x, cuts):
    layer, state, pieces = make(), None, []
    for piece in jnp.split(x, cuts):
        y, state = run(layer, piece, state)
        pieces.append(y)
    assert_trees_equal((jnp.concatenate(pieces), state), run(layer, x))


def test_single_steps_equal_the_whole_exactly(x):
    layer, state, outputs = make(), None, []
    step = eqx.filter_jit(lambda layer, x, state: layer.step(x, state))
    for x_t in x[:5]:
        y, state = step(layer, x_t, state)
        outputs.append(y)
    assert_trees_equal((jnp.stack(outputs), state), run(layer, x[:5]))


def test_the_layer_keeps_no_state(x):
    layer = make()
    assert_trees_equal(run(layer, x), run(layer, x))


def test_an_empty_sequence_leaves_the_state_as_it_is():
    layer, state = make(), make().step(jnp.ones((N, S)))[1]
    y, after = layer(jnp.zeros((0, N, S)), state)
    assert y.shape == (0, N)
    assert_trees_equal(after, state)


def test_output_vmem_is_the_potential_after_the_reset(x):
    _, _, records = record(make(), x)
    y, state = run(make(output="vmem"), x)
    np.testing.assert_array_equal(y, records["vmem"])
    np.testing.assert_array_equal(y[-1], state.inner.vmem)


def test_record_gives_the_run_and_every_state_over_time(x):
    layer = make()
    y, state, records = eqx.filter_jit(record)(layer, x)
    assert_trees_equal((y, state), run(layer, x))
    shapes = {"vmem": (STEPS, N), "isyn": (STEPS, N, S), "spikes": (STEPS, N), "output": (STEPS, N)}
    assert {name: values.shape for name, values in records.items()} == shapes
    np.testing.assert_array_equal(records["output"], y)
    wanted = LIFState(*(records[name][-1] for name in LIFState._fields))
    assert_trees_equal(RecurrentState(wanted, records["spikes"][-1]), state)


def test_recording_starts_from_the_state_given(x):
    layer = make()
    _, middle = run(layer, x[:10])
    _, _, late = record(layer, x[10:], middle)
    np.testing.assert_array_equal(late["vmem"], record(layer, x)[2]["vmem"][10:])


def test_a_batch_by_vmap_equals_a_loop():
    layer, rng = make(), np.random.default_rng(2)
    batch = jnp.asarray(rng.normal(0.2, 0.5, (3, STEPS, N, S)), jnp.float32)
    y, state = eqx.filter_jit(lambda layer, x: jax.vmap(layer)(x))(layer, batch)
    for i, sequence in enumerate(batch):
        one = run(layer, sequence)
        np.testing.assert_array_equal(y[i], one[0])
        np.testing.assert_allclose(state.inner.vmem[i], one[1].inner.vmem, atol=1e-5)


def test_the_cap_and_the_surrogate_are_those_of_the_layer(x):
    layer = make(max_spikes=2, surrogate=PeriodicExponential(0.3))
    assert run(layer, 20 * x)[0].max() == 2
    grads = [
        jax.grad(lambda x, layer=layer: layer(x)[0].sum())(x)
        for layer in (layer, make(max_spikes=2, surrogate=PeriodicExponential(0.6)))
    ]
    assert np.all(np.isfinite(grads))
    assert np.any(grads[0] != grads[1])


# ----- noise


def test_noise_needs_a_key(x):
    with pytest.raises(ValueError, match=r"`key` is needed: `noise_std` is 0\.5"):
        make(noise_std=0.5)(x)


def test_noise_has_the_standard_deviation_asked_for_per_square_root_of_a_second(key):
    layer = LIF(100, noise_std=3.0, dt=4e-3, tau_mem=1e-6, threshold=1e6, output="vmem")
    y, _ = layer(jnp.zeros((200, 100)), key=key)
    # So short a membrane forgets, so that each of the 20,000 values is one draw.
    assert np.std(y) == pytest.approx(3.0 * 4e-3**0.5, rel=0.03)
    assert np.mean(y) == pytest.approx(0, abs=4 * 3.0 * 4e-3**0.5 / 20_000**0.5)
    assert len(np.unique(y)) > 19_000


def test_noise_is_drawn_anew_with_every_key_and_alike_with_the_same(x, key):
    layer = make(noise_std=1.0)
    first, again = run(layer, x, None, key), run(layer, x, None, key)
    assert_trees_equal(first, again)
    assert np.any(first[1].inner.vmem != run(layer, x, None, jax.random.key(1))[1].inner.vmem)


def test_a_key_changes_nothing_without_noise(x, key):
    assert_trees_equal(run(make(), x, None, key), run(make(), x))


# ----- errors


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("shape", 0, "a whole number above 0, or several such as (channels, height, width); got 0"),
        ("shape", 2.5, "got 2.5"),
        ("shape", "3", "got '3'"),
        ("synapses", 0, "a whole number above 0; got 0"),
        ("max_spikes", -1, "a whole number above 0; got -1"),
        ("dt", 0.0, "above 0; got 0.0"),
        ("dt", float("nan"), "above 0; got nan"),
        ("noise_std", -0.1, "at least 0; got -0.1"),
        ("leak", "tau", "one of 'taus', 'decays', 'bitshifts'; got 'tau'"),
        ("output", "potential", "one of 'spikes', 'vmem'; got 'potential'"),
        ("tau_mem", 0.0, "above 0; got 0.0"),
        ("tau_mem", [1e-3, -1e-3, 1e-3], "above 0; got"),
        ("tau_mem", [1e-3, 1e-3], "one number or an array of shape (3,); got (2,)"),
        ("tau_syn", float("inf"), "finite; got inf"),
        ("tau_syn", np.ones(N), "one number or an array of shape (3, 2); got (3,)"),
        ("threshold", 0.0, "above 0; got 0.0"),
        ("threshold", float("nan"), "finite; got nan"),
        ("threshold", np.ones((N, 1)), "one number or an array of shape (3,); got (3, 1)"),
        ("bias", float("inf"), "finite; got inf"),
        ("bias", np.ones(2), "one number or an array of shape (3,); got (2,)"),
        ("w_rec", np.ones((N, N)), "one number or an array of shape (3, 6); got (3, 3)"),
        ("frozen", ("tau_mem", "tau"), "'tau_mem', 'tau_syn'; got 'tau'"),
        ("frozen", ("alpha_mem",), "got 'alpha_mem'"),
    ],
)
def test_a_bad_argument_is_an_error_that_names_it_and_what_would_do(argument, value, expected):
    with pytest.raises(ValueError, match=f"^`{argument}` must be ") as error:
        LIF(**{"shape": N, "synapses": S, argument: value})
    assert expected in str(error.value)


def test_recurrent_weights_need_a_key_or_values():
    with pytest.raises(ValueError, match="`key` is needed to draw `w_rec`"):
        LIF(N, recurrent=True)


@pytest.mark.parametrize("surrogate", ["PiecewiseLinear", PiecewiseLinear])
def test_a_surrogate_that_is_none_is_an_error(surrogate):
    with pytest.raises(TypeError, match="`surrogate` must be a Surrogate; got"):
        LIF(N, surrogate=surrogate)


@pytest.mark.parametrize("shape", [(STEPS, N), (STEPS, S, N), (STEPS, N, S, 1), (STEPS,), ()])
def test_input_of_a_wrong_shape_is_an_error_that_says_which_are_right(shape):
    with pytest.raises(ValueError, match=r"`x` must have the shape \(time, 6\) or \(time, 3, 2\)"):
        make()(jnp.ones(shape))


def test_parameters_may_be_traced(x):
    # Their values cannot be checked then, and the checks must not get in the way.
    total = jax.grad(lambda threshold: make(threshold=threshold)(x)[0].sum())(jnp.float32(0.7))
    assert np.isfinite(total)
    assert total < 0
