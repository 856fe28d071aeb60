"""Members of a sweep, trained in one program, are the runs of their own."""

import dataclasses
import re
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.train import Data, Scores, sweep
from snnjax.train._members import Members
from snnjax.train._sweep import Outcome, best, members_of, programs, table
from snnjax.train.recipes._networks import SynNetRecipe, convolutional

SHAPE = 1, 4, 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bumps(SynNetRecipe):
    """Three classes of random events; the held-out ones depend on the seed."""

    hidden: tuple[int, ...] = (6,)
    time_constants: tuple[int, ...] = (2,)
    batch_size: int = 8
    stages: str = "float:1,plan:1,chip:1"
    seeded_data: ClassVar[bool] = True

    def load_data(self):
        rng = np.random.default_rng(self.seed)
        labels = np.arange(32) % 3
        x = jnp.asarray(
            rng.poisson(0.3 + 0.7 * (np.arange(16) % 3 == labels[:, None, None]), (32, 10, 16)),
            float,
        )
        y = jnp.asarray(labels, jnp.int32)
        return Data((x[:24], y[:24]), (x[24:], y[24:]))

    def make_network(self, data=None):
        return self._synnet(16, 3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Maps(Bumps):
    """The same as maps, for a Speck, whose epochs are called step by step."""

    chip: str = "speck2f"
    stages: str = "plan:1,chip:1"
    method: None = None
    seeded_data: ClassVar[bool] = False

    @property
    def compiled(self):
        return "step"

    def options(self):
        return {"input_shape": SHAPE}

    def load_data(self):
        (x, y), (tx, ty) = Bumps().load_data()
        return Data((x.reshape(*x.shape[:2], *SHAPE), y), (tx.reshape(*tx.shape[:2], *SHAPE), ty))

    def make_network(self, data=None):
        return convolutional(SHAPE, (2, 3), 3, key=jax.random.key(self.seed))


def separately(recipe):
    """The losses of every epoch, and the state at the end, of a run of its own."""
    data = recipe.load_data()
    epochs = list(recipe.train(data, recipe.start(data)))
    return [float(metrics["loss"]) for _, metrics in epochs], epochs[-1][0]


def assert_equal_runs(recipe, over, seeds, chosen):
    members = [members_of(recipe, over, seeds)[i] for i in chosen]
    group = Members(members)
    epochs = list(group.train(group.start()))
    for i, member in enumerate(members):
        losses, wanted = separately(member)
        found = group.member(epochs[-1][0], i)
        own = [float(metrics["loss"][i]) for _, metrics in epochs]
        np.testing.assert_allclose(own, losses, rtol=1e-5)
        assert jax.tree.structure(found) == jax.tree.structure(wanted)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            if eqx.is_array(other):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
            else:
                assert one == other


@pytest.mark.slow
@pytest.mark.parametrize(
    "stages", [pytest.param("plan:2", marks=pytest.mark.long), "float:1,chip:1"]
)
def test_members_equal_separate_runs(stages):
    over = {"bits": [2, 8], "mismatch": [0.0, 0.1]}
    assert_equal_runs(Bumps(stages=stages), over, 2, chosen=(2, 5))


@pytest.mark.long
def test_members_of_a_speck_equal_separate_runs():
    recipe = Maps(stages="plan:1,chip:1")
    assert_equal_runs(recipe, {"learning_rate": [1e-3, 1e-2]}, 2, chosen=(0, 3))


@pytest.mark.slow
def test_a_sweep_has_every_combination_and_outlives_a_member_that_is_lost():
    over = {"hidden": [(4,), (6,)], "learning_rate": [1e-3, 1e38]}
    found = sweep(Bumps(stages="plan:2"), over)
    assert [member.outcome.name for member in found.members] == [
        "hidden=4,learning_rate=0.001,seed=0",
        "hidden=4,learning_rate=1e+38,seed=0",
        "hidden=6,learning_rate=0.001,seed=0",
        "hidden=6,learning_rate=1e+38,seed=0",
    ]
    lost = [member.outcome.scores is None for member in found.members]
    assert lost == [False, True, False, True]
    member = found.members[2]
    data = member.recipe.load_data()
    assert member.outcome.scores == member.recipe.score(member.state.model, member.spec, data)
    assert found.best in found.members
    assert str(found).count("not finite") == 6


def test_a_program_has_the_members_that_differ_in_numbers_it_takes():
    members = members_of(Bumps(), {"hidden": [(4,), (6,)], "bits": [None, 4, 8]}, 2)
    names = ("hidden", "bits")
    assert programs(members, names) == [[0, 1], [2, 3, 4, 5], [6, 7], [8, 9, 10, 11]]
    assert [member.seed for member in members[:4]] == [0, 1, 0, 1]


def test_the_table_has_means_and_spreads():
    def outcome(bits, seed, right):
        scores = None if right is None else Scores(90, None, right, 100)
        return Outcome({"bits": bits}, seed, scores)

    outcomes = [outcome(*x) for x in [(2, 0, 70), (2, 1, 80), (4, 0, 95), (4, 1, None)]]
    head, _, *rows = [re.split(r" *\| *", line)[1:-1] for line in table(outcomes).splitlines()]
    assert head == ["bits", "seeds", "float network", "integers, bit-exact simulator"]
    assert rows[0] == ["2", "2", "90.00 % ± 0.00", "75.00 % ± 7.07"]
    assert rows[1] == ["4", "2", "90.00 % (1 lost)", "95.00 % (1 lost)"]
    assert best(outcomes) is outcomes[2]
    with pytest.raises(ValueError, match="no member of the sweep has finite numbers"):
        best(outcomes[3:])


@pytest.mark.parametrize(
    ("over", "seeds", "message"),
    [
        ({"bits": []}, 1, "`over` must have a list of values for `bits`"),
        ({"chip": "audio3"}, 1, "`over` must have a list of values for `chip`"),
        ({"bits": [4, 4]}, 1, "`over` has a value of `bits` twice"),
        ({"seed": [1]}, 1, "`over` takes no seeds"),
        ({"bits": [4]}, 0, "`seeds` must be a whole number above 0"),
        ({"bits": [4, 9]}, 1, "`bits` must be from 2 to 8"),
        ({"width": [4]}, 1, "`width` is no setting"),
        ({"mismatch": [0.1 * i for i in range(101)]}, 100, "make 10,100 members"),
    ],
)
def test_sweeps_that_cannot_be(over, seeds, message):
    with pytest.raises(ValueError, match=message):
        sweep(Bumps(), over, seeds=seeds)


def test_a_recipe_with_its_own_training_is_refused():
    class Own(Bumps):
        def train(self, data, state, sharding=None):
            yield from ()

    with pytest.raises(ValueError, match="Own has a `train` of its own"):
        Members([Own(), Own(seed=1)])
