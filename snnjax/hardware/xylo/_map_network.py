"""From a network of layers to the one population of hidden neurons and the readout of a chip."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..._checks import explained
from ..._typing import FloatArray
from ...nn import Chain
from .._family import MappingWarning, Violation, entries, is_known, known, refuse
from ._check import require
from ._chips import Chip, get_chip
from ._integers import Group
from ._nodes import Node, path_of, read, readout_group
from ._spec import Part, Spec

_OF_NEURONS = ("threshold", "bias", "w_rec")

_ABOVE_0 = float(np.nextafter(np.float32(0), np.float32(1)))

_RANGES: Mapping[str, tuple[float, float, str]] = MappingProxyType(
    {
        "tau": (_ABOVE_0, np.inf, "a time constant must be above 0 s and finite"),
        "alpha": (0.0, 1.0, "a decay factor must be at least 0 and below 1"),
        "dash": (0.0, np.inf, "a bit shift must be at least 0 and finite"),
        "threshold": (_ABOVE_0, np.inf, "a threshold must be above 0 and finite"),
    }
)
"""The range of each kind of parameter, the upper end left out; others are finite."""


@explained
def map_network(model: Chain, *, chip: Chip | str = "audio3") -> Spec:
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
        ValueError: if it holds something that the chip cannot run, noise and transforms of states
            or outputs among it, naming the layer, or breaks limits of the chip, listing all of
            them.

    Warns:
        MappingWarning: if neurons may emit more or fewer spikes per step than those of the chip.
    """
    chip = get_chip(chip)
    nodes = read(model)
    warn_of_caps(nodes, chip)
    spec = lay_out(nodes, chip)
    require_known(nodes, spec)
    return spec


def require_known(nodes: Sequence[Node], spec: Spec) -> None:
    """Refuse parameters out of their range, then a network that breaks limits of its chip.

    Nothing is refused where values are not known, under `jax.jit`.
    """
    if is_known(spec):
        refuse(violation for node in nodes for violation in _out_of_range(node))
        require(spec)


def _out_of_range(node: Node) -> Iterator[Violation]:
    """The parameters of a node that no chip could hold, by their names in the model."""
    product, own = (path_of(place) for place in node.places)
    arrays = {f"{product}.weight": node.product.weight}
    arrays |= {f"{own}.leak.{name}": x for name, x in vars(node.neurons.leak).items()}
    arrays |= {f"{own}.{name}": getattr(node.neurons, name) for name in _OF_NEURONS}
    for name, x in known({k: v for k, v in arrays.items() if v is not None}).items():
        kind = name.rpartition(".")[2].partition("_")[0]
        low, high, why = _RANGES.get(kind, (-np.inf, np.inf, "it must be finite"))
        inside = (x >= low) & (x < high) & ~np.isnan(x)
        yield from entries(name, x, ~inside, (low, high), why)


def lay_out(nodes: Sequence[Node], chip: Chip) -> Spec:
    """The nodes as one population of hidden neurons and the readout."""
    *hidden, readout = nodes
    groups = [node.group() for node in hidden]
    out = readout_group(readout, chip)
    parts = spans(hidden)
    n, synapses = parts[-1].stop, max(node.neurons.synapses for node in hidden)
    n_in = len(hidden[0].feeds[None])
    w_in, w_rec = jnp.zeros((n_in, n, synapses)), jnp.zeros((n, n, synapses))
    for node, own in zip(hidden, parts, strict=True):
        for source, weight in node.feeds.items():
            if source is None:
                w_in = w_in.at[:, own, : weight.shape[2]].set(weight)
            else:
                w_rec = w_rec.at[parts[source], own, : weight.shape[2]].set(weight)
    assert readout.source is not None
    return Spec(
        w_in=w_in,
        w_rec=w_rec,
        w_out=jnp.zeros((n, readout.size)).at[parts[readout.source]].set(out.weight[..., 0]),
        dash_mem=jnp.concatenate([g.dash_mem for g in groups]),
        dash_syn=_dash_syn(groups, synapses),
        dash_mem_out=out.dash_mem,
        dash_syn_out=out.dash_syn[:, 0],
        threshold=jnp.concatenate([g.threshold for g in groups]),
        threshold_out=out.threshold,
        bias=_bias(groups),
        bias_out=_bias([out]),
        aliases=_aliases(hidden, parts),
        layers=tuple(Part(node.path, node.size) for node in nodes),
        dt=readout.neurons.dt,
        chip=chip,
    )


def spans(hidden: Sequence[Node]) -> list[slice]:
    """The place of each node among the hidden neurons."""
    ends = np.cumsum([node.size for node in hidden]).tolist()
    return [slice(end - node.size, end) for node, end in zip(hidden, ends, strict=True)]


def _aliases(hidden: Sequence[Node], parts: Sequence[slice]) -> Int[Array, " hidden"] | None:
    aliases = np.full(parts[-1].stop, -1, np.int32)
    for node, own in zip(hidden, parts, strict=True):
        for skipped in node.skips:
            aliases[parts[skipped]] = range(own.start, own.stop)
    return jnp.asarray(aliases) if (aliases >= 0).any() else None


def _dash_syn(groups: Sequence[Group], synapses: int) -> Float[Array, "hidden synapses"]:
    """Synapses that neurons do not use get the dash of their last one; the weights are 0."""
    spare = [((0, 0), (0, synapses - g.dash_syn.shape[1])) for g in groups]
    return jnp.concatenate(
        [jnp.pad(g.dash_syn, pad, mode="edge") for g, pad in zip(groups, spare, strict=True)]
    )


def _bias(groups: Sequence[Group]) -> FloatArray | None:
    """The biases, or None where every one is known to be zero."""
    if all(g.bias is None or (is_known(g.bias) and not np.any(g.bias)) for g in groups):
        return None
    return jnp.concatenate(
        [jnp.zeros_like(g.threshold) if g.bias is None else g.bias for g in groups]
    )


def caps_of(nodes: Sequence[Node], chip: Chip) -> list[tuple[Node, int]]:
    """The nodes that spike, each with the most spikes of a neuron in a step on the chip."""
    *hidden, readout = nodes
    caps = [(node, chip.max_spikes_hidden) for node in hidden]
    if readout.neurons.settings.output == "spikes":
        caps.append((readout, chip.max_spikes_out))
    return caps


def warn_of_caps(nodes: Sequence[Node], chip: Chip) -> None:
    """Warn of neurons that emit more or fewer spikes per step than those of the chip."""
    for node, cap in caps_of(nodes, chip):
        most = node.neurons.settings.max_spikes
        if most != cap:
            warnings.warn(
                f"`{node.path}.max_spikes` is {most}, but these neurons emit up to {cap} spikes "
                f"per step on the chip; train with max_spikes={cap} to see what runs",
                MappingWarning,
                stacklevel=4,
            )
