"""The gradient of the emulation is the derivative of the smooth network that it stands for."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Sequential, decay
from snnjax.hardware import xylo
from snnjax.hardware.xylo import _arithmetic, _course, _gradient
from snnjax.surrogate import Atan

FINE = dataclasses.replace(xylo.XYLO_AUDIO_3, weight_bits=16, state_bits=24)
STEPS, BATCH, SOURCES, NEURONS = 12, 2, 3, 5


def population(rng, chip, synapses, recurrent):
    """A population in real numbers, whose arguments all have a gradient."""

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape))

    def by_synapse(x):
        return tuple(x[..., i, :] for i in range(synapses))

    targets = synapses, NEURONS
    parameters = _course.Parameters(
        feed=by_synapse(normal(SOURCES, *targets)),
        loop=by_synapse(0.3 * normal(NEURONS, *targets)) if recurrent else None,
        part_syn=by_synapse(jnp.asarray(rng.uniform(0.1, 0.5, targets))),
        part_mem=jnp.asarray(rng.uniform(0.1, 0.5, NEURONS)),
        threshold=jnp.asarray(rng.uniform(1, 2, NEURONS)),
        bias=2 * normal(NEURONS) if chip.has_bias else None,
    )
    counts = jnp.asarray(rng.poisson(1, (STEPS, BATCH, SOURCES)), float)
    handed = jnp.asarray(rng.poisson(0.3, (STEPS, BATCH, NEURONS)), float)
    start = _course.States(
        by_synapse(normal(BATCH, *targets)), normal(BATCH, NEURONS), jnp.abs(normal(BATCH, NEURONS))
    )
    spiking = _course.Spiking(chip, 31, Atan(jnp.asarray(0.7)), jnp.full(NEURONS, 3.0))
    return parameters, _course.Inputs(counts, handed, start), spiking


@pytest.fixture
def relaxed(monkeypatch):
    """Shifts that round nothing, and spikes that are the surrogate's smooth stand-in."""

    def relaxing(function, of):
        def call(*args, **settings):
            spiking = of(args)

            def fire(vmem, threshold, most):
                return spiking.surrogate.relaxation(
                    vmem / spiking.scale, threshold / spiking.scale, most
                )

            _course.fire = fire
            return function(*args, **settings)

        return call

    monkeypatch.setattr(_course, "fire", _course.fire)  # so that it is set back
    for module in (_course, _gradient):
        monkeypatch.setattr(module, "moment", relaxing(_course.moment, lambda args: args[1]))
    for module in (_arithmetic, _course):
        monkeypatch.setattr(module, "loss_of", lambda x, part: x * part)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chip", "synapses", "recurrent", "state_bits"),
    [("xylo1", 1, True, 16), ("audio3", 2, True, 16), ("audio3", 2, False, 5)],
    ids=["core 1", "core 2", "core 2, where membranes saturate"],
)
def test_it_equals_finite_differences_of_the_relaxation(
    relaxed, chip, synapses, recurrent, state_bits
):
    chip = dataclasses.replace(xylo.CHIPS[chip], state_bits=state_bits, weight_bits=2)
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        arguments = population(rng, chip, synapses, recurrent)
        cotangent = jnp.asarray(rng.normal(size=(3, STEPS, BATCH, NEURONS)))
        trained, held = eqx.partition(arguments, eqx.is_inexact_array)

        def loss(trained):
            states = _gradient.run(eqx.combine(trained, held))
            currents = sum(states.isyn)
            seen = jnp.stack([currents, states.vmem, states.spikes])
            return jnp.sum(seen * cotangent), states

        (_, states), gradient = eqx.filter_jit(jax.value_and_grad(loss, has_aux=True))(trained)
        values = jax.jit(lambda trained: loss(trained)[0])
        assert (jnp.abs(states.vmem) > 0.9 * chip.max_state).any() == (state_bits == 5)
        rows = jax.tree_util.tree_leaves_with_path(trained)
        for i, (path, leaf) in enumerate(rows):
            if getattr(path[-1], "name", "") == "scale":
                continue  # held
            towards, step = jnp.asarray(rng.normal(size=leaf.shape)), 1e-6

            def moved(sign, i=i, towards=towards, step=step):
                leaves, tree = jax.tree.flatten(trained)
                leaves[i] = leaves[i] + sign * step * towards
                return values(jax.tree.unflatten(tree, leaves))

            expected = (moved(1) - moved(-1)) / (2 * step)
            found = jnp.sum(jax.tree.leaves(gradient)[i] * towards)
            np.testing.assert_allclose(
                found, expected, rtol=1e-5, err_msg=jax.tree_util.keystr(path)
            )
            unused = getattr(path[-1], "name", "") == "spikes" and not recurrent
            assert (found == 0) if unused else abs(found) > 1e-3, path


@pytest.mark.few(1)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_current_at_an_end_of_its_range_passes_no_gradient_on(sign):
    """At +32767 as at -32768 the current no longer follows its weights."""
    chip = xylo.XYLO_AUDIO_3
    ones = jnp.ones(1)
    parameters = _course.Parameters(
        feed=(jnp.full((1, 1), sign * 127.0),),
        loop=None,
        part_syn=(jnp.full(1, 2.0**-15),),
        part_mem=ones / 2,
        threshold=32767 * ones,
        bias=None,
    )
    none = jnp.zeros((1, 1))
    rest = _course.States((none,), none, none)
    spiking = _course.Spiking(chip, 31, Atan(), ones)

    def last_and_gradient(steps):
        @jax.jit
        @jax.value_and_grad
        def last(feed):
            inputs = _course.Inputs(jnp.full((steps, 1, 1), 15.0), None, rest)
            run = _gradient.run((parameters._replace(feed=feed), inputs, spiking))
            return run.isyn[0][-1].sum()

        return [leaf.item() for leaf in jax.tree.leaves(last(parameters.feed))]

    current, gradient = last_and_gradient(40)
    assert abs(current) >= 32766
    assert gradient == 0
    _, gradient = last_and_gradient(10)
    assert gradient == pytest.approx(150, rel=1e-2)


def learning_all(dashes=(1, 4), seed=0):
    """A network that learns time constants, thresholds, biases and the slope of its surrogates."""
    rng = np.random.default_rng(seed)

    def linear(n_in, n_out):
        layer = eqx.nn.Linear(n_in, n_out, use_bias=False, key=jax.random.key(seed))
        return eqx.tree_at(lambda m: m.weight, layer, 2 * layer.weight)

    def neurons(n, synapses=1, **settings):
        # Whole dashes, so that the decays of the float network are those of the chip.
        return LIF(
            n,
            synapses=synapses,
            tau_mem=decay.dash_to_tau(rng.integers(*dashes, n), 1e-3),
            tau_syn=decay.dash_to_tau(rng.integers(*dashes, (n, synapses)), 1e-3),
            bias=0.1 * rng.normal(size=n),
            surrogate=Atan(jnp.asarray(1.0)),
            **settings,
        )

    return Sequential(
        linear(6, 16), neurons(8, 2, max_spikes=31), linear(8, 4), neurons(4, max_spikes=1)
    )


def raster(mean, channels, batch=6, steps=40):
    drawn = np.random.default_rng(7).poisson(mean, (batch, steps, channels))
    return jnp.asarray(drawn, jnp.float32)


@pytest.mark.slow
def test_every_parameter_has_the_gradient_of_the_float_network_where_the_integers_are_fine():
    model, x = learning_all(), raster(0.7, 6)
    late = xylo.latency(model)
    padded = jnp.pad(x, ((0, 0), (0, late), (0, 0)))

    def in_float(model):
        return jnp.square(jax.vmap(model)(x)[0].sum(1) - 8).mean()

    def on_chip(model):
        spikes = xylo.emulate(model, chip=FINE)(padded).spikes_out[:, late:]
        return jnp.square(spikes.sum(1) - 8).mean()

    expected, found = (eqx.filter_jit(eqx.filter_grad(loss))(model) for loss in (in_float, on_chip))
    names = set()
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(expected), jax.tree.leaves(found), strict=True
    ):
        name = jax.tree_util.keystr(path)
        a, b = np.ravel(a), np.ravel(b)
        assert a.any(), name
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert cosine > 0.98, name
        assert np.linalg.norm(b) == pytest.approx(np.linalg.norm(a), rel=0.1), name
        names.add(path[-1].name)
    assert names == {"weight", "tau_mem", "tau_syn", "threshold", "bias", "slope"}


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(0, 12, 6), (2, 0, 6)])
def test_no_sequences_or_no_steps_give_no_spikes_and_no_gradient(shape):
    model = learning_all((5, 7))

    @eqx.filter_jit
    @eqx.filter_value_and_grad(has_aux=True)
    def run(model):
        emulation = xylo.emulate(model)(np.zeros(shape))
        return emulation.spikes_out.sum(), emulation

    (_, emulation), grad = run(model)
    spec = xylo.quantize(xylo.map_network(model))
    trace = xylo.simulate(spec, np.zeros(shape, int))
    for a, b in zip(emulation[:-1], trace[:-2], strict=True):
        assert a.shape == b.shape
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(emulation.state))
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(grad))


@pytest.mark.slow
def test_a_batch_is_what_vmap_makes_of_its_sequences():
    """Sequences that saturate beside sequences that do not, in values and gradients."""
    model, x = learning_all((5, 7)), raster(0.5, 6, 4, 20).at[0].set(15)

    def batched(model):
        emulation = xylo.emulate(model)(x)
        return emulation.spikes_out.sum() + emulation.vmem.mean(), emulation

    def mapped(model):
        one = jax.vmap(lambda x: xylo.emulate(model)(x[None]))(x)
        emulation = jax.tree.map(lambda y: y[:, 0], one)
        return emulation.spikes_out.sum() + emulation.vmem.mean(), emulation

    (a, grad_a), (b, grad_b) = (
        eqx.filter_jit(eqx.filter_value_and_grad(f, has_aux=True))(model) for f in (batched, mapped)
    )
    assert (jnp.abs(a[1].isyn) > 30_000).any((1, 2, 3)).tolist() == [True, False, False, False]
    jax.tree.map(np.testing.assert_array_equal, a[1], b[1])
    jax.tree.map(
        lambda g, h: np.testing.assert_allclose(g, h, rtol=1e-3, atol=1e-4), grad_a, grad_b
    )
