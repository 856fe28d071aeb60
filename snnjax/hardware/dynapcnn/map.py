"""From a network of layers to the cores of a chip."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..._typing import PyTree
from ...nn import Network
from ._chips import SPECK_2F, Chip, get_chip
from ._cores import assign, candidates
from ._graph import Node, Tap, read
from ._neurons import cap_of, level_of
from ._sensor import Sensor
from .check import require
from .spec import Core, Destination, Shape, Spec


def map_network(
    model: Network,
    chip: Chip | str = SPECK_2F,
    *,
    input_shape: Shape | None = None,
    sensor: Sensor | None = None,
    state: PyTree = None,
    cores: Sequence[int] | None = None,
) -> Spec:
    """Lay a network out on the cores of a chip; nothing is rounded yet.

    Each pair of a product and neurons becomes a core. A linear layer becomes a convolution whose
    kernel is as large as its input map, made square with zeros if the map is not. A batch norm is
    folded into the product before it. An average pool becomes a sum pool and a factor on the next
    layer's weights, not on its biases. The end of a Residual or Parallel becomes several cores that
    feed the same one. Dropout is left out.

    Args:
        model: pairs of `eqx.nn.Conv2d` or `eqx.nn.Linear` and `IAF`, within Sequential, Residual
            and Parallel, with `SumPool2d` and `eqx.nn.AvgPool2d` after neurons and
            `eqx.nn.BatchNorm` between product and neurons. The last IAF is the readout.
        chip: a chip or its short name.
        input_shape: (channels, height, width) of a time step. Not needed with a `sensor`.
        sensor: the layer of the event sensor, if it feeds the network.
        state: that of the network, as calling it gives it, for the running statistics of batch
            norms. Membrane potentials in it are those that the chip starts with; leave them out by
            `snnjax.nn.statistics(state)`.
        cores: the core of each layer, to choose them by hand. By default they are found.

    Returns:
        A spec with real-valued weights, biases and thresholds, for `check` and `quantize`.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if it holds something that the chip cannot run, naming the layer; if it breaks
            limits of the chip, listing all of them; if there is no way to place it; or if
            `input_shape` is missing or differs from that of the sensor.
    """
    chip = get_chip(chip)
    if sensor is not None and input_shape not in (None, sensor.output_shape):
        raise ValueError(
            f"`input_shape` is {input_shape}, but `sensor` gives maps of {sensor.output_shape}; "
            "leave it out"
        )
    shape = input_shape if sensor is None else sensor.output_shape
    if shape is None or len(shape) != 3 or min(shape) < 1:
        raise ValueError(
            "`input_shape` must be (channels, height, width) of a time step of the input; got "
            f"{input_shape}"
        )
    nodes = read(model, shape, state)
    sent = _destinations(nodes)
    spec = Spec(
        layers=tuple(_core(node, sent.get(i, ())) for i, node in enumerate(nodes)),
        inputs=tuple(i for i, node in enumerate(nodes) if Tap(None) in node.taps),
        sensor=sensor,
        chip=chip,
    )
    _require_known(spec)
    spec = assign(spec, cores)
    if cores is not None:
        _require_known(spec)
    return spec


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
        ValueError: if it is spread already, or then breaks a limit of its chip, 15 classes among
            them.
    """
    stride = spec.chip.readout_channels
    if spec.readout_stride != 1:
        raise ValueError(f"`spec` has its classes {spec.readout_stride} channels apart already")
    last = spec.layers[-1]

    def spread(x: Array) -> Array:
        return jnp.zeros(((len(x) - 1) * stride + 1, *x.shape[1:]), x.dtype).at[::stride].set(x)

    per_channel: dict[str, Any] = {k: spread(x) for k, x in last.arrays().items() if x.ndim}
    spread_out = dataclasses.replace(last, **per_channel)
    padded = dataclasses.replace(
        spec, layers=(*spec.layers[:-1], spread_out), readout_stride=stride
    )
    own = last.core
    outgrown = own is not None and not spread_out.memory.fits(spec.chip.cores[own])
    if outgrown and all(candidates(padded)):
        padded = assign(padded)
    _require_known(padded)
    return padded


def _core(node: Node, destinations: tuple[Destination, ...]) -> Core:
    product, neurons = node.product, node.neurons
    weight = product.weight if node.factor == 1 else product.weight * node.factor
    return Core(
        weight=weight,
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
            sent[tap.source] = (*sent.get(tap.source, ()), Destination(i, tap.pool))
    return sent


def _require_known(spec: Spec) -> None:
    """Hold the spec against its chip, unless its values are not known, under `jax.jit`."""
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(spec)):
        require(spec)
