import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest

from snnjax import SynNet
from snnjax.train import init_state, load_checkpoint, save_checkpoint


def state(n=6, seed=0):
    model = SynNet(3, 4, (n,), (2,), key=jax.random.key(seed))
    return init_state(model, optax.adam(1e-3))


def test_round_trip_gives_the_identical_state(tmp_path):
    saved = state(seed=1)
    save_checkpoint(tmp_path / "c", saved)
    assert eqx.tree_equal(load_checkpoint(tmp_path / "c", state(seed=2)), saved)


def test_saving_again_replaces(tmp_path):
    save_checkpoint(tmp_path / "c", state(seed=1))
    save_checkpoint(tmp_path / "c", state(seed=2))
    assert eqx.tree_equal(load_checkpoint(tmp_path / "c", state(seed=3)), state(seed=2))


def test_another_model_is_refused_and_every_difference_named(tmp_path):
    save_checkpoint(tmp_path / "c", {"a": jnp.zeros(2), "b": jnp.zeros(3), "c": jnp.zeros(4)})
    like = {"a": jnp.zeros(2), "b": jnp.zeros(5), "d": jnp.zeros(4)}
    with pytest.raises(ValueError, match="of another model") as error:
        load_checkpoint(tmp_path / "c", like)
    text = str(error.value)
    assert "['b'] is float32[3], the model has float32[5]" in text
    assert "['c'] is not in the model" in text
    assert "['d'] is missing" in text


def test_a_missing_folder_and_one_that_is_no_checkpoint_are_clear_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at"):
        load_checkpoint(tmp_path / "nothing", state())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "empty", state())
