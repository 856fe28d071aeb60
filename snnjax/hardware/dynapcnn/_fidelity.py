"""The difference between a network and its integers, layer by layer."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..._checks import explained
from ..._typing import Key, PyTree
from ...nn import Network, statistics as without_neurons
from .._causes import UNKNOWN, lost_scale, why_saturated
from .._changes import Change, caps_in_words, with_cap
from .._compare import (
    LayerTrace,
    as_recordings,
    beside_plan,
    compare_answers,
    compare_layer,
    run_network,
)
from .._family import bounds
from .._fidelity import Fidelity, LayerFidelity
from ._check import require_integers
from ._chips import Chip
from ._layers import level_of
from ._network import read
from ._nodes import Node, layer_at
from ._sensor import Sensor
from ._simulate import Trace, simulate
from ._spec import Core, Spec


@explained
def fidelity(
    model: Network | Spec,
    spec: Spec,
    raster: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    plan: PyTree = None,
    key: Key | None = None,
    statistics: PyTree = None,
) -> Fidelity:
    """Run recordings through a network and through its integers, and compare.

    Both run in synchronous steps; `compare_events` compares steps with events. The answer to a
    recording is the class that spikes most.

    Args:
        model: the network, as it was mapped, with dropout off; or other integers with the same
            layers, such as those of fewer bits.
        spec: its integers.
        raster: numbers of events, `(time, channels, height, width)` or with a batch first.
        labels: the right class of each recording, to compare accuracies as well.
        plan: a plan of the network. The network through it is compared as well, which tells the
            rounding that training through the plan sees from the arithmetic that it does not.
        key: for random transforms of the plan.
        statistics: state of the network, for the running statistics of batch norms.

    Raises:
        TypeError: if `model` is not a network of layers, or `spec` no Spec.
        ValueError: if `spec` does not have the layers of `model`, if `simulate` refuses it or
            `raster`, if there is no recording of a step or more, or not one label for each, or if
            `plan` is given beside integers.
    """
    require_integers(spec)
    running = without_neurons(statistics)
    events = as_recordings(raster, spec.input_shape, labels, classes=spec.n_classes)
    first = _sides(model, spec, events, running)
    trace = jax.tree.map(np.asarray, simulate(spec, events))
    answers = _by_class(_trace_of(spec, -1, trace).spikes, spec)

    def compare(compared: Any, beside: str) -> Fidelity:
        sides = first if compared is model else _sides(compared, spec, events, running)
        layers = tuple(_layer(spec, i, side, trace) for i, side in enumerate(sides))
        mine = _by_class(sides[-1].run.spikes, spec)
        return compare_answers(layers, mine, answers, labels, beside=beside)

    def changes(network: Network) -> list[Change]:
        return _caps(_read(network, spec, running)[0], spec)

    return beside_plan(compare, model, plan, key, changes)


class _Side(NamedTuple):
    """A layer of what the integers are compared with.

    Attributes:
        path: of its neurons.
        run: its spikes and potentials.
        weight: its weights; None for other integers.
    """

    path: str
    run: LayerTrace
    weight: np.ndarray | None


def _sides(model: Any, spec: Spec, events: np.ndarray, running: PyTree) -> list[_Side]:
    """The layers of a network or of other integers.

    Raises:
        ValueError: if they are not those of `spec`.
    """
    if isinstance(model, Spec):
        require_integers(model)
        shapes = (model.input_shape, *_shapes(model)), (spec.input_shape, *_shapes(spec))
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"`model` has an input and layers of the shapes {shapes[0]}, but `spec` "
                f"{shapes[1]}; compare the integers of one network"
            )
        trace = jax.tree.map(np.asarray, simulate(model, events))
        runs = [_trace_of(model, i, trace) for i in range(len(model.layers))]
        return [_Side(c.path, run, None) for c, run in zip(spec.layers, runs, strict=True)]
    nodes, sensor = _read(model, spec, running)
    wanted = [node.product.output_shape for node in nodes]
    if _shapes(spec) != wanted:
        raise ValueError(
            f"`spec` has layers of neurons of the shapes {_shapes(spec)}, but `model` {wanted}; "
            "give the integers of this network"
        )
    seen = np.asarray(events if sensor is None else sensor(jnp.asarray(events)), np.float32)
    records = jax.tree.map(np.asarray, run_network(model, seen, running))
    return [_Side(x.path, _of_network(x, records), np.asarray(x.weight)) for x in nodes]


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


def _caps(nodes: Sequence[Node], spec: Spec) -> list[Change]:
    """The spike caps of the integers, where the network has others."""
    pairs = [
        (node, float("inf") if core.max_spikes is None else core.max_spikes)
        for node, core in zip(nodes, spec.layers, strict=True)
    ]
    found = [(node, cap) for node, cap in pairs if node.neurons.settings.max_spikes != cap]
    if not found:
        return []

    def make(model: Network) -> Network:
        layers = [with_cap(layer_at(model, node.places[2]), cap) for node, cap in found]
        places = [node.places[2] for node, _ in found]
        return eqx.tree_at(lambda m: [layer_at(m, place) for place in places], model, layers)

    words = [(node.path, node.neurons.settings.max_spikes, cap) for node, cap in found]
    return [Change("spike caps", caps_in_words(words), make)]


def _shapes(spec: Spec) -> list[tuple[int, int, int]]:
    """Shapes of the layers without the channels that `pad_readout` adds between classes."""
    found = [core.output_shape for core in spec.layers]
    return [*found[:-1], (spec.n_classes, *found[-1][1:])]


def _by_class(spikes: np.ndarray, spec: Spec) -> np.ndarray:
    """Spikes of each class at each step, from those of the readout's neurons."""
    return spikes.reshape(*spikes.shape[:2], spec.n_classes, -1).sum(-1)


def _trace_of(spec: Spec, layer: int, trace: Trace) -> LayerTrace:
    """Spikes and potentials of a layer in integers, of the channels that are in use."""
    assert trace.spikes is not None
    assert trace.vmem is not None
    stride = _stride(spec, layer)
    spikes, vmem = (_flat(x[layer][:, :, ::stride]) for x in (trace.spikes, trace.vmem))
    return LayerTrace(spikes, vmem, np.asarray(spec.layers[layer].threshold))


def _stride(spec: Spec, layer: int) -> int:
    return spec.readout_stride if layer in (-1, len(spec.layers) - 1) else 1


def _of_network(node: Node, records: dict[str, Any]) -> LayerTrace:
    spikes, vmem = (_flat(records[f"{node.path}.{name}"]) for name in ("output", "vmem"))
    return LayerTrace(spikes, vmem, np.asarray(level_of(node.neurons.threshold)))


def _flat(x: Any) -> np.ndarray:
    """(batch, time, neurons)."""
    return np.asarray(x).reshape(*x.shape[:2], -1)


def _layer(spec: Spec, i: int, side: _Side, trace: Trace) -> LayerFidelity:
    core, stride, integers = spec.layers[i], _stride(spec, i), _trace_of(spec, i, trace)
    _, height, width = core.output_shape
    events = np.asarray(trace.arrived[i]).sum(0)

    def cause(neuron: int) -> str:
        channel, place = divmod(neuron, height * width)
        return _why_silent(core, channel * stride * height * width + place, events)

    cap = core.max_spikes or 0
    weight = side.weight
    return compare_layer(
        side.path,
        side.run,
        integers,
        why_silent=cause,
        saturated=_saturated(integers, cap, bounds(spec.chip.state_bits)),
        saturated_states=int(trace.saturated[i].sum()),
        at_cap=int((integers.spikes == cap).sum()) if cap > 1 else 0,
        at_bound=_at_bound(core, integers.vmem, spec.chip),
        clipped=None
        if weight is None
        else _clipped(weight, np.asarray(core.weight[::stride]), spec.chip),
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
