"""The effect of a plan on the parameters of a model."""

from typing import NamedTuple

import numpy as np

from .._checks import explained
from .._tree import leaves_with_path
from .._typing import Key, PyTree
from ..params import families
from ..quant import Transform
from ._plan import burn_in


class Effect(NamedTuple):
    """The effect of a plan on one parameter.

    Attributes:
        path: the parameter in the model.
        family: its family, or "" if it has none.
        transform: its transform, as text.
        levels: number of different values after the transform; with scales per channel, in the
            channel that has the most.
        scale: `scale_of` of the transform; the mean if there are several; None without one.
        sqnr: signal to quantisation noise in dB, 10*log10(sum x^2 / sum (x - y)^2).
        clipped: share of the values beyond the last level by more than half a scale; None for a
            transform without a scale.
        before: the parameter.
        after: the transformed parameter.
    """

    path: str
    family: str
    transform: str
    levels: int
    scale: float | None
    sqnr: float
    clipped: float | None
    before: np.ndarray
    after: np.ndarray


@explained
def report(plan: PyTree, model: PyTree, *, key: Key | None = None) -> list[Effect]:
    """The effect of a plan on each parameter that it transforms.

    Args:
        plan: a plan of `plan(model, ...)`.
        model: the model.
        key: needed if a transform of a parameter is random.

    Raises:
        ValueError: if the plan was made for a model of another structure.
    """
    before, after = (
        dict(leaves_with_path(model)),
        dict(leaves_with_path(burn_in(plan, model, key=key))),
    )
    family = families(model)
    rules = leaves_with_path(plan, is_leaf=lambda node: isinstance(node, Transform))
    return [
        _effect(path, family.get(path, ""), rule, np.asarray(before[path]), np.asarray(after[path]))
        for path, rule in rules
        if isinstance(rule, Transform) and path in before
    ]


def _effect(path: str, family: str, rule: Transform, x: np.ndarray, y: np.ndarray) -> Effect:
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    noise, signal = ((wide_x - wide_y) ** 2).sum(), (wide_x**2).sum()
    with np.errstate(divide="ignore"):
        sqnr = np.inf if noise == 0 else 10 * np.log10(signal / noise)
    scale_of = getattr(rule, "scale_of", None)
    if scale_of is None:
        return Effect(path, family, repr(rule), len(np.unique(y)), None, float(sqnr), None, x, y)
    scale = np.asarray(scale_of(x), np.float64)
    scale = scale.reshape(scale.shape or (1,) * x.ndim)
    clipped, levels = _clipped(wide_x, wide_y, scale), _levels(y, scale)
    return Effect(path, family, repr(rule), levels, scale.mean().item(), float(sqnr), clipped, x, y)


def _levels(y: np.ndarray, scale: np.ndarray) -> int:
    own = [i for i, size in enumerate(scale.shape) if size > 1]
    groups = np.moveaxis(y, own, range(len(own))).reshape(scale.size, -1)
    return max(len(np.unique(group)) for group in groups)


def _clipped(x: np.ndarray, y: np.ndarray, scale: np.ndarray) -> float:
    # Each group of values that share a scale has its own last level. Clipped values move to it, so
    # the last level is in use wherever a value was clipped.
    shared = tuple(i for i, size in enumerate(scale.shape) if size == 1)
    low, high = (f(y, axis=shared, keepdims=True) for f in (np.min, np.max))
    # 0.501 instead of 0.5 allows for float32 rounding.
    return float(((x < low - 0.501 * scale) | (x > high + 0.501 * scale)).mean())
