"""Checks what goes into the simulators."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from .spec import Spec

MOST = 2**15 - 1
"""Most events of a pixel in a step: sums over any window of a 128 by 128 map then fit 32 bits."""


def as_counts(raster: ArrayLike, spec: Spec) -> Int[Array, "*batch time channels height width"]:
    """The raster in int32.

    Raises:
        ValueError: if its shape is not the one that `spec` takes, or it holds anything but numbers
            of events.
    """
    require_shape(raster, spec)
    if not isinstance(raster, jax.core.Tracer):
        known = np.asarray(raster)
        require_counts("raster", known)
        return jnp.asarray(known.astype(np.int32))
    return _as_traced_counts(raster)


def require_shape(raster: ArrayLike, spec: Spec) -> None:
    """Raise ValueError unless a raster, or a batch of them, is for the input of `spec`."""
    shape, wanted = np.shape(raster), spec.input_shape
    if len(shape) not in (4, 5) or shape[-3:] != wanted:
        sizes = ", ".join(map(str, wanted))
        raise ValueError(
            f"`raster` must have the shape (time, {sizes}) or (batch, time, {sizes}), for the "
            f"{wanted} of `spec`; got {shape}"
        )


def _as_traced_counts(raster: Array) -> Int[Array, "..."]:
    """The same where values are not known."""
    if raster.dtype == bool:
        return raster.astype(jnp.int32)
    if not jnp.issubdtype(raster.dtype, jnp.integer):
        raise ValueError(
            f"`raster` must be of integer type within jit and vmap; got {raster.dtype}"
        )
    wrong = raster < 0
    if jnp.iinfo(raster.dtype).max > MOST:  # 8 bits do not hold the limit to compare with
        wrong |= raster > MOST
    raster = eqx.error_if(raster, wrong, f"`raster` must hold whole numbers from 0 to {MOST}")
    return raster.astype(jnp.int32)


def require_counts(name: str, values: np.ndarray, most: int = MOST) -> None:
    """Raise ValueError unless `values` are whole numbers from 0 to `most`."""
    if values.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` must hold whole numbers; got {values.dtype}")
    with np.errstate(invalid="ignore"):
        faults: dict[str, Any] = {
            "NaN": np.isnan(values),
            "negative": values < 0,
            "infinite": np.isinf(values),
            f"above {most}": values > most,
            "not a whole number": values != np.round(values),
        }
    for fault, bad in faults.items():
        if bad.any():
            index = tuple(map(int, np.argwhere(bad)[0]))
            raise ValueError(
                f"`{name}` must hold whole numbers from 0 to {most}; `{name}{list(index)}` is "
                f"{values[index]}, {fault}"
            )
