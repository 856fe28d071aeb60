"""A network over a batch, whose sequences share running statistics and nothing else."""

from typing import Any

import equinox as eqx
import jax
from jax.typing import ArrayLike

from .._typing import FloatArray, Key, PyTree
from ._layer import Layer, as_float, require_layer


def run_batch(
    model: Layer,
    x: ArrayLike,
    state: PyTree = None,
    *,
    key: Key | None = None,
    axis_name: str = "batch",
) -> tuple[FloatArray, PyTree]:
    """A network over a batch of sequences.

    `jax.vmap(model)` with an axis that has a name, and, where the network holds
    `eqx.nn.BatchNorm(channels, axis_name=("time", "batch"))`, with one running statistic for all
    sequences instead of a copy each. Outside of training, `eqx.nn.inference_mode(model)` uses what
    was gathered. Training goes on with the statistics and with neurons at rest:

        y, state = run_batch(model, x, statistics)
        statistics = snnjax.nn.statistics(state)

    Args:
        model: a network or layer.
        x: input, `(batch, time, ...)`.
        state: what an earlier call gave, or the `statistics` of that; None is the resting state.
        key: needed where something in the network is random; every sequence gets its own.
        axis_name: name of the batch axis.

    Returns:
        The output, `(batch, time, ...)`, and the state after the last step: a batch axis first, but
        for running statistics, which have none.

    Raises:
        TypeError: if `model` is no `Layer`.
    """
    require_layer("model", model)
    x = as_float(x, model)
    keys = None if key is None else jax.random.split(key, len(x))
    return jax.vmap(
        lambda x, state, key: model(x, state, key=key),
        in_axes=(0, _axes(state), 0),
        out_axes=(0, _axes(jax.eval_shape(model.initial_state))),
        axis_name=axis_name,
    )(x, state, keys)


def statistics(state: PyTree) -> PyTree:
    """Of a network's state, the running statistics alone: all neurons are at rest again."""
    if type(state) is tuple:
        return tuple(statistics(entry) for entry in state)
    return state if isinstance(state, eqx.nn.State) else None


def _axes(state: PyTree) -> PyTree:
    return jax.tree.map(
        lambda node: None if _is_statistics(node) else 0, state, is_leaf=_is_statistics
    )


def _is_statistics(node: Any) -> bool:
    return isinstance(node, eqx.nn.State)
