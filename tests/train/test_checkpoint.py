"""Checkpoints: round trips, refusals, and that a good one stays until there is a newer one."""

import shutil

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnjax import SynNet
from snnjax.train import Checkpoints, init_state, load_checkpoint, save_checkpoint


def state(n=6, seed=0):
    model = SynNet(3, 4, (n,), (2,), key=jax.random.key(seed))
    return init_state(model, optax.adam(1e-3))


def test_round_trip_gives_the_identical_state(tmp_path):
    saved = state(seed=1)
    save_checkpoint(tmp_path / "c", saved)
    assert eqx.tree_equal(load_checkpoint(tmp_path / "c", state(seed=2)), saved)


def test_a_checkpoint_loads_into_shapes_alone(tmp_path):
    saved = state(seed=1)
    save_checkpoint(tmp_path / "c", saved)
    shapes = eqx.filter_eval_shape(state, seed=2)
    assert eqx.tree_equal(load_checkpoint(tmp_path / "c", shapes), saved)


def test_random_keys_arrays_of_numpy_and_odd_dtypes_come_back_as_they_were(tmp_path):
    saved = {
        "key": jax.random.key(3),
        "keys": jax.random.split(jax.random.key(4, impl="rbg"), 3),
        "raw": jax.random.PRNGKey(5),
        "numpy": np.arange(3.0),
        "half": jnp.asarray([1, -2.5], jnp.bfloat16),
        "flag": jnp.asarray(True),
        "nothing": jnp.zeros((0, 3)),
        "a/b.c['d']": jnp.asarray([np.nan, np.inf, -0.0]),
        "note": "this is no array",
    }
    save_checkpoint(tmp_path / "c", saved)
    found = load_checkpoint(tmp_path / "c", saved | {"numpy": np.zeros(3)})
    assert isinstance(found["numpy"], np.ndarray)
    for name in ("key", "keys"):
        assert found[name].dtype == saved[name].dtype
        assert np.array_equal(jax.random.key_data(found[name]), jax.random.key_data(saved[name]))
    for name in ("raw", "numpy", "half", "flag", "nothing", "a/b.c['d']"):
        assert found[name].dtype == saved[name].dtype
        assert found[name].shape == saved[name].shape
        assert found[name].tobytes() == saved[name].tobytes()
    assert found["note"] == "this is no array"


def test_saving_again_replaces(tmp_path):
    for seed in (1, 2, 3):
        save_checkpoint(tmp_path / "c", state(seed=seed))
    assert eqx.tree_equal(load_checkpoint(tmp_path / "c", state(seed=4)), state(seed=3))
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["2"]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"note": "x"}, "`tree` has no arrays"),
        ({}, "`tree` has no arrays"),
        ({"a": jnp.zeros(2), "b": np.asarray([object()])}, r"array of object at \['b'\]"),
        ({"a": jnp.zeros(2), "b": np.asarray(["x"])}, r"array of <U1 at \['b'\], not of numbers"),
    ],
)
def test_a_tree_that_cannot_be_saved_leaves_the_good_checkpoint(tmp_path, tree, message):
    save_checkpoint(tmp_path / "c", state(seed=1))
    with pytest.raises(ValueError, match=message):
        save_checkpoint(tmp_path / "c", tree)
    assert eqx.tree_equal(load_checkpoint(tmp_path / "c", state(seed=3)), state(seed=1))


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="something else in it"):
        save_checkpoint(tmp_path, state())
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_run_keeps_the_two_newest_steps_and_the_newest_counts(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.latest is None
        for step in (0, 3, 7):
            checkpoints.save(step, {"a": jnp.full(2, step)})
            assert checkpoints.latest == step
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["3", "7"]
    assert load_checkpoint(tmp_path / "c", {"a": jnp.zeros(2, int)})["a"].tolist() == [7, 7]


def test_another_model_is_refused_and_every_difference_named(tmp_path):
    save_checkpoint(tmp_path / "c", {"a": jnp.zeros(2), "b": jnp.zeros(3), "c": jnp.zeros(4)})
    like = {"a": jnp.zeros(2), "b": jnp.zeros(5), "d": jnp.zeros(4)}
    with pytest.raises(ValueError, match="of another model") as error:
        load_checkpoint(tmp_path / "c", like)
    text = str(error.value)
    assert "['b'] is float32[3], the model has float32[5]" in text
    assert "['c'] is not in the model" in text
    assert "['d'] is missing" in text
    save_checkpoint(tmp_path / "k", {"key": jax.random.key(0)})
    with pytest.raises(ValueError, match=r"key<fry>\[\], the model has key<rbg>\[\]"):
        load_checkpoint(tmp_path / "k", {"key": jax.random.key(0, impl="rbg")})


def test_a_missing_folder_and_one_that_is_no_checkpoint_are_clear_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at"):
        load_checkpoint(tmp_path / "nothing", state())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "empty", state())


def step_of(folder, like):
    """The folder of the only step of a checkpoint."""
    save_checkpoint(folder, like)
    (step,) = folder.iterdir()
    return step


def test_a_changed_array_is_named(tmp_path):
    tree = {"a": jnp.arange(4.0), "b": jnp.arange(3)}
    step = step_of(tmp_path / "c", tree)
    contents = step / "contents/metadata"
    old = eqx.tree_at(lambda t: t["b"], tree, jnp.asarray([0, 1, 3]))
    other = step_of(tmp_path / "d", old)
    shutil.copy(contents, other / "contents/metadata")
    with pytest.raises(ValueError, match=r"is damaged: the array \['b'\] is not what was saved"):
        load_checkpoint(tmp_path / "d", tree)


@pytest.mark.few(1)
@pytest.mark.parametrize("piece", ["contents", "contents/metadata", "arrays", "arrays/_METADATA"])
def test_a_missing_piece_is_a_clear_error(tmp_path, piece):
    with Checkpoints(tmp_path / "c") as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, {"a": jnp.zeros(3)})
    gone = tmp_path / "c/2" / piece
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(ValueError, match=r"c/2 is damaged: .*; remove it to go on from step 1"):
        load_checkpoint(tmp_path / "c", {"a": jnp.zeros(3)})


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path):
    step = step_of(tmp_path / "c", {"a": jnp.zeros(3)})
    contents = step / "contents/metadata"
    contents.write_text(contents.read_text().replace('"version": 2', '"version": 3'))
    with pytest.raises(ValueError, match="has version 3, this snnjax reads 2"):
        load_checkpoint(tmp_path / "c", {"a": jnp.zeros(3)})
