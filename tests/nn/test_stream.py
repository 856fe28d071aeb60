"""Streaming: step by step, in pieces, and the whole sequence give the same."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import (
    ALIF,
    DSRIF,
    DSRLIF,
    IAF,
    LI,
    LIF,
    PLIF,
    Concatenate,
    CubaLIF,
    Leaky,
    LIFEuler,
    Parallel,
    Recurrent,
    Residual,
    Sequential,
    Synaptic,
    SynNet,
    families,
    record,
    run_chunked,
)
from snnjax._tree import map_with_path
from snnjax.nn import Flatten, SumPool2d, TimeStepDropout, run_batch, statistics

run = eqx.filter_jit(lambda model, x, state=None: model(x, state))


def on_grid(model, lift=0.0, step=2.0**-6):
    """The model with its weights moved up by `lift` and rounded to multiples of `step`.

    Then every product of weights with spikes is exact in float32, in whatever order its terms are
    summed. Otherwise the product of one time step and that of many differ in their last digits, and
    a potential that is just as close to its threshold decides otherwise.
    """
    family = families(model)

    def rounded(path, leaf):
        return jnp.round((leaf + lift) / step) * step if family.get(path) == "weights" else leaf

    return map_with_path(rounded, model)


def dense():
    keys = jax.random.split(jax.random.key(0), 4)
    model = Sequential(
        eqx.nn.Linear(20, 30, key=keys[0]),
        LIF(30, threshold=0.25, tau_syn=2e-3),
        Residual(eqx.nn.Linear(30, 30, key=keys[1]), Leaky(30, 0.5, threshold=0.5)),
        Parallel(
            Sequential(eqx.nn.Linear(30, 10, key=keys[2]), IAF(10)),
            Recurrent(
                Sequential(eqx.nn.Linear(30, 10, key=keys[3]), IAF(10, min_vmem=-1.0)),
                eqx.nn.Linear(10, 30, key=keys[0]),
            ),
        ),
        Concatenate(LI(10), IAF(10, threshold=2.0)),
    )
    x = jnp.asarray(np.random.default_rng(0).poisson(0.3, (40, 20)), jnp.float32)
    return on_grid(model), x


def convolutional():
    keys = jax.random.split(jax.random.key(0), 3)
    model = Sequential(
        eqx.nn.Conv2d(2, 4, 3, key=keys[0]),
        IAF((4, 8, 8), threshold=0.5, min_vmem=-1.0),
        SumPool2d(2),
        eqx.nn.Conv2d(4, 6, 3, padding=1, key=keys[1]),
        IAF((6, 4, 4), w_rec=0.125 * np.ones((6, 6, 1, 1)), max_spikes=2),
        Flatten(),
        eqx.nn.Linear(96, 5, key=keys[2]),
        Leaky(5, 0.5, threshold=6.0, reset_delay=False),
    )
    x = jnp.asarray(np.random.default_rng(1).poisson(0.4, (30, 2, 10, 10)), jnp.float32)
    return on_grid(model, 0.02), x


def synnet():
    model = SynNet(4, 6, (20, 20), (2, 2), max_spikes_out=3, key=jax.random.key(1))
    x = jnp.asarray(np.random.default_rng(2).poisson(0.8, (40, 6)), jnp.float32)
    return on_grid(model, 0.125), x


def of_every_other_neuron():
    keys = jax.random.split(jax.random.key(0), 7)
    model = Sequential(
        eqx.nn.Conv2d(2, 4, 3, key=keys[0]),
        DSRIF((4, 8, 8), threshold=0.5),
        SumPool2d(4),
        Flatten(),
        eqx.nn.Linear(16, 24, key=keys[1]),
        ALIF(24, tau_mem=5e-3, tau_syn=2e-3, threshold=0.1),
        eqx.nn.Linear(24, 24, key=keys[2]),
        PLIF(24, threshold=0.3),
        eqx.nn.Linear(24, 24, key=keys[3]),
        CubaLIF(24, tau_mem=3e-3, tau_syn=2e-3, threshold=0.05, r=2.0),
        eqx.nn.Linear(24, 24, key=keys[4]),
        LIFEuler(24, tau_mem=3e-3, threshold=0.1),
        eqx.nn.Linear(24, 24, key=keys[5]),
        Synaptic(24, 0.5, 0.5, threshold=0.3, refractory=1),
        eqx.nn.Linear(24, 4, key=keys[6]),
        DSRLIF(4, threshold=0.1, dt=0.3),
        LI(4),
    )
    x = jnp.asarray(np.random.default_rng(3).poisson(0.4, (30, 2, 10, 10)), jnp.float32)
    return on_grid(model, 0.02), x


NETWORKS = {"dense": dense, "convolutional": convolutional, "SynNet": synnet}


@pytest.fixture(scope="module", params=NETWORKS)
def example(request):
    model, x = NETWORKS[request.param]()
    return model, x, run(model, x)


def assert_trees_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.few(1)
def test_the_examples_spike(example):
    y = np.asarray(example[2][0])
    assert 0.05 < (y > 0).mean() < 0.95
    assert len(np.unique(y.sum(0))) > 2


def step_by_step(model, x, state):
    outputs, step = [], eqx.filter_jit(lambda model, x, state: model.step(x, state))
    for x_t in x:
        y, state = step(model, x_t, state)
        outputs.append(y)
    return jnp.stack(outputs), state


@pytest.mark.few(1)
def test_step_by_step_gives_the_outputs_of_the_whole_call(example):
    model, x, whole = example
    spikes, state = step_by_step(model, x, model.initial_state())
    np.testing.assert_array_equal(spikes, whole[0])
    # The product of one step may round otherwise than that of the sequence, as in jaxlib 0.12.
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(whole[1]), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=2e-6)


@pytest.mark.slow
def test_a_network_of_every_other_neuron_streams():
    model, x = of_every_other_neuron()
    y, state, records = eqx.filter_jit(record)(model, x)
    rates = [v.mean() for name, v in records.items() if name.endswith(".spikes")]
    assert len(rates) == 7
    assert 0.02 < min(rates) <= max(rates) < 0.8
    stepped, after = step_by_step(model, x, model.initial_state())
    np.testing.assert_array_equal(stepped, y)
    # Compilers contract products and sums as they like, in a loop otherwise than outside of one.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), after, state)


@pytest.mark.slow
def test_a_trained_network_with_normalisation_and_dropout_streams(key):
    model = Sequential(
        eqx.nn.Conv1d(2, 4, 3, key=key),
        eqx.nn.BatchNorm(4, axis_name=("time", "batch"), mode="batch", momentum=0.5),
        IAF((4, 6), threshold=0.5, min_vmem=-1.0),
        TimeStepDropout(0.5),
        eqx.nn.AvgPool1d(2, 2),
        Flatten(),
    )
    x = jnp.asarray(np.random.default_rng(4).poisson(0.4, (20, 2, 8)), jnp.float32)
    model = on_grid(model)
    _, trained = run_batch(model, x[None], key=key)
    model, state = eqx.nn.inference_mode(model), statistics(trained)
    y, after = run(model, x, state)
    assert 0.05 < y.mean() < 1
    for outputs, last in (
        step_by_step(model, x, state),
        # Where the state has None, a neuron begins at rest.
        eqx.filter_jit(lambda model, x, state: run_chunked(model, x, state, chunk=6))(
            model, x, state
        ),
    ):
        np.testing.assert_array_equal(outputs, y)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), last, after)


@pytest.mark.few(1)
@pytest.mark.parametrize("chunk", [1, 7, 10, 100])
def test_pieces_give_exactly_the_outputs_of_the_whole_call(example, chunk):
    model, x, whole = example
    chunked = eqx.filter_jit(lambda model, x: run_chunked(model, x, chunk=chunk))
    assert_trees_equal(chunked(model, x), whole)


@pytest.mark.slow
def test_chunks_go_on_from_a_state(example):
    model, x, whole = example
    first, state = run(model, x[:11])
    last, after = run_chunked(model, x[11:], state, chunk=5)
    assert_trees_equal((jnp.concatenate([first, last]), after), whole)


def test_off_the_grid_the_currents_agree_to_their_last_digits(key):
    linear = eqx.nn.Linear(300, 100, key=key)
    x = jax.random.normal(key, (50, 300))
    whole, _ = run(Sequential(linear), x)
    single = jnp.stack([run(Sequential(linear), x_t[None])[0][0] for x_t in x])
    np.testing.assert_allclose(single, whole, atol=1e-5)


# ----- gradients and memory of pieces


def loss(model, x, chunk, remat):
    y, _ = run_chunked(model, x, chunk=chunk, remat=remat)
    return (y**2).mean()


def smooth(neurons, key):
    """A network whose output is a smooth function, so that gradients do not hang on rounding."""
    return Sequential(
        eqx.nn.Linear(3, neurons, key=key), LI(neurons), eqx.nn.Lambda(jnp.tanh), LI(neurons)
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("remat", [True, False])
@pytest.mark.parametrize("chunk", [None, 10])
def test_gradients_of_pieces_are_those_of_the_whole(remat, chunk, key):
    model, x = smooth(4, key), jax.random.normal(key, (24, 3))
    grads = eqx.filter_grad(loss)(model, x, chunk, remat)
    wanted = eqx.filter_grad(lambda model: (model(x)[0] ** 2).mean())(model)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_rematerialisation_holds_the_states_between_pieces_only(key):
    model, x = smooth(64, key), jnp.ones((1024, 3))
    arrays, static = eqx.partition(model, eqx.is_inexact_array)

    def bytes_of(chunk, remat):
        f = jax.grad(lambda a: loss(eqx.combine(a, static), x, chunk, remat))
        return jax.jit(f).lower(arrays).compile().memory_analysis().temp_size_in_bytes

    whole = bytes_of(1024, False)
    chosen = bytes_of(None, True)  # pieces of 32 steps
    assert chosen < 0.3 * whole
    assert chosen < bytes_of(32, False)


# ----- randomness and errors


def test_every_piece_draws_anew(key):
    model = Sequential(TimeStepDropout(0.5))
    y, _ = run_chunked(model, jnp.ones((23, 40)), chunk=5, key=key)
    assert len(np.unique(y, axis=0)) == 23
    assert 0.4 < y.mean() < 0.6


@pytest.mark.few(2)
@pytest.mark.parametrize("chunk", [0, -1, 2.5])
def test_a_chunk_that_is_no_number_of_steps_is_an_error(chunk):
    with pytest.raises(ValueError, match="`chunk` must be a whole number above 0; got"):
        run_chunked(IAF(3), jnp.ones((5, 3)), chunk=chunk)
