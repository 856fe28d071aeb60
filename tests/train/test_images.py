"""A convolutional network trained for Speck reads MNIST as well in the chip's integers."""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import transforms
from snnjax.hardware import dynapcnn
from snnjax.train import Trained, init_state
from snnjax.train.recipes import Images

DATA = Path(__file__).parents[3] / "shared/data/mnist-t10k"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the test images of MNIST"),
]


@pytest.fixture(scope="module")
def config():
    return Images(data=str(DATA), epochs=10, steps=4, shift=2)


@pytest.fixture(scope="module")
def data(config):
    return config.load_data()


def trained(config, data, state):
    *_, (after, metrics) = config.train(data, state)
    print(f"last epoch: {metrics}")
    return after.model


def share_of(spec, data):
    """Right answers of the integers."""
    rasters, labels = data.test
    counts = dynapcnn.simulate(spec, rasters, record=False).counts[-1]
    return float(np.mean(np.asarray(spec.classes(counts)).argmax(-1) == labels))


@pytest.mark.long
def test_mnist_above_97_percent_on_speck_and_within_half_a_point_of_float(config, data):
    model = trained(config, data, config.start(data))
    spec = config.deploy(model)
    assert dynapcnn.check(spec, chip="speck2f") == ()
    rasters, labels = data.test
    scores = config.score(model, spec, data)
    shares = [share for _, _, share in scores.rows()]
    for name, right, share in scores.rows():
        print(f"{name}: {right} of {scores.total}, {share:.2%}")
    print(dynapcnn.compare_events(spec, rasters[:100], labels[:100]))
    assert min(shares) > 0.97
    assert max(shares) - min(shares) <= 0.005
    assert scores.transformed == scores.integers


@pytest.mark.long
def test_discretising_after_training_as_the_peer_does(config, data):
    """With its usual lower bound it does well; without one, its weights all but vanish."""
    model = config.make_network()
    plain = Trained(model, transforms.plan(model))
    state = init_state(plain, config.optimizer(plain, len(data.train[1])))
    network = trained(config, data, state).network
    bounds = lambda m: [m.layers[i].min_vmem for i in (1, 3, 6)]  # noqa: E731
    free = eqx.tree_at(bounds, network, replace_fn=lambda x: jnp.full_like(x, -1e4))
    free = eqx.tree_at(bounds, free, [None] * 3)
    for name, candidate in {"a lower bound of -1": network, "no lower bound": free}.items():
        spec = dynapcnn.map_network(candidate, chip=config.chip, input_shape=config.input_shape)
        quiet = {"min_sqnr": -np.inf, "max_zeroed": 1.0}
        theirs = share_of(dynapcnn.quantize(spec, **quiet, compat="sinabs"), data)
        ours = share_of(dynapcnn.quantize(spec, **quiet), data)
        print(f"{name}: {theirs:.2%} as the peer discretises, {ours:.2%} as snnjax does")
        if candidate is network:
            assert min(theirs, ours) > 0.95
        else:
            assert theirs < 0.5 < ours
