"""The difference between a network and its integers, layer by layer."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from ..._checks import explained
from ..._typing import Key, PyTree
from ...nn import Chain
from .._causes import UNKNOWN, lost_scale, why_saturated
from .._compare import (
    LayerTrace,
    as_recordings,
    beside_plan,
    compare_answers,
    compare_layer,
    run_network,
    warn_of_cut,
)
from .._fidelity import Fidelity, LayerFidelity
from ._changes import changes
from ._check import require_integers
from ._map_network import lay_out, spans
from ._nodes import Node, read
from ._simulate import simulate
from ._spec import Spec

_TOO_MUCH = "its synaptic current is cut: too many events come in at once for its weights and decay"


@explained
def fidelity(
    model: Chain | Spec,
    spec: Spec,
    raster: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    plan: PyTree = None,
    key: Key | None = None,
) -> Fidelity:
    """Run recordings through a network and through its integers, and compare.

    An answer is the readout neuron that spikes most, or has the highest membrane potential on
    average if the network gives potentials.

    Args:
        model: the network, as it was mapped, with dropout off; or other integers with the same
            layers, such as those of fewer bits, which are compared step by step.
        spec: its integers.
        raster: numbers of events, `(time, inputs)` or `(batch, time, inputs)`.
        labels: the right answer of each recording, to compare accuracies as well.
        plan: a plan of the network. The network through it is compared as well, which tells the
            rounding that training through the plan sees from the arithmetic that it does not.
        key: for random transforms of the plan.

    Raises:
        TypeError, ValueError: if `map_network` or `simulate` refuses `model`, `spec` or `raster`,
            if `spec` does not have the neurons of `model`, if there is no recording of a step or
            more, or not one label of a class for each, or if `plan` is given beside integers.

    Warns:
        MappingWarning: if the raster has more events than an input channel takes in a step.
    """
    require_integers(spec)
    events = as_recordings(raster, (spec.n_inputs,), labels, classes=spec.n_outputs)
    late = _require_the_same_neurons(model, spec)
    trace = jax.tree.map(np.asarray, simulate(spec, np.pad(events, ((0, 0), (0, late), (0, 0)))))
    cut_events = int(np.asarray(trace.cut_events).sum(dtype=np.int64))
    warn_of_cut(cut_events)

    def compare(model: Any, beside: str) -> Fidelity:
        of = _of_integers if isinstance(model, Spec) else _of_network
        sides, answers, by_spikes = of(model, spec, events)
        theirs = trace.spikes_out if by_spikes else trace.vmem_out
        return compare_answers(
            tuple(_layer(side, spec, trace) for side in sides),
            answers,
            theirs[:, late:],
            labels,
            cut_events=cut_events,
            beside=beside,
        )

    return beside_plan(compare, model, plan, key, lambda network: changes(network, spec))


class _Side(NamedTuple):
    """A layer of what the integers are compared with.

    Attributes:
        path: of its neurons.
        own: its place among the hidden neurons; None for the readout.
        steps: steps of the trace of the integers that it is compared with.
        skips: places of the neurons whose spikes it adds to its own.
        run: its spikes and potentials.
        clipped: number of its weights that did not fit; None where that is not known.
    """

    path: str
    own: slice | None
    steps: slice
    skips: tuple[slice, ...]
    run: LayerTrace
    clipped: int | None


_Answers = tuple[list[_Side], np.ndarray, bool]
"""The layers, what speaks for each class at each step, and whether that is spikes."""


def _require_the_same_neurons(model: Any, spec: Spec) -> int:
    """The steps by which the readout lags behind the network; 0 for other integers.

    Raises:
        ValueError: if the integers have other neurons.
    """
    if isinstance(model, Spec):
        require_integers(model)
        mine, theirs = ((x.n_inputs, *_places(x)) for x in (model, spec))
        if mine != theirs:
            raise ValueError(
                f"`model` has {_in_words(model)}, but `spec` {_in_words(spec)}; compare the "
                "integers of one network"
            )
        return 0
    nodes = read(model)
    *hidden, readout = (node.size for node in nodes)
    if (sum(hidden), readout) != (spec.n_hidden, spec.n_outputs):
        raise ValueError(
            f"`spec` has {spec.n_hidden} hidden and {spec.n_outputs} output neurons, but `model` "
            f"{sum(hidden)} and {readout}; give the integers of this network"
        )
    return nodes[-1].lag


def _places(spec: Spec) -> tuple[Any, ...]:
    return tuple((own.start, own.stop) for _, own in spec.parts), spec.n_outputs


def _in_words(spec: Spec) -> str:
    sizes = [own.stop - own.start for _, own in spec.parts]
    return f"{spec.n_inputs} inputs, hidden layers of {sizes} and {spec.n_outputs} output neurons"


def _of_network(model: Chain, spec: Spec, events: np.ndarray) -> _Answers:
    nodes, steps = read(model), events.shape[1]
    records = jax.tree.map(np.asarray, run_network(model, events.astype(np.float32)))
    parts, clipped = spans(nodes[:-1]), _clipped(nodes, spec)
    sides = []
    for node, own in zip(nodes, [*parts, None], strict=True):
        spikes, vmem = (records[f"{node.path}.{name}"] for name in ("spikes", "vmem"))
        sides.append(
            _Side(
                path=node.path,
                own=own,
                steps=slice(node.lag, node.lag + steps),
                skips=tuple(parts[i] for i in node.skips),
                run=LayerTrace(spikes, vmem, np.asarray(node.neurons.threshold)),
                clipped=int((clipped[1] if own is None else clipped[0][own]).sum()),
            )
        )
    readout = nodes[-1]
    by_spikes = readout.neurons.settings.output == "spikes"
    kind = "output" if by_spikes else "vmem"
    return sides, records[f"{readout.path}.{kind}"], by_spikes


def _of_integers(other: Spec, spec: Spec, events: np.ndarray) -> _Answers:
    trace = jax.tree.map(np.asarray, simulate(other, events))
    every, places = slice(0, events.shape[1]), [*spec.parts, (spec.readout, None)]
    sides = [
        _Side(path, own, every, (), _trace_of(own, other, trace, every), None)
        for path, own in places
    ]
    by_spikes = bool((np.asarray(other.threshold_out) < other.chip.max_state).any())
    return sides, trace.spikes_out if by_spikes else trace.vmem_out, by_spikes


def _layer(side: _Side, spec: Spec, trace: Any) -> LayerFidelity:
    own, at = side.own, side.steps
    integers = _trace_of(own, spec, trace, at)
    limits = -1 - spec.chip.max_state, spec.chip.max_state
    if own is None:
        cap = spec.chip.max_spikes_out
        isyn, dash = trace.isyn_out[:, at, :, None], np.asarray(spec.dash_syn_out)[:, None]
    else:
        cap = spec.chip.max_spikes_hidden
        handed = sum(trace.spikes[:, at, skipped] for skipped in side.skips)
        integers = integers._replace(spikes=integers.spikes - np.minimum(handed, cap))
        isyn, dash = trace.isyn[:, at, own], np.asarray(spec.dash_syn[own])
    currents = _saturated_currents(isyn, dash, limits)
    cut = dict.fromkeys(np.flatnonzero(currents.any((0, 1, 3))).tolist(), _TOO_MUCH)
    return compare_layer(
        side.path,
        side.run,
        integers,
        why_silent=functools.partial(why_silent, spec, own),
        saturated=why_saturated(integers.charged, limits, cap) | cut,
        saturated_states=int(currents.sum() + np.isin(integers.charged, limits).sum()),
        at_cap=int((integers.spikes == cap).sum()) if cap > 1 else 0,
        clipped=side.clipped,
    )


def _trace_of(own: slice | None, spec: Spec, trace: Any, at: slice) -> LayerTrace:
    """Spikes and potentials of a layer in integers; `own` is None for the readout."""
    if own is None:
        threshold = np.asarray(spec.threshold_out)
        return LayerTrace(trace.spikes_out[:, at], trace.vmem_out[:, at], threshold)
    threshold = np.asarray(spec.threshold[own])
    return LayerTrace(trace.spikes[:, at, own], trace.vmem[:, at, own], threshold)


def _saturated_currents(isyn: np.ndarray, dash: np.ndarray, limits: tuple[int, int]) -> np.ndarray:
    """Whether each synaptic current was at a limit of the chip before its decay.

    Currents are recorded after their decay, so they are compared with the decayed limits.
    """
    left = [limit - (limit >> dash) for limit in limits]
    return np.isin(dash, 0, invert=True) & ((isyn == left[0]) | (isyn == left[1]))


def _clipped(nodes: Sequence[Node], spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """How many weights of each hidden and output neuron are beyond what their bits hold.

    The scale of a neuron is that of its threshold, as exactly as rounding left that: only weights
    that are beyond at every scale it may be count. Without a threshold none do.
    """
    mapped = lay_out(nodes, spec.chip)

    def of(names: Sequence[str], threshold: str) -> np.ndarray:
        whole, real = (np.asarray(getattr(x, threshold), float) for x in (spec, mapped))
        counts = np.zeros(len(whole), int)
        for name in names:
            shift = getattr(spec, name.replace("w_", "weight_shift_"))
            weights = np.moveaxis(np.abs(np.asarray(getattr(mapped, name))), 1, -1)
            at_least = weights * ((whole - 0.5) / real / 2**shift)
            beyond = at_least > np.abs(np.asarray(getattr(spec, name))).max() + 0.5
            counts += beyond.sum(tuple(range(weights.ndim - 1)))
        return counts

    return of(("w_in", "w_rec"), "threshold"), of(("w_out",), "threshold_out")


def why_silent(spec: Spec, layer: slice | None, neuron: int) -> str:
    """The likely cause that a neuron which fires in the network does not in integers.

    Args:
        spec: the integers.
        layer: where its layer lies among the hidden neurons; None for the readout.
        neuron: its number within the layer.
    """
    if layer is None:
        weights = np.asarray(spec.w_out)[:, neuron] << spec.weight_shift_out
        dash = np.asarray(spec.dash_syn_out)[neuron]
        threshold, bias, dash_mem = spec.threshold_out, spec.bias_out, spec.dash_mem_out
    else:
        neuron += layer.start
        w_in = np.asarray(spec.w_in)[:, neuron] << spec.weight_shift_in
        w_rec = np.asarray(spec.w_rec)[:, neuron] << spec.weight_shift_rec
        weights, dash = np.concatenate([w_in, w_rec]), np.asarray(spec.dash_syn)[neuron]
        threshold, bias, dash_mem = spec.threshold, spec.bias, spec.dash_mem
    if not np.all(dash):
        return "a dash of 0 clears its synaptic current at every step"
    lost = lost_scale(weights)
    if lost is not None:
        return lost
    # What an event of every source at every step comes to, if the rest is not inhibited.
    excited, limit = int(weights[weights > 0].sum()), int(threshold[neuron])
    push = 0 if bias is None else max(int(bias[neuron]), 0)
    if (excited * 2.0 ** np.max(dash) + push) * 2.0 ** int(dash_mem[neuron]) < limit:
        return f"its threshold of {limit} is too high for weights that add up to {excited}"
    return UNKNOWN
