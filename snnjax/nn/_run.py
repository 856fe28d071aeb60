"""Ways to run a network: over a batch with shared running statistics, and over long sequences."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._checks import count, explained
from .._mesh import scan
from .._typing import FloatArray, Key, PyTree
from ._layer import Layer, as_float, or_at_rest, require_layer


@explained
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
        state: the state after an earlier call, or its `statistics`; None is the resting state.
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


@explained
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


@explained
def run_chunked(
    model: Layer,
    x: ArrayLike,
    state: PyTree = None,
    *,
    chunk: int | None = None,
    remat: bool = True,
    key: Key | None = None,
) -> tuple[FloatArray, PyTree]:
    """Run a network over a sequence, `chunk` time steps at a time, in one compiled loop.

    Each piece runs layer after layer, as `model(x)` does; only the state passes from piece to
    piece. Activation memory scales with `chunk` instead of the sequence length. So it does in
    training with `remat`: the gradient stores the state before every piece and recomputes the
    piece. The output is that of `model(x, state)`, with the exactness of `model.step`.

    Args:
        model: a network or layer.
        x: input, time first.
        state: the state before the first step; None is the resting state.
        chunk: time steps of a piece. The last one may be shorter. None is about sqrt(T) for T
            steps, where the states before the pieces and one piece take the least memory together:
            a divisor of T between half and twice that, if it has one.
        remat: recompute the pieces on the way back instead of keeping all that happened in them.
        key: needed where something in the network is random. Every piece gets a key of its own, so
            the draws differ from those of `model(x, key=key)`.

    Returns:
        The output, time first, and the state after the last step.

    Raises:
        ValueError: if `chunk` is no whole number above 0.
        TypeError: if `model` is no `Layer`.
    """
    require_layer("model", model)
    x = as_float(x, model)
    chunk = _chunk(len(x)) if chunk is None else chunk
    count("chunk", chunk)
    pieces, rest = divmod(len(x), chunk)
    if pieces == 0:
        return model(x, state, key=key)
    keys = None if key is None else jax.random.split(key, pieces + 1)

    def run(
        model: Layer, x: FloatArray, state: PyTree, key: Key | None
    ) -> tuple[FloatArray, PyTree]:
        return model(x, state, key=key)

    if remat:
        run = eqx.filter_checkpoint(run)

    def body(before: PyTree, now: tuple[FloatArray, Key | None]) -> tuple[PyTree, FloatArray]:
        y, after = run(model, now[0], before, now[1])
        return after, y

    whole = x[: pieces * chunk].reshape(pieces, chunk, *x.shape[1:])
    first = or_at_rest(state, model.initial_state())
    inputs = whole, None if keys is None else keys[:-1]
    state, outputs = scan(body, first, inputs)
    y = outputs.reshape(pieces * chunk, *outputs.shape[2:])
    if rest == 0:
        return y, state
    last, state = run(model, x[-rest:], state, None if keys is None else keys[-1])
    return jnp.concatenate([y, last]), state


def _chunk(steps: int) -> int:
    """The divisor of `steps` nearest to its root by ratio; the root, if none is within twice it."""
    root = max(1, math.isqrt(steps))
    near = [n for n in range((root + 1) // 2, 2 * root + 1) if steps % n == 0]
    return min(near, key=lambda n: max(n / root, root / n), default=root)
