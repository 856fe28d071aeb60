"""The training loop: every epoch is one compiled call."""

from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from .._typing import FloatArray, Key, PyTree
from ..params import trainable

Metrics: TypeAlias = dict[str, FloatArray]
Loss: TypeAlias = Callable[[PyTree, PyTree, Key], tuple[FloatArray, Metrics]]
Epoch: TypeAlias = Callable[["TrainState", PyTree, Key], tuple["TrainState", Metrics]]


class TrainState(eqx.Module):
    """All that changes in training: with a checkpoint of it, training can go on.

    Attributes:
        model: the network.
        opt_state: the state of the optimiser.
        epoch: number of epochs done.
    """

    model: PyTree
    opt_state: PyTree
    epoch: Int[Array, ""]


def init_state(model: PyTree, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first epoch."""
    opt_state = optimizer.init(eqx.filter(model, trainable(model)))
    return TrainState(model, opt_state, jnp.zeros((), jnp.int32))


def make_epoch(loss: Loss, optimizer: optax.GradientTransformation, batch_size: int) -> Epoch:
    """A compiled function that trains for one pass over the data.

    Args:
        loss: (model, batch, key) -> (loss, metrics), each a mean over the batch.
        optimizer: an optax optimiser. It sees only the parameters that are trained.
        batch_size: sequences per step.

    Returns:
        epoch(state, data, key) -> (state, metrics). The data is a pytree of arrays in memory with a
        first axis in common, shuffled anew at every epoch; the few sequences that do not fill a
        batch are left out of that epoch. The metrics are means over it: those of `loss`, and
        `"loss"`. The same key and state give the same result.
    """

    def step(state: TrainState, inputs: tuple[PyTree, Key]) -> tuple[TrainState, Metrics]:
        batch, key = inputs
        trained, held = eqx.partition(state.model, trainable(state.model))
        (value, metrics), grads = jax.value_and_grad(
            lambda trained: loss(eqx.combine(trained, held), batch, key), has_aux=True
        )(trained)
        updates, opt_state = optimizer.update(grads, state.opt_state, trained)
        model = eqx.combine(eqx.apply_updates(trained, updates), held)
        return TrainState(model, opt_state, state.epoch), {"loss": value, **metrics}

    @eqx.filter_jit
    def epoch(state: TrainState, data: PyTree, key: Key) -> tuple[TrainState, Metrics]:
        n = len(jax.tree.leaves(data)[0])
        batches = n // batch_size
        if batches == 0:
            raise ValueError(f"`batch_size` is {batch_size}, but there are {n} sequences")
        order_key, step_key = jax.random.split(jax.random.fold_in(key, state.epoch))
        order = jax.random.permutation(order_key, n)[: batches * batch_size]
        shuffled = jax.tree.map(lambda x: x[order].reshape(batches, batch_size, *x.shape[1:]), data)
        arrays, static = eqx.partition(state, eqx.is_array)

        def body(arrays: PyTree, inputs: tuple[PyTree, Key]) -> tuple[PyTree, Metrics]:
            after, metrics = step(eqx.combine(arrays, static), inputs)
            return eqx.filter(after, eqx.is_array), metrics

        keys = jax.random.split(step_key, batches)
        arrays, metrics = jax.lax.scan(body, arrays, (shuffled, keys))
        after = eqx.combine(arrays, static)
        after = TrainState(after.model, after.opt_state, after.epoch + 1)
        return after, jax.tree.map(lambda m: m.mean(axis=0), metrics)

    return epoch
