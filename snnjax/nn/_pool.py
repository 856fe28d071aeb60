"""Static layers that equinox does not have."""

from collections.abc import Sequence

import equinox as eqx
import jax

from .._typing import FloatArray, Key


class SumPool1d(eqx.nn.Pool):
    """Sum of the spikes in each window, `(channels, width)`: a chip's pooling.

    `eqx.nn.AvgPool1d` times the size of the window.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] | Sequence[tuple[int, int]] = 0,
    ):
        """Make a layer.

        Args:
            kernel_size: size of the windows.
            stride: distance between windows; that of their size if None, as in other libraries.
            padding: zeros added on both sides.
        """
        stride = kernel_size if stride is None else stride
        super().__init__(0.0, jax.lax.add, 1, kernel_size, stride, padding)


class SumPool2d(eqx.nn.Pool):
    """Sum of the spikes in each window, `(channels, height, width)`: a chip's pooling.

    `eqx.nn.AvgPool2d` times the size of the window.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] | Sequence[tuple[int, int]] = 0,
    ):
        """Make a layer.

        Args:
            kernel_size: size of the windows.
            stride: distance between windows; that of their size if None, as in other libraries.
            padding: zeros added on all sides.
        """
        stride = kernel_size if stride is None else stride
        super().__init__(0.0, jax.lax.add, 2, kernel_size, stride, padding)


class Flatten(eqx.Module):
    """All of a time step in one row, `(channels, height, width)` to `(neurons,)`."""

    def __call__(self, x: FloatArray, *, key: Key | None = None) -> FloatArray:
        """One time step of any shape; `key` is not used."""
        return x.ravel()
