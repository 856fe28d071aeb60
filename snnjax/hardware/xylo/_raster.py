"""What is accepted as a raster of events."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from .spec import Spec


def as_events(raster: ArrayLike, spec: Spec) -> Int[Array, "*batch time inputs"]:
    """The raster in int32, cut at what an input channel carries."""
    require_shape(raster, spec, ndims=(2, 3))
    cap = spec.chip.max_spikes_in
    if not isinstance(raster, jax.core.Tracer):
        raster = np.asarray(raster)
        require_counts(raster)
        # Cut by NumPy: JAX would wrap integers of 64 bits first.
        return jnp.asarray(np.minimum(raster, cap), jnp.int32)
    if raster.dtype == bool:
        raster = raster.astype(jnp.int32)
    if not jnp.issubdtype(raster.dtype, jnp.integer):
        raise ValueError(
            f"`raster` must be of integer type within jit and vmap; got {raster.dtype}"
        )
    raster = eqx.error_if(raster, raster < 0, "`raster` has negative numbers of events")
    return jnp.minimum(raster, cap).astype(jnp.int32)


def require_shape(raster: ArrayLike, spec: Spec, ndims: tuple[int, ...]) -> None:
    """Raise ValueError unless a raster is for the input channels of `spec`."""
    shape, n = np.shape(raster), spec.n_inputs
    if len(shape) not in ndims or shape[-1] != n:
        forms = {2: f"(time, {n})", 3: f"(batch, time, {n})"}
        raise ValueError(
            f"`raster` must have the shape {' or '.join(forms[ndim] for ndim in ndims)}, for the "
            f"{n} input channels of `spec`; got {shape}"
        )


def require_counts(raster: np.ndarray) -> None:
    """Raise ValueError unless a raster holds numbers of events, whole and at least 0."""
    if raster.dtype.kind not in "biuf":
        raise ValueError(f"`raster` must hold numbers of events; got {raster.dtype}")
    faults = {
        "NaN": np.isnan(raster),
        "infinite": np.isinf(raster),
        "negative": raster < 0,
        "not a whole number": raster != np.round(raster),
    }
    for fault, bad in faults.items():
        if bad.any():
            index = tuple(map(int, np.argwhere(bad)[0]))
            raise ValueError(
                "`raster` must hold numbers of events, whole and at least 0; "
                f"`raster{list(index)}` is {raster[index]}, {fault}"
            )
