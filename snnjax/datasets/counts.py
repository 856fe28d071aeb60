"""Random changes of recordings that are event counts already, `(time, channels)`.

A front end in a chip's integers is not differentiated, and costs more than a spectrum. Made once,
its events change here from epoch to epoch. Counts stay whole numbers.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import explained
from .._typing import Key
from .augment import mask_bands, mask_time, shift_time

Counts = Float[Array, "time channels"]
"""Events of each channel in each step."""


@explained
def stretch_counts(counts: Counts, most: float, *, key: Key) -> Counts:
    """The same at another speed: steps go by faster or slower by up to a factor of 1 + most.

    Events per step stay as they are, on average: each is the mean over the steps that fall
    together, rounded up or down at random.

    Args:
        counts: event counts.
        most: 0 or more; the logarithm of the speed is uniform between those of 1/(1 + most) and
            1 + most.
        key: for the draws.
    """
    speed_key, rounding_key = jax.random.split(key)
    limit = jnp.log1p(most)
    speed = jnp.exp(jax.random.uniform(speed_key, minval=-limit, maxval=limit))
    steps, channels = counts.shape
    total = jnp.concatenate([jnp.zeros((1, channels)), jnp.cumsum(counts, axis=0)])
    share, whole = jnp.modf(jnp.arange(steps + 1, dtype=counts.dtype) * speed)
    before = jnp.minimum(whole.astype(int), steps)
    after = jnp.minimum(before + 1, steps)
    share = share[:, None]
    heard = total[before] * (1 - share) + total[after] * share
    mean = jnp.diff(heard, axis=0) / speed
    return jnp.floor(mean + jax.random.uniform(rounding_key, mean.shape))


class AugmentCounts(eqx.Module):
    """All changes of one recording's event counts. A setting of 0 leaves its part out.

    Attributes:
        stretch: largest change of the speed; 0.1 is 10 %. See `stretch_counts`.
        shift: largest shift in steps. See `shift_time`.
        mask_bands: most channels silenced.
        mask_time: most steps silenced.
    """

    stretch: float = eqx.field(default=0.0, static=True)
    shift: int = eqx.field(default=0, static=True)
    mask_bands: int = eqx.field(default=0, static=True)
    mask_time: int = eqx.field(default=0, static=True)

    @explained
    def __check_init__(self) -> None:
        for name in ("stretch", "shift", "mask_bands", "mask_time"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0; got {getattr(self, name)}")

    @explained
    def __call__(self, counts: Counts, *, key: Key) -> Counts:
        """Another recording of the same word.

        Args:
            counts: event counts.
            key: for all draws.
        """
        keys = jax.random.split(key, 4)
        if self.stretch:
            counts = stretch_counts(counts, self.stretch, key=keys[0])
        changes = (
            (shift_time, self.shift),
            (mask_bands, self.mask_bands),
            (mask_time, self.mask_time),
        )
        for (change, most), own in zip(changes, keys[1:], strict=True):
            if most:
                counts = change(counts, most, key=own, silence=0.0)
        return counts
