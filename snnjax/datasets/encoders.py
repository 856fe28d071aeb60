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
