"""A made-up family, with all that one takes: a chip of leaky integrators with weights of 6 bits.

Per step: vmem = sat(vmem - (vmem >> dash) + counts @ weight). The neuron with the highest mean
potential is the answer; there are no spikes.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from snnjax import LI, Sequential, hardware
from snnjax._files import write_whole
from snnjax.decay import dash_to_alpha, nearest_dash
from snnjax.hardware import _cost, _family, _files, _inputs, _plan
from snnjax.hardware._compare import (
    LayerTrace,
    as_recordings,
    beside_plan,
    compare_answers,
    compare_layer,
    run_network,
)
from snnjax.nn import Work, Workload
from snnjax.passthrough import floor_passthrough, round_passthrough, straight_through


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip(hardware.Chip):
    weight_bits: int = 6
    max_inputs: int = 32
    max_neurons: int = 8
    max_dash: int = 7


LEAKY_6 = Chip(name="Leaky 6")
CHIPS = {"leaky6": LEAKY_6}


class Spec(hardware.Spec):
    weight: jax.Array = eqx.field(converter=_family.as_array)
    dash: jax.Array = eqx.field(converter=_family.as_array)
    chip: Chip = eqx.field(static=True, kw_only=True)

    def arrays(self):
        return {"weight": self.weight, "dash": self.dash}


class SimState(NamedTuple):
    vmem: jax.Array


class Trace(NamedTuple):
    spikes_out: Any
    vmem_out: Any
    state: SimState


class Plan(_plan.Plan):
    chip: Chip = eqx.field(static=True)
    before: Any = None

    def rounded(self, model):
        whole, scale = _integers(_read(model, self.chip))
        linear, neurons = model.layers
        linear = eqx.tree_at(lambda m: m.weight, linear, whole.weight.T / scale)
        alpha = straight_through(neurons.leak.alpha_mem, dash_to_alpha(whole.dash))
        neurons = eqx.tree_at(lambda m: m.leak.alpha_mem, neurons, alpha)
        return Sequential(linear, neurons)


def plan(model, *, chip="leaky6", before=None):
    return Plan(chip=map_network(model, chip=chip).chip, before=before)


def map_network(model, *, chip="leaky6"):
    spec = _read(model, _family.find_chip(chip, CHIPS))
    if _family.is_known(spec):
        require(spec)
    return spec


def _read(model, chip):
    match getattr(model, "layers", ()):
        case [eqx.nn.Linear(use_bias=False) as linear, LI(shape=(_,)) as neurons]:
            return Spec(linear.weight.T, -jnp.log2(1 - neurons.alphas()[0]), chip=chip)
    raise ValueError("`model` must be a Linear without bias and an LI")


def check(spec, *, chip=None):
    _family.require_kind(spec, Spec)
    chip = spec.chip if chip is None else _family.find_chip(chip, CHIPS)
    ranges = {"weight": (-chip.max_weight - 1, chip.max_weight), "dash": (1, chip.max_dash)}
    found = [
        _family.Violation(row.resource, row.used, row.has, str(row))
        for row in usage(spec, chip=chip)
        if row.used > row.has
    ]
    for name, array in _family.known(spec.arrays()).items() if spec.quantized else ():
        low, high = ranges[name]
        bad = (array < low) | (array > high)
        found += _family.entries(name, array, bad, ranges[name], f"must be from {low} to {high}")
    return tuple(found)


def require(spec, *, chip=None):
    _family.refuse(check(spec, chip=chip))


def require_integers(spec):
    _family.require_quantized(spec, Spec)
    require(spec)


def usage(spec, *, chip=None):
    chip = spec.chip if chip is None else _family.find_chip(chip, CHIPS)
    inputs, neurons = spec.weight.shape
    sizes = ("inputs", inputs, chip.max_inputs), ("neurons", neurons, chip.max_neurons)
    return tuple(hardware.Usage(*row) for row in sizes)


def _integers(spec):
    """Whole numbers in floating point, with gradients straight through, and the scale."""
    largest = lax.stop_gradient(jnp.abs(spec.weight).max())
    scale = spec.chip.max_weight / jnp.where(largest > 0, largest, 1)
    dash = nearest_dash(spec.dash, spec.chip.max_dash).astype(spec.dash.dtype)
    weight = round_passthrough(spec.weight * scale)
    return Spec(weight, straight_through(spec.dash, dash), chip=spec.chip), scale


def report(spec):
    _family.require_mapped(spec, Spec)
    _, scale = _integers(spec)
    integers = quantize(spec)
    return (
        _family.report_parameter("weight", spec.weight, integers.weight, scale),
        _family.report_parameter("dash", spec.dash, integers.dash, 1.0),
    )


def quantize(spec):
    _family.require_mapped(spec, Spec)
    return jax.tree.map(lambda x: x.astype(jnp.int32), _integers(spec)[0])


@eqx.filter_jit
def _evolve(spec, counts, vmem):
    part = lax.stop_gradient(jnp.ldexp(1.0, -spec.dash.astype(jnp.int32)))
    top = spec.chip.max_state

    def step(vmem, charge):
        vmem = jnp.clip(vmem - floor_passthrough(vmem * part) + charge, -1 - top, top)
        return vmem, vmem

    end, over_time = lax.scan(step, vmem, jnp.swapaxes(counts @ spec.weight, 0, 1))
    over_time = jnp.swapaxes(over_time, 0, 1)
    return Trace(jnp.zeros_like(over_time), over_time, SimState(end))


def _run(spec, raster, state, *, floats):
    shape, neurons = spec.weight.shape[:1], spec.weight.shape[1]
    counts = raster if floats else _inputs.as_counts(raster, shape)
    _inputs.require_shape(counts, shape)
    if state is not None:
        top = spec.chip.max_state
        held = SimState(_inputs.Register((neurons,), -1 - top, top))
        _inputs.require_state(state, held, _inputs.batch_of(counts, shape), floats=floats)

    def run(spec, counts, state):
        vmem = jnp.zeros((len(counts), neurons)) if state is None else state.vmem
        return _evolve(spec, counts.astype(jnp.float32), vmem.astype(jnp.float32))

    return _inputs.in_batch(run, spec, counts, state, shape)


def simulate(spec, raster, *, state=None, record=True, checked=True):
    require_integers(spec)
    real = jax.tree.map(lambda x: x.astype(jnp.float32), spec)
    return jax.tree.map(lambda x: x.astype(jnp.int32), _run(real, raster, state, floats=False))


def emulate(model, *, chip="leaky6", checked=True):
    whole, _ = _integers(map_network(model, chip=chip))

    def run(raster, *, state=None, record=True):
        return _run(whole, jnp.asarray(raster, jnp.float32), state, floats=True)

    return run


def fidelity(model, spec, raster, labels=None, *, plan=None, key=None):
    require_integers(spec)
    counts = as_recordings(raster, spec.weight.shape[:1], labels, classes=spec.weight.shape[1])
    theirs = np.asarray(simulate(spec, counts).vmem_out)
    limits = _family.bounds(spec.chip.state_bits)
    silent, never = np.zeros_like(theirs), np.float64(limits[1])

    def compare(model, beside):
        if isinstance(model, Spec):
            ours = np.asarray(simulate(model, counts).vmem_out)
        else:
            ours = np.asarray(run_network(model, counts.astype(np.float32))["layers[1].output"])
        layer = compare_layer(
            "layers[1]",
            LayerTrace(silent, ours, never),
            LayerTrace(silent, theirs, never),
            why_silent=str,
            saturated={},
            saturated_states=int(np.isin(theirs, limits).sum()),
            at_cap=0,
            clipped=0,
        )
        return compare_answers((layer,), ours, theirs, labels, beside=beside)

    return beside_plan(compare, model, plan, key)


def cost(spec, raster, *, trace=None):
    """Each event at each weight is an operation."""
    require_integers(spec)
    shape, weight = spec.weight.shape[:1], np.asarray(spec.weight)
    counts = _cost.as_batch(_inputs.as_counts(raster, shape), 2)
    n, steps, _ = counts.shape
    synops = counts.sum() * weight.shape[1] / n
    layer = _cost.LayerCost("layers[1]", weight.shape[1], counts.sum() / n, 0.0, synops, synops)
    every = np.full(len(weight), weight.shape[1]), np.count_nonzero(weight, axis=1)
    work = Work.of(*every, counts.reshape(n * steps, -1), weight)
    metrics = _cost.per_recording(Workload.of([work], [], weight.size), n)
    return _cost.Cost(spec.chip.name, n, steps, None, (layer,), metrics)


def _to_dict(spec):
    require_integers(spec)
    header = {"format": "leaky", "version": 1, "chip": _family.name_of(spec.chip, CHIPS)}
    return header | {name: array.tolist() for name, array in spec.arrays().items()}


FORMATS = {"dict": _to_dict}


def export(spec, *, format="dict"):
    return _files.find_format(FORMATS, format)(spec)


def save(spec, path):
    write_whole(path, _files.to_text(_to_dict(spec)) + "\n")


def load(path):
    def build(content):
        _files.require_format(content, "leaky", (1,))
        names = ("format", "version", "chip", "weight", "dash")
        *_, chip, weight, dash = _files.fields(content, names, "the network").values()
        spec = Spec(np.asarray(weight), np.asarray(dash), chip=_family.find_chip(chip, CHIPS))
        require_integers(spec)
        return spec

    return _files.parse(_files.read(path), build, str(path))
