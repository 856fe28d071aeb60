"""Training of a small network, on one device and on meshes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from snnjax import LIF, Sequential
from snnjax.hardware import xylo
from snnjax.train import init_state, make_epoch, run_epochs

OPTIMIZER = optax.adam(1e-3)
SEED = 2


def data(n=160):
    """Sequences for 10 batches of 16, so that two epochs are 20 steps."""
    x = jnp.asarray(np.random.default_rng(0).poisson(1.0, (n, 6, 4)), jnp.float32)
    return x, jnp.asarray(x.sum((1, 2)) % 3, jnp.int32)


def start():
    keys = jax.random.split(jax.random.key(0), 3)
    linear = lambda n, m, key: eqx.nn.Linear(n, m, use_bias=False, key=key)  # noqa: E731
    model = Sequential(
        linear(4, 16, keys[0]),
        LIF(16, threshold=0.3, recurrent=True, bias=None, key=keys[1]),
        linear(16, 4, keys[2]),
        LIF(4, threshold=0.3, bias=None, max_spikes=1),
    )
    return init_state(model, OPTIMIZER)


def loss_through(through):
    def loss(model, batch, key):
        x, y = batch
        run = xylo.emulate(model) if through == "chip" else None
        spikes = jax.vmap(model)(x)[0] if run is None else run(x).spikes_out
        counts = spikes.sum(1)
        value = optax.softmax_cross_entropy_with_integer_labels(counts, y).mean()
        return value, {"accuracy": (counts.argmax(-1) == y).mean()}

    return loss


def train(sharding=None, through="float", epochs=2, state=None):
    """The state after some epochs, and the loss of each."""
    epoch = make_epoch(loss_through(through), OPTIMIZER, 16, sharding=sharding)
    losses, state = [], start() if state is None else state
    with jax.numpy_dtype_promotion("standard"):
        for after, metrics in run_epochs(epoch, state, data(), epochs, jax.random.key(SEED)):
            state = after
            losses.append(float(metrics["loss"]))
    return state, losses


def assert_trained_alike(found, wanted, atol=1e-5):
    """That weights and losses agree."""
    np.testing.assert_allclose(found[1], wanted[1], rtol=0, atol=atol)
    leaves = [jax.tree.leaves(eqx.filter(x[0].model, eqx.is_array)) for x in (found, wanted)]
    for a, b in zip(*leaves, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)
