"""From a network of layers to the one population of hidden neurons and the readout of a chip."""

import warnings
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..._typing import FloatArray
from ...nn import Chain
from ._populations import Population, populations
from .check import require
from .spec import XYLO_AUDIO_3, Chip, Spec, get_chip


class MappingWarning(UserWarning):
    """Something that the chip will do otherwise than the network."""


def map_network(model: Chain, chip: Chip | str = XYLO_AUDIO_3) -> Spec:
    """Lay a network out on a chip; nothing is rounded yet.

    Products and recurrence become input, recurrent and output weights of one hidden population. A
    Residual becomes an alias, by which one neuron repeats the spikes of another. Where the neuron
    that repeats is recurrent it feeds back the repeated spikes too, so the neuron that they come
    from gets the opposite weights, which cancel them.

    Each hop from hidden to hidden or to readout neurons takes the chip one step; see `latency`.

    Args:
        model: pairs of `eqx.nn.Linear` (without bias) and `LIF`, within Sequential and Residual.
            Dropout is left out. The last LIF is the readout.
        chip: a chip or its short name.

    Returns:
        A spec with real-valued weights, thresholds, biases and dashes, for `check` and `quantize`.
        The threshold of a readout that never fires, as that of a SynNet read as membrane
        potentials, is infinite.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if it holds something that the chip cannot run, naming the layer, or breaks
            limits of the chip, listing all of them.

    Warns:
        MappingWarning: if neurons may emit more or fewer spikes per step than those of the chip.
    """
    chip = get_chip(chip)
    *hidden, readout = populations(model)
    _warn_about_caps(hidden, readout, chip)
    parts = spans(hidden)
    w_rec, aliases = _recurrent_weights(hidden, parts)
    w_out = jnp.zeros((len(w_rec), readout.neurons.shape[0]))
    dash_mem_out, dash_syn_out = readout.neurons.dashes()
    spec = Spec(
        w_in=jnp.zeros((len(hidden[0].weight), *w_rec.shape[1:]))
        .at[:, parts[0], : hidden[0].neurons.synapses]
        .set(hidden[0].weight),
        w_rec=w_rec,
        w_out=w_out.at[parts[readout.source or 0]].set(readout.weight[..., 0]),
        dash_mem=jnp.concatenate([p.neurons.dashes()[0] for p in hidden]),
        dash_syn=_dash_syn(hidden, w_rec.shape[-1]),
        dash_mem_out=dash_mem_out,
        dash_syn_out=dash_syn_out[:, 0],
        threshold=jnp.concatenate([p.neurons.threshold for p in hidden]),
        threshold_out=_threshold_out(readout, chip),
        bias=_bias(hidden),
        bias_out=_bias([readout]),
        aliases=aliases,
        dt=readout.neurons.dt,
        chip=chip,
    )
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(spec)):
        require(spec)
    return spec


def latency(model: Chain) -> int:
    """Steps by which the chip's readout lags behind that of the network: one for every hop.

    Input reaches the first hidden neurons within the step; spikes reach the next ones, and the
    readout, one step later.
    """
    return hops(populations(model))[-1]


def hops(found: Sequence[Population]) -> list[int]:
    """Steps by which each population on the chip lags behind that of the network."""
    lags: list[int] = []
    for population in found:
        lags.append(0 if population.source is None else lags[population.source] + 1)
    return lags


def spans(hidden: Sequence[Population]) -> list[slice]:
    """Where each population lies among the hidden neurons."""
    ends = np.cumsum([p.neurons.shape[0] for p in hidden]).tolist()
    return [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def _recurrent_weights(
    hidden: Sequence[Population], parts: Sequence[slice]
) -> tuple[Float[Array, "hidden hidden synapses"], Int[Array, " hidden"] | None]:
    n, synapses = parts[-1].stop, max(p.neurons.synapses for p in hidden)
    w_rec = jnp.zeros((n, n, synapses))
    aliases = np.full(n, -1, np.int32)
    for population, own in zip(hidden, parts, strict=True):
        width = slice(population.neurons.synapses)
        if population.source is not None:
            w_rec = w_rec.at[parts[population.source], own, width].add(population.weight)
        for skipped in population.skips:
            aliases[parts[skipped]] = range(own.start, own.stop)
        if population.neurons.w_rec is not None:
            loop = population.neurons.w_rec.reshape(len(population.neurons.w_rec), -1, width.stop)
            w_rec = w_rec.at[own, own, width].add(loop)
            for skipped in population.skips:
                w_rec = w_rec.at[parts[skipped], own, width].add(-loop)
    return w_rec, jnp.asarray(aliases) if (aliases >= 0).any() else None


def _dash_syn(hidden: Sequence[Population], synapses: int) -> Float[Array, "hidden synapses"]:
    """Synapses that a population does not use get the dash of its last one; their weights are 0."""
    dashes = [p.neurons.dashes()[1] for p in hidden]
    return jnp.concatenate(
        [jnp.pad(d, ((0, 0), (0, synapses - d.shape[1])), mode="edge") for d in dashes]
    )


def _bias(group: Sequence[Population]) -> FloatArray | None:
    """The biases, or None where every one is known to be zero."""
    parts = [p.neurons.bias for p in group]
    if all(part is None or _is_zero(part) for part in parts):
        return None
    return jnp.concatenate(
        [
            jnp.zeros(p.neurons.shape[0]) if part is None else part
            for p, part in zip(group, parts, strict=True)
        ]
    )


def _is_zero(bias: FloatArray) -> bool:
    return not isinstance(bias, jax.core.Tracer) and not np.asarray(bias).any()


def _threshold_out(readout: Population, chip: Chip) -> Float[Array, " outputs"]:
    """The thresholds of the readout; infinite where it is only read as a membrane potential.

    A threshold of 2^15-1 or more says so. Scaled like any other it would take all the range there
    is, and leave none for the weights.
    """
    threshold = readout.neurons.threshold
    if readout.neurons.settings.output == "spikes":
        return threshold
    return jnp.where(threshold >= chip.max_state, jnp.inf, threshold)


def _warn_about_caps(hidden: Sequence[Population], readout: Population, chip: Chip) -> None:
    caps = [(p, chip.max_spikes_hidden) for p in hidden]
    if readout.neurons.settings.output == "spikes":
        caps.append((readout, chip.max_spikes_out))
    for population, cap in caps:
        most = population.neurons.settings.max_spikes
        if most != cap:
            warnings.warn(
                f"`{population.path}.max_spikes` is {most}, but these "
                f"neurons emit up to {cap} spikes per step on the chip; train with "
                f"max_spikes={cap} to see what runs",
                MappingWarning,
                stacklevel=3,
            )
