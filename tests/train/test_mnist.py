"""A convolutional network of spiking neurons learns MNIST."""

import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnjax import IAF, Sequential
from snnjax.datasets import load_mnist
from snnjax.nn import Flatten
from snnjax.surrogate import SuperSpike, Triangular
from snnjax.train import init_state, make_epoch
from snnjax.train.losses import count_cross_entropy

DATA = Path(__file__).parents[3] / "shared/data/mnist-t10k"
EPOCHS, BATCH, STEPS = 6, 32, 4


def images():
    """Of the 10,000: 8,000 to train on and the last 2,000 to test on, in one channel, 0 to 1."""
    found = load_mnist(DATA, "t10k")
    x = jnp.asarray(found.images[:, None] / 255, jnp.float32)
    y = jnp.asarray(found.labels, jnp.int32)
    return (x[:8000], y[:8000]), (x[8000:], y[8000:])


def network(key):
    """Three layers of convolutions and integrate-and-fire neurons; of the last, one per digit."""
    settings = {"min_vmem": -1.0, "frozen": ("threshold", "min_vmem")}
    hidden = {"max_spikes": 1, "surrogate": Triangular(), **settings}
    keys = jax.random.split(key, 3)
    layers = Sequential(
        eqx.nn.Conv2d(1, 12, 5, stride=2, key=keys[0]),
        IAF((12, 12, 12), **hidden),
        eqx.nn.Conv2d(12, 32, 5, key=keys[1]),
        eqx.nn.AvgPool2d(2, 2),
        IAF((32, 4, 4), **hidden),
        eqx.nn.Conv2d(32, 10, 4, key=keys[2]),
        Flatten(),
        # A slope that is never 0: without, a digit whose neuron falls silent is lost for good.
        IAF(10, surrogate=SuperSpike(periodic=True), **settings),
    )
    # Equinox draws weights for values of about 1 in every input; spikes are fewer.
    kernels = lambda net: [net.layers[i].weight for i in (0, 2)]  # noqa: E731
    return eqx.tree_at(kernels, layers, replace_fn=lambda w: 3 * w)


def spikes(model, x):
    """Of a batch. An image is the constant input of every step."""
    steps = jnp.broadcast_to(x[:, None], (len(x), STEPS, *x.shape[1:]))
    return jax.vmap(model)(steps)[0]


def loss(model, batch, key):
    x, y = batch
    found = spikes(model, x)
    right = found.sum(1).argmax(-1) == y
    return jax.vmap(count_cross_entropy)(found, y).mean(), {"accuracy": right.mean()}


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the test images of MNIST")
def test_three_layers_read_more_than_97_percent_of_held_out_digits_within_ten_minutes():
    start = time.monotonic()
    train, (x, y) = images()
    schedule = optax.cosine_decay_schedule(3e-3, EPOCHS * (len(train[1]) // BATCH))
    optimizer = optax.adam(schedule)
    # Not one call per epoch: convolutions in a loop are slow on a CPU.
    epoch = make_epoch(loss, optimizer, BATCH, compiled="step")
    state = init_state(network(jax.random.key(0)), optimizer)
    for _ in range(EPOCHS):
        state, metrics = epoch(state, train, jax.random.key(1))
    counts = eqx.filter_jit(spikes)(state.model, x).sum(1)
    right = np.mean(counts.argmax(-1) == y)
    minutes = (time.monotonic() - start) / 60
    print(f"{right:.2%} of {len(y)} after {minutes:.1f} min; training {metrics}")
    assert right > 0.97
    assert minutes < 10
