"""The two grids of levels of the rounding functions, and the rounding onto them."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import jax.numpy as jnp

from .._typing import FloatArray
from ._arrays import Real, clip_cut, smallest, straight_through

Rounding: TypeAlias = Callable[[FloatArray], FloatArray]
Ends: TypeAlias = tuple[Real, Real]
Limit: TypeAlias = Literal["value", "gradient"] | None
"""Clipping to the range: none, of the value only, or of value and gradient."""


def endpoints_grid(
    x: FloatArray, steps: Real, source: Ends, target: Ends | None, rounding: Rounding, limit: Limit
) -> FloatArray:
    """Levels from one end of the range to the other, both included.

    Args:
        x: array of any shape.
        steps: the number of levels less one.
        source: the range of `x`.
        target: the range to map it to; None for the same.
        rounding: rounds multiples of a step to whole numbers.
        limit: the clipping to the range.
    """
    (a, b), (c, d) = source, target or source
    width, gap = (b - a) / steps, (d - c) / steps
    wide_enough = width >= smallest(x)
    multiple = (x - a) / jnp.where(wide_enough, width, 1)
    if limit == "gradient":
        multiple = clip_cut(multiple, 0, steps)
    level = rounding(multiple)
    if limit is not None:
        level = straight_through(level, jnp.clip(level, 0, steps))
    # Counted from the nearer end, so that both ends are exact.
    y = jnp.where(2 * level < steps, level * gap + c, d - (steps - level) * gap)
    middle = jnp.broadcast_to(jnp.clip((a + b) / 2, c, d), x.shape)
    return jnp.where(wide_enough, y, straight_through(x, middle))


def zero_grid(
    x: FloatArray, steps: Real, source: Ends, target: Ends | None, rounding: Rounding, limit: Limit
) -> FloatArray:
    """Levels at whole multiples of a step, including zero; arguments as in `endpoints_grid`."""
    a, b = jnp.minimum(source[0], 0), jnp.maximum(source[1], 0)
    step = _step(-a, b, steps, smallest(x))
    fits = (step >= smallest(x)) & jnp.isfinite(step)
    # A range of NaN gives NaN everywhere, as in `endpoints_grid`.
    step = jnp.where(jnp.isnan(b - a), jnp.nan, jnp.where(fits, step, 1))
    fits = fits | jnp.isnan(step)
    lowest, highest = -_whole_steps(-a, step), _whole_steps(b, step)
    multiple = x / step
    if limit == "gradient":
        multiple = clip_cut(multiple, a / step, b / step)
    level = rounding(multiple)
    if limit is not None:
        level = straight_through(level, jnp.clip(level, lowest, highest))
    if target is None:
        y = level * step
        y = y if limit is None else straight_through(y, jnp.clip(y, a, b))
    else:
        c, d = target
        gap = jnp.minimum(_ratio(-c, -lowest), _ratio(d, highest))
        y = level * jnp.where(jnp.isfinite(gap), gap, 1)
    return jnp.where(fits, y, straight_through(x, jnp.zeros_like(x)))


def _step(below: FloatArray, above: FloatArray, steps: Real, tiny: float) -> FloatArray:
    """The smallest step for which `steps` steps, split around zero, cover [-below, above]."""
    span = below + above
    share = jnp.floor(steps * (below / jnp.where(span >= tiny, span, 1)))

    def needed(down: FloatArray) -> FloatArray:
        return jnp.maximum(_ratio(below, down, empty=0), _ratio(above, steps - down, empty=0))

    return jnp.minimum(needed(share), needed(jnp.minimum(share + 1, steps)))


def _ratio(length: Real, count: FloatArray, empty: float = jnp.inf) -> FloatArray:
    """length/count; infinite for no steps, but `empty` for no steps over no length."""
    none = jnp.where(jnp.asarray(length) > 0, jnp.inf, empty)
    return jnp.where(count > 0, length / jnp.where(count > 0, count, 1), none)


def _whole_steps(length: FloatArray, step: FloatArray) -> FloatArray:
    """Number of whole steps in `length`, with a tolerance of 8 units in the last place."""
    return jnp.floor(length / step * (1 + 8 * float(jnp.finfo(step.dtype).eps)))
