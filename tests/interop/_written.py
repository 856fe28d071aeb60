"""Networks that are written for the tools that read NIR files.

    python -m tests.interop._written DIR

writes them to DIR, where `tests/parity/make_nir_written.py` runs each in its tool.
"""

import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnjax import IAF, LI, LIF, PLIF, Leaky, LIFEuler, Sequential, nn
from snnjax.interop._firing import Strict
from snnjax.interop._neuron import NIRNeuron
from snnjax.interop.nir import Delay, save

STEPS = 60


def linear(n_in, n_out, seed, *, bias=True, gain=1.0):
    layer = eqx.nn.Linear(n_in, n_out, use_bias=bias, key=jax.random.key(seed))
    return drawn(layer, gain / n_in**0.5, seed)


def conv(n_in, n_out, seed, **settings):
    settings = {"padding": 1, **settings}
    layer = eqx.nn.Conv2d(n_in, n_out, 3, key=jax.random.key(seed), **settings)
    return drawn(layer, 1 / n_in**0.5, seed)


def drawn(layer, scale, seed):
    """A layer with the same numbers on every machine."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda old: (
            jnp.asarray(scale * rng.uniform(-1, 1, old.shape), jnp.float32)
            if eqx.is_array(old)
            else old
        ),
        layer,
    )


def spread(low, high, n, seed):
    return np.random.default_rng(seed).uniform(low, high, n)


def once(**settings):
    return {"reset": "zero", "surrogate": Strict(), **settings}


def snntorch():
    now = once(reset_delay=False)
    w_rec = spread(-0.6, 0.6, (8, 8), 7)
    return Sequential(
        linear(6, 10, 0, gain=2),
        Leaky(10, spread(0.7, 0.95, 10, 0), threshold=0.8, **now),
        linear(10, 8, 1, gain=3, bias=False),
        Leaky(8, 0.9, w_rec=w_rec, **now),
        linear(8, 5, 2, gain=2),
        Leaky(5, 0.85, alpha_syn=0.6, **now),
    )


def sinabs():
    return Sequential(
        conv(2, 4, 0, use_bias=False),
        IAF((4, 8, 8), min_vmem=-1.0),
        nn.SumPool2d(2),
        conv(4, 3, 1),
        IAF((3, 4, 4), threshold=1.5, min_vmem=-1.5),
        nn.Flatten(),
        linear(48, 8, 2, bias=False),
        Leaky(8, spread(0.6, 0.95, 8, 0), reset_delay=False, max_spikes=None),
        linear(8, 5, 3),
        LI(5, tau_mem=7e-3, dt=1e-3),
    )


def norse():
    return Sequential(
        linear(6, 10, 0, gain=16),
        LIFEuler(
            10, tau_mem=spread(5e-3, 20e-3, 10, 0), threshold=spread(0.4, 0.8, 10, 1), **once()
        ),
        linear(10, 4, 1, gain=12, bias=False),
        LIFEuler(4, tau_mem=spread(5e-3, 20e-3, 4, 2), threshold=0.3, reset="zero"),
    )


def rockpool():
    taus = {"tau_mem": spread(5e-3, 20e-3, 8, 0), "tau_syn": spread(5e-3, 20e-3, 8, 1)}
    w_rec = spread(-0.25, 0.05, (8, 8), 7)
    cap = {"max_spikes": 2**16}
    return Sequential(
        linear(6, 8, 0, bias=False),
        LIF(8, threshold=spread(0.6, 1.2, 8, 2), bias=spread(0, 0.1, 8, 3), **taus, **cap),
        linear(8, 8, 1),
        LIF(8, tau_mem=10e-3, tau_syn=5e-3, w_rec=w_rec, **cap),
    )


def spikingjelly():
    return Sequential(
        linear(6, 10, 0, gain=4),
        LIFEuler(10, tau_mem=3e-4, dt=1e-4, reset="zero"),
        linear(10, 8, 1, gain=4, bias=False),
        PLIF(8, tau=2.5, decay_input=False),
        linear(8, 6, 2, gain=3),
        Leaky(6, 0.8, alpha_syn=0.5, reset="zero", reset_delay=False),
        linear(6, 4, 3, gain=3),
        IAF(4, reset="zero", max_spikes=1),
    )


def jaxpike():
    settings = {"dt": 1e-3, "membrane": "exact"}
    return Sequential(
        conv(2, 4, 0, padding="SAME"),
        NIRNeuron((4, 8, 8), tau_mem=5e-3, threshold=0.1, **settings),
        eqx.nn.AvgPool2d(2, 2),
        nn.Flatten(),
        linear(64, 5, 1, gain=4),
        NIRNeuron((5,), tau_mem=8e-3, threshold=0.2, **settings),
    )


def spyx():
    def late(shape, alpha, **settings):
        settings = {"surrogate": Strict(), "reset_delay": True, **settings}
        return Sequential(
            Leaky(shape, alpha, **settings), Delay(1, (shape,) if isinstance(shape, int) else shape)
        )

    w_rec = spread(-0.6, 0.6, (8, 8), 7)
    return Sequential(
        conv(2, 4, 0),
        late((4, 8, 8), spread(0.5, 0.95, (4, 8, 8), 0), threshold=0.7),
        nn.SumPool2d(2),
        nn.Flatten(),
        linear(64, 8, 1, gain=3),
        late((8,), spread(0.5, 0.95, 8, 2), w_rec=w_rec),
        linear(8, 6, 2, gain=3, bias=False),
        late((6,), spread(0.5, 0.95, 6, 3), alpha_syn=0.6, reset_delay=False),
        linear(6, 4, 3, gain=3),
        late((4,), 1.0, threshold=0.8),
    )


NETWORKS = {
    build.__name__: build
    for build in (snntorch, sinabs, norse, rockpool, spikingjelly, jaxpike, spyx)
}
SHAPES = {"sinabs": (2, 8, 8), "jaxpike": (2, 8, 8), "spyx": (2, 8, 8)}


def inputs(name):
    """Event counts, `(time, ...)`."""
    rng = np.random.default_rng(0)
    return rng.poisson(0.6, (STEPS, *SHAPES.get(name, (6,)))).astype(np.float32)


def write(directory):
    """Write every network with its input."""
    for name, build in NETWORKS.items():
        save(build(), Path(directory) / f"{name}.nir", dialect=name, input_shape=SHAPES.get(name))
        np.save(Path(directory) / f"{name}.npy", inputs(name))


if __name__ == "__main__":
    write(sys.argv[1])
