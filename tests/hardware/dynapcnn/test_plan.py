"""Training sees the integers of the chip, spike for spike."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import quant, transforms
from snnjax.hardware import dynapcnn
from snnjax.nn import IAF, Flatten, Sequential, run_batch, statistics

from .networks import NETWORKS, conv, linear, norm, raster


def small(**neurons):
    return Sequential(
        conv(1, 2, 3), IAF((2, 4, 4), **neurons), eqx.nn.AvgPool2d(2, 2), Flatten(),
        linear(8, 3, gain=20.0), IAF(3, min_vmem=-1.0),
    )  # fmt: skip


SHAPE = (1, 6, 6)


def integers(model, shape=SHAPE, **settings):
    percentile = settings.pop("percentile", 100.0)
    spec = dynapcnn.map_network(model, input_shape=shape, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dynapcnn.QuantizationWarning)
        return dynapcnn.quantize(spec, percentile=percentile)


def assert_same_spikes(model, spec, x, state=None):
    want, _ = model(x) if state is None else model(x, state)
    found = dynapcnn.simulate(spec, x)
    assert not any(map(int, found.saturated))
    np.testing.assert_array_equal(found.spikes_out.reshape(want.shape), want)
    assert want.sum() > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a sequence", "average pools", "a residual"])
def test_training_sees_the_spikes_of_the_integers(name):
    shape, make = NETWORKS[name]
    model = make()
    plan = dynapcnn.plan(model, input_shape=shape)
    assert_same_spikes(transforms.apply(plan, model), integers(model, shape), raster(shape))


@pytest.mark.slow
def test_training_sees_folded_norms():
    model = Sequential(conv(1, 3, use_bias=False), norm(3, "ema", eps=0.3), IAF((3, 4, 4)))
    _, state = run_batch(model, np.stack([raster(SHAPE, seed) for seed in range(4)]))
    state = statistics(state)
    plan = dynapcnn.plan(model, input_shape=SHAPE, statistics=state)
    seen = transforms.apply(plan, model)
    assert isinstance(seen.layers[1], eqx.nn.Identity)
    assert seen.layers[0].bias is not None
    assert_same_spikes(
        seen, integers(model, statistics=state), raster(SHAPE, 9), (None, None, None)
    )


@pytest.mark.slow
def test_the_parameters_are_the_chips_integers_times_a_power_of_two():
    model = small()
    spec = integers(model, percentile=80)
    plan = dynapcnn.plan(model, input_shape=SHAPE, percentile=80)
    seen = transforms.burn_in(plan, model)
    for core, at, factor in zip(spec.layers, (0, 4), (1, 4), strict=True):
        weight = np.asarray(seen.layers[at].weight).reshape(core.weight.shape) / factor
        unit = float(seen.layers[at + 1].threshold) / int(core.threshold)
        assert np.log2(unit) == np.round(np.log2(unit))
        np.testing.assert_array_equal(weight, np.asarray(core.weight) * unit)
        np.testing.assert_array_equal(
            seen.layers[at].bias.ravel(), np.asarray(core.bias, np.float32) * unit
        )
    # Close to what was there, and the model given stays as it is.
    distance = np.abs(seen.layers[4].weight - model.layers[4].weight)
    assert np.median(distance) < 0.5 * np.median(np.abs(model.layers[4].weight))
    assert not np.array_equal(seen.layers[4].weight, model.layers[4].weight)


def test_the_gradient_passes_straight_through():
    model = small()
    plan = dynapcnn.plan(model, input_shape=SHAPE)

    @eqx.filter_jit
    def gradient(model):
        total = lambda m: jnp.sum(transforms.apply(plan, m).layers[4].weight)  # noqa: E731
        return eqx.filter_grad(total)(model)

    found = gradient(model)
    rows = dynapcnn.report(dynapcnn.map_network(model, input_shape=SHAPE))
    scale = next(row.scale for row in rows if row.parameter.startswith("layers[1].weight"))
    unit = 2.0 ** -round(np.log2(scale))
    np.testing.assert_allclose(found.layers[4].weight, scale * unit, rtol=1e-6)
    assert 0.7 < scale * unit < 1.42
    assert not jnp.any(found.layers[0].weight)


@pytest.mark.slow
def test_a_network_learns_through_it():
    model, x = small(min_vmem=-1.0), raster(SHAPE)
    plan = dynapcnn.plan(model, input_shape=SHAPE)
    wanted = jnp.array([6.0, 0.0, 3.0])

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(m):
        spikes, _ = transforms.apply(plan, m)(x)
        return jnp.mean((spikes.sum(0) - wanted) ** 2)

    first, _ = loss(model)
    for _ in range(40):
        value, grads = loss(model)
        model = eqx.apply_updates(model, jax.tree.map(lambda g: -0.05 * jnp.sign(g), grads))
    assert value < 0.2 * first
    after, _ = loss(model)
    counts = np.asarray(dynapcnn.simulate(integers(model), x).counts[-1]).ravel()
    assert np.mean((counts - np.asarray(wanted)) ** 2) == pytest.approx(float(after))


def test_another_plan_comes_first():
    model = small()
    before = transforms.plan(model, {"weights": quant.Int(3)})
    plan = dynapcnn.plan(model, input_shape=SHAPE, before=before)
    want = dynapcnn.plan(model, input_shape=SHAPE)(transforms.apply(before, model))
    assert eqx.tree_equal(transforms.apply(plan, model), want)
    with pytest.raises(ValueError, match=r"`before` must be a plan from `transforms\.plan`"):
        dynapcnn.plan(model, input_shape=SHAPE, before=plan)


def test_what_does_not_fit_is_refused_before_training():
    with pytest.raises(ValueError, match="has a reset of 'none'"):
        dynapcnn.plan(small(reset="none"), input_shape=SHAPE)
    wide = Sequential(conv(1, 1, 17), IAF((1, 4, 4)))
    with pytest.raises(ValueError, match="kernels are at most 16"):
        dynapcnn.plan(wide, input_shape=(1, 20, 20))
