"""Reports of a network: the cores that it takes, and the fate of its parameters."""

from collections.abc import Iterator, Sequence

from ..._checks import explained
from .._family import ParameterReport, Usage, find_chip, report_parameter, require_kind
from ._chips import CHIPS, Chip, Memory
from ._discretize import Compat, Discretized
from ._quantize import discretize_layers
from ._spec import Spec


@explained
def usage(spec: Spec, *, chip: Chip | str | None = None) -> tuple[Usage, ...]:
    """The cores that a network takes, and the memory on each.

    Args:
        spec: a network, quantised or only mapped.
        chip: the chip, or its short name; None for the one that `spec` is meant for.

    Returns:
        A row for the number of cores, and one for each memory that a layer takes. A layer without a
        core has no limit.

    >>> import equinox as eqx, jax
    >>> from snnjax import IAF, Sequential
    >>> from snnjax.hardware import dynapcnn
    >>> conv = eqx.nn.Conv2d(1, 2, 3, key=jax.random.key(0))
    >>> spec = dynapcnn.map_network(Sequential(conv, IAF((2, 4, 4))), input_shape=(1, 6, 6))
    >>> for row in dynapcnn.usage(spec):
    ...     print(row)
    cores: 1 of 9
    kernel memory of core 0 (layers[0] (`layers[1]`)): 32 of 16,384
    neuron memory of core 0 (layers[0] (`layers[1]`)): 32 of 65,536
    bias memory of core 0 (layers[0] (`layers[1]`)): 2 of 1,024
    """
    require_kind(spec, Spec)
    chip = spec.chip if chip is None else find_chip(chip, CHIPS)
    cores = Usage("cores", len(spec.layers), len(chip.cores))
    return (cores, *_memories(spec, chip))


def _memories(spec: Spec, chip: Chip) -> Iterator[Usage]:
    for i, layer in enumerate(spec.layers):
        has = dict(enumerate(chip.cores)).get(-1 if layer.core is None else layer.core)
        on = "" if layer.core is None else f" of core {layer.core}"
        for kind, used in zip(Memory._fields, layer.memory, strict=True):
            if used:
                limit = None if has is None else getattr(has, kind)
                yield Usage(f"{kind} memory{on}", used, limit, spec.name(i))


@explained
def report(
    spec: Spec, *, percentile: float | Sequence[float] = 100.0, compat: Compat = None
) -> tuple[ParameterReport, ...]:
    """The change of each parameter by `quantize` with the same settings.

    Args:
        spec: a spec that `map_network` returned.
        percentile: see `quantize`.
        compat: see `quantize`.

    Returns:
        A row for weights, biases, threshold, lower bound and first membrane potentials of each
        layer, as far as it has them.

    Raises:
        ValueError: as `quantize` does.
    """
    return tuple(_rows(spec, discretize_layers(spec, percentile, compat)))


def _rows(spec: Spec, found: Sequence[Discretized]) -> Iterator[ParameterReport]:
    for i, (layer, values) in enumerate(zip(spec.layers, found, strict=True)):
        whose = f" (`{layer.path}`)" if layer.path else ""
        for name, real in layer.arrays().items():
            yield report_parameter(
                f"layers[{i}].{name}{whose}",
                real,
                getattr(values, name),
                values.scale,
                clipped=int(values.clipped[name]),
            )
