"""Checks of a training run before any time or memory is spent on it."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._typing import PyTree
from ..nn import Chain, Network
from ._loop import Loss

MAX_PARAMETERS = 1 << 28
"""More than any chip holds: a network of more is refused before there is memory for it."""


class Trained(eqx.Module):
    """All that training changes.

    Attributes:
        network: the network.
        plan: its transforms, some of which may have settings that are learned.
    """

    network: Chain
    plan: PyTree


class Data(NamedTuple):
    """Sequences to train on, and held-out ones.

    Attributes:
        train: inputs as `Recipe.encode` takes them, and labels.
        test: event counts, `(n, steps, channels)` or `(n, steps, channels, height, width)`, and
            labels.
    """

    train: tuple[Array, Int[Array, " train"]]
    test: tuple[Float[Array, "test steps *shape"], Int[Array, " test"]]


def require_data(data: Data, network: Network) -> None:
    """Raise ValueError unless data fit a network, and the labels are numbers of its outputs."""
    one = jax.ShapeDtypeStruct(data.test[0].shape[1:], jnp.float32)
    resting = eqx.nn.inference_mode(network)
    out, _ = eqx.filter_eval_shape(lambda model, x: model(x), resting, one)
    for part, (inputs, labels) in data._asdict().items():
        found = np.asarray(labels)
        if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
            raise ValueError(
                f"the labels of `{part}` must be numbers of classes, (n,); got {found.dtype} of "
                f"the shape {found.shape}"
            )
        if len(found) != len(inputs) or not len(found):
            raise ValueError(
                f"`{part}` must have a label for each sequence; got {len(inputs)} sequences and "
                f"{len(found)} labels"
            )
        bad = found[(found < 0) | (found >= out.shape[-1])]
        if bad.size:
            raise ValueError(
                f"the labels of `{part}` must be from 0 to {out.shape[-1] - 1}, as the network has "
                f"{out.shape[-1]} outputs; got {bad[0]}"
            )


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
