"""Encoders of images as events."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Num


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
    t = jnp.arange(steps + 1, dtype=image.dtype).reshape(-1, *[1] * image.ndim)
    return jnp.diff(jnp.floor(t * (max_events * image) + 0.5), axis=0)
