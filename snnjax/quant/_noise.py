"""Random changes of arrays: dropout and mismatch."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray, Key
from ._arrays import Real, between, cast, floats, like, needed_key, wide
from ._transform import Transform

_RATE = "a probability, from 0 to below 1"


@explained
def dropout(
    x: FloatArray,
    rate: Real,
    *,
    key: Key | None,
    rescale: bool = False,
    shared: int | None = None,
) -> FloatArray:
    """Set each number to zero with the probability `rate`.

        y = x*[u >= rate], divided by 1 - rate with `rescale`       u uniform in [0, 1)

    Args:
        x: array of any shape.
        rate: the probability, from 0 to below 1; an array to sweep over.
        key: for the draws.
        rescale: whether to divide what is left by 1 - rate, so that the mean is that of `x`.
        shared: an axis along which all numbers are dropped together; None for none.

    Returns:
        An array of the shape and dtype of `x`. Dropped numbers have no gradient.

    Raises:
        TypeError: if `x` is not of floating-point numbers.
        ValueError: if `rate` is no such probability, `x` has no axis `shared`, or `key` is missing.

    Source: Rockpool, `dropout`, which does not rescale.

    >>> import jax, jax.numpy as jnp
    >>> from snnjax import quant
    >>> dropped = quant.dropout(jnp.ones(1000), 0.3, key=jax.random.key(0))
    >>> print(f"{dropped.mean():.1f}")
    0.7
    """
    between("rate", rate, 0, 1 - 1e-9, _RATE)
    x = floats("dropout", x)
    v = wide(x)
    p = cast(rate, v)
    shape = x.shape
    if shared is not None:
        if not -x.ndim <= shared < x.ndim:
            raise ValueError(f"`shared` must be an axis of `x`, of the shape {shape}; got {shared}")
        shape = tuple(1 if i == shared % x.ndim else n for i, n in enumerate(shape))
    kept = jax.random.uniform(needed_key("dropout", key), shape, v.dtype) >= p
    return like(jnp.where(kept, v / (1 - p) if rescale else v, 0), x)


class Dropout(Transform):
    """Sets each number to zero at random; see `dropout`.

    On weights it drops synapses: `transforms.apply` draws once per training step, so all sequences
    of a batch lose the same synapses. On the outputs of a layer, time first, it drops single
    spikes. With `shared=0` it silences neurons for a whole sequence, others in each sequence.

    Attributes:
        rate: the probability, from 0 to below 1; an array to sweep over.
        rescale: whether to divide what is left by 1 - rate.
        shared: an axis along which all numbers are dropped together; None for none.
    """

    rate: Real = 0.5
    rescale: bool = eqx.field(default=False, static=True)
    shared: int | None = eqx.field(default=None, static=True)

    @explained
    def __check_init__(self) -> None:
        between("rate", self.rate, 0, 1 - 1e-9, _RATE)

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        own = needed_key("Dropout", key)
        return dropout(x, self.rate, key=own, rescale=self.rescale, shared=self.shared)


@explained
def mismatch(x: FloatArray, std: Real = 0.1, *, key: Key | None) -> FloatArray:
    """Multiply each number by a random factor around 1, as the mismatch of analogue circuits does.

        y = x*(1 + std*n)       n normal

    Args:
        x: array of any shape.
        std: the standard deviation relative to each number, at least 0; an array to sweep over.
        key: for the draws.

    Returns:
        An array of the shape and dtype of `x`; zeros stay zeros.

    Raises:
        TypeError: if `x` is not of floating-point numbers.
        ValueError: if `std` is negative, or `key` is missing.

    Source: Rockpool, `mismatch_generator`, with its default of 30 % at three standard deviations.

    >>> import jax, jax.numpy as jnp
    >>> from snnjax import quant
    >>> off = quant.mismatch(jnp.ones(1000), 0.2, key=jax.random.key(0))
    >>> print(f"{off.std():.1f}")
    0.2
    """
    between("std", std, 0, float("inf"), "at least 0")
    x = floats("mismatch", x)
    v = wide(x)
    factor = jax.random.normal(needed_key("mismatch", key), x.shape, v.dtype)
    return like(v + v * (cast(std, v) * factor), x)


class Mismatch(Transform):
    """Multiplies each number by a random factor around 1; see `mismatch`.

    Attributes:
        std: the standard deviation relative to each number; an array to sweep over.
    """

    std: Real = 0.1

    @explained
    def __check_init__(self) -> None:
        between("std", self.std, 0, float("inf"), "at least 0")

    @explained
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        return mismatch(x, self.std, key=needed_key("Mismatch", key))
