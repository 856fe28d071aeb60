"""From a mapped network to the integers that the chip holds; `_discretize` has the equations."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array

from ..._checks import explained
from ..._typing import FloatArray
from .._family import QuantizationWarning, is_known, require_mapped, sqnr
from ._check import require_one_kind
from ._discretize import Compat, Discretized, discretize_core
from ._spec import ARRAYS, Core, Spec


@explained
def quantize(
    spec: Spec,
    *,
    percentile: float | Sequence[float] = 100.0,
    min_sqnr: float = 20.0,
    max_zeroed: float = 0.5,
    compat: Compat = None,
) -> Spec:
    """Round a mapped network to the integers of its chip, each core with a scale of its own.

    `report` lists the changes of each parameter.

    Args:
        spec: a spec that `map_network` returned.
        percentile: percentile of the weights' magnitudes that the scale makes room for, see
            `discretize_core`; one number, or one for each layer.
        min_sqnr: signal to quantisation noise of a core's weights, in dB, below which a warning is
            given.
        max_zeroed: share of a core's weights above which rounding to 0 is warned of. One large
            weight among small ones gives a fine SQNR, and loses the small ones.
        compat: "sinabs" for the numbers of the peer.

    Returns:
        The spec in int32.

    Raises:
        ValueError: if the spec is quantised already, or a setting is out of its range.
        TypeError: if `spec` is no Spec.

    Warns:
        QuantizationWarning: for each core that loses more than that, or whose parameters are
            clipped. Not under `jax.jit`, where values are not known.
    """
    found = discretize_layers(spec, percentile, compat)
    for i, (layer, values) in enumerate(zip(spec.layers, found, strict=True)):
        if is_known(values):
            _warn_of(spec.name(i), layer, values, min_sqnr, max_zeroed)
    return with_values(spec, found)


def with_values(spec: Spec, found: Sequence[Discretized]) -> Spec:
    """The spec with those numbers in place of its own."""
    layers = tuple(
        dataclasses.replace(layer, **{name: getattr(values, name) for name in ARRAYS})
        for layer, values in zip(spec.layers, found, strict=True)
    )
    return dataclasses.replace(spec, layers=layers)


def discretize_layers(
    spec: Spec,
    percentile: float | Sequence[float],
    compat: Compat = None,
    *,
    to_int: bool = True,
) -> tuple[Discretized, ...]:
    """The integers of each layer; see `discretize_core`."""
    require_mapped(spec, Spec)
    require_one_kind(spec)
    n = len(spec.layers)
    percentiles = [percentile] * n if isinstance(percentile, int | float) else list(percentile)
    if len(percentiles) != n:
        raise ValueError(
            f"`percentile` must be one number or one for each of the {n} layers; got {percentile}"
        )
    return tuple(
        discretize_core(
            **layer.parameters(), chip=spec.chip, percentile=p, compat=compat, to_int=to_int
        )
        for layer, p in zip(spec.layers, percentiles, strict=True)
    )


def zeroed(weight: FloatArray, integers: Array) -> float:
    """Share of the weights that are 0 as integers, among those that were not."""
    x, y = np.asarray(weight), np.asarray(integers)
    return float(np.mean(y[x != 0] == 0)) if x.any() else 0.0


def _warn_of(
    name: str, layer: Core, values: Discretized, min_sqnr: float, max_zeroed: float
) -> None:
    weight = np.asarray(values.weight, np.float64) / float(values.scale)
    quality = sqnr(layer.weight, weight)
    lost_share = zeroed(layer.weight, values.weight)
    faults = []
    if quality < min_sqnr:
        faults.append(f"its weights have an SQNR of {quality:.1f} dB (`min_sqnr` is {min_sqnr:g})")
    if lost_share > max_zeroed:
        which = "all" if lost_share == 1 else f"{lost_share:.0%}"
        faults.append(f"{which} of its weights round to 0 (`max_zeroed` is {max_zeroed:g})")
    lost = {array: int(count) for array, count in values.clipped.items() if int(count)}
    faults += [f"{count} of `{array}` clipped to its bits" for array, count in lost.items()]
    if faults:
        warnings.warn(
            f"`{name}`, at a scale of {float(values.scale):.4g}: {'; '.join(faults)}",
            QuantizationWarning,
            stacklevel=4,
        )
