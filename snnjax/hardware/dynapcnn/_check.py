"""Checks of a network against the limits of a chip."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array

from ..._checks import explained
from .._family import (
    Violation,
    bounds,
    entries,
    find_chip,
    known,
    refuse,
    require_kind,
    require_quantized,
)
from ._chips import CHIPS, Chip, Memory
from ._spec import Core, Spec

Limit = float | str | tuple[float, ...]


@explained
def check(spec: Spec, *, chip: Chip | str | None = None) -> tuple[Violation, ...]:
    """Every limit of a chip that a network breaks, all at once.

    Args:
        spec: a network, quantised or only mapped. Limits of integers are checked once there are
            integers. Arrays whose values are not known, under `jax.jit`, are passed over.
        chip: the chip, or its short name; None for the one that `spec` is meant for.

    Returns:
        The violations: those of the whole network first, then those of each layer: its geometry,
        its memory, its values. Entries of one array that break the same limit make one violation,
        which names the first of them and counts the others.

    Raises:
        TypeError: if `spec` is no Spec.
    """
    require_kind(spec, Spec)
    chip = spec.chip if chip is None else find_chip(chip, CHIPS)
    return (
        *_network(spec, chip),
        *_geometry(spec, chip),
        *_placement(spec, chip),
        *_values(spec, chip),
    )


@explained
def require(spec: Spec, *, chip: Chip | str | None = None) -> None:
    """Raise ValueError, with every error that `check` finds, if there are any."""
    refuse(check(spec, chip=chip))


@explained
def require_integers(spec: Spec) -> None:
    """Raise an error unless a network is quantised and its values, not its size, fit its chip."""
    require_kind(spec, Spec)
    require_one_kind(spec)
    require_quantized(spec, Spec)
    refuse(_values(spec, spec.chip))


def require_one_kind(spec: Spec) -> None:
    """Raise ValueError if a network holds integers and real numbers side by side."""
    arrays = [layer.arrays() for layer in spec.layers]
    refuse(v for i in range(len(arrays)) for v in _mixed(arrays, i))


def _network(spec: Spec, chip: Chip) -> Iterator[Violation]:
    n, cores = len(spec.layers), len(chip.cores)
    if n > cores:
        message = f"`layers` has {n} layers, but {chip.name} has {cores} cores, one for each"
        yield Violation("layers", n, cores, message)
    if spec.readout_stride > 1 and spec.n_classes > chip.max_classes:
        message = (
            f"`layers[{n - 1}].weight` has {spec.n_classes} classes, but the readout of "
            f"{chip.name} has {chip.max_classes}"
        )
        yield Violation(f"layers[{n - 1}].weight", spec.n_classes, chip.max_classes, message)
    if spec.readout_stride > 1 and spec.readout_stride != chip.readout_channels:
        message = (
            f"`readout_stride` is {spec.readout_stride}, but the readout of {chip.name} has class "
            f"i on channel {chip.readout_channels}*i"
        )
        limit = chip.readout_channels
        yield Violation("readout_stride", spec.readout_stride, limit, message)
    if spec.sensor is not None:
        yield from _sensor(spec, chip)


def _sensor(spec: Spec, chip: Chip) -> Iterator[Violation]:
    sensor = spec.sensor
    assert sensor is not None
    if sensor.enabled and not chip.has_sensor:
        message = f"`sensor.enabled` is True, but {chip.name} has no sensor of its own"
        yield Violation("sensor.enabled", "True", "False", message)
    if any(size > limit for size, limit in zip(sensor.size, chip.sensor_size, strict=True)):
        message = f"`sensor.size` is {sensor.size}, but that of {chip.name} is {chip.sensor_size}"
        yield Violation("sensor.size", sensor.size, chip.sensor_size, message)
    if not set(sensor.pool) <= set(chip.pools):
        message = f"`sensor.pool` is {sensor.pool}; {chip.name} pools by {_any_of(chip.pools)}"
        yield Violation("sensor.pool", sensor.pool, chip.pools, message)
    n, limit = len(spec.inputs), chip.max_destinations
    if n > limit:
        message = f"`inputs` has {n} layers, but the sensor of {chip.name} sends to at most {limit}"
        yield Violation("inputs", n, limit, message)


def _geometry(spec: Spec, chip: Chip) -> Iterator[Violation]:
    for i, layer in enumerate(spec.layers):
        for name, value, limit, fits, why in _dimensions(layer, chip):
            if not fits:
                message = f"`{spec.name(i)}`: `{name}` is {value}; {why}"
                yield Violation(f"layers[{i}].{name}", value, limit, message)


def _dimensions(layer: Core, chip: Chip) -> Iterator[tuple[str, Any, Limit, bool, str]]:
    """Name, value, limit, whether it is kept, and a sentence, for each measure of a layer."""
    channels, *map_in = layer.input_shape
    out, *map_out = layer.output_shape
    most = chip.max_channels
    for name, size, limit in (
        ("input_shape", map_in, chip.max_input),
        ("output_shape", map_out, chip.max_output),
    ):
        fits = size[0] <= limit[0] and size[1] <= limit[1]
        yield name, tuple(size), limit, fits, f"maps are at most {limit[0]} by {limit[1]}"
    yield "in_channels", channels, most, channels <= most, f"there are at most {most} channels"
    yield "out_channels", out, most, out <= most, f"there are at most {most} channels"
    kernel, largest = layer.kernel_size, chip.max_kernel
    square = kernel[0] == kernel[1]
    yield "kernel_size", kernel, "square", square, "kernels are square"
    yield "kernel_size", kernel, largest, max(kernel) <= largest, f"kernels are at most {largest}"
    allowed = set(layer.stride) <= set(chip.strides)
    yield "stride", layer.stride, chip.strides, allowed, f"strides are {_any_of(chip.strides)}"
    wide = chip.max_padding
    yield "padding", layer.padding, wide, max(layer.padding) <= wide, f"padding is at most {wide}"
    pools = tuple(d.pool for d in layer.destinations)
    allowed = set(pools) <= set(chip.pools)
    yield "pool", pools, chip.pools, allowed, f"spikes are pooled by {_any_of(chip.pools)}"
    n, limit_of = len(pools), chip.max_destinations
    yield "destinations", n, limit_of, n <= limit_of, f"a core sends to at most {limit_of}"


def _any_of(numbers: Sequence[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} or {numbers[-1]}"


def _placement(spec: Spec, chip: Chip) -> Iterator[Violation]:
    """Each layer on a core of its own that has the memory for it."""
    cores = [layer.core for layer in spec.layers]
    taken = Counter(core for core in cores if core is not None)
    for i, layer in enumerate(spec.layers):
        parameter, last = f"layers[{i}].core", len(chip.cores) - 1
        if layer.core is None:
            yield from _too_large(spec, i, chip)
        elif not 0 <= layer.core <= last:
            message = f"`{spec.name(i)}`: `core` is {layer.core}; the cores are 0 to {last}"
            yield Violation(parameter, layer.core, (0, last), message)
        else:
            if taken[layer.core] > 1:
                message = (
                    f"`{spec.name(i)}`: `core` is {layer.core}, which holds "
                    f"{taken[layer.core]} layers; a core holds 1"
                )
                yield Violation(parameter, layer.core, 1, message)
            yield from _memory(spec, i, chip.cores[layer.core])


def _memory(spec: Spec, i: int, has: Memory) -> Iterator[Violation]:
    layer = spec.layers[i]
    for kind, need, limit in zip(Memory._fields, layer.memory, has, strict=True):
        if need > limit:
            message = (
                f"`{spec.name(i)}`: it takes {need:,} words of {kind} memory, but core "
                f"{layer.core} has {limit:,}"
            )
            yield Violation(f"layers[{i}].memory.{kind}", need, limit, message)


def _too_large(spec: Spec, i: int, chip: Chip) -> Iterator[Violation]:
    """The memory that no core has for a layer without a core; none if some core does."""
    need = spec.layers[i].memory
    if any(need.fits(core) for core in chip.cores):
        return
    for k, kind in enumerate(Memory._fields):
        limit = max(core[k] for core in chip.cores)
        if need[k] > limit:
            message = (
                f"`{spec.name(i)}`: it takes {need[k]:,} words of {kind} memory, but the largest "
                f"core of {chip.name} has {limit:,}"
            )
            yield Violation(f"layers[{i}].memory.{kind}", need[k], limit, message)
            return
    message = (
        f"`{spec.name(i)}`: it takes {need.kernel:,} words of kernel memory and {need.neuron:,} of "
        f"neuron memory, which no core of {chip.name} has both"
    )
    largest = max(core.neuron for core in chip.cores if core.kernel >= need.kernel)
    yield Violation(f"layers[{i}].memory", tuple(need), largest, message)


def _values(spec: Spec, chip: Chip) -> Iterator[Violation]:
    arrays = [layer.arrays() for layer in spec.layers]
    for i, of_layer in enumerate(arrays):
        yield from _mixed(arrays, i)
        values = known(of_layer)
        for name, array in values.items():
            rule = _integers if np.issubdtype(array.dtype, np.integer) else _reals
            yield from rule(spec, chip, i, name, array)
        yield from _bound(spec, i, values)


def _mixed(arrays: Sequence[dict[str, Array]], i: int) -> Iterator[Violation]:
    every = [array for of_layer in arrays for array in of_layer.values()]
    if not any(np.issubdtype(array.dtype, np.integer) for array in every):
        return
    for name, array in arrays[i].items():
        if not np.issubdtype(array.dtype, np.integer):
            parameter = f"layers[{i}].{name}"
            message = f"`{parameter}` is {array.dtype}, but a quantised network holds integers only"
            yield Violation(parameter, str(array.dtype), "int32", message)


def _integers(spec: Spec, chip: Chip, i: int, name: str, array: np.ndarray) -> Iterator[Violation]:
    bits = {"weight": chip.weight_bits, "bias": chip.bias_bits}.get(name, chip.state_bits)
    low, high = bounds(bits)
    if name == "threshold":
        low = 1
    bad = (array < low) | (array > high)
    yield from _bad(spec, i, name, array, bad, (low, high), f"from {low} to {high}")


def _reals(spec: Spec, chip: Chip, i: int, name: str, array: np.ndarray) -> Iterator[Violation]:
    finite = np.isfinite(array)
    yield from _bad(spec, i, name, array, ~finite, "finite", "finite")
    if name == "threshold":
        yield from _bad(spec, i, name, array, finite & (array <= 0), 0, "above 0")


def _bound(spec: Spec, i: int, values: dict[str, np.ndarray]) -> Iterator[Violation]:
    """A lower bound at or above the threshold makes neurons fire for ever."""
    if {"threshold", "min_vmem"} <= values.keys():
        bound, threshold = values["min_vmem"], values["threshold"]
        limit = threshold.item()
        expected = f"below the threshold, which is {limit:g}"
        yield from _bad(spec, i, "min_vmem", bound, bound >= threshold, limit, expected)


def _bad(
    spec: Spec, i: int, name: str, array: np.ndarray, bad: np.ndarray, limit: Limit, expected: str
) -> Iterator[Violation]:
    """One violation for all entries of an array of a layer that are `bad`."""
    why, owner = f"it must be {expected}", spec.layers[i].path
    yield from entries(f"layers[{i}].{name}", array, bad, limit, why, owner=owner)
