"""snnTorch's neurons as Xylo's."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Leaky, Residual, Sequential, record
from snnjax.hardware import MappingWarning, xylo
from snnjax.interop import as_lif
from snnjax.interop._snntorch import SynapticAtOnce

KEYS = jax.random.split(jax.random.key(0), 5)


def linear(n_in, n_out, seed, **settings):
    layer = eqx.nn.Linear(n_in, n_out, use_bias=False, key=KEYS[seed], **settings)
    return eqx.tree_at(lambda m: m.weight, layer, 2 * layer.weight + 0.15)


def synaptic(n, **settings):
    decays = np.linspace(0.5, 0.9, n)
    return Leaky(n, 0.8, **{"alpha_syn": decays, "reset_delay": False, **settings})


@pytest.mark.slow
def test_the_network_is_the_same_step_by_step_and_xylo_takes_it():
    w_rec = 0.2 * jax.random.normal(KEYS[4], (6, 6))
    inner = Residual(linear(6, 6, 1), synaptic(6, threshold=0.8))
    model = Sequential(
        linear(4, 6, 0), synaptic(6, w_rec=w_rec), inner, linear(6, 3, 2), synaptic(3)
    )
    x = jnp.asarray(np.random.default_rng(0).poisson(0.5, (60, 4)), jnp.float32)
    found = as_lif(model)
    y, _, wanted = record(model, x)
    z, _, records = record(found, x)
    assert y.sum() > 10
    np.testing.assert_array_equal(y, z)
    for path in ("layers[1].vmem", "layers[2].layers[1].vmem", "layers[4].vmem"):
        np.testing.assert_allclose(records[path], wanted[path], rtol=1e-5, atol=1e-5)
    assert isinstance(found.layers[2].layers[1], LIF)
    with pytest.warns(MappingWarning, match="31 spikes per step on the chip"):
        mapped = xylo.map_network(found)
    assert xylo.quantize(mapped).quantized


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Leaky(3, 0.9, reset_delay=False)], r"`layers\[1\]` must have a synapse: .*`Synaptic`"),
        ([synaptic(3, reset_delay=True)], r"`layers\[1\]` must have `reset_delay` off"),
        ([synaptic(3, reset="zero")], "must reset by subtraction, not 'zero'"),
        ([synaptic(3, min_vmem=-1.0)], "must have no lower bound"),
        ([synaptic(3), synaptic(3)], r"`layers\[2\]` must follow a Linear, .*; got LIF before it"),
    ],
)
def test_what_is_no_lif_is_refused_by_path(layers, message):
    with pytest.raises(ValueError, match=message):
        as_lif(Sequential(linear(4, 3, 0), *layers))


def test_what_is_before_the_neurons_is_named_with_its_cure():
    biased = Sequential(eqx.nn.Linear(4, 3, key=KEYS[0]), synaptic(3))
    with pytest.raises(ValueError, match=r"`layers\[1\]` must follow .* without bias.*bias=False"):
        as_lif(biased)
    with pytest.raises(ValueError, match=r"`layers\[0\]` must follow .*; got nothing before it"):
        as_lif(Sequential(synaptic(4)))
    with pytest.raises(TypeError, match=r"`network` must be a Sequential .*; got Leaky"):
        as_lif(synaptic(4))


def test_layers_that_snntorch_holds_back_are_named():
    held = SynapticAtOnce(3, 0.5, 0.8, reset_delay=False)
    with pytest.warns(UserWarning, match=r"^layers\[1\]: snnTorch holds back .* two thresholds"):
        found = as_lif(Sequential(linear(4, 3, 0), held))
    assert isinstance(found.layers[1], LIF)


def test_the_chip_says_how_its_neurons_are_made():
    model = Sequential(linear(4, 3, 0), synaptic(3), linear(3, 2, 1), Leaky(2, 0.9))
    with pytest.raises(ValueError, match=r"`layers\[1\]` .*`snnjax.interop.as_lif` makes a LIF"):
        xylo.map_network(model)
    with pytest.raises(ValueError, match=r"`layers\[1\]` \(Leaky\) has no synapse"):
        xylo.map_network(Sequential(linear(4, 3, 0), Leaky(3, 0.9)))
