"""Training on batches that a loader brings, such as grain's: from files, shuffled, sharded."""

import collections
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, UInt8

from .._checks import count, explained
from .._typing import Key, PyTree
from ._loop import Loss, Metrics, TrainState, make_step
from ._sharding import Sharding

POSITION_BYTES = 2**14
"""Most bytes of a loader's position, as JSON."""

Step: TypeAlias = Callable[[TrainState, PyTree, Key], tuple[TrainState, Metrics]]


class Loading(eqx.Module):
    """All that changes in training from a loader: with a checkpoint of it, training can go on.

    Attributes:
        state: the state of training; its `epoch` does not change.
        steps: number of batches done.
        position: of the loader after the last of them, in JSON, with zeros to a fixed length.
    """

    state: TrainState
    steps: Int[Array, ""]
    position: UInt8[np.ndarray, " bytes"]


@explained
def start_loading(state: TrainState) -> Loading:
    """The state before the first batch."""
    return Loading(state, jnp.zeros((), jnp.int32), np.zeros(POSITION_BYTES, np.uint8))


@explained
def make_loader_step(
    loss: Loss, optimizer: optax.GradientTransformation, *, sharding: Sharding | None = None
) -> Step:
    """A compiled function that trains for one batch: step(state, batch, key) -> (state, metrics).

    Args:
        loss: (model, batch, key) -> (loss, metrics), as for `make_epoch`.
        optimizer: an optax optimiser. It sees only the parameters that are trained.
        sharding: a mesh of devices, of one process or of several that all call the function. What
            is wrong on a mesh makes the loss NaN.
    """
    step = make_step(loss, optimizer, sharding)
    program = eqx.filter_jit(lambda state, batch, key: step(state, (batch, key)))
    if sharding is None:
        return program

    def run(state: TrainState, batch: PyTree, key: Key) -> tuple[TrainState, Metrics]:
        with jax.set_mesh(sharding.mesh):
            return program(sharding.place(state), batch, key)

    return run


@explained
def run_loader(
    step: Step,
    loading: Loading,
    loader: Iterable[PyTree],
    key: Key,
    *,
    steps: int | None = None,
    prefetch: int = 2,
    place: Callable[[PyTree], PyTree] = jax.device_put,
) -> Iterator[tuple[Loading, Metrics]]:
    """Train on the batches of a loader; gives the state and the metrics after each.

    Shuffling, epochs, sharding by process and the order of batches are the loader's. Training that
    was interrupted goes on with the next batch, in the middle of an epoch as well, and ends in the
    same weights:

        data = grain.MapDataset.source(files).seed(0).shuffle().repeat().map(read).batch(32)
        begin = start_loading(init_state(model, optimizer))
        for loading, metrics in run_loader(step, begin, data, key, steps=10_000):
            if loading.steps % 1000 == 0:
                checkpoints.save(int(loading.steps), loading)

    On a mesh, every process reads its part of each batch. Batches and their order are then the same
    on any number of processes, and a position that one of them saved is that of all:

        sharding = Sharding.make("data=8")
        part, parts = sharding.part()
        data = grain.MapDataset.source(files).seed(0).shuffle()[: len(files) // 32 * 32].map(read)
        data = data.batch(32 // parts)[part::parts].repeat()
        step = make_loader_step(loss, optimizer, sharding=sharding)
        for loading, metrics in run_loader(step, begin, data, key, place=sharding.assemble):
            if loading.steps % 1000 == 0:
                whole = sharding.gather(loading)
                if jax.process_index() == 0:
                    checkpoints.save(int(loading.steps), whole)

    Args:
        step: what `make_loader_step` gave.
        loading: where to begin: `start_loading`, or one that a checkpoint had.
        loader: a `MapDataset`, an `IterDataset` or a `DataLoader` of grain, or any iterable of
            batches; each batch is a pytree of arrays with a first axis in common.
        key: of all that is random in the loss. Each step has its own.
        steps: how many there are in all, those that `loading` has behind it included; None to go on
            until the loader ends.
        prefetch: batches that are read and put on the device ahead of the one in training.
        place: puts a batch on the device, or on a mesh, as `Sharding.assemble` does.

    Raises:
        TypeError: if `loader` is no iterable of batches.
        ValueError: if the loader ends before `steps`; or if training is to go on and the loader has
            no position that could be restored.
    """
    count("prefetch", prefetch)
    iterator = _iterator(loader)
    done = int(loading.steps)
    _restore(iterator, loading)
    ahead: collections.deque[tuple[PyTree, np.ndarray]] = collections.deque()
    read = done
    while steps is None or done < steps:
        while len(ahead) < prefetch and (steps is None or read < steps):
            try:
                batch = next(iterator)
            except StopIteration:
                break
            ahead.append((place(batch), _position(iterator)))
            read += 1
        if not ahead:
            if steps is None:
                return
            raise ValueError(
                f"`loader` ended after {done} of {steps} steps; let it go on with `.repeat()`, or "
                "ask for fewer `steps`"
            )
        batch, position = ahead.popleft()
        state, metrics = step(loading.state, batch, jax.random.fold_in(key, done))
        done += 1
        loading = Loading(state, jnp.asarray(done, jnp.int32), position)
        yield loading, metrics


def _iterator(loader: Any) -> Iterator[PyTree]:
    """An iterator of batches; of a dataset of grain, one that has a position."""
    found = loader.to_iter_dataset() if hasattr(loader, "to_iter_dataset") else loader
    try:
        return iter(found)
    except TypeError:
        raise TypeError(
            "`loader` must be a dataset of grain or an iterable of batches; "
            f"got {type(loader).__name__}"
        ) from None


def _position(iterator: Any) -> UInt8[np.ndarray, " bytes"]:
    """The position of an iterator that has one, in JSON."""
    content = b""
    if hasattr(iterator, "get_state"):
        found = iterator.get_state()
        content = found if isinstance(found, bytes) else json.dumps(found).encode()
    if len(content) > POSITION_BYTES:
        raise ValueError(
            f"`loader` has a position of {len(content):,} bytes, more than the {POSITION_BYTES:,} "
            "of a checkpoint; mix fewer datasets in it"
        )
    return np.frombuffer(content.ljust(POSITION_BYTES, b"\0"), np.uint8)


def _restore(iterator: Any, loading: Loading) -> None:
    """Bring an iterator to the position after the last batch."""
    content = np.asarray(loading.position).tobytes().rstrip(b"\0")
    if not int(loading.steps):
        return
    if not content or not hasattr(iterator, "set_state"):
        raise ValueError(
            f"`loading` has {int(loading.steps)} steps behind it, but `loader` has no position to "
            "restore; take a dataset of grain"
        )
    kind = type(iterator.get_state())
    iterator.set_state(content if kind is bytes else json.loads(content))
