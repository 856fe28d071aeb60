"""Parameters of small magnitude set to zero."""

import equinox as eqx
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray, Key
from ._arrays import Real, between, cast, floats, other_axes, straight_through
from ._transform import Transform

_SHARE = "a share, from 0 to 1"


@explained
def prune(x: FloatArray, sparsity: Real, *, axis: int | None = None) -> FloatArray:
    """Set the share `sparsity` of the numbers, those of the smallest magnitude, to zero.

    Exactly round(sparsity*n) of n numbers become zero; among equal magnitudes, the first ones. The
    gradient passes straight through, also to pruned numbers, so that they can grow back.

    Args:
        x: array of any shape.
        sparsity: the share to prune, from 0 to 1; an array to sweep over.
        axis: prune that share for each index along this axis; None for one of the whole array.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        TypeError: if `x` is not of floating-point numbers.
        ValueError: if `sparsity` is no such share, or there is no such `axis`.

    >>> import jax.numpy as jnp
    >>> from snnjax import quant
    >>> print(quant.prune(jnp.array([0.1, -3.0, 0.2, 1.0]), 0.5))
    [ 0. -3.  0.  1.]
    """
    between("sparsity", sparsity, 0, 1, _SHARE)
    x = floats("prune", x)
    kept = axis % x.ndim if axis is not None and other_axes(x, axis) is not None else None
    groups = x.reshape(1, -1) if kept is None else jnp.moveaxis(x, kept, 0)
    shape = groups.shape
    groups = jnp.abs(groups.reshape(shape[0], -1))
    rank = jnp.argsort(jnp.argsort(groups, axis=1, stable=True), axis=1, stable=True)
    count = jnp.round(cast(sparsity, jnp.float32(0)) * groups.shape[1]).astype(rank.dtype)
    pruned = (rank < count).reshape(shape)
    pruned = pruned.reshape(x.shape) if kept is None else jnp.moveaxis(pruned, 0, kept)
    return straight_through(x, jnp.where(pruned, 0, x))


class Prune(Transform):
    """Sets the numbers of the smallest magnitude to zero; see `prune`.

    Attributes:
        sparsity: the share to prune, from 0 to 1; an array to sweep over.
        axis: prune that share for each index along this axis; None for one of the whole array.
    """

    sparsity: Real
    axis: int | None = eqx.field(default=None, static=True)

    @explained
    def __check_init__(self) -> None:
        between("sparsity", self.sparsity, 0, 1, _SHARE)

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        return prune(x, self.sparsity, axis=self.axis)
