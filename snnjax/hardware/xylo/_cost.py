"""The cost of recordings on a Xylo: spikes, operations, reads of memory, clock cycles, power."""

from typing import Any

import numpy as np
from jax.typing import ArrayLike

from ..._checks import explained
from ...nn import Work, Workload
from .._cost import Cost, Cycles, Figure, LayerCost, as_batch, per_recording
from .._inputs import as_counts
from ._check import require_integers
from ._simulate import Trace, simulate
from ._spec import Spec

_IMU = (
    "Xylo IMU development kit, main clock 6.25 MHz, steps of 10 ms",
    "Rockpool 3.1, docs/devices/xylo-imu/xylo-imu-intro.ipynb",
)
IMU_IDLE = Figure(188.2e-6, "W", f"core and IMU interface at rest; {_IMU[0]}", _IMU[1])
"""Power of a Xylo IMU at rest."""
IMU_ACTIVE = Figure(
    201.1e-6,
    "W",
    f"core and IMU interface on random events, 0.4 of a channel and step; {_IMU[0]}",
    _IMU[1],
)
"""Power of a Xylo IMU on random events."""
IMU_PINS = Figure(332.6e-6, "W", f"inputs and outputs at the same time; {_IMU[0]}", _IMU[1])
"""Power of the inputs and outputs of a Xylo IMU."""
ALOHA_POWER = Figure(
    291e-6,
    "W",
    'dynamic power of inference, keyword spotting "Aloha", Xylo Audio 2 development kit',
    "Bos and Muir 2024, arXiv:2406.15112",
)
"""Power of keyword spotting on a Xylo Audio 2."""
ALOHA_ENERGY = ALOHA_POWER._replace(
    value=6.6e-6, unit="J", measured=ALOHA_POWER.measured.replace("power", "energy", 1)
)
"""Energy of keyword spotting on a Xylo Audio 2, for an answer."""


@explained
def cost(spec: Spec, raster: ArrayLike, *, trace: Trace | None = None) -> Cost:
    """The cost of recordings on the chip, counted from the trace of its integers.

    In a step the chip visits each source that has events or spikes once, however many they are.
    So a synaptic operation is a weight that is not zero, of a source that is active in the step. A
    read of memory is the weight of an operation; and at every step the currents and the potential
    of each neuron. This is what the arithmetic of `simulate` needs, not a measurement.

    Cycles are those of the vendor's formula, `cycles_model` of Rockpool 3.1: a linear function of
    the shares of inputs and of hidden neurons that are active in a step, of the weights of first
    synapses that are not zero, and of the aliases. There is none for Xylo 1.

    Args:
        spec: a quantised network.
        raster: numbers of events, `(time, inputs)` or `(batch, time, inputs)`.
        trace: that of `simulate(spec, raster)`, with everything recorded, to spare another run.

    Raises:
        ValueError: as `simulate` does, or if `trace` has no spikes of hidden neurons or not the
            steps of `raster`.

    >>> import equinox as eqx, jax, numpy as np
    >>> from snnjax import SynNet
    >>> from snnjax.hardware import xylo
    >>> net = SynNet(n_classes=2, n_channels=3, size_hidden_layers=(4,),
    ...              time_constants_per_layer=(2,), key=jax.random.key(0))
    >>> spec = xylo.quantize(xylo.map_network(net))
    >>> found = xylo.cost(spec, np.ones((5, 3), int))
    >>> found.cycles.worst, [layer.events for layer in found.layers][0]
    (237.0, 15.0)
    """
    require_integers(spec)
    events = as_batch(as_counts(raster, (spec.n_inputs,)), 2)
    trace = simulate(spec, raster) if trace is None else trace
    if trace.spikes is None or np.shape(trace.spikes)[-2] != events.shape[1]:
        raise ValueError(
            "`trace` must be that of `simulate(spec, raster)` with `record=True`, of as many steps"
        )
    hidden, out = (as_batch(x, 2) for x in (trace.spikes, trace.spikes_out))
    late = np.pad(hidden, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    works = _works(spec, events, late)
    n, flat = len(events), [x.reshape(-1, x.shape[-1]) for x in (hidden, out)]
    return Cost(
        chip=spec.chip.name,
        recordings=n,
        steps=events.shape[1],
        seconds=events.shape[1] * spec.dt,
        layers=_layers(spec, events, late, hidden, out),
        workload=per_recording(Workload.of(works, flat, _footprint(spec)), n),
        cycles=_cycles(spec, events, hidden),
    )


def _weights(spec: Spec) -> dict[str, np.ndarray]:
    """The weights by name, source first, then target and synapse."""
    found = {name: np.asarray(getattr(spec, name)) for name in ("w_in", "w_rec", "w_out")}
    return {name: w.reshape(len(w), w.shape[1], -1) for name, w in found.items()}


def _works(spec: Spec, events: np.ndarray, late: np.ndarray) -> list[Work]:
    works = []
    for name, w in _weights(spec).items():
        x = events if name == "w_in" else late
        each = np.full(len(w), w[0].size), np.count_nonzero(w, axis=(1, 2))
        works.append(Work.of(*each, x.reshape(-1, x.shape[-1]), w))
    return works


def _layers(
    spec: Spec, events: np.ndarray, late: np.ndarray, hidden: np.ndarray, out: np.ndarray
) -> tuple[LayerCost, ...]:
    """Of each part of the hidden neurons, then of the readout."""
    n, steps = events.shape[:2]
    counts, often = {}, {}
    for name, x in (("w_in", events), ("w_rec", late), ("w_out", late)):
        counts[name], often[name] = x.sum((0, 1)), np.count_nonzero(x, axis=(0, 1))
    every = _weights(spec)
    found = []
    groups = [(path, own, ("w_in", "w_rec"), hidden[..., own]) for path, own in spec.parts]
    for path, own, names, spikes in (
        *groups,
        (spec.readout, slice(None), ("w_out",), out),
    ):
        held = {name: every[name][:, own] for name in names}
        synops = sum(often[k] @ np.count_nonzero(w, axis=(1, 2)) for k, w in held.items()) / n
        reach = sum(counts[k] @ w.any((1, 2)) for k, w in held.items()) / n
        neurons, synapses = spikes.shape[-1], 1 if names == ("w_out",) else spec.n_synapses
        found.append(
            LayerCost(
                layer=path,
                neurons=neurons,
                events=float(reach),
                spikes=float(spikes.sum()) / n,
                synops=float(synops),
                reads=float(synops) + steps * neurons * (synapses + 1),
            )
        )
    return tuple(found)


def _footprint(spec: Spec) -> int:
    """Bytes of the weights, the other parameters and the states, each in its bits."""
    chip = spec.chip
    bits = (spec.n_hidden * (spec.n_synapses + 1) + 2 * spec.n_outputs) * chip.state_bits
    for name, array in spec.arrays().items():
        width: Any = chip.weight_bits if name.startswith("w_") else chip.state_bits
        width = chip.dash_bits if name.startswith("dash") else width
        width = (spec.n_hidden - 1).bit_length() if name == "aliases" else width
        bits += array.size * width
    return -(-bits // 8)


def _cycles(spec: Spec, events: np.ndarray, hidden: np.ndarray) -> Cycles | None:
    if spec.chip.reads_unused is None:
        return None
    shares = [np.count_nonzero(x, axis=-1) / x.shape[-1] for x in (events, hidden)]
    mean, parallel = cycles_of(spec, *(float(share.mean()) for share in shares))
    pairs = np.unique(np.stack([share.ravel() for share in shares]), axis=1).T.tolist()
    return Cycles(
        mean=mean,
        most=max(cycles_of(spec, *pair)[0] for pair in pairs),
        worst=cycles_of(spec, 1.0, 1.0)[0],
        parallel=parallel,
        dt=spec.dt,
    )


def cycles_of(spec: Spec, inputs: float, hidden: float) -> tuple[float, float]:
    """Clock cycles of a step, and operations of the second synapses beside them.

    Args:
        spec: the network.
        inputs: share of input channels with events in the step.
        hidden: share of hidden neurons with spikes in the step.
    """
    n, n_in, n_out = spec.n_hidden, spec.n_inputs, spec.n_outputs
    first = [np.asarray(w)[..., 0] for w in (spec.w_in, spec.w_rec)]
    fed = n if spec.chip.reads_unused else int(first[0].any(0).sum())
    read = n if spec.chip.reads_unused else int(np.asarray(spec.w_out).any(1).sum())
    reached = np.count_nonzero(first[1]) * hidden
    aliased = 0.0 if spec.aliases is None else float((np.asarray(spec.aliases) >= 0).mean())
    integrate = n_in * (3.5 * inputs * fed + 1) + 7 * reached + 3 * n
    integrate += read * hidden * (1 + 8 * n_out)
    both = aliased * aliased
    each = 19 + 2 * max(hidden, both) + 3 * max(hidden * aliased, both)
    each += hidden + max(hidden, aliased) * aliased
    second = spec.n_synapses > 1 and spec.chip.reads_unused
    parallel = 1.5 * inputs * n_in * fed + 5 * reached + n if second else 0.0
    return float(integrate + each * n + 12 * n_out), float(parallel)
