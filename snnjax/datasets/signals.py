"""Encoders of signals over time as events of two polarities."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .._checks import count, explained, positive, require
from .._typing import FloatArray


@explained
def delta(x: Float[Array, "time *shape"], threshold: float) -> Float[Array, "time 2 *shape"]:
    """Events where a signal changes from one step to the next: up, and down.

    x[t] - x[t - 1] >= threshold is an event in [t, 0], x[t - 1] - x[t] >= threshold one in [t, 1].
    The first step has none. They are snnTorch's `spikegen.delta`, with padding=True and
    off_spike=True, by the sign.

    Args:
        x: a signal over time, of any shape.
        threshold: smallest change that is an event, above 0.

    Raises:
        ValueError: if `threshold` is not above 0, or `x` is a single number.
    """
    positive("threshold", threshold)
    return _delta(_over_time(x), jnp.float32(threshold))


@explained
def step_forward(
    x: Float[Array, "time *shape"], threshold: float, max_events: int = 1
) -> Float[Array, "time 2 *shape"]:
    """Events where a signal leaves what the events so far say of it: up, and down.

    A base begins at x[0]. Where x is above it by `threshold` or more, there is an event in [t, 0]
    and the base moves up by `threshold`; where it is below, in [t, 1], and down; up to
    `max_events` times in a step. So the signal is x[0] + threshold * cumsum(up - down), to within
    a threshold wherever it is not faster than that. A pixel of an event camera does the same with
    the logarithm of the light.

    Source: N. Kasabov et al., Neural Networks 78, 2016 (with one event in a step, and > for >=).

    Args:
        x: a signal over time, of any shape.
        threshold: change that is one event, above 0.
        max_events: most events of a channel in one step.

    Raises:
        ValueError: if `threshold` or `max_events` is not above 0, or `x` is a single number.

    >>> import jax.numpy as jnp
    >>> from snnjax.datasets import step_forward
    >>> print(step_forward(jnp.array([0.0, 1.0, 1.0, 0.4]), threshold=0.5))
    [[0. 0.]
     [1. 0.]
     [1. 0.]
     [0. 1.]]
    """
    positive("threshold", threshold)
    count("max_events", max_events)
    return _step_forward(_over_time(x), jnp.float32(threshold), max_events)


def _over_time(x: ArrayLike) -> FloatArray:
    array = jnp.asarray(x, float)
    require(
        array.ndim > 0 and len(array) > 0, "x", array.shape, "(time, *shape), of a step or more"
    )
    return array


@jax.jit
def _delta(x: FloatArray, threshold: FloatArray) -> FloatArray:
    change = jnp.diff(x, axis=0, prepend=x[:1])
    threshold = threshold.astype(x.dtype)
    return jnp.stack([change >= threshold, change <= -threshold], axis=1).astype(x.dtype)


@functools.partial(jax.jit, static_argnums=2)
def _step_forward(x: FloatArray, threshold: FloatArray, max_events: int) -> FloatArray:
    threshold = threshold.astype(x.dtype)

    def step(moves, x_t):  # type: ignore[no-untyped-def]
        # The base is a number of thresholds, so that it does not drift.
        away = jnp.trunc((x_t - (x[0] + moves * threshold)) / threshold)
        events = jnp.clip(away, -max_events, max_events)
        return moves + events, jnp.stack([jnp.maximum(events, 0), jnp.maximum(-events, 0)])

    return jax.lax.scan(step, jnp.zeros_like(x[0]), x)[1]
