r"""Recurrence around any kernel: the spikes of a step come back as input of the next.

    y_t, state <- step(state, x_t + connect(y_(t-1)))

`connect` is any function from spikes to input; `dense` and `convolution` make the usual two. A
kernel that has weights of its own for this, as `neurons.lif` has for its several synapses, needs no
wrapper.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._typing import FloatArray, PyTree
from ._mechanics import Shape


class RecurrentState(NamedTuple):
    """The kernel's own state, and the output of the last step."""

    inner: Any
    output: FloatArray


def init(inner: PyTree, shape: Shape, dtype: jnp.dtype | None = None) -> RecurrentState:
    """No output yet, around the resting state `inner` of a kernel of `shape`."""
    return RecurrentState(inner, jnp.zeros(shape, dtype))


def step(
    kernel: Callable[[Any, FloatArray], tuple[Any, FloatArray]],
    connect: Callable[[FloatArray], FloatArray],
    state: RecurrentState,
    x: FloatArray,
) -> tuple[RecurrentState, FloatArray]:
    """One time step.

    Args:
        kernel: (state, input) -> (state, output), such as `functools.partial(iaf.step, params,
            surrogate=..., max_spikes=1)`.
        connect: from the output of a step to what it adds to the input of the next.
        state: the state before the step.
        x: input from outside.

    Returns:
        The state after the step, and the kernel's output.
    """
    inner, y = kernel(state.inner, x + connect(state.output))
    return RecurrentState(inner, y), y


def dense(
    w_rec: Float[Array, "neurons neurons"], bias: FloatArray | None = None
) -> Callable[[FloatArray], FloatArray]:
    """All neurons to all, source first: y @ w_rec + bias."""

    def connect(y: FloatArray) -> FloatArray:
        back = y @ w_rec
        return back if bias is None else back + bias

    return connect


def convolution(
    w_rec: Float[Array, "channels channels height width"], bias: FloatArray | None = None
) -> Callable[[FloatArray], FloatArray]:
    """Neurons nearby, for a population of `(channels, height, width)`.

    Args:
        w_rec: kernel, target channel first, as in `eqx.nn.Conv2d`. Zeros are padded around, so
            that the size stays the same.
        bias: what broadcasts against the population.
    """

    def connect(y: FloatArray) -> FloatArray:
        # Half of the kernel on either side, the larger half first, as for an odd size both are one.
        padding = [(n // 2, (n - 1) // 2) for n in w_rec.shape[2:]]
        back = jax.lax.conv_general_dilated(y[None], w_rec, (1, 1), padding)[0]
        return back if bias is None else back + bias

    return connect
