"""From a mapped network to the integers that the chip holds; `_discretize` says how."""

import dataclasses
import warnings
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array

from ..._typing import FloatArray
from .._limits import require_kind
from ._discretize import Compat, Discretized, discretize_core
from .spec import ARRAYS, Core, Spec


class QuantizationWarning(UserWarning):
    """What was rounded is no longer what was trained."""


def quantize(
    spec: Spec,
    *,
    percentile: float | Sequence[float] = 100.0,
    min_sqnr: float = 20.0,
    max_zeroed: float = 0.5,
    compat: Compat = None,
) -> Spec:
    """Round a mapped network to the integers of its chip, each core with a scale of its own.

    `quantization_report` tells what became of each core.

    Args:
        spec: what `map_network` gave.
        percentile: see `discretize_core`; one number, or one for each layer.
        min_sqnr: signal to quantisation noise of a core's weights, in dB, below which it is warned
            of.
        max_zeroed: share of a core's weights that may round to 0 without a warning. One large
            weight among small ones makes for a fine SQNR, and a network without the small ones.
        compat: "sinabs" for the numbers of the peer.

    Returns:
        The spec in int32.

    Raises:
        ValueError: if the spec is quantised already, or a setting is out of its range.
        TypeError: if `spec` is no Spec.

    Warns:
        QuantizationWarning: for each core that loses more than that, or whose parameters had to be
            clipped. Not under `jax.jit`, where values are not known.
    """
    found = discretize_layers(spec, percentile, compat)
    for i, (layer, values) in enumerate(zip(spec.layers, found, strict=True)):
        if not isinstance(values.scale, jax.core.Tracer):
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
    """What `quantize` makes of each layer; see `discretize_core`."""
    require_kind(spec, Spec)
    if spec.quantized:
        raise ValueError("`spec` is quantised already; give what `map_network` returns")
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


def sqnr(weight: FloatArray, integers: Array, scale: FloatArray) -> float:
    """Signal to quantisation noise in dB: 10*log10(sum x^2 / sum (x - integer/scale)^2)."""
    x, y = np.asarray(weight, np.float64), np.asarray(integers, np.float64) / float(scale)
    signal, noise = float((x**2).sum()), float(((x - y) ** 2).sum())
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise))


def zeroed(weight: FloatArray, integers: Array) -> float:
    """Share of the weights that are 0 as integers, among those that were not."""
    x, y = np.asarray(weight), np.asarray(integers)
    return float(np.mean(y[x != 0] == 0)) if x.any() else 0.0


def _warn_of(
    name: str, layer: Core, values: Discretized, min_sqnr: float, max_zeroed: float
) -> None:
    quality = sqnr(layer.weight, values.weight, values.scale)
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
            stacklevel=3,
        )
