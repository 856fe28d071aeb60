"""From a network of layers to the cores of a chip."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from ..._checks import explained
from ..._typing import PyTree
from ...nn import Network
from .._family import find_chip, is_known, require_kind
from ._check import require
from ._chips import CHIPS, Chip, Pair, whole, wholes
from ._layers import cap_of, level_of
from ._network import read
from ._nodes import Node
from ._sensor import Sensor
from ._spec import Core, Destination, Shape, Spec


@explained
def map_network(
    model: Network,
    *,
    chip: Chip | str = "speck2f",
    input_shape: Shape | None = None,
    sensor: Sensor | None = None,
    statistics: PyTree = None,
    cores: Sequence[int] | None = None,
    monitor: Sequence[str] = (),
) -> Spec:
    """Lay a network out on the cores of a chip, in real numbers.

    Each pair of a product and neurons becomes a core. A linear layer becomes a convolution whose
    kernel covers its input map; zeros make it square. Zeros also join the groups of a grouped
    convolution. A batch norm is folded into the product before it. An average pool becomes a sum
    pool and a factor on the next layer's weights, not on its biases. Where branches are added or
    concatenated, several cores feed one, each at its channels. Pools of the input become those of
    the sensor's layer. Dropout is left out.

    Args:
        model: pairs of `eqx.nn.Conv2d` or `eqx.nn.Linear` and `IAF`, within Sequential, Residual,
            Parallel, Concatenate and Graph, with `SumPool2d` and `eqx.nn.AvgPool2d` after neurons
            or the input, and `eqx.nn.BatchNorm` between product and neurons. The last IAF is the
            readout; of several outputs of a Graph, the last.
        chip: a chip or its short name.
        input_shape: (channels, height, width) of a time step. Not needed with a `sensor`.
        sensor: the layer of the event sensor, if it feeds the network.
        statistics: state of the network, as calling it gives it, for the running statistics of
            batch norms. Membrane potentials in it are those that the chip starts with;
            `snnjax.nn.statistics(state)` leaves them out.
        cores: the core of each layer, to choose them by hand. By default they are found.
        monitor: paths of neurons whose spikes the chip is to report, besides those of the outputs,
            such as "layers[1]".

    Returns:
        A spec with real-valued weights, biases and thresholds, for `check` and `quantize`.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if it holds something that the chip cannot run, naming the layer; if it breaks
            limits of the chip, listing all of them; if there is no way to place it; or if
            `input_shape` is missing or differs from that of the sensor.
    """
    spec, _ = lay_out(model, chip, input_shape, sensor, statistics, cores)
    paths = [layer.path for layer in spec.layers]
    for path in monitor:
        if path not in paths:
            raise ValueError(f"`monitor` must be of {', '.join(paths)}; got {path!r}")
    layers = tuple(
        dataclasses.replace(layer, monitor=True) if layer.path in monitor else layer
        for layer in spec.layers
    )
    return dataclasses.replace(spec, layers=layers)


def lay_out(
    model: Network,
    chip: Chip | str,
    input_shape: Shape | None,
    sensor: Sensor | None,
    statistics: PyTree,
    cores: Sequence[int] | None = None,
) -> tuple[Spec, tuple[Node, ...]]:
    """The spec of a network, and the nodes that it is made of; see `map_network`."""
    chip = find_chip(chip, CHIPS)
    nodes, inputs, sensor = _read(model, input_shape, sensor, statistics)
    sent = _destinations(nodes)
    spec = Spec(
        layers=tuple(_core(node, sent.get(i, ())) for i, node in enumerate(nodes)),
        inputs=inputs,
        sensor=sensor,
        chip=chip,
    )
    return place(spec, cores=cores), nodes


def _read(
    model: Network, input_shape: Shape | None, sensor: Sensor | None, statistics: PyTree
) -> tuple[tuple[Node, ...], tuple[int, ...], Sensor | None]:
    """The nodes of a network, the nodes that the input feeds, and the layer of the sensor."""
    shape = fed_shape(input_shape, sensor)
    nodes = read(model, shape, statistics)
    taps = [(i, tap) for i, node in enumerate(nodes) for tap in node.taps if tap.source is None]
    pools = {tap.pool for _, tap in taps}
    if len(pools) > 1:
        raise ValueError(
            f"`model` pools its input by {sorted(pools)} in different branches, but the sensor's "
            "layer pools once for all"
        )
    pool = pools.pop() if pools else (1, 1)
    if pool != (1, 1):
        sensor = _pooling(sensor, pool, shape)
    return nodes, tuple(i for i, _ in taps), sensor


def fed_shape(input_shape: Shape | None, sensor: Sensor | None) -> Shape:
    """(channels, height, width) of a time step of what the network takes.

    Raises:
        ValueError: if `input_shape` is missing, no such shape, or differs from that of the sensor.
    """
    if input_shape is not None:
        try:
            channels, height, width = wholes("input_shape", input_shape, 3, 1)
        except ValueError:
            raise ValueError(
                "`input_shape` must be (channels, height, width) of a time step of the input; got "
                f"{input_shape}"
            ) from None
        input_shape = channels, height, width
    if sensor is not None and input_shape not in (None, sensor.output_shape):
        raise ValueError(
            f"`input_shape` is {input_shape}, but `sensor` gives maps of {sensor.output_shape}; "
            "leave it out"
        )
    shape = input_shape if sensor is None else sensor.output_shape
    if shape is None:
        raise ValueError(
            "`input_shape` must be (channels, height, width) of a time step of the input; got None"
        )
    return shape


def _pooling(sensor: Sensor | None, pool: Pair, shape: Shape) -> Sensor:
    """The layer of the sensor with a pool of the input in it."""
    if sensor is not None:
        return sensor.pooling(pool)
    if shape[0] != 2:
        raise ValueError(
            f"`model` pools its input of {shape[0]} channels, but the layer that pools, that of "
            "the event sensor, takes two polarities: pass `sensor`, for instance "
            f"`Sensor(size={shape[1:]}, merge=True, enabled=False)` for one channel"
        )
    return Sensor(size=shape[1:], pool=pool, enabled=False)


def _core(node: Node, destinations: tuple[Destination, ...]) -> Core:
    product, neurons = node.product, node.neurons
    return Core(
        weight=node.weight,
        bias=product.bias,
        threshold=level_of(neurons.threshold),
        min_vmem=None if neurons.min_vmem is None else level_of(neurons.min_vmem),
        vmem=node.vmem,
        input_shape=product.input_shape,
        stride=product.stride,
        padding=product.padding,
        reset="zero" if neurons.settings.reset == "zero" else "subtract",
        max_spikes=cap_of(neurons),
        destinations=destinations,
        monitor=not destinations,
        path=node.path,
    )


def _destinations(nodes: Sequence[Node]) -> dict[int | None, tuple[Destination, ...]]:
    sent: dict[int | None, tuple[Destination, ...]] = {}
    for i, node in enumerate(nodes):
        for tap in node.taps:
            to = Destination(i, tap.pool[0], tap.shift)
            sent[tap.source] = (*sent.get(tap.source, ()), to)
    return sent


def _require_known(spec: Spec) -> None:
    """Hold the spec against its chip, unless its values are not known, under `jax.jit`."""
    if is_known(spec):
        require(spec)


@explained
def place(
    spec: Spec, *, chip: Chip | str | None = None, cores: Sequence[int] | None = None
) -> Spec:
    """Give each layer of a network a core of its own that has the memory for it.

    A maximum matching of layers and cores: if there is any way to place the network, it is found.
    Cores that layers already have are not kept.

    Args:
        spec: a network, quantised or not, mapped or made by hand.
        chip: the chip, or its short name; None for the one that `spec` is meant for.
        cores: the core of each layer, to choose them by hand; None to have them found.

    Returns:
        The spec with `core` set in each layer, meant for `chip`.

    Raises:
        TypeError: if `spec` is no Spec.
        ValueError: if there is no way to place the network, `cores` does not have a core for each
            layer, or a limit of the chip is broken.
    """
    require_kind(spec, Spec)
    if chip is not None:
        spec = dataclasses.replace(spec, chip=find_chip(chip, CHIPS))
    n = len(spec.layers)
    if cores is None:
        spec = _on(spec, [None] * n)
        _require_known(spec)
        return _on(spec, match(spec))
    if len(cores) != n:
        raise ValueError(f"`cores` must have a core for each of the {n} layers; got {cores}")
    spec = _on(spec, [whole(f"cores[{i}]", core, 0) for i, core in enumerate(cores)])
    _require_known(spec)
    return spec


def _on(spec: Spec, cores: Sequence[int | None]) -> Spec:
    layers = tuple(
        dataclasses.replace(layer, core=core)
        for layer, core in zip(spec.layers, cores, strict=True)
    )
    return dataclasses.replace(spec, layers=layers)


def candidates(spec: Spec) -> list[list[int]]:
    """The cores that have the memory for each layer by itself."""
    return [
        [i for i, core in enumerate(spec.chip.cores) if layer.memory.fits(core)]
        for layer in spec.layers
    ]


def match(spec: Spec) -> list[int]:
    """A core for each layer, no two the same, by augmenting paths.

    Raises:
        ValueError: if there is no way to place the network.
    """
    fitting = candidates(spec)
    holder: dict[int, int] = {}

    def settle(layer: int, asked: set[int]) -> bool:
        """Give a layer a core: a free one, else one whose holder can move on."""
        for core in sorted(fitting[layer], key=lambda core: core in holder):
            if core in asked:
                continue
            asked.add(core)
            if core not in holder or settle(holder[core], asked):
                holder[core] = layer
                return True
        return False

    if not all(settle(layer, set()) for layer in range(len(fitting))):
        raise ValueError(
            f"the layers cannot be given different cores of {spec.chip.name}; make those smaller "
            "that compete for the same cores:\n  - " + "\n  - ".join(_needs(spec, fitting))
        )
    core_of = {layer: core for core, layer in holder.items()}
    return [core_of[layer] for layer in range(len(fitting))]


def _needs(spec: Spec, fitting: list[list[int]]) -> Iterator[str]:
    for i, (layer, cores) in enumerate(zip(spec.layers, fitting, strict=True)):
        where = f"cores {', '.join(map(str, cores))}" if cores else "no core"
        yield (
            f"`{spec.name(i)}` needs {layer.memory.kernel:,} words of kernel memory, "
            f"{layer.memory.neuron:,} of neuron memory and {layer.memory.bias:,} of bias memory, "
            f"and fits on {where}"
        )


@explained
def pad_readout(spec: Spec) -> Spec:
    """Spread the classes of the last layer so that the readout of the chip counts them.

    The readout of Speck 2e and 2f reads class i from channel 4*i of the last core (an error of
    these chips). The channels between get weights and biases of 0.

    Args:
        spec: a network, before or after `quantize`.

    Returns:
        The spec with (classes - 1)*4 + 1 channels in its last layer; on the same cores, or, if that
        layer is now too large for its own, on others.

    Raises:
        ValueError: if it is spread already, or then breaks a limit of its chip: 15 classes.
    """
    stride = spec.chip.readout_channels
    if spec.readout_stride != 1:
        raise ValueError(f"`spec` has its classes {spec.readout_stride} channels apart already")
    last = spec.layers[-1]

    def spread(x: Array) -> Array:
        return jnp.zeros(((len(x) - 1) * stride + 1, *x.shape[1:]), x.dtype).at[::stride].set(x)

    per_channel: dict[str, Any] = {k: spread(x) for k, x in last.arrays().items() if x.ndim}
    spread_out = dataclasses.replace(last, **per_channel)
    layers = (*spec.layers[:-1], spread_out)
    padded = dataclasses.replace(spec, layers=layers, readout_stride=stride)
    own = last.core
    outgrown = own is not None and not spread_out.memory.fits(spec.chip.cores[own])
    if outgrown and all(candidates(padded)):
        padded = place(padded)
    _require_known(padded)
    return padded
