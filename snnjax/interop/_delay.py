"""A delay of some steps: NIR's Delay."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from .._checks import InputError, explained
from .._typing import FloatArray, Key, PyTree
from ..nn import Layer, Records


class Delay(Layer):
    """y_t = x_(t - steps), each number with a delay of its own; 0 before the first has come.

    The state is the last inputs, oldest first: `(longest, *shape)`.

    Attributes:
        steps: delays in steps.
        shape: shape of one step.
        longest: the longest of the delays.
    """

    steps: Int[Array, "*shape"]
    shape: tuple[int, ...] = eqx.field(static=True)
    longest: int = eqx.field(static=True)
    dtype: jnp.dtype = eqx.field(static=True)

    @explained
    def __init__(self, steps: ArrayLike, shape: Sequence[int] = (), dtype: jnp.dtype | None = None):
        """Make a layer.

        Args:
            steps: delays in whole steps, at least 0.
            shape: shape of one step, where all numbers share one delay.
            dtype: type of the inputs.

        Raises:
            ValueError: if a delay is negative or no whole number.
        """
        known = np.asarray(steps)
        if known.dtype.kind not in "iu" or (known < 0).any():
            raise ValueError(f"`steps` must be whole numbers, at least 0; got {steps!r}")
        self.shape = tuple(known.shape) or tuple(shape)
        self.steps = jnp.broadcast_to(jnp.asarray(known, jnp.int32), self.shape)
        self.longest = int(known.max(initial=0))
        self.dtype = jnp.zeros((), dtype).dtype

    def initial_state(self) -> Float[Array, "longest *shape"]:
        """Zeros in place of the inputs before the first."""
        return jnp.zeros((self.longest, *self.shape), self.dtype)

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time, all steps at once. Records its `output`."""
        if x.shape[1:] != self.shape:
            raise InputError(f"`x` must have the shape (time, *{self.shape}); got {x.shape}")
        before = self.initial_state() if state is None else state
        held = jnp.concatenate([before, x])
        at = (
            self.longest
            + jnp.arange(len(x), dtype=jnp.int32).reshape(-1, *(1,) * len(self.shape))
            - self.steps
        )
        y = jnp.take_along_axis(held, at, axis=0)
        after = jax.lax.slice_in_dim(held, len(x), len(x) + self.longest)
        return y, after, {"output": y} if record else {}
