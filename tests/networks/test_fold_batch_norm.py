"""Folding a batch norm changes nothing but the number of layers that do something."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import Graph, fold_batch_norm
from snnjax.nn import IAF, Parallel, Residual, Sequential, run_batch, statistics

from ..hardware.dynapcnn.networks import conv, linear, norm

train = eqx.filter_jit(run_batch)
SMOOTH = eqx.nn.Lambda(jnp.tanh)  # whose outputs do not jump where rounding differs


def sequence(mode):
    return Sequential(
        conv(1, 3, use_bias=False),
        norm(3, mode, eps=0.3),
        SMOOTH,
        Residual(conv(3, 3, padding=1, groups=3, use_bias=False), norm(3, mode), SMOOTH),
        eqx.nn.Lambda(jnp.ravel),
        linear(48, 4),
        norm(4, mode, channelwise_affine=False),
    )


def graph(mode):
    nodes = {"conv": conv(1, 3), "norm": norm(3, mode), "smooth": SMOOTH}
    edges = [("input", "conv"), ("conv", "norm"), ("norm", "smooth"), ("smooth", "output")]
    return Graph(nodes, edges)


def images(seed=0):
    return np.random.default_rng(seed).poisson(0.5, (3, 5, 1, 6, 6)).astype(np.float32)


@pytest.mark.few(1)
@pytest.mark.parametrize("mode", ["ema", "batch"])
@pytest.mark.parametrize("make", [sequence, graph])
def test_the_folded_network_is_the_network(make, mode):
    model = make(mode)
    _, state = train(model, images())
    running = statistics(state)
    folded = fold_batch_norm(model, running)
    leaves = jax.tree.leaves(folded, is_leaf=lambda m: isinstance(m, eqx.nn.BatchNorm))
    assert not any(isinstance(leaf, eqx.nn.BatchNorm) for leaf in leaves)
    x = images(1)[0]
    run = eqx.filter_jit(lambda model, x, state: model(x, state)[0])
    want, found = run(eqx.nn.inference_mode(model), x, running), run(folded, x, None)
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
    assert np.ptp(want) > 0.5


def test_norms_that_cannot_be_folded_are_named():
    model = sequence("ema")
    _, state = train(model, images())
    running = statistics(state)
    with pytest.raises(ValueError, match=r"`layers\[1\]` \(BatchNorm\) has running statistics"):
        fold_batch_norm(model, None)
    with pytest.raises(TypeError, match="`model` must be a Sequential or the like; got Conv2d"):
        fold_batch_norm(model.layers[0], running)
    for odd in (
        Sequential(norm(3, "ema"), IAF((3, 4, 4))),
        Sequential(IAF((3, 4, 4)), norm(3, "ema")),
        Parallel(conv(1, 3), norm(3, "ema")),
    ):
        with pytest.raises(ValueError, match="does not follow a convolution or linear layer"):
            fold_batch_norm(odd, None)
    shared = Graph(
        {"conv": conv(1, 3), "norm": norm(3, "ema"), "iaf": IAF((3, 4, 4)), "iaf2": IAF((3, 4, 4))},
        [
            *(("input", "conv"), ("conv", "norm"), ("conv", "iaf2"), ("norm", "iaf")),
            *(("iaf", "output"), ("iaf2", "output")),
        ],
    )
    with pytest.raises(ValueError, match="does not follow a convolution or linear layer"):
        fold_batch_norm(shared, None)
