"""The chip's integers as a differentiable function of the network that they come from."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ..._typing import FloatArray
from ...nn import Chain
from ...passthrough import with_value
from ...surrogate import Surrogate
from ._arithmetic import charge_membrane, fire, loss_of, saturate, share
from ._populations import Population, populations
from .map import map_network, spans
from .quantize import Method, rounded, scales
from .spec import XYLO_AUDIO_3, Chip, Spec, get_chip


class Emulation(NamedTuple):
    """Every spike and state over time: whole numbers in float32, named as in a `Trace`."""

    spikes_out: Float[Array, "batch time outputs"]
    vmem_out: Float[Array, "batch time outputs"]
    isyn_out: Float[Array, "batch time outputs"]
    spikes: Float[Array, "batch time hidden"]
    vmem: Float[Array, "batch time hidden"]
    isyn: Float[Array, "batch time hidden synapses"]


def emulate(
    model: Chain, chip: Chip | str = XYLO_AUDIO_3, method: Method = "channel"
) -> Callable[[Float[Array, "batch time inputs"]], Emulation]:
    """Run a network as its chip will, with gradients to its parameters: train through the integers.

    Going forward, `emulate(model, chip, method)(raster)` is `simulate(quantize(map_network(model,
    chip), method), raster)` to the bit: the same whole numbers, saturation, delays, aliases, caps.
    Going backward, every rounding passes the gradient straight through, a spike has the gradient of
    its layer's surrogate at the unscaled potential, a shifted decay that of the real one down to
    the time constants, and a state that saturates passes none on. The scale of the integers is held
    in the gradient.

    The readout lags by `latency(model)` steps, as on the chip. Dropout is left out.

    Args:
        model: what `map_network` takes.
        chip: a chip or its short name.
        method: how weights are scaled; see `quantize`.

    Returns:
        A function of event counts, `(batch, time, inputs)`. The batch is an axis of it and not a
        `jax.vmap` around it, so that the slow way of adding up is taken only where something may
        saturate.

    Raises:
        ValueError: as `map_network` does.
    """
    chip = get_chip(chip)
    mapped = map_network(model, chip)
    scale = jax.tree.map(lax.stop_gradient, scales(mapped, method))
    layers = _layers(populations(model), rounded(mapped, *scale), *scale)

    def run(raster: Float[Array, "batch time inputs"]) -> Emulation:
        events = jnp.minimum(jnp.swapaxes(raster, 0, 1), chip.max_spikes_in)
        traces: list[_Trace] = []
        for layer in layers:
            counts = events if layer.source is None else _delayed(traces[layer.source].spikes)
            handed = sum(traces[i].spikes for i in layer.skips)
            traces.append(_run(layer, counts, jnp.minimum(handed, layer.cap), chip))
        return _gather(traces, mapped.n_synapses)

    return run


class _Layer(NamedTuple):
    """One population, in whole numbers."""

    source: int | None
    skips: tuple[int, ...]
    feed: Float[Array, "sources neurons synapses"]
    loop: Float[Array, "neurons neurons synapses"] | None
    part_syn: Float[Array, "neurons synapses"]
    part_mem: Float[Array, " neurons"]
    threshold: Float[Array, " neurons"]
    bias: Float[Array, " neurons"] | None
    scale: Float[Array, " neurons"]
    cap: int
    surrogate: Surrogate


class _Trace(NamedTuple):
    """States of one population after each step."""

    isyn: Float[Array, "time batch neurons synapses"]
    vmem: Float[Array, "time batch neurons"]
    spikes: Float[Array, "time batch neurons"]


def _layers(
    found: tuple[Population, ...], spec: Spec, scale: FloatArray, scale_out: FloatArray
) -> list[_Layer]:
    """The populations, with the numbers that `spec` has for each of them."""
    *hidden, readout = found
    parts = spans(hidden)
    layers = []
    for population, own in zip(hidden, parts, strict=True):
        width = slice(population.neurons.synapses)
        weights = spec.w_in if population.source is None else spec.w_rec[parts[population.source]]
        layers.append(
            _Layer(
                source=population.source,
                skips=population.skips,
                feed=weights[:, own, width],
                loop=spec.w_rec[own, own, width] if population.neurons.recurrent else None,
                part_syn=share(spec.dash_syn[own, width]),
                part_mem=share(spec.dash_mem[own]),
                threshold=spec.threshold[own],
                bias=None if spec.bias is None else spec.bias[own],
                scale=scale[own],
                cap=spec.chip.max_spikes_hidden,
                surrogate=population.neurons.surrogate,
            )
        )
    output = _Layer(
        source=readout.source,
        skips=(),
        feed=spec.w_out[parts[readout.source or 0], :, None],
        loop=None,
        part_syn=share(spec.dash_syn_out)[:, None],
        part_mem=share(spec.dash_mem_out),
        threshold=spec.threshold_out,
        bias=spec.bias_out,
        scale=scale_out,
        cap=spec.chip.max_spikes_out,
        surrogate=readout.neurons.surrogate,
    )
    return [*layers, output]


def _delayed(spikes: Float[Array, "time batch neurons"]) -> Float[Array, "time batch neurons"]:
    return jnp.pad(spikes[:-1], ((1, 0), (0, 0), (0, 0)))


def _run(
    layer: _Layer,
    counts: Float[Array, "time batch sources"],
    handed: Float[Array, "time batch neurons"],
    chip: Chip,
) -> _Trace:
    """One population over time. The products with what feeds it are taken out of the loop."""
    n, synapses = layer.part_syn.shape
    at_rest = jnp.zeros((counts.shape[1], n))
    inputs = (
        counts,
        *_products(counts, layer.feed),
        jnp.broadcast_to(handed, (len(counts), *at_rest.shape)),
    )

    def step(state: _Trace, inputs: tuple[FloatArray, ...]) -> tuple[_Trace, _Trace]:
        counts, charge, highest, handed = inputs
        weights = layer.feed
        if layer.loop is not None:
            more, more_high = _products(state.spikes, layer.loop)
            charge, highest = charge + more, highest + more_high
            counts = jnp.concatenate([counts, state.spikes], axis=-1)
            weights = jnp.concatenate([weights, layer.loop])
        isyn = _add(state.isyn, counts, weights, charge, highest, chip)
        isyn = isyn - loss_of(isyn, layer.part_syn)
        vmem = charge_membrane(state.vmem, layer.part_mem, isyn.sum(-1), layer.bias, chip)
        own = fire(vmem, layer.threshold, layer.cap - handed, layer.surrogate, layer.scale)
        after = _Trace(isyn, vmem - own * layer.threshold, handed + own)
        return after, after

    start = _Trace(jnp.zeros((*at_rest.shape, synapses)), at_rest, at_rest)
    return lax.scan(step, start, inputs)[1]


def _products(
    counts: Float[Array, "*batch sources"], weights: Float[Array, "sources neurons synapses"]
) -> tuple[FloatArray, FloatArray]:
    """What the sources add to each synaptic current, and the part of it that is positive."""
    highest = lax.stop_gradient(_dot(counts, jnp.maximum(weights, 0)))
    return _dot(counts, weights), highest


def _dot(counts: FloatArray, weights: FloatArray) -> FloatArray:
    return jnp.tensordot(counts, weights, 1, precision=lax.Precision.HIGHEST)


def _add(
    isyn: FloatArray,
    counts: FloatArray,
    weights: FloatArray,
    charge: FloatArray,
    highest: FloatArray,
    chip: Chip,
) -> FloatArray:
    """isyn = sat(isyn + count*weight) for every source in turn.

    Every partial sum lies between isyn plus all that is negative and isyn plus all that is
    positive. Where these are within range for the whole batch, the order does not matter.
    """
    total = isyn + charge
    held = lax.stop_gradient((isyn, counts, weights, highest, total))

    def in_order() -> FloatArray:
        def add(isyn, source):  # type: ignore[no-untyped-def]
            count, weight = source
            return saturate(isyn + count[:, None, None] * weight, chip), None

        isyn, counts, weights, *_ = held
        return lax.scan(add, isyn, (counts.T, weights))[0]

    exact = lax.cond(_fits(*held[:1], *held[3:], chip), lambda: held[4], in_order)
    inside = jnp.abs(exact) < chip.max_state
    return with_value(jnp.where(inside, total, lax.stop_gradient(total)), exact)


def _fits(isyn: FloatArray, highest: FloatArray, total: FloatArray, chip: Chip) -> Bool[Array, ""]:
    top = isyn + highest
    bottom = total - highest
    return jnp.all((top <= chip.max_state) & (bottom >= -1 - chip.max_state))


def _gather(traces: list[_Trace], synapses: int) -> Emulation:
    """Batch first, and the hidden populations side by side."""
    *hidden, out = [_Trace(*(jnp.swapaxes(x, 0, 1) for x in trace)) for trace in traces]
    isyn = [
        jnp.pad(trace.isyn, ((0, 0),) * 3 + ((0, synapses - trace.isyn.shape[-1]),))
        for trace in hidden
    ]
    return Emulation(
        spikes_out=out.spikes,
        vmem_out=out.vmem,
        isyn_out=out.isyn[..., 0],
        spikes=jnp.concatenate([trace.spikes for trace in hidden], axis=-1),
        vmem=jnp.concatenate([trace.vmem for trace in hidden], axis=-1),
        isyn=jnp.concatenate(isyn, axis=-2),
    )
