r"""Recurrence around any kernel: the spikes of a step come back as input of the next.

    y_t, state <- step(state, x_t + connect(y_(t-1)))

`connect` is any function from spikes to input; `dense` and `convolution` make the usual two, and
`fed_back` chooses between them by the shape of the weights.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import explained
from .._typing import FloatArray, PyTree
from ._mechanics import Shape


class RecurrentState(NamedTuple):
    """The kernel's own state, and the output of the last step."""

    inner: Any
    output: FloatArray


@explained
def init(inner: PyTree, shape: Shape, dtype: jnp.dtype | None = None) -> RecurrentState:
    """No output yet, around the resting state `inner` of a kernel of `shape`."""
    return RecurrentState(inner, jnp.zeros(shape, dtype))


@explained
def step(
    kernel: Callable[[Any, FloatArray], tuple[Any, FloatArray]],
    connect: Callable[[FloatArray], FloatArray],
    state: RecurrentState,
    x: FloatArray,
) -> tuple[RecurrentState, FloatArray]:
    """One time step.

    Args:
        kernel: (state, input) -> (state, output), such as `functools.partial(iaf.step, params,
            fire=Firing())`.
        connect: maps the output of a step to the recurrent input of the next.
        state: the state before the step.
        x: input from outside.

    Returns:
        The state after the step, and the kernel's output.
    """
    inner, y = kernel(state.inner, x + connect(state.output))
    return RecurrentState(inner, y), y


@explained
def dense(
    w_rec: Float[Array, "neurons neurons"], bias: FloatArray | None = None
) -> Callable[[FloatArray], FloatArray]:
    """All neurons to all, source first: y @ w_rec + bias."""

    def connect(y: FloatArray) -> FloatArray:
        back = y @ w_rec
        return back if bias is None else back + bias

    return connect


@explained
def convolution(
    w_rec: Float[Array, "channels channels height width"], bias: FloatArray | None = None
) -> Callable[[FloatArray], FloatArray]:
    """Neurons nearby, for a population of `(channels, height, width)`.

    Args:
        w_rec: kernel, target channel first, as in `eqx.nn.Conv2d`. Zeros are padded around, so
            that the size stays the same.
        bias: added to the recurrent input; it broadcasts against the population.
    """

    def connect(y: FloatArray) -> FloatArray:
        # Half of the kernel on either side, the larger half first, as for an odd size both are one.
        padding = [(n // 2, (n - 1) // 2) for n in w_rec.shape[2:]]
        strides = (1,) * len(padding)
        back = jax.lax.conv_general_dilated(y[None], w_rec, strides, padding)[0]
        return back if bias is None else back + bias

    return connect


@explained
def fed_back(
    w_rec: Float[Array, "..."], y: Float[Array, "*shape"], shape: tuple[int, ...]
) -> FloatArray:
    """The input of the shape `shape` that recurrent weights make of the spikes `y`.

    Args:
        w_rec: dense, `(neurons, inputs)`, source first; or the kernel of a convolution, target
            channel first. Where neurons have several synapses, these are the fast axis of the
            targets.
        y: spikes of a population.
        shape: that of `y`, or `(*y.shape, synapses)`.
    """
    if w_rec.ndim == 2:
        return dense(w_rec)(y.ravel()).reshape(shape)
    back = convolution(w_rec)(y)
    if shape == y.shape:
        return back
    return jnp.moveaxis(back.reshape(len(y), shape[-1], *y.shape[1:]), 1, -1)
