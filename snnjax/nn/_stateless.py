"""Layers without a state that equinox does not have."""

from collections.abc import Sequence
from typing import TypeAlias

import equinox as eqx
import jax

from .._checks import explained, require
from .._typing import FloatArray, Key


class TimeStepDropout(eqx.Module):
    """Silence each neuron at each time step with probability `p`; what is left is not rescaled.

    A static layer: a network applies it at every time step with a key of its own. It does nothing
    where `inference` is set, as `eqx.nn.inference_mode` does for a whole network. Spikes are
    counts, which is why, unlike in `eqx.nn.Dropout`, they are not scaled by 1/(1-p). To silence
    neurons for a whole sequence, plan `quant.Dropout(p, shared=0)` for a layer's activations.
    Source: Rockpool, `TimeStepDropout`.

    Attributes:
        p: probability that an element is set to zero, in [0, 1].
        inference: whether to do nothing.
    """

    p: float = eqx.field(static=True)
    inference: bool = False

    @explained
    def __check_init__(self) -> None:
        require(0 <= self.p <= 1, "p", self.p, "a probability, from 0 to 1")

    @explained
    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step of any shape.

        Raises:
            ValueError: if `key` is missing outside of inference.
        """
        if self.inference or self.p == 0:
            return x
        if key is None:
            raise ValueError(
                "`key` is needed by TimeStepDropout; pass `key`, or switch dropout off with "
                "`eqx.nn.inference_mode(model)`"
            )
        return x * jax.random.bernoulli(key, 1 - self.p, x.shape).astype(x.dtype)


_Sizes: TypeAlias = int | Sequence[int]
_Padding: TypeAlias = int | Sequence[int] | Sequence[tuple[int, int]]


class _SumPool(eqx.nn.Pool):
    def __init__(self, axes: int, kernel_size: _Sizes, stride: _Sizes | None, padding: _Padding):
        stride = kernel_size if stride is None else stride
        super().__init__(0.0, jax.lax.add, axes, kernel_size, stride, padding)

    @explained
    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step; `key` is not used.

        Raises:
            ValueError: if it has not one axis for the channels and one for each axis of a window.
        """
        axes = "(channels, width)" if self.num_spatial_dims == 1 else "(channels, height, width)"
        require(x.ndim == self.num_spatial_dims + 1, "x", x.shape, f"{axes}, one time step")
        return super().__call__(x)


class SumPool1d(_SumPool):
    """Sum of the spikes in each window, `(channels, width)`: a chip's pooling.

    `eqx.nn.AvgPool1d` times the size of the window.
    """

    @explained
    def __init__(
        self,
        kernel_size: _Sizes,
        stride: _Sizes | None = None,
        padding: _Padding = 0,
    ):
        """Make a layer.

        Args:
            kernel_size: size of the windows.
            stride: distance between windows; that of their size if None, as in other libraries.
            padding: zeros added on both sides.
        """
        super().__init__(1, kernel_size, stride, padding)


class SumPool2d(_SumPool):
    """Sum of the spikes in each window, `(channels, height, width)`: a chip's pooling.

    `eqx.nn.AvgPool2d` times the size of the window.
    """

    @explained
    def __init__(
        self,
        kernel_size: _Sizes,
        stride: _Sizes | None = None,
        padding: _Padding = 0,
    ):
        """Make a layer.

        Args:
            kernel_size: size of the windows.
            stride: distance between windows; that of their size if None, as in other libraries.
            padding: zeros added on all sides.
        """
        super().__init__(2, kernel_size, stride, padding)


class Flatten(eqx.Module):
    """All of a time step in one row, `(channels, height, width)` to `(neurons,)`."""

    @explained
    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step of any shape; `key` is not used."""
        return x.ravel()
