"""Recipes whose batches grain brings: the order of an epoch, and going on in the middle of one."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from snnjax.train import load_checkpoint, save_checkpoint
from snnjax.train._epochs import grain_dataset
from snnjax.train._members import Members

from .test_sweep import Bumps

pytest.importorskip("grain")

RECIPE = Bumps(loader="grain", stages="float:2,plan:1", batch_size=10)
"""Two batches of ten of the 24 sequences in an epoch."""


def test_every_epoch_has_another_order_and_parts_make_whole_batches():
    data = RECIPE.load_data()
    numbered = data._replace(train=(np.arange(24), np.arange(24)))
    whole = [list(batch[0]) for batch in itertools.islice(grain_dataset(numbered, 10, 0, 0, 1), 6)]
    for epoch in range(3):
        seen = whole[2 * epoch] + whole[2 * epoch + 1]
        assert len(set(seen)) == 20
        assert seen != sorted(seen)
    assert whole[:2] != whole[2:4] != whole[4:]
    parts = [itertools.islice(grain_dataset(numbered, 10, 0, i, 2), 6) for i in range(2)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert batch == [*first[0], *second[0]]


@pytest.mark.slow
def test_a_run_goes_on_in_the_middle_of_an_epoch(tmp_path):
    data = RECIPE.load_data()
    states = list(RECIPE.train(data, RECIPE.start(data)))
    assert [(int(s.steps), int(s.epoch)) for s, _ in states] == list(
        zip(range(1, 7), (0, 1, 1, 2, 2, 3), strict=True)
    )
    for stop in (1, 5):
        save_checkpoint(tmp_path / str(stop), states[stop - 1][0])
        begin = load_checkpoint(tmp_path / str(stop), RECIPE.start(data))
        rest = list(RECIPE.train(data, begin))
        assert len(rest) == 6 - stop
        (last, metrics), (wanted, all_metrics) = rest[-1], states[-1]
        assert metrics == all_metrics
        for one, other in zip(jax.tree.leaves(last), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_sweep_has_its_data_in_memory():
    with pytest.raises(ValueError, match="`loader` of a sweep must be memory; got 'grain'"):
        Members([RECIPE, dataclasses.replace(RECIPE, seed=1)])
