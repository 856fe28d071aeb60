"""The difference between a network and its integers, layer by layer."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..._checks import explained
from ..._typing import PyTree
from ...nn import Network, statistics as without_neurons
from .._causes import UNKNOWN, lost_scale, why_saturated
from .._family import bounds
from .._fidelity import (
    Fidelity,
    LayerFidelity,
    LayerTrace,
    as_recordings,
    compare_answers,
    compare_layer,
    run_network,
)
from ._check import require_integers
from ._chips import Chip
from ._layers import level_of
from ._network import read
from ._nodes import Node
from ._sensor import Sensor
from ._simulate import Trace, simulate
from ._spec import Core, Spec


@explained
def fidelity(
    model: Network,
    spec: Spec,
    raster: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    statistics: PyTree = None,
) -> Fidelity:
    """Run recordings through a network and through its integers, and compare.

    Both run in synchronous steps; `compare_events` compares steps with events. The answer to a
    recording is the class that spikes most.

    Args:
        model: the network, as it was mapped. Dropout is off.
        spec: its integers.
        raster: numbers of events, `(time, channels, height, width)` or with a batch first.
        labels: the right class of each recording, to compare accuracies as well.
        statistics: state of the network, for the running statistics of batch norms.

    Raises:
        TypeError: if `model` is not a network of layers, or `spec` no Spec.
        ValueError: if `spec` does not have the layers of `model`, if `simulate` refuses it or
            `raster`, or if there is no recording of a step or more, or not one label for each.
    """
    require_integers(spec)
    running = without_neurons(statistics)
    nodes, sensor = _read(model, spec, running)
    _require_the_same_layers(nodes, spec)
    events = as_recordings(raster, spec.input_shape, labels, classes=spec.n_classes)
    trace = jax.tree.map(np.asarray, simulate(spec, events))
    seen = np.asarray(events if sensor is None else sensor(jnp.asarray(events)), np.float32)
    records = jax.tree.map(np.asarray, run_network(model, seen, running))
    runs = [_of_network(node, records) for node in nodes]
    layers = tuple(
        _layer(spec, i, node, run, trace)
        for i, (node, run) in enumerate(zip(nodes, runs, strict=True))
    )
    shape = nodes[-1].product.output_shape
    counts = runs[-1].spikes.sum(1).reshape(-1, shape[0], shape[1] * shape[2]).sum(-1)
    integers = np.asarray(spec.classes(jnp.asarray(trace.counts[-1])))
    return compare_answers(layers, counts.argmax(-1), integers.argmax(-1), labels)


def _read(model: Network, spec: Spec, statistics: PyTree) -> tuple[tuple[Node, ...], Sensor | None]:
    """The nodes of the network, and the layer of the sensor without the network's own pools."""
    sensor = spec.sensor
    if sensor is None:
        return read(model, spec.fed_shape, statistics), None
    errors = []
    for pool in itertools.product(spec.chip.pools, spec.chip.pools):
        before = sensor.without_pool(pool)
        if before.pooling(pool) != sensor:
            continue
        try:
            nodes = read(model, before.output_shape, statistics)
        except ValueError as error:
            errors.append(error)
            continue
        if {tap.pool for node in nodes for tap in node.taps if tap.source is None} == {pool}:
            return nodes, before
    raise (
        errors[0]
        if errors
        else ValueError("`model` pools its input, but not as the sensor's layer of `spec` does")
    )


def _require_the_same_layers(nodes: Sequence[Node], spec: Spec) -> None:
    found = [_shape(core, spec, i) for i, core in enumerate(spec.layers)]
    wanted = [node.product.output_shape for node in nodes]
    if found != wanted:
        raise ValueError(
            f"`spec` has layers of neurons of the shapes {found}, but `model` {wanted}; give the "
            "integers of this network"
        )


def _shape(core: Core, spec: Spec, layer: int) -> tuple[int, int, int]:
    """Shape of a layer's neurons without the channels that `pad_readout` adds between classes."""
    channels, height, width = core.output_shape
    return (spec.n_classes if layer == len(spec.layers) - 1 else channels), height, width


def _of_network(node: Node, records: dict[str, Any]) -> LayerTrace:
    spikes, vmem = (_flat(records[f"{node.path}.{name}"]) for name in ("output", "vmem"))
    return LayerTrace(spikes, vmem, np.asarray(level_of(node.neurons.threshold)))


def _flat(x: Any) -> np.ndarray:
    """(batch, time, neurons)."""
    return np.asarray(x).reshape(*x.shape[:2], -1)


def _layer(spec: Spec, i: int, node: Node, network: LayerTrace, trace: Trace) -> LayerFidelity:
    core, stride = spec.layers[i], spec.readout_stride if i == len(spec.layers) - 1 else 1
    assert trace.spikes is not None
    assert trace.vmem is not None
    spikes, vmem = (_flat(x[i][:, :, ::stride]) for x in (trace.spikes, trace.vmem))
    _, height, width = core.output_shape
    events = np.asarray(trace.arrived[i]).sum(0)

    def cause(neuron: int) -> str:
        channel, place = divmod(neuron, height * width)
        return _why_silent(core, channel * stride * height * width + place, events)

    cap = core.max_spikes or 0
    integers = LayerTrace(spikes, vmem, np.asarray(core.threshold))
    return compare_layer(
        node.path,
        network,
        integers,
        why_silent=cause,
        saturated=_saturated(integers, cap, bounds(spec.chip.state_bits)),
        saturated_states=int(trace.saturated[i].sum()),
        at_cap=int((spikes == cap).sum()) if cap > 1 else 0,
        at_bound=_at_bound(core, vmem, spec.chip),
        clipped=_clipped(np.asarray(node.weight), np.asarray(core.weight[::stride]), spec.chip),
    )


def _saturated(integers: LayerTrace, cap: int, limits: tuple[int, int]) -> dict[int, str]:
    """The neurons with a sum or potential beyond the bits of a potential, and the likely cause."""
    over = np.flatnonzero((integers.charged > limits[1]).any((0, 1)))
    found = dict.fromkeys(
        over.tolist(),
        f"the events of a step add up to more than {limits[1]:,}; event by event, the chip fires "
        "in between",
    )
    return found | why_saturated(integers.vmem, limits, cap)


def _why_silent(core: Core, neuron: int, events: np.ndarray) -> str:
    """The likely cause that a neuron fires in the network but not in integers.

    Args:
        core: the integers of its layer.
        neuron: its number within the layer, as in a flattened map.
        events: number of events at each place of the layer's input map, over all steps.
    """
    _, height, width = core.output_shape
    channel = neuron // (height * width)
    weights = np.asarray(core.weight)[channel]
    if not events.any():
        return "nothing reaches it: all that feeds its layer is silent"
    lost = lost_scale(weights.ravel())
    if lost is not None:
        return lost
    bias = 0 if core.bias is None else int(core.bias[channel])
    excited, threshold = int(weights[weights > 0].sum()), int(core.threshold)
    if not excited and bias <= 0:
        return "none of its weights is above 0"
    # An upper limit: as many events at each of its inputs as at the busiest place, no inhibition.
    if bias <= 0 and excited * int(events.max()) < threshold:
        return f"its threshold of {threshold} is too high for weights that add up to {excited}"
    return UNKNOWN


def _at_bound(core: Core, vmem: np.ndarray, chip: Chip) -> int:
    """Number of potentials at a lower bound that is not the end of 16 bits."""
    if core.min_vmem is None or int(core.min_vmem) == bounds(chip.state_bits)[0]:
        return 0
    return int((vmem == int(core.min_vmem)).sum())


def _clipped(weight: np.ndarray, integers: np.ndarray, chip: Chip) -> int:
    """Number of weights that are beyond their bits, at the scale of the others."""
    low, high = bounds(chip.weight_bits)
    inner = (integers > low) & (integers < high) & (integers != 0)
    if not inner.any():
        return 0
    # Each of them bounds the scale from both sides.
    n, w = np.abs(integers[inner]), np.abs(weight[inner])
    scale = (((n - 0.5) / w).max() + ((n + 0.5) / w).min()) / 2
    return int(((weight * scale > high + 0.5) | (weight * scale < low - 0.5)).sum())
