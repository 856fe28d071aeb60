"""A network through its plan has the weights of the chip, with the scales of `quantize`."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Residual, Sequential, SynNet, quant, transforms
from snnjax.hardware import xylo
from snnjax.nn import Bitshifts, Decays

METHODS = ("global", "channel", "least_squares")


def linear(n_in, n_out, seed):
    layer = eqx.nn.Linear(n_in, n_out, use_bias=False, key=jax.random.key(seed))
    return eqx.tree_at(lambda m: m.weight, layer, 3 * layer.weight)


def neurons(n, **settings):
    rng = np.random.default_rng(n)
    taus = {"tau_mem": rng.uniform(2e-3, 2e-2, n), "threshold": rng.uniform(0.5, 2, n)}
    return LIF(n, bias=0.1 * rng.normal(size=n), **taus, **settings)


def recurrent():
    loop = neurons(6, recurrent=True, leak="decays", key=jax.random.key(7))
    return Sequential(linear(4, 6, 0), loop, linear(6, 3, 1), neurons(3, max_spikes=1))


def two_synapses():
    two = neurons(6, synapses=2, recurrent=True, leak="bitshifts", key=jax.random.key(7))
    return Sequential(linear(4, 12, 0), two, linear(6, 3, 1), neurons(3, max_spikes=1))


def residual(*inner):
    inner = inner or (linear(6, 6, 1),)
    loop = neurons(6, recurrent=True, key=jax.random.key(7))
    return Sequential(
        *(linear(4, 6, 0), neurons(6), Residual(*inner, loop)),
        *(linear(6, 3, 2), neurons(3, max_spikes=1)),
    )


def long_residual():
    return residual(linear(6, 5, 1), neurons(5), linear(5, 6, 3))


def of_potentials():
    return SynNet(3, 4, (8,), (2,), output="vmem", key=jax.random.key(0))


NETWORKS = (recurrent, two_synapses, residual, long_residual, of_potentials)


@pytest.mark.few(0, slow=2)
@pytest.mark.parametrize("method", METHODS)
def test_bits_are_swept_over_in_one_program(method):
    model, bits = recurrent(), (2, 5, 8)
    plan = xylo.plan(model, method=method, bits=8)

    def applied(model, bits):
        swept = eqx.tree_at(lambda p: p.bits, plan, bits)
        return eqx.filter(transforms.apply(swept, model), eqx.is_array)

    found = eqx.filter_jit(eqx.filter_vmap(applied, in_axes=(None, 0)))(model, jnp.array(bits))
    for i, each in enumerate(bits):
        own = eqx.filter_jit(applied)(model, each)
        jax.tree.map(
            lambda y, x, i=i: np.testing.assert_allclose(y[i], x, rtol=1e-6, atol=0), found, own
        )


def per_neuron(real, whole):
    """The scale of each target neuron: the quotient of integers and weights, last axis."""
    real, whole = (np.reshape(x, (-1, np.shape(x)[-1])) for x in (real, whole))
    scale = np.abs(whole).max(0) / np.abs(real).max(0)
    np.testing.assert_allclose(real * scale, whole, atol=2e-3)
    return scale


@pytest.mark.few(0, slow=7)
@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", NETWORKS)
def test_weights_through_the_plan_are_the_integers_times_one_scale_per_neuron(make, method, bits):
    model = make()
    plan = xylo.plan(model, method=method, bits=bits)
    seen = xylo.map_network(transforms.apply(plan, model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xylo.QuantizationWarning)
        integers = xylo.quantize(xylo.map_network(model), method=method, bits=bits)
    weights = (np.concatenate([x.w_in, x.w_rec]).swapaxes(1, 2) for x in (seen, integers))
    scale = per_neuron(*weights) * 2**integers.weight_shift_in
    scale_out = per_neuron(seen.w_out, integers.w_out) * 2**integers.weight_shift_out
    np.testing.assert_allclose(seen.threshold * scale, integers.threshold, rtol=1e-5)
    if np.isfinite(seen.threshold_out).all():
        np.testing.assert_allclose(
            seen.threshold_out * scale_out, integers.threshold_out, rtol=1e-5
        )
    if integers.bias is not None:
        np.testing.assert_allclose(seen.bias * scale, integers.bias, atol=2e-3)
    for name in ("dash_mem", "dash_syn", "dash_mem_out", "dash_syn_out"):
        np.testing.assert_allclose(getattr(seen, name), getattr(integers, name), atol=1e-4)
    # Once more changes nothing: what was trained through the plan is what the chip gets.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xylo.QuantizationWarning)
        again = xylo.quantize(seen, method=method, bits=bits)
    assert eqx.tree_equal(again, integers)


@pytest.mark.slow
def test_the_gradient_passes_straight_through_to_every_parameter():
    model = residual()
    plan = xylo.plan(model, bits=4)

    def total(model):
        return sum(jnp.sum(x) for x in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))

    grad = eqx.filter_grad(lambda m: total(transforms.apply(plan, m)))(model)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grad):
        # A surrogate's slope is no parameter of the chip.
        np.testing.assert_allclose(leaf, 1, rtol=1e-5, err_msg=jax.tree_util.keystr(path))


def test_leaks_of_each_kind_get_the_decays_of_the_chip():
    for make, kind in ((recurrent, Decays), (two_synapses, Bitshifts)):
        model = make()
        seen = transforms.apply(xylo.plan(model), model)
        assert type(seen.layers[1].leak) is kind
        dash_mem, dash_syn = seen.layers[1].dashes()
        np.testing.assert_allclose(dash_mem, np.round(dash_mem), atol=1e-4)
        np.testing.assert_allclose(dash_syn, np.round(dash_syn), atol=1e-4)


def test_it_is_a_plan_that_transforms_take():
    model = recurrent()
    noisy = transforms.plan(model, {"weights": quant.Mismatch(0.1)})
    plan = xylo.plan(model, before=noisy)
    key = jax.random.key(3)
    burned = transforms.burn_in(plan, model, key=key)
    assert eqx.tree_equal(burned, transforms.apply(plan, model, key=key))
    other = transforms.apply(plan, model, key=jax.random.key(4))
    assert not np.array_equal(burned.layers[0].weight, other.layers[0].weight)
    with pytest.raises(ValueError, match=r"`before` must be a plan from `transforms\.plan`"):
        xylo.plan(model, before=plan)


def test_what_does_not_fit_is_refused_before_any_training():
    with pytest.raises(ValueError, match="`n_hidden` is 1001"):
        xylo.plan(SynNet(2, 4, (1001,), (2,), key=jax.random.key(0)))
    with pytest.raises(ValueError, match=r"`bits` must be from 2 to 8, .* got 9"):
        xylo.plan(recurrent(), bits=9)
    with pytest.raises(ValueError, match="`method` must be one of"):
        xylo.plan(recurrent(), method="best")
