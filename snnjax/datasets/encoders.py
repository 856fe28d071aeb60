"""From numbers to events."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Num


def rows_and_columns(
    image: Num[Array, "size size"], steps: int, hold: int = 1, max_events: int = 15
) -> Float[Array, "steps channels"]:
    """Scan a square image along both axes at once: row t and column t come at the same time.

    Every pixel is seen twice, once among the first `size` channels and once among the rest. After
    the last row the input is silent, which leaves the network time to answer.

    Args:
        image: pixels, rounded to whole numbers of events.
        steps: length of the sequence, at least `hold * size`.
        hold: steps for which each row and column stays.
        max_events: most events of a channel in one step; 15 is what a Xylo chip takes.

    Returns:
        Event counts of 2 * size channels.

    Raises:
        ValueError: if the image is not square or does not fit into `steps`.
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
    """Events at regular intervals, as many as a pixel is bright.

    By the end of step t, counted from 1, a pixel x has given floor(t*max_events*x + 1/2) events.

    Args:
        image: pixels from 0 to 1, of any shape.
        steps: length of the sequence, at least 1.
        max_events: events of a pixel of 1 in each step.

    Returns:
        Event counts.

    Raises:
        ValueError: if `steps` is below 1.
    """
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1; got {steps}")
    t = jnp.arange(steps + 1, dtype=image.dtype).reshape(-1, *[1] * image.ndim)
    return jnp.diff(jnp.floor(t * (max_events * image) + 0.5), axis=0)
