"""The chip's integers as a differentiable function of the network that they come from."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ..._typing import FloatArray
from ...neurons import later
from ...nn import Chain
from . import _through
from ._arithmetic import share
from ._populations import Population, populations
from ._raster import require_counts, require_shape
from ._through import Parameters, Rules, States
from .map import map_network, spans
from .quantize import Method, rounded, scales, shift_of
from .spec import XYLO_AUDIO_3, Chip, Spec, get_chip

_OUT_OF_RANGE = (
    "`model` has a weight or bias that is not finite, a threshold that is not above 0, or a decay "
    "that no time constant has: a factor must stay from 0 to below 1, a time constant or shift "
    "above 0. Train with a smaller rate, or hold these parameters with `frozen`"
)


class Emulation(NamedTuple):
    """Every spike and state over time: whole numbers in float32, named as in a `Trace`."""

    spikes_out: Float[Array, "batch time outputs"]
    vmem_out: Float[Array, "batch time outputs"]
    isyn_out: Float[Array, "batch time outputs"]
    spikes: Float[Array, "batch time hidden"]
    vmem: Float[Array, "batch time hidden"]
    isyn: Float[Array, "batch time hidden synapses"]


def emulate(
    model: Chain,
    chip: Chip | str = XYLO_AUDIO_3,
    method: Method = "channel",
    bits: int | None = None,
) -> Callable[[ArrayLike], Emulation]:
    """Run a network as its chip will, with gradients to its parameters: train through the integers.

    Going forward, `emulate(model, chip, method, bits)(raster)` is
    `simulate(quantize(map_network(model, chip), method, bits), raster)` to the bit: the same whole
    numbers, saturation, delays, aliases, caps.
    Going backward, every rounding passes the gradient straight through, a spike has the gradient of
    its layer's surrogate at the unscaled potential, a shifted decay that of the real one down to
    the time constants, and a state that saturates passes none on. The scale of the integers is held
    in the gradient.

    The readout lags by `latency(model)` steps, as on the chip. Dropout is left out.

    Args:
        model: what `map_network` takes.
        chip: a chip or its short name.
        method: how weights are scaled; see `quantize`.
        bits: bits of the weights; see `quantize`.

    Returns:
        A function of numbers of events, `(batch, time, inputs)`, whole and at least 0. More than 15
        in a step and channel count as 15, as on the chip. Under `jax.jit` its values are not looked
        at; otherwise what is no such number is a ValueError, as is another shape. The batch is an
        axis of it. A `jax.vmap` around it gives the same, but adds up in the slow way for every
        sequence as soon as something may saturate in one of them.

    Raises:
        ValueError: as `map_network` and `quantize` do.
        RuntimeError: under `jax.jit`, when the program runs, if a parameter is not finite, or
            training took a threshold or a decay out of its range.
    """
    chip = get_chip(chip)
    mapped = _require_values(map_network(model, chip))
    shift = shift_of(chip, bits)
    hidden, out = jax.tree.map(lax.stop_gradient, scales(mapped, method, shift))
    layers = _layers(populations(model), rounded(mapped, hidden, out, shift), hidden, out)

    def run(raster: ArrayLike) -> Emulation:
        require_shape(raster, mapped, ndims=(3,))
        if not isinstance(raster, jax.core.Tracer):
            require_counts(np.asarray(raster))
        counts = jnp.minimum(jnp.asarray(raster, jnp.float32), chip.max_spikes_in)
        events = jnp.swapaxes(counts, 0, 1)
        traces: list[States] = []
        for layer in layers:
            counts = events if layer.source is None else later(traces[layer.source].spikes)
            handed = None
            if layer.skips:
                handed = jnp.minimum(sum(traces[i].spikes for i in layer.skips), layer.rules.cap)
            traces.append(_through.run((layer.parameters, counts, handed, layer.rules)))
        return _gather(traces, mapped.n_synapses)

    return run


def _require_values(spec: Spec) -> Spec:
    """The spec, once a program that is compiled has seen that a chip can hold something like it.

    Where values are known, `map_network` has looked at all of them.
    """
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(spec)):
        return spec
    dashes = spec.dash_mem, spec.dash_syn, spec.dash_mem_out, spec.dash_syn_out
    bad = [~((x >= 0) & jnp.isfinite(x)).all() for x in dashes]
    bad += [~(x > 0).all() for x in (spec.threshold, spec.threshold_out)]
    added = spec.w_in, spec.w_rec, spec.w_out, spec.bias, spec.bias_out
    bad += [~jnp.isfinite(x).all() for x in added if x is not None]
    return eqx.error_if(spec, jnp.stack(bad).any(), _OUT_OF_RANGE)


class _Layer(NamedTuple):
    """One population, and the indices of those that feed it and whose alias it is."""

    source: int | None
    skips: tuple[int, ...]
    parameters: Parameters
    rules: Rules


def _layers(
    found: tuple[Population, ...], spec: Spec, scale: FloatArray, scale_out: FloatArray
) -> list[_Layer]:
    """The populations, with the numbers that `spec` has for each of them."""
    *hidden, readout = found
    chip, parts = spec.chip, spans(hidden)
    w_in = spec.w_in * 2.0**spec.weight_shift_in
    w_rec = spec.w_rec * 2.0**spec.weight_shift_rec
    w_out = spec.w_out * 2.0**spec.weight_shift_out
    layers = []
    for population, own in zip(hidden, parts, strict=True):
        width = slice(population.neurons.synapses)
        weights = w_in if population.source is None else w_rec[parts[population.source]]
        parameters = Parameters(
            feed=_flat(weights[:, own, width]),
            loop=_flat(w_rec[own, own, width]) if population.neurons.recurrent else None,
            part_syn=_flat(share(spec.dash_syn[own, width])),
            part_mem=share(spec.dash_mem[own]),
            threshold=spec.threshold[own],
            bias=None if spec.bias is None else spec.bias[own],
        )
        surrogate = population.neurons.settings.surrogate
        rules = Rules(chip, chip.max_spikes_hidden, surrogate, scale[own])
        layers.append(_Layer(population.source, population.skips, parameters, rules))
    parameters = Parameters(
        feed=w_out[parts[readout.source or 0]],
        loop=None,
        part_syn=share(spec.dash_syn_out),
        part_mem=share(spec.dash_mem_out),
        threshold=spec.threshold_out,
        bias=spec.bias_out,
    )
    rules = Rules(chip, chip.max_spikes_out, readout.neurons.settings.surrogate, scale_out)
    return [*layers, _Layer(readout.source, (), parameters, rules)]


def _flat(x: Float[Array, "*sources neurons synapses"]) -> FloatArray:
    """Neuron by neuron within each synapse, along one axis."""
    return jnp.swapaxes(x, -1, -2).reshape(*x.shape[:-2], -1)


def _gather(traces: list[States], synapses: int) -> Emulation:
    """Batch first, and the hidden populations side by side."""
    *hidden, out = [jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), trace) for trace in traces]
    isyn = []
    for trace in hidden:
        neurons = trace.vmem.shape[2]
        each = trace.isyn.reshape(*trace.vmem.shape[:2], trace.isyn.shape[2] // neurons, neurons)
        isyn.append(jnp.pad(each, ((0, 0),) * 2 + ((0, synapses - each.shape[2]), (0, 0))))
    return Emulation(
        spikes_out=out.spikes,
        vmem_out=out.vmem,
        isyn_out=out.isyn,
        spikes=jnp.concatenate([trace.spikes for trace in hidden], axis=-1),
        vmem=jnp.concatenate([trace.vmem for trace in hidden], axis=-1),
        isyn=jnp.swapaxes(jnp.concatenate(isyn, axis=-1), -1, -2),
    )
