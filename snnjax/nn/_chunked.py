"""A network over a sequence that is too long for memory, a piece at a time."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._typing import FloatArray, Key, PyTree
from ._layer import Layer, as_float, or_at_rest, require_layer
from ._validate import count


def run_chunked(
    model: Layer,
    x: ArrayLike,
    state: PyTree = None,
    *,
    chunk: int,
    remat: bool = True,
    key: Key | None = None,
) -> tuple[FloatArray, PyTree]:
    """Run a network over a sequence, `chunk` time steps at a time, in one compiled loop.

    Within a piece, layer goes after layer as in `model(x)`; between pieces, only the state is
    carried. So what the layers hold of their inputs and outputs grows with `chunk`, not with time,
    and so it does in training with `remat`: a gradient keeps the state before every piece, and
    computes each piece once more when it comes to it. For T steps, memory is least for pieces of
    about sqrt(T). The output is that of `model(x, state)`, as exactly as `model.step` gives it.

    Args:
        model: a network or layer.
        x: input, time first.
        state: the state before the first step; None is the resting state.
        chunk: time steps of a piece. The last one may be shorter.
        remat: recompute the pieces on the way back instead of keeping all that happened in them.
        key: needed where something in the network is random; every piece gets its own, so that what
            is drawn differs from what `model(x, key=key)` draws.

    Returns:
        The output, time first, and the state after the last step.

    Raises:
        ValueError: if `chunk` is no whole number above 0.
        TypeError: if `model` is no `Layer`.
    """
    require_layer("model", model)
    count("chunk", chunk)
    x = as_float(x, model)
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
    state, outputs = jax.lax.scan(body, first, inputs)
    y = outputs.reshape(pieces * chunk, *outputs.shape[2:])
    if rest == 0:
        return y, state
    last, state = run(model, x[-rest:], state, None if keys is None else keys[-1])
    return jnp.concatenate([y, last]), state
