"""Small networks."""

import dataclasses

import numpy as np
import pytest

from snnjax.hardware.dynapcnn import SPECK_2F, Core, Destination, Spec


@pytest.fixture
def make_core():
    """Draws a quantised layer of the given sizes; keywords replace its fields."""

    def make(seed=0, n_in=2, n_out=3, kernel=3, size=(6, 5), bias=False, **fields):
        rng = np.random.default_rng(seed)
        drawn = {
            "weight": rng.integers(-128, 128, (n_out, n_in, kernel, kernel)),
            "bias": rng.integers(-128, 128, n_out) if bias else None,
            "threshold": rng.integers(1, 400),
            "min_vmem": -rng.integers(0, 400),
            "input_shape": (n_in, *size),
        }
        return Core(**(drawn | fields))

    return make


@pytest.fixture
def make_spec(make_core):
    """Draws a quantised network of two layers with a pool of 2 between them, on cores 0 and 1.

    `first` and `second` replace fields of the layers, keywords those of the Spec.
    """

    def make(seed=0, first=None, second=None, **fields):
        one = {"destinations": (Destination(1, 2),), "core": 0, "path": "layers[1]"}
        one = make_core(seed, size=(10, 8), padding=(1, 1), **(one | (first or {})))
        size = one.pooled(one.destinations[0].pool)[1:]
        two = {"core": 1, "path": "layers[4]", "monitor": True}
        two = make_core(seed + 1, n_in=3, n_out=4, size=size, **(two | (second or {})))
        return Spec((one, two), **({"chip": SPECK_2F} | fields))

    return make


@pytest.fixture
def replace():
    """Replaces fields of one layer of a spec, without looking at how they fit together."""

    def replaced(spec, layer, **fields):
        layers = list(spec.layers)
        layers[layer] = dataclasses.replace(layers[layer], **fields)
        return dataclasses.replace(spec, layers=tuple(layers))

    return replaced
