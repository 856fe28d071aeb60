"""Encoders of numbers and of images as events."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from .._checks import count, explained, positive, require
from .._typing import FloatArray, Key


@explained
def rows_and_columns(
    image: Num[Array, "size size"], steps: int, hold: int = 1, max_events: int = 15
) -> Float[Array, "steps channels"]:
    """Scan a square image along both axes at once: row t and column t at the same time.

    The first `size` channels have the rows, the others the columns. The steps after the last row
    are silent, which gives the network time to answer.

    Args:
        image: pixels, rounded to whole numbers of events.
        steps: length of the sequence, at least `hold * size`.
        hold: steps per row and column.
        max_events: most events of a channel in one step. A Xylo chip takes 15.

    Returns:
        Event counts of 2 * size channels.

    Raises:
        ValueError: if the image is not square or does not fit into `steps`.

    >>> import jax.numpy as jnp
    >>> from snnjax.datasets import rows_and_columns
    >>> print(rows_and_columns(jnp.array([[1, 2], [3, 4]]), steps=3))
    [[1. 2. 1. 3.]
     [3. 4. 2. 4.]
     [0. 0. 0. 0.]]
    """
    size = image.shape[0]
    if image.shape != (size, size):
        raise ValueError(f"`image` must be square; got the shape {image.shape}")
    if steps < hold * size:
        raise ValueError(
            f"`steps` must be at least {hold * size}, for {size} rows held for {hold}; got {steps}"
        )
    events = jnp.clip(jnp.round(jnp.concatenate([image, image.T], axis=1)), 0, max_events)
    scan = jnp.repeat(events.astype(float), hold, axis=0)
    return jnp.pad(scan, ((0, steps - hold * size), (0, 0)))


@explained
def evenly(
    image: Float[Array, "*shape"], steps: int, max_events: float = 1.0
) -> Float[Array, "steps *shape"]:
    """Events at regular intervals, at a rate proportional to the brightness of a pixel.

    Up to and including step t, counted from 1, a pixel x gives floor(t*max_events*x + 1/2) events.

    Args:
        image: pixels from 0 to 1, of any shape.
        steps: length of the sequence, at least 1.
        max_events: events of a pixel of 1 in each step.

    Returns:
        Event counts.

    Raises:
        ValueError: if `steps` is below 1.

    >>> import jax.numpy as jnp
    >>> from snnjax.datasets import evenly
    >>> print(evenly(jnp.array([0.5, 1.0]), steps=3))
    [[1. 1.]
     [0. 1.]
     [1. 1.]]
    """
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1; got {steps}")
    return _evenly(image, steps, max_events)


@explained
def bernoulli(x: Float[Array, "*shape"], steps: int, *, key: Key) -> Float[Array, "steps *shape"]:
    """Spikes at random, at most one in a step: with the probability x, at each step anew.

    snnTorch calls it `spikegen.rate`, SpikingJelly and Norse a Poisson encoder.

    Args:
        x: numbers from 0 to 1, of any shape.
        steps: length of the sequence, at least 1.
        key: for the draws.

    Raises:
        ValueError: if `steps` is below 1, or a number known to be outside of 0 to 1.
    """
    return _bernoulli(_from_0_to_1(x), _length(steps), key)


@explained
def poisson(
    x: Float[Array, "*shape"], steps: int, max_events: float = 1.0, *, key: Key
) -> Float[Array, "steps *shape"]:
    """Events of a Poisson process: their number in a step has the mean max_events * x.

    Args:
        x: numbers from 0 to 1, of any shape.
        steps: length of the sequence, at least 1.
        max_events: mean number of events of an x of 1 in each step, above 0.
        key: for the draws.

    Raises:
        ValueError: as for `bernoulli`, or if `max_events` is not above 0.
    """
    positive("max_events", max_events)
    return _poisson(_from_0_to_1(x), _length(steps), jnp.float32(max_events), key)


@explained
def latency(
    x: Float[Array, "*shape"], steps: int, *, threshold: float = 0.01, tau: float | None = None
) -> Float[Array, "steps *shape"]:
    """One spike each, the earlier the larger x is; none below the threshold.

    The spike is in the step round((steps - 1)*(1 - x)); or, with `tau`, in the step
    round(tau*ln(x/(x - threshold))) in which a leaky membrane with the input x reaches the
    threshold. One that comes after the last step is left out.

    With threshold=0 it is SpikingJelly's `LatencyEncoder`; snnTorch's `spikegen.latency` with
    clip=True, and with linear=True and normalize=True or with `tau`.

    Args:
        x: numbers from 0 to 1, of any shape.
        steps: length of the sequence, at least 1.
        threshold: smallest x that gives a spike, from 0 to below 1.
        tau: time constant of the membrane, in steps; None for times that fall linearly with x.

    Raises:
        ValueError: as for `bernoulli`, or if `threshold` or `tau` is out of range.

    >>> import jax.numpy as jnp
    >>> from snnjax.datasets import latency
    >>> print(latency(jnp.array([1.0, 0.5, 0.0]), steps=3))
    [[1. 0. 0.]
     [0. 1. 0.]
     [0. 0. 0.]]
    """
    require(0 <= threshold < 1, "threshold", threshold, "from 0 to below 1")
    if tau is None:
        return _linear_latency(_from_0_to_1(x), _length(steps), jnp.float32(threshold))
    positive("tau", tau)
    positive("threshold", threshold)
    return _leaky_latency(_from_0_to_1(x), _length(steps), jnp.float32(threshold), jnp.float32(tau))


@explained
def population(
    x: Float[Array, "*shape"], neurons: int, *, low: float, high: float, width: float
) -> Float[Array, "*shape neurons"]:
    """Activities, from 0 to 1, of neurons that each prefer a number: exp(-((x - c)/width)^2 / 2).

    The centres c are evenly spaced from `low` to `high`. `poisson`, `evenly`, `latency` and so on
    make events of the activities. They are those of SpikingJelly's population encoders, and of
    Norse's `population_encode` with scale=high and a width of sigma/sqrt(scale).

    Args:
        x: numbers of any shape.
        neurons: number of neurons, 2 or more.
        low: the first neuron's number.
        high: the last neuron's number, above `low`.
        width: standard deviation of the Gaussian.

    Raises:
        ValueError: if there are too few `neurons`, `high` is not above `low`, or `width` not
            above 0.

    >>> import jax.numpy as jnp
    >>> from snnjax.datasets import population
    >>> print(population(jnp.array([0.5]), 3, low=0.0, high=1.0, width=0.5).round(2))
    [[0.61 1.   0.61]]
    """
    count("neurons", neurons)
    require(neurons > 1, "neurons", neurons, "2 or more")
    require(high > low, "high", high, f"above `low`, {low}")
    positive("width", width)
    x = jnp.asarray(x, float)
    centres = jnp.linspace(low, high, neurons, dtype=x.dtype)
    return _gauss(x, centres, jnp.asarray(width, x.dtype))


def _length(steps: int) -> int:
    count("steps", steps)
    return steps


def _from_0_to_1(x: ArrayLike) -> FloatArray:
    """`x` as floating-point numbers, checked where they are known."""
    array = jnp.asarray(x, float)
    if not isinstance(array, jax.core.Tracer):
        known = np.asarray(array)
        bad = known[~((known >= 0) & (known <= 1))]
        require(not bad.size, "x", float(bad.flat[0]) if bad.size else 0, "from 0 to 1; scale it")
    return array


@functools.partial(jax.jit, static_argnums=1)
def _evenly(image: FloatArray, steps: int, max_events: float) -> FloatArray:
    t = jnp.arange(steps + 1, dtype=image.dtype).reshape(-1, *[1] * image.ndim)
    return jnp.diff(jnp.floor(t * (max_events * image) + 0.5), axis=0)


@functools.partial(jax.jit, static_argnums=1)
def _bernoulli(x: FloatArray, steps: int, key: Key) -> FloatArray:
    return jax.random.bernoulli(key, x, (steps, *x.shape)).astype(x.dtype)


@functools.partial(jax.jit, static_argnums=1)
def _poisson(x: FloatArray, steps: int, most: FloatArray, key: Key) -> FloatArray:
    return jax.random.poisson(key, most.astype(x.dtype) * x, (steps, *x.shape)).astype(x.dtype)


@functools.partial(jax.jit, static_argnums=1)
def _linear_latency(x: FloatArray, steps: int, threshold: FloatArray) -> FloatArray:
    time = jnp.round((steps - 1) * (1 - x))
    return _at(jnp.where(x < threshold.astype(x.dtype), steps, time), steps)


@functools.partial(jax.jit, static_argnums=1)
def _leaky_latency(x: FloatArray, steps: int, threshold: FloatArray, tau: FloatArray) -> FloatArray:
    threshold, tau = threshold.astype(x.dtype), tau.astype(x.dtype)
    above = x > threshold
    ratio = x / jnp.where(above, x - threshold, 1)
    return _at(jnp.where(above, jnp.round(tau * jnp.log(ratio)), steps), steps)


def _at(time: FloatArray, steps: int) -> FloatArray:
    """A spike at each time; none at `steps` or later."""
    t = jnp.arange(steps, dtype=time.dtype).reshape(-1, *[1] * time.ndim)
    return (t == time).astype(time.dtype)


@jax.jit
def _gauss(x: FloatArray, centres: FloatArray, width: FloatArray) -> FloatArray:
    return jnp.exp(-jnp.square((x[..., None] - centres) / width) / 2)
