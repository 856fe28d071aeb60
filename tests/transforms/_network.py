"""The network and the helpers that the tests of this folder share."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnjax import LIF, Residual, Sequential, record, transforms
from snnjax._tree import leaves_with_path
from snnjax.quant import Transform
from snnjax.surrogate import PeriodicExponential

LINEARS = ("layers[0]", "layers[2].layers[0]", "layers[3]")
NEURONS = ("layers[1]", "layers[2].layers[1]", "layers[4]")


class Double(Transform):
    def __call__(self, x, *, key=None, threshold=None):
        return 2 * x


class Add(Transform):
    """Adds a number, or an array of numbers to sweep over."""

    amount: float = 1.0

    def __call__(self, x, *, key=None, threshold=None):
        return x + jnp.asarray(self.amount, x.dtype)


class Noise(Transform):
    """Adds random numbers."""

    std: float = 0.1

    def __call__(self, x, *, key=None, threshold=None):
        return x + self.std * jax.random.normal(key, x.shape, x.dtype)


def make(key=None):
    """Two pairs of a product and neurons around a residual one that is recurrent."""
    keys = jax.random.split(jax.random.key(3) if key is None else key, 4)
    neurons = functools.partial(
        LIF, leak="decays", tau_mem=4e-3, tau_syn=2e-3, surrogate=PeriodicExponential()
    )
    w_rec = jax.random.uniform(keys[2], (5, 5), minval=-0.3, maxval=0.3)
    return Sequential(
        eqx.nn.Linear(3, 5, key=keys[0]),
        neurons(5, threshold=0.4, bias=0.1),
        Residual(eqx.nn.Linear(5, 5, key=keys[1]), neurons(5, w_rec=w_rec)),
        eqx.nn.Linear(5, 3, key=keys[3]),
        neurons(3, threshold=[0.5, 0.7, 0.9], bias=0.1),
    )


def events(steps=12, channels=3, batch=()):
    """Event counts that make every layer of the network spike."""
    return jnp.asarray(np.random.default_rng(0).poisson(2.0, (*batch, steps, channels)), float)


@eqx.filter_jit
def run(plan, model, x=None, key=None):
    """The states and outputs over time of a model with a plan applied."""
    return record(transforms.apply(plan, model), events() if x is None else x, key=key)[2]


def plain(model, x=None):
    """The states and outputs over time of a model as it is."""
    return run(transforms.plan(model), model, x)


def arrays(tree):
    """The arrays of a model by path."""
    return {path: leaf for path, leaf in leaves_with_path(tree) if eqx.is_array(leaf)}


def assert_same(a, b, **tolerance):
    """That two models have the same arrays, to the last bit unless there is a tolerance."""
    a, b = arrays(a), arrays(b)
    assert a.keys() == b.keys()
    for path, leaf in a.items():
        np.testing.assert_allclose(leaf, b[path], err_msg=path, **{"rtol": 0, **tolerance})


def member(tree, i):
    """One of the models, or plans, that are stacked along a first axis."""
    return jax.tree.map(lambda leaf: leaf[i] if eqx.is_array(leaf) else leaf, tree)
