"""How far a chip's integers are from the network that they came from, layer by layer."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..._typing import PyTree
from ...nn import Network, statistics
from .._causes import why_saturated
from .._fidelity import (
    Fidelity as Fidelity,
    LayerFidelity as LayerFidelity,
    LayerTrace,
    compare_answers,
    compare_layer,
    require_recordings,
    run_network,
)
from ._causes import why_silent
from ._chips import Chip, bounds
from ._graph import Node, read
from ._neurons import level_of
from ._raster import as_counts
from .check import require_integers
from .simulate import Trace, arriving, simulate
from .spec import Core, Spec


def fidelity(
    model: Network,
    spec: Spec,
    raster: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    state: PyTree = None,
) -> Fidelity:
    """LayerTrace recordings through a network and through its integers, and compare.

    Both in synchronous steps: `compare_events` has the other difference, that of steps and events.
    An answer is the class that spikes most.

    Args:
        model: the network, as it was mapped. Dropout is off.
        spec: its integers.
        raster: numbers of events, `(time, channels, height, width)` or with a batch first.
        labels: the right class of each recording, to compare accuracies as well.
        state: that of the network, for the running statistics of batch norms.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if `spec` does not have the layers of `model`, if `simulate` refuses it or
            `raster`, or if there is no recording of a step or more, or not one label for each.
    """
    require_integers(spec)
    running = statistics(state)
    nodes = read(model, spec.fed_shape, running)
    _require_the_same_layers(nodes, spec)
    events = as_counts(raster, spec)
    events = events if events.ndim == 5 else events[None]
    require_recordings(events.shape, labels)
    trace = jax.tree.map(np.asarray, simulate(spec, events))
    seen = np.asarray(arriving(spec, events), np.float32).swapaxes(0, 1)
    records = jax.tree.map(np.asarray, run_network(model, seen, running))
    runs = [_of_network(node, records) for node in nodes]
    layers = tuple(
        _layer(spec, i, node, run, trace)
        for i, (node, run) in enumerate(zip(nodes, runs, strict=True))
    )
    shape = nodes[-1].product.output_shape
    counts = runs[-1].spikes.sum(1).reshape(-1, shape[0], shape[1] * shape[2]).sum(-1)
    integers = np.asarray(spec.classes(jnp.asarray(trace.counts[-1])))
    return compare_answers(layers, counts.argmax(-1), integers.argmax(-1), labels, cut_events=0)


def _require_the_same_layers(nodes: Sequence[Node], spec: Spec) -> None:
    found = [_shape(core, spec, i) for i, core in enumerate(spec.layers)]
    wanted = [node.product.output_shape for node in nodes]
    if found != wanted:
        raise ValueError(
            f"`spec` has layers of neurons of the shapes {found}, but `model` {wanted}; give the "
            "integers of this network"
        )


def _shape(core: Core, spec: Spec, layer: int) -> tuple[int, int, int]:
    """Of a layer's neurons, without the channels that `pad_readout` puts between classes."""
    channels, height, width = core.output_shape
    return (spec.n_classes if layer == len(spec.layers) - 1 else channels), height, width


def _of_network(node: Node, records: dict[str, Any]) -> LayerTrace:
    spikes, vmem = (_flat(records[f"{node.path}.{name}"]) for name in ("output", "vmem"))
    return LayerTrace(spikes, vmem, np.asarray(level_of(node.neurons.threshold)))


def _flat(x: Any) -> np.ndarray:
    """(batch, time, neurons)."""
    return np.asarray(x).reshape(*x.shape[:2], -1)


def _layer(spec: Spec, i: int, node: Node, network: LayerTrace, trace: Trace) -> Any:
    core, stride = spec.layers[i], spec.readout_stride if i == len(spec.layers) - 1 else 1
    assert trace.spikes is not None
    assert trace.vmem is not None
    spikes, vmem = (_flat(x[i][:, :, ::stride]) for x in (trace.spikes, trace.vmem))
    weight = node.product.weight * node.factor
    _, height, width = core.output_shape
    events = np.asarray(trace.arrived[i]).sum(0)

    def cause(neuron: int) -> str:
        channel, place = divmod(neuron, height * width)
        return why_silent(core, channel * stride * height * width + place, events)

    cap = core.max_spikes or 0
    integers = LayerTrace(spikes, vmem, np.asarray(core.threshold))
    return compare_layer(
        node.path,
        network,
        integers,
        why_silent=cause,
        saturated=why_saturated(integers.charged, bounds(spec.chip.state_bits), cap),
        saturated_states=int(trace.saturated[i].sum()),
        at_cap=int((spikes == cap).sum()) if cap > 1 else 0,
        at_bound=_at_bound(core, vmem, spec.chip),
        clipped=_clipped(np.asarray(weight), np.asarray(core.weight[::stride]), spec.chip),
    )


def _at_bound(core: Core, vmem: np.ndarray, chip: Chip) -> int:
    """Potentials at the lower bound of the neurons, where that is not the end of 16 bits."""
    if core.min_vmem is None or int(core.min_vmem) == bounds(chip.state_bits)[0]:
        return 0
    return int((vmem == int(core.min_vmem)).sum())


def _clipped(weight: np.ndarray, integers: np.ndarray, chip: Chip) -> int:
    """Weights that are beyond their bits, at the scale that the others have."""
    low, high = bounds(chip.weight_bits)
    inner = (integers > low) & (integers < high) & (integers != 0)
    if not inner.any():
        return 0
    # Each of them says between which two numbers the scale is.
    n, w = np.abs(integers[inner]), np.abs(weight[inner])
    scale = (((n - 0.5) / w).max() + ((n + 0.5) / w).min()) / 2
    return int(((weight * scale > high + 0.5) | (weight * scale < low - 0.5)).sum())
