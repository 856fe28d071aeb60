"""The training loop: every epoch is one compiled call, or one for each batch."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, PRNGKeyArray

from .._checks import explained
from .._mesh import take_along
from .._typing import FloatArray, Key, PyTree
from ..params import trainable
from ._sharding import Sharding

Metrics: TypeAlias = dict[str, FloatArray]
Loss: TypeAlias = Callable[..., Any]
Epoch: TypeAlias = Callable[["TrainState", PyTree, Key], tuple["TrainState", Metrics]]


class TrainState(eqx.Module):
    """All that changes in training: with a checkpoint of it, training can go on.

    Attributes:
        model: the network.
        opt_state: the state of the optimiser.
        epoch: number of epochs done.
        statistics: running statistics of the model, such as those of `eqx.nn.BatchNorm`; None for
            a model without.
    """

    model: PyTree
    opt_state: PyTree
    epoch: Int[Array, ""]
    statistics: PyTree = None

    @property
    def count(self) -> Int[Array, ""]:
        """A number that grows in training, for the step of a checkpoint: epochs done."""
        return self.epoch


@explained
def init_state(
    model: PyTree, optimizer: optax.GradientTransformation, statistics: PyTree = None
) -> TrainState:
    """The state before the first epoch.

    Args:
        model: the network.
        optimizer: an optax optimiser.
        statistics: those that the model begins with, where it has any:
            `snnjax.nn.statistics(model.initial_state())`. The loss then takes them as a fourth
            argument and gives them back after the metrics.
    """
    opt_state = optimizer.init(eqx.filter(model, trainable(model)))
    return TrainState(model, opt_state, jnp.zeros((), jnp.int32), statistics)


def make_step(
    loss: Loss, optimizer: optax.GradientTransformation, sharding: Sharding | None = None
) -> "_Step":
    """A function that trains for one batch: step(state, (batch, key)) -> (state, metrics).

    Args:
        loss: (model, batch, key) -> (loss, metrics), each a mean over the batch; for a state with
            running statistics (model, batch, key, statistics) -> (loss, metrics, statistics).
        optimizer: an optax optimiser. It sees only the parameters that are trained.
        sharding: keeps the state where it is on a mesh.
    """

    def step(state: TrainState, inputs: tuple[PyTree, Key]) -> tuple[TrainState, Metrics]:
        batch, key = inputs
        trained, held = eqx.partition(state.model, trainable(state.model))
        given = () if state.statistics is None else (state.statistics,)

        def value_of(trained: PyTree) -> tuple[FloatArray, Any]:
            value, *more = loss(eqx.combine(trained, held), batch, key, *given)
            return value, more

        (value, (metrics, *statistics)), grads = jax.value_and_grad(value_of, has_aux=True)(trained)
        updates, opt_state = optimizer.update(grads, state.opt_state, trained)
        model = eqx.combine(eqx.apply_updates(trained, updates), held)
        after = TrainState(model, opt_state, state.epoch, *statistics)
        return (after if sharding is None else sharding.held(after)), {"loss": value, **metrics}

    return step


@explained
def make_epoch(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    *,
    compiled: Literal["epoch", "step"] = "epoch",
    sharding: Sharding | None = None,
) -> Epoch:
    """A function that trains for one pass over the data.

    Args:
        loss: as for `make_step`.
        optimizer: an optax optimiser. It sees only the parameters that are trained.
        batch_size: sequences per step.
        compiled: what one compiled call does: the whole "epoch", which is best for small networks
            and on accelerators, or one "step". On a CPU, the compiler makes convolutions within a
            loop many times slower than outside of one, so networks with convolutions want "step".
        sharding: a mesh of devices, of one process or of several that all call the function.

    Returns:
        epoch(state, data, key) -> (state, metrics). The data is a pytree of arrays in memory with a
        first axis in common, shuffled anew at every epoch; the few sequences that do not fill a
        batch are left out of that epoch. The metrics are means over it: those of `loss`, and
        `"loss"`. The same key and state give the same result.

    Raises:
        ValueError: if `compiled` is neither of these, or `batch_size` is not above 0; and by the
            function, if the data has fewer sequences than that or arrays of unequal length.
        FloatingPointError: by the function, if the loss is not finite on a mesh, where programs
            raise nothing.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be above 0; got {batch_size}")
    if compiled not in ("epoch", "step"):
        raise ValueError(f"`compiled` must be 'epoch' or 'step'; got {compiled!r}")
    if sharding is not None:
        sharding.require(batch_size)

    step = make_step(loss, optimizer, sharding)

    def take(data: PyTree, order: Int[Array, "*batches batch_size"]) -> PyTree:
        taken = jax.tree.map(lambda x: take_along(x, order), data)
        return taken if sharding is None else sharding.split(taken, order.ndim - 1)

    run = _in_one_call(step, take) if compiled == "epoch" else _call_by_call(step, take)

    def epoch(state: TrainState, data: PyTree, key: Key) -> tuple[TrainState, Metrics]:
        after, metrics = run(state, data, *batches(state, data, key, batch_size))
        after = TrainState(after.model, after.opt_state, after.epoch + 1, after.statistics)
        return after, jax.tree.map(lambda m: m.mean(axis=0), metrics)

    program = eqx.filter_jit(epoch) if compiled == "epoch" else epoch
    return program if sharding is None else _on_mesh(program, sharding)


def _on_mesh(epoch: Epoch, sharding: Sharding) -> Epoch:
    def run(state: TrainState, data: PyTree, key: Key) -> tuple[TrainState, Metrics]:
        with jax.set_mesh(sharding.mesh):
            state, metrics = epoch(sharding.place(state), sharding.share(data), key)
        require_finite(metrics["loss"], f"epoch {int(state.epoch)}")
        return state, metrics

    return run


def require_finite(loss: Array, when: str) -> None:
    """Raise FloatingPointError unless the loss is finite; on a mesh, programs raise nothing."""
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"the loss of {when} is {loss}: a parameter is not finite, or left its range. Train "
            "with a smaller rate, or hold it with `frozen`"
        )


@explained
def run_epochs(
    epoch: Epoch, state: TrainState, data: PyTree, epochs: int, key: Key
) -> Iterator[tuple[TrainState, Metrics]]:
    """Train up to an epoch; gives the state and the metrics after each.

    Args:
        epoch: what `make_epoch` gave.
        state: where to begin; training that was interrupted goes on as it would have.
        data: arrays with a first axis in common.
        epochs: how many there are in all, those that `state` has behind it included.
        key: of the order of the data and all that is random.
    """
    for _ in range(int(state.epoch), epochs):
        state, metrics = epoch(state, data, key)
        yield state, metrics


_Step: TypeAlias = Callable[[TrainState, tuple[PyTree, Key]], tuple[TrainState, Metrics]]
_Take: TypeAlias = Callable[[PyTree, Int[Array, "*batches batch_size"]], PyTree]
_Order: TypeAlias = Int[Array, "batches batch_size"]
_Run: TypeAlias = Callable[[TrainState, PyTree, _Order, PRNGKeyArray], tuple[TrainState, Metrics]]


def batches_of(sequences: int, batch_size: int) -> int:
    """How many batches an epoch has.

    Raises:
        ValueError: if there are too few sequences for one.
    """
    if sequences < batch_size:
        raise ValueError(f"`batch_size` is {batch_size}, but there are {sequences} sequences")
    return sequences // batch_size


def batches(
    state: TrainState, data: PyTree, key: Key, batch_size: int
) -> tuple[_Order, PRNGKeyArray]:
    """The sequences of each batch of this epoch, and a key for each batch."""
    sizes = {len(leaf) for leaf in jax.tree.leaves(data)}
    if len(sizes) != 1:
        raise ValueError(f"`data` must be arrays of one length; got {sorted(sizes)}")
    (n,) = sizes
    batches = batches_of(n, batch_size)
    order_key, step_key = jax.random.split(jax.random.fold_in(key, state.epoch))
    order = jax.random.permutation(order_key, n)[: batches * batch_size]
    return order.reshape(batches, batch_size), jax.random.split(step_key, batches)


def _in_one_call(step: _Step, take: _Take) -> _Run:
    def run(
        state: TrainState, data: PyTree, order: _Order, keys: PRNGKeyArray
    ) -> tuple[TrainState, Metrics]:
        arrays, static = eqx.partition(state, eqx.is_array)

        def body(arrays: PyTree, inputs: tuple[PyTree, Key]) -> tuple[PyTree, Metrics]:
            after, metrics = step(eqx.combine(arrays, static), inputs)
            return eqx.filter(after, eqx.is_array), metrics

        arrays, metrics = jax.lax.scan(body, arrays, (take(data, order), keys))
        return eqx.combine(arrays, static), metrics

    return run


def _call_by_call(step: _Step, take: _Take) -> _Run:
    @eqx.filter_jit
    def one(
        state: TrainState, data: PyTree, batch: Int[Array, " batch_size"], key: Key
    ) -> tuple[TrainState, Metrics]:
        return step(state, (take(data, batch), key))

    def run(
        state: TrainState, data: PyTree, order: _Order, keys: PRNGKeyArray
    ) -> tuple[TrainState, Metrics]:
        found = []
        for batch, key in zip(order, keys, strict=True):
            state, metrics = one(state, data, batch, key)
            found.append(metrics)
        return state, jax.tree.map(lambda *ms: jnp.stack(ms), *found)

    return run
