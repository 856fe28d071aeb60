"""Checks of a training run before any time or memory is spent on it."""

import contextlib
import warnings
from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import numpy as np

from .._typing import PyTree
from ._loop import Loss

MAX_PARAMETERS = 1 << 28
"""More than any chip holds: a network of more is refused before there is memory for it."""


def require_size(make: Callable[[], PyTree]) -> None:
    """Raise ValueError if `make` would give a network of more parameters than any chip holds."""
    shapes = jax.tree.leaves(eqx.filter_eval_shape(make))
    arrays = [x for x in shapes if isinstance(x, jax.ShapeDtypeStruct)]
    parameters = sum(int(np.prod(x.shape, dtype=object)) for x in arrays)
    if parameters > MAX_PARAMETERS:
        raise ValueError(
            f"the network has {parameters:,} parameters, more than the {MAX_PARAMETERS:,} that a "
            "recipe may have; make it smaller"
        )


def try_plan(loss: Loss, model: PyTree, batch: PyTree) -> None:
    """Go through a step of training without computing anything, to see that the plan works.

    Raises:
        ValueError: if one of its transforms does not.
    """
    try:
        eqx.filter_eval_shape(loss, model, batch, jax.random.key(0))
    except (ValueError, TypeError) as error:
        raise ValueError(f"the plan does not work on this network: {error}") from error


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """No warnings of a network that is not trained yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
