"""Decay factors of bit shifts."""

from typing import ClassVar, Literal, TypeAlias, get_args

import equinox as eqx
import jax.numpy as jnp

from .. import decay
from .._checks import explained
from .._typing import FloatArray, Key
from ._arrays import choice, floats, like, straight_through, whole, wide
from ._transform import Transform

Mode: TypeAlias = Literal["nearest", "tau"]

_SPAN = {"nearest": (1, 15), "tau": (0, None)}


@explained
def bitshift_decay(
    alpha: FloatArray,
    max_dash: int | None = None,
    min_dash: int | None = None,
    mode: Mode = "nearest",
) -> FloatArray:
    """Round decay factors to 1 - 2^-d with whole d; the gradient is 1.

    Args:
        alpha: decay factors per step, of any shape. Those outside (0, 1) map to the nearest end.
        max_dash: the largest shift of the chip. By default 15; with "tau" only the dtype limits it.
        min_dash: the smallest shift. By default 1, since a shift by 0 clears the state at every
            step; with "tau" 0.
        mode: "nearest": the d whose 1 - 2^-d is nearest to `alpha`. "tau": d =
            round(log2(-1/ln(alpha))), the shift nearest to log2(tau/dt). It is smaller than the
            nearest shift, so states decay faster. For tau < sqrt(2)*dt it clears the state at every
            step.

    Returns:
        Decay factors, in the shape and dtype of `alpha`; NaN stays NaN.

    Raises:
        TypeError: if `alpha` is not of floating-point numbers.
        ValueError: if `mode` is none of these, or `min_dash` is negative or above `max_dash`.

    Source: Rockpool, `t_decay`, for "tau"; there `alpha` outside (0, 1) gives NaN, or any value
        because an integer wraps.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.bitshift_decay(jnp.array([0.7, 0.9])))
    [0.75  0.875]
    """
    low, high = _span(max_dash, min_dash, mode)
    alpha = floats("bitshift_decay", alpha)
    v = wide(alpha)
    if mode == "nearest":
        dash = decay.nearest_dash(decay.alpha_to_dash(jnp.clip(v, 0, 1)), high, low)
    else:
        below_one = 1 - float(jnp.finfo(v.dtype).epsneg)
        tau_in_steps = decay.alpha_to_tau(jnp.clip(v, 0, below_one), 1.0)
        dash = jnp.clip(jnp.round(jnp.log2(tau_in_steps)), low, high)
    value = jnp.where(jnp.isnan(v), v, like(decay.dash_to_alpha(dash), v))
    return like(straight_through(v, value), alpha)


def _span(max_dash: int | None, min_dash: int | None, mode: Mode) -> tuple[int, int]:
    choice("mode", mode, get_args(Mode))
    low, high = _SPAN[mode]
    low = low if min_dash is None else min_dash
    high = high if max_dash is None else max_dash
    whole("min_dash", low, 0)
    if high is None:
        high = 127
    whole("max_dash", high, low)
    return low, high


class Bitshift(Transform):
    """Rounds decay factors to 1 - 2^-d, those of a chip that decays by bit shifts.

    See `bitshift_decay`.

    Attributes:
        max_dash: the largest shift of the chip; None for 15, as on Xylo, or no limit with "tau".
        min_dash: the smallest shift; None for 1, or 0 with "tau".
        mode: "nearest", or Rockpool's "tau".
    """

    families: ClassVar = ("decays",)

    max_dash: int | None = eqx.field(default=None, static=True)
    min_dash: int | None = eqx.field(default=None, static=True)
    mode: Mode = eqx.field(default="nearest", static=True)

    @explained
    def __check_init__(self) -> None:
        _span(self.max_dash, self.min_dash, self.mode)

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        return bitshift_decay(x, self.max_dash, self.min_dash, self.mode)
