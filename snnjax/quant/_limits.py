"""Rounding to a step and clipping, as transforms."""

from numbers import Number

import equinox as eqx
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray, Key
from ..passthrough import round_passthrough
from ._arrays import Real, cast, clip_cut, floats, like, straight_through, wide
from ._transform import Transform


class Round(Transform):
    """Rounds to whole multiples of a step, y = round(x/step)*step; the gradient is 1.

    Attributes:
        step: above 0; an array to sweep over. 1 gives whole numbers.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.Round(0.5)(jnp.array([0.2, 0.9])))
    [0. 1.]
    """

    step: Real = 1.0

    @explained
    def __check_init__(self) -> None:
        if isinstance(self.step, Number) and not self.step > 0:
            raise ValueError(f"`step` must be above 0; got {self.step!r}")

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        x = floats("Round", x)
        v = wide(x)
        step = cast(self.step, v)
        return like(straight_through(v, round_passthrough(v / step) * step), x)


class Clip(Transform):
    """Clips to [low, high].

    Attributes:
        low: the lower end; None for none.
        high: the upper end; None for none.
        passthrough: whether the gradient outside is 1 instead of 0.
    """

    low: Real | None = None
    high: Real | None = None
    passthrough: bool = eqx.field(default=False, static=True)

    @explained
    def __check_init__(self) -> None:
        low, high = self.low, self.high
        if low is None and high is None:
            raise ValueError("`low` or `high` must be given")
        if isinstance(low, Number) and isinstance(high, Number) and not low <= high:
            raise ValueError(f"`low` must not be above `high`; got {low} and {high}")

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        x = floats("Clip", x)
        v = wide(x)
        low = -jnp.inf if self.low is None else cast(self.low, v)
        high = jnp.inf if self.high is None else cast(self.high, v)
        limited = clip_cut(v, low, high)
        return like(straight_through(v, limited) if self.passthrough else limited, x)
