"""200 networks, as drawn and after some descent: emulation, simulator and vendor's simulator agree.

A structure is compiled once; what is drawn are its parameters and its input, from sparse input and
small weights to where most states saturate.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Residual, Sequential
from snnjax.hardware import xylo
from snnjax.surrogate import Atan, PeriodicExponential

from .reference import assert_emulates, evolve

STEPS, BATCH, DRAWS = 20, 2, 25
GAINS, MEANS = (1, 3, 10, 30), (0.2, 1.0, 4.0, 12.0)


def linear(rng, n_in, n_out, gain):
    layer = eqx.nn.Linear(n_in, n_out, use_bias=False, key=jax.random.key(0))
    bound = gain / n_in**0.5
    weight = jnp.asarray(rng.uniform(-bound, bound, (n_out, n_in)), jnp.float32)
    return eqx.tree_at(lambda m: m.weight, layer, weight)


def neurons(rng, n, synapses=1, *, recurrent=False, biases=False, **settings):
    settings.setdefault("max_spikes", 31)
    return LIF(
        n,
        synapses=synapses,
        tau_mem=rng.uniform(1e-3, 20e-3, n),
        tau_syn=rng.uniform(1e-3, 30e-3, (n, synapses)),
        threshold=rng.uniform(0.5, 2, n),
        bias=0.3 * rng.normal(size=n) if biases else None,
        w_rec=rng.normal(size=(n, n * synapses)) / n if recurrent else None,
        **settings,
    )


def two_synapses_recurrent_and_skipped(rng, gain, biases):
    return Sequential(
        linear(rng, 4, 12, gain),
        neurons(rng, 6, 2, recurrent=True, biases=biases),
        Residual(linear(rng, 6, 6, gain), neurons(rng, 6, recurrent=True, biases=biases)),
        linear(rng, 6, 3, gain),
        neurons(rng, 3, biases=biases, max_spikes=1),
    )


def layers_one_after_the_other(rng, gain, biases):
    return Sequential(
        linear(rng, 4, 6, gain),
        neurons(rng, 6, biases=biases, leak="decays"),
        linear(rng, 6, 6, gain),
        neurons(rng, 6, biases=biases, leak="bitshifts", surrogate=Atan(relative=True)),
        linear(rng, 6, 3, gain),
        neurons(rng, 3, max_spikes=1),
    )


def skipped_and_recurrent(rng, gain, biases):
    return Sequential(
        linear(rng, 4, 6, gain),
        neurons(rng, 6, biases=biases, surrogate=PeriodicExponential()),
        Residual(linear(rng, 6, 6, gain), neurons(rng, 6)),
        linear(rng, 6, 6, gain),
        neurons(rng, 6, recurrent=True, surrogate=PeriodicExponential()),
        linear(rng, 6, 3, gain),
        neurons(rng, 3, biases=biases, max_spikes=1),
    )


STRUCTURES = {
    "xylo1": (two_synapses_recurrent_and_skipped, "xylo1", "channel", False),
    "audio2": (layers_one_after_the_other, "audio2", "channel", True),
    "audio3": (two_synapses_recurrent_and_skipped, "audio3", "global", True),
    "imu": (skipped_and_recurrent, "imu", "global", True),
}
MORE = {
    f"{make.__name__}, {chip}, {method}{', biases' * biases}": (make, chip, method, biases)
    for make in (skipped_and_recurrent, layers_one_after_the_other)
    for chip in xylo.CHIPS
    for method in ("channel", "global")
    for biases in (False, True)
    if xylo.CHIPS[chip].has_bias or not biases
}


@eqx.filter_jit
def run(model, x, chip, method):
    """What the chip holds and does, as simulated; the same as emulated; and the gradient."""

    def loss(model):
        emulation = xylo.emulate(model, chip=chip, method=method)(x)
        error = emulation.spikes_out.sum(1) - STEPS / 4
        return (error**2).mean() + (emulation.vmem_out / 1e4).mean(), emulation

    (_, emulation), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(model)
    spec = xylo.quantize(xylo.map_network(model, chip=chip), method=method)
    return spec, xylo.simulate(spec, x.astype(jnp.int32)), emulation, gradient


def descended(model, gradient):
    """Every parameter moved by a tenth of itself against its gradient, within its range."""

    def moved(path, p, g):
        if g is None:
            return p
        after = p - 0.1 * np.abs(p) * np.sign(g)
        if path[-1].name.startswith("alpha"):
            after = np.minimum(after, 0.99)
        return jnp.asarray(after, p.dtype)

    return jax.tree_util.tree_map_with_path(moved, model, gradient, is_leaf=lambda x: x is None)


def assert_agree(spec, trace, emulation, gradient, x):
    assert_emulates(emulation, trace)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)
    for i, raster in enumerate(x):
        for name, expected in evolve(spec, np.asarray(raster, int)).items():
            np.testing.assert_array_equal(getattr(trace, name)[i], expected, err_msg=name)


def agree(make, chip, method, biases, draws):
    """Draw networks, descend, and compare; what share spiked, saturated and was to be learned."""
    spiking = saturated = learning = 0
    for seed in range(draws):
        rng = np.random.default_rng([seed, len(chip), biases])
        model = make(rng, GAINS[seed % 4], biases)
        x = rng.poisson(MEANS[seed // 4 % 4], (BATCH, STEPS, model.layers[0].in_features))
        x = jnp.asarray(np.minimum(x, 15), jnp.float32)
        found = run(model, x, chip, method)
        assert_agree(*found, x)
        for _ in range(2):
            model = descended(model, found[-1])
            found = run(model, x, chip, method)
        assert_agree(*found, x)
        _, trace, _, gradient = found
        spiking += bool(trace.spikes_out.any())
        saturated += bool((np.abs(np.asarray(trace.isyn)) > 30_000).any())
        learning += any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradient))
    return np.array([spiking, saturated, learning]) / draws


@pytest.mark.slow
@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_networks_as_drawn_and_after_descent(structure):
    spiking, saturated, learning = agree(*structure, DRAWS)
    assert spiking > 0.6
    assert 0.3 < saturated < 0.9
    assert learning == 1


@pytest.mark.few(0, slow=1)
@pytest.mark.parametrize("structure", MORE.values(), ids=MORE)
def test_more_networks_as_drawn_and_after_descent(structure):
    agree(*structure, 16)
