"""Saves that fail at a random byte, and checkpoints in which a bit has flipped."""

import contextlib
import random
import resource
import shutil

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest

from snnjax import SynNet
from snnjax.train import init_state, load_checkpoint, save_checkpoint

# Orbax's threads raise what they also give back.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::pytest.Pytest{kind}Warning")
    for kind in ("UnhandledThreadException", "UnraisableException")
]


def state(seed):
    model = SynNet(3, 4, (6,), (2,), key=jax.random.key(seed))
    return init_state(model, optax.adam(1e-3)), jax.random.key(seed), jnp.arange(3)


def files_of(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file())


def same(a, b):
    keys = jax.random.key_data(a[1]), jax.random.key_data(b[1])
    return bool(eqx.tree_equal((a[0], keys[0], a[2]), (b[0], keys[1], b[2])))


@contextlib.contextmanager
def largest_file(size):
    """No file takes more bytes than this, as if the device were full there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


COUNTS = [
    pytest.param(3),
    pytest.param(100, marks=pytest.mark.long),
]


@pytest.mark.parametrize("count", COUNTS)
def test_a_save_that_fails_at_a_random_byte_leaves_the_checkpoint_that_was_there(tmp_path, count):
    good, newer, drawn = state(1), state(2), random.Random(0)
    save_checkpoint(tmp_path / "c", good)
    largest = max(file.stat().st_size for file in files_of(tmp_path / "c"))
    for _ in range(count):
        with largest_file(drawn.randrange(largest)), pytest.raises(OSError, match="cannot be wri"):
            save_checkpoint(tmp_path / "c", newer)
        assert same(load_checkpoint(tmp_path / "c", newer), good)
    save_checkpoint(tmp_path / "c", newer)
    assert same(load_checkpoint(tmp_path / "c", good), newer)


FLIPS = [
    pytest.param(10),
    pytest.param(100, marks=pytest.mark.slow),
    pytest.param(2000, marks=pytest.mark.long),
]


@pytest.mark.parametrize("count", FLIPS)
def test_a_checkpoint_with_a_flipped_bit_loads_as_it_was_or_is_refused(tmp_path, count):
    good, like, drawn = state(1), state(2), random.Random(count)
    save_checkpoint(tmp_path / "c", good)
    files = [file for file in files_of(tmp_path / "c") if file.stat().st_size]
    sizes = [file.stat().st_size for file in files]
    refused = []
    for _ in range(count):
        (file,) = drawn.choices(files, sizes)
        whole = file.read_bytes()
        flipped = bytearray(whole)
        at = drawn.randrange(len(whole))
        flipped[at] ^= 1 << drawn.randrange(8)
        file.write_bytes(flipped)
        try:
            found = load_checkpoint(tmp_path / "c", like)
        except ValueError as error:
            refused.append(str(error))
        else:
            assert same(found, good), f"byte {at} of {file}"
        file.write_bytes(whole)
    print(f"{len(refused)} of {count} refused, the others load as they were")
    # About 6 of 10. Names and sizes of the files differ by run, and so do the bits that are drawn.
    assert len(refused) > (count // 4 if count > 10 else 0)
    assert all(str(tmp_path / "c") in message for message in refused)
    assert same(load_checkpoint(tmp_path / "c", like), good)
    shutil.rmtree(tmp_path / "c")
