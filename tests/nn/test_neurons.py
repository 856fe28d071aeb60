"""What every layer of neurons does alike: state, recording, recurrence, refractoriness, errors."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import (
    IAF,
    LI,
    Leaky,
    Sequential,
    Synaptic,
    families,
    quant,
    record,
    trainable,
    transforms,
)
from snnjax._tree import leaves_with_path
from snnjax.neurons import (
    Firing,
    adex,
    alif,
    cubalif,
    iaf,
    izhikevich,
    leaky,
    li,
    lif,
    lif_euler,
    plif,
)
from snnjax.surrogate import Atan, PiecewiseLinear

from ..test_scan import plain
from .neurons import ALL, FAMILIES, FIRING, SHAPE, STATES, STEPS, draw

N = math.prod(SHAPE)
RNG = np.random.default_rng(3)
VARIANTS = {
    "plain": {},
    "dense": {"w_rec": RNG.normal(0, 0.1, (N, N)), "refractory": 2},
    "convolutional": {"w_rec": RNG.normal(0, 0.2, (2, 2, 3, 3)), "refractory": 1, "hold": False},
}
each_layer = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
each_firing = pytest.mark.parametrize("make", FIRING.values(), ids=FIRING)
each_variant = pytest.mark.parametrize("variant", VARIANTS)
run = eqx.filter_jit(lambda layer, x, state=None: layer(x, state))


def assert_trees_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


# ----- what they compute


def euler(layer):
    return layer.tau_mem, layer.r, layer.v_leak, layer.threshold


REFERENCES = {
    "LIF": (
        lif,
        lambda m: lif.LIFParams(
            jnp.exp(-1e-3 / m.leak.tau_mem), jnp.exp(-1e-3 / m.leak.tau_syn), m.threshold, m.bias
        ),
        {},
        {},
    ),
    "AdEx": (
        adex,
        lambda m: adex.AdExParams(**{name: getattr(m, name) for name in adex.AdExParams._fields}),
        {"dt": 1e-3},
        {"v_leak": jnp.float32(-70.6)},
    ),
    "Izhikevich": (
        izhikevich,
        lambda m: izhikevich.IzhikevichParams(m.a, m.b, m.d, m.r, m.threshold, m.v_reset),
        {"dt": 1e-3},
        {"b": jnp.float32(0.2)},
    ),
    "IAF": (iaf, lambda m: iaf.IAFParams(m.threshold, m.v_reset, m.min_vmem), {}, {}),
    "ALIF": (
        alif,
        lambda m: alif.ALIFParams(
            jnp.exp(-1e-3 / m.leak.tau_mem),
            jnp.exp(-1e-3 / m.tau_adapt),
            m.adapt_scale,
            m.threshold,
            jnp.exp(-1e-3 / m.leak.tau_syn),
        ),
        {"norm_input": True},
        {"synapse": True},
    ),
    "PLIF": (plif, lambda m: plif.PLIFParams(m.w, m.threshold), {"decay_input": True}, {}),
    "LIFEuler": (
        lif_euler,
        lambda m: lif_euler.LIFEulerParams(*euler(m), m.v_reset),
        {"dt": 1e-3},
        {},
    ),
    "CubaLIF": (
        cubalif,
        lambda m: cubalif.CubaLIFParams(m.tau_mem, m.tau_syn, *euler(m)[1:], m.w_in),
        {"dt": 1e-3},
        {},
    ),
    "Leaky": (leaky, lambda m: leaky.LeakyParams(m.alpha_mem, m.threshold), {}, {}),
    "Synaptic": (
        leaky,
        lambda m: leaky.LeakyParams(m.alpha_mem, m.threshold, m.alpha_syn),
        {"wipe_input": True},
        {"synapse": True},
    ),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", REFERENCES)
def test_a_layer_is_its_kernel_in_a_loop(name):
    kernel, params, settings, start = REFERENCES[name]
    layer, x = FIRING[name](surrogate=Atan(2.0)), draw()
    max_spikes = math.inf if name in ("IAF", "ALIF") else 3 if name == "LIF" else 1
    euler = ("PLIF", "LIFEuler", "CubaLIF", "AdEx", "Izhikevich")
    fire = Firing(Atan(2.0), max_spikes, "zero" if name in euler else "subtract")
    step = functools.partial(kernel.step, params(layer), fire=fire, **settings)
    state, outputs = kernel.init(**{"shape": SHAPE, "dtype": jnp.float32, **start}), []
    for x_t in x[..., None] if name == "LIF" else x:
        state, spikes = step(state, x_t)
        outputs.append(spikes)
    y, after = layer(x)
    assert 0.02 < (np.asarray(y) > 0).mean() < 0.9
    np.testing.assert_array_equal(y, outputs)
    # Compilers contract products and sums as they like, in a loop otherwise than outside of one.
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=3e-6, atol=1e-6), after, state)


def test_a_readout_is_its_kernel_in_a_loop():
    layer = LI(SHAPE, tau_mem=5e-3, tau_syn=2e-3, min_vmem=-0.1, norm_input=True)
    params = li.LIParams(*layer.alphas(), jnp.float32(-0.1))
    state, outputs = li.init(SHAPE, jnp.float32, synapse=True), []
    for x_t in draw():
        state, vmem = li.step(params, state, x_t, norm_input=True)
        outputs.append(vmem)
    y, after = layer(draw())
    np.testing.assert_allclose(y, outputs, atol=1e-6)
    np.testing.assert_array_equal(y[-1], after.vmem)
    assert y.min() == np.float32(-0.1)


# ----- state


@pytest.mark.few(4)
@each_variant
@each_firing
def test_single_steps_equal_the_whole_exactly(make, variant):
    layer, state, outputs = make(**VARIANTS[variant]), None, []
    x = draw()
    step = eqx.filter_jit(lambda layer, x, state: layer.step(x, state))
    for x_t in x:
        y, state = step(layer, x_t, layer.initial_state() if state is None else state)
        outputs.append(y)
    whole, after = run(layer, x)
    assert 0 < (np.asarray(whole) > 0).mean() < 0.9
    np.testing.assert_array_equal(jnp.stack(outputs), whole)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), state, after)


@pytest.mark.few(3)
@each_layer
def test_pieces_with_the_state_carried_over_equal_the_whole(make):
    layer, x = make(), draw()
    first, state = run(layer, x[:5])
    last, after = run(layer, x[5:], state)
    assert_trees_equal((jnp.concatenate([first, last]), after), run(layer, x))


@pytest.mark.few(4)
@each_layer
def test_a_batch_by_vmap_equals_a_loop(make):
    layer, x = make(), draw(3, STEPS, *SHAPE)
    y, state = eqx.filter_jit(lambda layer, x: jax.vmap(layer)(x))(layer, x)
    for i, one in enumerate(x):
        alone, after = run(layer, one)
        np.testing.assert_allclose(y[i], alone, atol=1e-6)
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-5), state, after)


@each_variant
@each_firing
def test_the_resting_state_has_the_structure_of_every_other(make, variant):
    layer = make(**VARIANTS[variant])
    _, after = jax.eval_shape(layer, draw())
    assert jax.eval_shape(layer.initial_state) == after


def test_no_state_is_the_resting_state():
    layer = FIRING["LIFEuler"](refractory=1)
    assert_trees_equal(layer(draw()), layer(draw(), layer.initial_state()))


@each_layer
def test_an_empty_sequence_leaves_the_state_as_it_is(make):
    layer = make()
    _, state = layer(draw())
    y, after = layer(jnp.zeros((0, *SHAPE)), state)
    assert y.shape == (0, *SHAPE)
    assert_trees_equal(after, state)


# ----- recording and output


@pytest.mark.few(7)
@pytest.mark.parametrize("name", ALL)
def test_record_gives_every_state_over_time(name):
    layer = ALL[name]()
    y, state, records = record(layer, draw())
    assert_trees_equal((y, state), layer(draw()))
    fires = {"spikes"} if name in FIRING else set()
    assert set(records) == {*STATES[name], *fires, "output"}
    assert {values.shape[:4] for values in records.values()} == {(STEPS, *SHAPE)}
    for name, values in state._asdict().items():
        if values is not None:
            np.testing.assert_array_equal(records[name][-1], values)
    np.testing.assert_array_equal(records["output"], y)


@pytest.mark.few(4)
@each_firing
def test_states_of_what_is_wrapped_around_a_kernel_are_recorded_by_their_names(make):
    _, state, records = record(make(**VARIANTS["convolutional"], output="vmem"), draw())
    np.testing.assert_array_equal(records["remaining"][-1], state.inner.remaining)
    np.testing.assert_array_equal(records["vmem"][-1], state.inner.inner.vmem)
    np.testing.assert_array_equal(records["spikes"][-1], state.output)
    np.testing.assert_array_equal(records["output"], records["vmem"])


@pytest.mark.few(5)
@each_firing
def test_output_vmem_is_the_potential_after_the_reset(make):
    y, state = make(output="vmem")(draw())
    np.testing.assert_array_equal(y, record(make(), draw())[2]["vmem"])
    np.testing.assert_array_equal(y[-1], state.vmem)


# ----- recurrence and refractoriness


def test_dense_recurrent_weights_go_from_source_to_target_with_a_step_of_delay():
    w_rec = np.zeros((3, 3))
    w_rec[0, 2] = 0.75
    x = jnp.zeros((4, 3)).at[0, 0].set(1.5)
    spikes, _, records = record(IAF(3, w_rec=w_rec, max_spikes=1), x)
    np.testing.assert_array_equal(spikes[:, 0], [1, 0, 0, 0])
    np.testing.assert_array_equal(records["vmem"][:, 2], [0, 0.75, 0.75, 0.75])
    assert not np.any(records["vmem"][:, 1])


def test_convolutional_recurrent_weights_reach_the_neighbours():
    kernel = np.zeros((2, 2, 3, 3))
    kernel[1, 0, 1, 0] = 0.5  # from channel 0 to channel 1, one place to the right
    x = jnp.zeros((3, 2, 3, 4)).at[0, 0, 1, 1].set(1.0)
    _, _, records = record(IAF(SHAPE, w_rec=kernel), x)
    wanted = np.zeros(SHAPE)
    wanted[1, 1, 2] = 0.5
    np.testing.assert_array_equal(records["vmem"][2], wanted)


@pytest.mark.parametrize(
    ("shape", "wanted"), [(5, (5, 5)), ((2, 7), (2, 2, 3)), (SHAPE, (2, 2, 3, 3))]
)
def test_drawn_recurrent_weights_fit_the_shape_and_their_bound(shape, wanted, key):
    layer = IAF(shape, recurrent=True, key=key)
    assert layer.w_rec.shape == wanted
    bound = (6 / math.prod(wanted[1:])) ** 0.5
    assert 0.7 * bound < np.abs(layer.w_rec).max() <= bound
    assert families(layer)["w_rec"] == "weights"
    assert np.any(layer.w_rec != IAF(shape, recurrent=True, key=jax.random.key(1)).w_rec)


@pytest.mark.few(5)
@each_firing
@pytest.mark.parametrize("hold", [True, False])
def test_neurons_do_not_fire_for_as_many_steps_as_the_refractory_period_lasts(make, hold):
    spikes, _ = make(refractory=3, hold=hold)(5 * jnp.ones((STEPS, *SHAPE)))
    fired = np.asarray(spikes.reshape(STEPS, -1)) > 0
    assert fired.sum(0).min() >= 2
    for neuron in fired.T:
        assert np.diff(np.flatnonzero(neuron)).min() == 4


@pytest.mark.few(4)
@pytest.mark.parametrize("settings", [{}, {"reset": "zero"}, {"w_rec": np.zeros((N, N))}], ids=str)
@pytest.mark.parametrize("name", ["Leaky", "Synaptic"])
def test_a_delayed_reset_comes_in_the_refractory_period_too(name, settings):
    # What is left over from a pulse that makes each neuron fire once is too little for a second.
    x = jnp.zeros((STEPS, *SHAPE)).at[0].set(1.5)
    spikes, _, records = record(FIRING[name](alpha_mem=0.9, refractory=2, **settings), x)
    np.testing.assert_array_equal(spikes.sum(0), np.ones(SHAPE))
    held = 0.5 if "reset" not in settings else 0.0
    np.testing.assert_array_equal(records["vmem"][1:3], np.full((2, *SHAPE), held))


@pytest.mark.few(1)
@pytest.mark.parametrize(("name", "variant"), [("IAF", "convolutional"), ("ALIF", "dense")])
def test_the_gradients_of_a_batch_are_those_of_jax_alone(name, variant, monkeypatch):
    layer = FIRING[name](**VARIANTS[variant], frozen=())
    x, weights = draw(3, STEPS, *SHAPE), draw(3, STEPS, *SHAPE, seed=1)

    def gradients():
        run = eqx.filter_jit(
            eqx.filter_grad(lambda both: (jax.vmap(both[0])(both[1])[0] * weights).sum())
        )
        return jax.tree.leaves(run((layer, x)))

    found = gradients()
    monkeypatch.setattr("snnjax.nn._neuron.scan", plain)
    for a, b in zip(found, gradients(), strict=True):
        assert np.any(b)
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


# ----- parameters


@pytest.mark.parametrize("name", FAMILIES)
def test_families(name):
    assert families(ALL[name]()) == FAMILIES[name]


def test_a_number_is_one_parameter_and_an_array_one_for_each_channel_or_neuron():
    shapes = {(): 0.5, (2, 1, 1): [0.5, 0.6], SHAPE: np.ones(SHAPE)}
    for shape, value in shapes.items():
        assert IAF(SHAPE, threshold=value).threshold.shape == shape
    assert IAF(3, threshold=[1, 2, 3]).threshold.shape == (3,)
    per_channel = IAF(SHAPE, threshold=[0.5, 2.0])(draw())[0]
    same = IAF(SHAPE, threshold=np.broadcast_to([[[0.5]], [[2.0]]], SHAPE))(draw())[0]
    np.testing.assert_array_equal(per_channel, same)


def trained(layer):
    return {path for path, flag in leaves_with_path(trainable(layer)) if flag}


@pytest.mark.few(1)
@each_layer
def test_frozen_parameters_get_no_gradient_and_the_others_do(make):
    layer = make()
    free = trained(layer)

    def total(layer):
        y, state = layer(draw())
        return (y**2).sum() + (state.vmem**2).sum()

    for frozen in ((), tuple(name.rpartition(".")[2] for name in sorted(free)[:1])):
        layer = make() if not frozen else make(frozen=(*make().frozen, *frozen))
        grads = dict(leaves_with_path(eqx.filter_grad(total)(layer)))
        moved = {path for path, g in grads.items() if np.any(np.asarray(g) != 0)}
        assert moved == trained(layer) == {p for p in free if p.rpartition(".")[2] not in frozen}


def test_the_settings_that_are_not_trained_by_default_can_be():
    assert trained(FIRING["LIFEuler"]()) == {"tau_mem", "threshold"}
    assert trained(FIRING["LIFEuler"](frozen=())) == {
        "tau_mem",
        "threshold",
        "r",
        "v_leak",
        "v_reset",
    }
    assert trained(FIRING["PLIF"]()) == {"w"}
    assert trained(FIRING["Leaky"]()) == set()
    assert trained(FIRING["Synaptic"](frozen=("threshold",))) == {"alpha_mem", "alpha_syn"}


@pytest.mark.parametrize("leak", ["decays", "bitshifts"])
@pytest.mark.parametrize("name", ["LI", "ALIF"])
def test_every_leak_computes_the_same(name, leak):
    y, _ = ALL[name]()(draw())
    layer = ALL[name](leak=leak)
    np.testing.assert_allclose(layer(draw())[0], y, atol=1e-5)
    assert {"decays", "bitshifts"} & set(families(layer).values()) == {leak}


def test_transforms_reach_states_and_are_told_the_threshold_of_each_neuron():
    model = Sequential(FIRING["CubaLIF"](threshold=[0.4, 0.8]))
    plan = transforms.plan(model, states={"CubaLIF.vmem": quant.StateQuant(2)})
    _, _, records = record(transforms.apply(plan, model), draw())
    vmem, spikes = records["layers[0].vmem"], records["layers[0].spikes"]
    quiet = np.asarray(spikes) == 0
    for channel, level in enumerate((0.4, 0.8)):
        found = np.asarray(vmem)[:, channel][quiet[:, channel]] / level
        distance = np.abs(found[:, None] - quant.state_levels(2)).min(-1)
        assert distance.max() < 1e-5
        assert len(np.unique(np.round(found, 3))) > 1


# ----- errors


@pytest.mark.few(22)
@pytest.mark.parametrize(
    ("make", "argument", "value", "expected"),
    [
        (IAF, "shape", 0, "a whole number above 0, or several"),
        (IAF, "shape", (2, 0), "got (2, 0)"),
        (IAF, "shape", (), "got ()"),
        (IAF, "threshold", 0.0, "above 0; got 0.0"),
        (IAF, "threshold", [1.0, 1.0, 1.0], "one number or an array of shape (2,) or (2, 3, 4)"),
        (IAF, "min_vmem", math.nan, "finite; got nan"),
        (IAF, "max_spikes", 0, "a whole number above 0; got 0"),
        (IAF, "reset", "hard", "one of 'subtract', 'zero', 'none'; got 'hard'"),
        (IAF, "output", "isyn", "one of 'spikes', 'vmem'; got 'isyn'"),
        (IAF, "refractory", -1, "a whole number of steps, at least 0; got -1"),
        (IAF, "frozen", ("tau_mem",), "one of "),
        (IAF, "w_rec", np.ones((3, 3)), "an array of shape (24, 24); got (3, 3)"),
        (IAF, "w_rec", np.ones((2, 3, 3, 3)), "an array of shape (2, 2, 3, 3); got (2, 3, 3, 3)"),
        (FIRING["ALIF"], "tau_mem", 0.0, "above 0; got 0.0"),
        (FIRING["ALIF"], "tau_adapt", -1.0, "above 0; got -1.0"),
        (FIRING["ALIF"], "dt", 0.0, "above 0; got 0.0"),
        (FIRING["ALIF"], "leak", "tau", "one of 'taus', 'decays', 'bitshifts'; got 'tau'"),
        (FIRING["PLIF"], "tau", 1.0, "above 1; got 1.0"),
        (FIRING["CubaLIF"], "tau_syn", math.inf, "finite; got inf"),
        (FIRING["LIFEuler"], "r", math.nan, "finite; got nan"),
        (FIRING["Leaky"], "alpha_mem", 0.0, "above 0; got 0.0"),
        (FIRING["Leaky"], "alpha_mem", 1.5, "at most 1; got 1.5"),
        (FIRING["Synaptic"], "alpha_syn", [0.5, 1.5], "at most 1; got [0.5, 1.5]"),
        (ALL["LI"], "tau_syn", 0.0, "above 0; got 0.0"),
        (ALL["LI"], "frozen", ("threshold",), "got 'threshold'"),
    ],
)
def test_a_bad_argument_is_an_error_that_names_it_and_what_would_do(
    make, argument, value, expected
):
    arguments = {argument: value} if make is not IAF else {"shape": SHAPE, argument: value}
    with pytest.raises(ValueError, match=f"^`{argument}` must be ") as error:
        make(**arguments)
    assert expected in str(error.value)


def test_an_argument_that_there_is_not_is_an_error_that_names_it():
    with pytest.raises(TypeError, match="'treshold'"):
        IAF(3, treshold=0.5)


def test_a_reset_potential_that_nothing_resets_to_is_an_error():
    with pytest.raises(ValueError, match="`v_reset` has no use where `reset` is 'subtract'"):
        Leaky(3, 0.5, v_reset=0.1)


def test_recurrent_weights_need_a_key_or_values():
    with pytest.raises(ValueError, match="`key` is needed to draw `w_rec`"):
        Synaptic(3, 0.5, 0.5, recurrent=True)


@pytest.mark.parametrize("surrogate", ["Atan", PiecewiseLinear])
def test_a_surrogate_that_is_none_is_an_error(surrogate):
    with pytest.raises(TypeError, match="`surrogate` must be a Surrogate; got"):
        IAF(3, surrogate=surrogate)


@each_layer
def test_input_of_a_wrong_shape_is_an_error_that_says_which_is_right(make):
    with pytest.raises(
        ValueError, match=r"`x` must have the shape \(time, 2, 3, 4\).*; got \(12, 24\)"
    ):
        make()(jnp.ones((12, 24)))


class Noise(quant.Transform):
    def __call__(self, x, *, key=None, threshold=None):
        return x + jax.random.normal(key, x.shape, x.dtype)


@pytest.mark.slow
def test_each_state_of_a_neuron_has_noise_of_its_own(key):
    # A layer that forgets at once: its states are the noise, and the current drives the membrane.
    model = Sequential(LI(400, tau_mem=1e-6, tau_syn=1e-6))
    noisy = transforms.apply(transforms.plan(model, states={"LI.*": Noise()}), model)
    _, _, records = record(noisy, jnp.zeros((5, 400)), key=key)
    isyn = np.asarray(records["layers[0].isyn"])
    vmem = np.asarray(records["layers[0].vmem"]) - isyn
    assert 0.9 < isyn.std() < 1.1
    assert abs(np.corrcoef(isyn.ravel(), vmem.ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(isyn[0], isyn[1])[0, 1]) < 0.2
