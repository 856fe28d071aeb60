"""Training on what a loader brings: grain's position, prefetching, killed and gone on with."""

import subprocess
import sys

import equinox as eqx
import grain
import jax
import numpy as np
import optax
import pytest

from snnjax.train import init_state, make_loader_step, run_loader, start_loading

from . import loading as script

OPTIMIZER = optax.adam(1e-2)
STEP = make_loader_step(script.loss, OPTIMIZER)
KEY = jax.random.key(1)


def begin():
    return start_loading(init_state(eqx.nn.Linear(4, 2, key=jax.random.key(0)), OPTIMIZER))


def weights(loading):
    return np.asarray(loading.state.model.weight)


@pytest.fixture(scope="module")
def whole():
    """The state after each step of training that was not interrupted."""
    return [state for state, _ in run_loader(STEP, begin(), script.dataset(), KEY, steps=17)]


@pytest.mark.few(0, slow=2)
@pytest.mark.parametrize("stop", [1, 6, 8])
@pytest.mark.parametrize("kind", ["MapDataset", "IterDataset"])
def test_training_goes_on_with_the_next_batch(whole, stop, kind):
    assert [int(state.steps) for state in whole] == list(range(1, 18))
    data = script.dataset()
    data = data.to_iter_dataset() if kind == "IterDataset" else data
    *_, (last, _) = run_loader(STEP, whole[stop - 1], data, KEY, steps=17)
    np.testing.assert_array_equal(weights(last), weights(whole[-1]))


def test_a_data_loader_of_grain_goes_on_too():
    def data():
        x, y = script.dataset()[0]["x"], script.dataset()[0]["y"]
        source = [{"x": x[i], "y": y[i]} for i in range(3)]
        sampler = grain.samplers.IndexSampler(
            3, shard_options=grain.sharding.NoSharding(), shuffle=True, num_epochs=4, seed=3
        )
        return grain.DataLoader(
            data_source=source, sampler=sampler, operations=[grain.transforms.Batch(1)]
        )

    states = [state for state, _ in run_loader(STEP, begin(), data(), KEY)]
    assert len(states) == 12
    *_, (last, _) = run_loader(STEP, states[4], data(), KEY)
    np.testing.assert_array_equal(weights(last), weights(states[-1]))


@pytest.mark.parametrize("prefetch", [1, 5])
def test_prefetching_changes_nothing_and_reads_no_further_than_asked(whole, prefetch):
    asked = []

    def batches():
        for i in range(100):
            asked.append(i)
            yield script.dataset()[i]

    run = run_loader(STEP, begin(), batches(), KEY, steps=17, prefetch=prefetch)
    state, _ = next(run)
    assert len(asked) == prefetch
    np.testing.assert_array_equal(weights(state), weights(whole[0]))
    *_, (last, metrics) = run
    assert len(asked) == 17
    assert metrics.keys() == {"loss"}
    np.testing.assert_array_equal(weights(last), weights(whole[-1]))


def test_loaders_that_cannot_be_used(whole):
    batches = [script.dataset()[i] for i in range(3)]
    assert len(list(run_loader(STEP, begin(), batches, KEY))) == 3
    with pytest.raises(ValueError, match=r"`loader` ended after 3 of 4 steps; let it go on"):
        list(run_loader(STEP, begin(), batches, KEY, steps=4))
    with pytest.raises(ValueError, match="`loading` has 3 steps behind it, but `loader` has no"):
        next(run_loader(STEP, whole[2], batches, KEY))
    with pytest.raises(TypeError, match="`loader` must be a dataset of grain or an iterable"):
        next(run_loader(STEP, begin(), 3, KEY))
    with pytest.raises(ValueError, match="`prefetch` must be a whole number above 0"):
        next(run_loader(STEP, begin(), batches, KEY, prefetch=0))


@pytest.mark.long
def test_a_process_killed_in_the_middle_of_an_epoch_ends_in_the_same_weights(tmp_path, whole):
    def run(folder, stop):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.train.loading", str(folder), str(stop)]
        return subprocess.run(command, check=False).returncode

    assert run(tmp_path / "a", 0) == 0
    assert [run(tmp_path / "b", stop) for stop in (4, 9, 0)] == [9, 9, 0]
    found = [np.load(tmp_path / name / "weights.npy") for name in "ab"]
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], weights(whole[-1]), rtol=1e-6)
