"""The epochs of a recipe: from arrays in memory, or from batches that grain brings."""

import functools
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from .._extras import extra
from ._fit import Data
from ._loader import Loading, make_loader_step, run_loader, start_loading
from ._loop import Metrics, TrainState, batches_of, make_epoch, require_finite, run_epochs
from ._sharding import Sharding

_METRICS = "loss", "accuracy"


class Underway(TrainState):
    """A recipe in training through grain: with a checkpoint of it, an epoch goes on in its middle.

    Attributes:
        model: the network and its plan, a `Trained`.
        opt_state: the state of the optimiser.
        epoch: number of whole epochs done.
        statistics: running statistics of the model.
        steps: number of batches done.
        position: of the loader after the last of them; see `Loading`.
        sums: of loss and accuracy over the batches of this epoch.
    """

    steps: Int[Array, ""] = eqx.field(kw_only=True)
    position: UInt8[np.ndarray, " bytes"] = eqx.field(kw_only=True)
    sums: Float[Array, " 2"] = eqx.field(kw_only=True)

    @property
    def count(self) -> Int[Array, ""]:
        """Number of batches done."""
        return self.steps


def start_underway(state: TrainState) -> Underway:
    """The state before the first batch."""
    return _underway(start_loading(state), jnp.zeros(len(_METRICS)))


def epochs(
    recipe: Any, data: Data, state: Any, sharding: Sharding | None
) -> Iterator[tuple[Any, Metrics]]:
    """The states of a recipe in training; see `Recipe.train`."""
    run = _batches_by_grain if isinstance(state, Underway) else _epochs_in_memory
    return run(recipe, data, state, sharding)


def _epochs_in_memory(
    recipe: Any, data: Data, state: TrainState, sharding: Sharding | None
) -> Iterator[tuple[TrainState, Metrics]]:
    """The state and the metrics after each epoch; see `Recipe.train`."""
    optimizer = recipe.optimizer(state.model, len(data.train[1]))
    key = jax.random.key(recipe.seed + 1)
    inputs = data.train if sharding is None else sharding.share(data.train)
    make = functools.partial(make_epoch, compiled=recipe.compiled, sharding=sharding)
    for stage in recipe.schedule:
        if int(state.epoch) < stage.end:
            epoch = make(recipe.loss(stage.through), optimizer, recipe.batch_size)
            for after, metrics in run_epochs(epoch, state, inputs, stage.end, key):
                state = after
                yield after, metrics


def _batches_by_grain(
    recipe: Any, data: Data, state: Underway, sharding: Sharding | None
) -> Iterator[tuple[Underway, Metrics]]:
    """The state after each batch, and the metrics of its epoch so far; see `Recipe.train`."""
    batches = batches_of(len(data.train[1]), recipe.batch_size)
    optimizer = recipe.optimizer(state.model, len(data.train[1]))
    key = jax.random.key(recipe.seed + 1)
    loader = recipe.make_loader(data, *((0, 1) if sharding is None else sharding.part()))
    place = jax.device_put if sharding is None else sharding.assemble
    for stage in recipe.schedule:
        if int(state.epoch) >= stage.end:
            continue
        step = make_loader_step(recipe.loss(stage.through), optimizer, sharding=sharding)
        end = stage.end * batches
        held = TrainState(state.model, state.opt_state, state.epoch, state.statistics)
        begin = Loading(held, state.steps, state.position)
        for loading, metrics in run_loader(step, begin, loader, key, steps=end, place=place):
            if sharding is not None:
                require_finite(metrics["loss"], f"batch {int(loading.steps)}")
            state = _after(state, loading, metrics, batches)
            done = (int(state.steps) - 1) % batches + 1
            yield state, dict(zip(_METRICS, np.asarray(state.sums) / done, strict=True))


def grain_dataset(data: Data, batch_size: int, seed: int, part: int, parts: int) -> Any:
    """Batches of sequences in memory, shuffled anew every epoch, as a dataset of grain.

    Raises:
        ImportError: if grain is missing, naming the extra that brings it.
    """
    with extra("grain"):
        import grain
    rows = grain.MapDataset.source(_Rows(data)).seed(seed).shuffle()
    whole = rows[: len(rows) // batch_size * batch_size]
    endless = whole.batch(batch_size // parts)[part::parts].repeat()
    # Threads that only read memory take turns with the one that trains, and slow it down.
    return endless.to_iter_dataset(grain.ReadOptions(num_threads=0))


class _Rows:
    """Sequences with their labels, as a source of grain."""

    def __init__(self, data: Data):
        self._arrays = tuple(map(np.asarray, data.train))

    def __len__(self) -> int:
        return len(self._arrays[1])

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return tuple(array[index] for array in self._arrays)


def _after(before: Underway, loading: Loading, metrics: Metrics, batches: int) -> Underway:
    """The state after one more batch."""
    own = jnp.asarray([np.asarray(metrics[name]) for name in _METRICS], jnp.float32)
    is_first = (int(loading.steps) - 1) % batches == 0
    epoch = jnp.asarray(int(loading.steps) // batches, jnp.int32)
    counted = eqx.tree_at(lambda x: x.state.epoch, loading, epoch)
    return _underway(counted, own if is_first else before.sums + own)


def _underway(loading: Loading, sums: Float[Array, " 2"]) -> Underway:
    state = loading.state
    return Underway(
        state.model,
        state.opt_state,
        state.epoch,
        state.statistics,
        steps=loading.steps,
        position=loading.position,
        sums=sums,
    )
