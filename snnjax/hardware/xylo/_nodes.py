"""Reads a network of layers as nodes: neurons, and the products of matrices that feed them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._checks import explained
from ...nn import LIF, Chain, Leaky, Residual, TimeStepDropout
from ...params import stop_frozen
from ._chips import Chip
from ._integers import Group

Place: TypeAlias = tuple[int, ...]
"""The `layers` to take, network after network: (3, 0) is `layers[3].layers[0]`."""

_IDLE = (TimeStepDropout, eqx.nn.Dropout, eqx.nn.Identity)
"""Layers that do nothing once a network is trained."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A layer of neurons and its weights.

    Attributes:
        product: the layer whose product feeds the neurons.
        neurons: the neurons.
        places: the places of both.
        feeds: weights by the index of the node that they come from, in ascending order; None stands
            for the input channels, the node's own index for recurrence.
        source: index of the node that feeds the product; None for the input channels.
        skips: indices of the nodes whose spikes it adds to its own, as the end of a Residual.
        lag: steps by which it lags on the chip behind the network.
    """

    product: eqx.nn.Linear
    neurons: LIF
    places: tuple[Place, Place]
    feeds: Mapping[int | None, Float[Array, "sources neurons synapses"]]
    source: int | None
    skips: tuple[int, ...]
    lag: int

    @property
    def path(self) -> str:
        """Path of the neurons in the model."""
        return path_of(self.places[1])

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.neurons.shape[0]

    @property
    def recurrent(self) -> bool:
        """Whether the neurons feed themselves."""
        return self.neurons.w_rec is not None

    def group(self) -> Group:
        """The parameters, with the weights of all sources in one array."""
        dash_mem, dash_syn = self.neurons.dashes()
        weight = jnp.concatenate(list(self.feeds.values()))
        return Group(weight, dash_mem, dash_syn, self.neurons.threshold, self.neurons.bias)


def path_of(place: Place) -> str:
    """The place as a path into the model."""
    return ".".join(f"layers[{i}]" for i in place)


def layer_at(model: Any, place: Place) -> Any:
    """The layer at a place."""
    for i in place:
        model = model.layers[i]
    return model


def readout_group(node: Node, chip: Chip) -> Group:
    """The parameters of the readout, with an infinite threshold where it never fires.

    Membrane potentials are read of neurons that never fire: a threshold of 2^15-1 or more says so.
    Scaled like any other it would take all the range there is, and leave none for the weights.
    """
    group = node.group()
    if node.neurons.settings.output == "spikes":
        return group
    never = group.threshold >= chip.max_state
    return group._replace(threshold=jnp.where(never, jnp.inf, group.threshold))


@explained
def latency(model: Chain) -> int:
    """Steps by which the chip's readout lags behind that of the network: one for every hop.

    Input reaches the first hidden neurons within the step; spikes reach the next ones, and the
    readout, one step later.

    Args:
        model: a network that `map_network` takes.
    """
    return read(model)[-1].lag


def read(model: Chain) -> tuple[Node, ...]:
    """The nodes of `model` in the order of its layers; the last is the readout.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if it holds something that a Xylo chip cannot run; the message names the layer.
    """
    if not isinstance(model, Chain):
        raise TypeError(
            f"`model` must be a Sequential, a SynNet or another Chain; got {type(model).__name__}"
        )
    nodes: list[Node] = []
    _read(stop_frozen(model), (), None, nodes)
    if len(nodes) < 2:
        raise ValueError(
            "`model` needs at least one hidden layer and a readout, each a Linear and a LIF: the "
            f"chip's outputs listen to hidden neurons only; got {len(nodes)} layer(s) of neurons"
        )
    _require_readout(nodes[-1])
    _require_agreement(nodes)
    return tuple(_with_recurrence(node, i) for i, node in enumerate(nodes))


def _read(chain: Chain, place: Place, source: int | None, nodes: list[Node]) -> int | None:
    """Append the nodes of `chain`; return the index of the one that carries its output."""
    if chain.on_output is not None:
        raise unmappable(place, chain, "transforms outputs; map what `transforms.burn_in` gives")
    product: tuple[Place, eqx.nn.Linear] | None = None
    for i, layer in enumerate(chain.layers):
        at = (*place, i)
        if isinstance(layer, _IDLE):
            continue
        if product is not None and not isinstance(layer, LIF):
            raise _no_neurons(product, at, layer)
        if isinstance(layer, eqx.nn.Linear):
            product = at, layer
        elif isinstance(layer, LIF):
            if product is None:
                raise unmappable(at, layer, "has no Linear before it")
            nodes.append(_node((product[0], at), product[1], layer, source, nodes))
            source, product = len(nodes) - 1, None
        elif isinstance(layer, Residual):
            source = _read_residual(layer, at, source, nodes)
        elif isinstance(layer, Chain):
            source = _read(layer, at, source, nodes)
        else:
            raise _without_counterpart(at, layer)
    if product is not None:
        raise unmappable(*product, "is not followed by a LIF")
    return source


def _no_neurons(product: tuple[Place, eqx.nn.Linear], place: Place, layer: object) -> ValueError:
    """The error for a layer after a Linear: it names the one that the chip lacks."""
    if isinstance(layer, eqx.nn.Linear | Chain):
        return unmappable(*product, "is not followed by a LIF")
    return _without_counterpart(place, layer)


def _without_counterpart(place: Place, layer: object) -> ValueError:
    if not isinstance(layer, Leaky):
        return unmappable(place, layer, "has no counterpart on the chip")
    if layer.alpha_syn is None:
        why = "has no synapse, as all neurons of the chip have: train a LIF, or snnTorch's Synaptic"
        return unmappable(place, layer, why)
    return unmappable(place, layer, "must be a LIF: `snnjax.interop.as_lif` makes a LIF of it")


def _node(
    places: tuple[Place, Place],
    linear: eqx.nn.Linear,
    neurons: LIF,
    source: int | None,
    nodes: Sequence[Node],
) -> Node:
    path, own = (path_of(place) for place in places)
    if linear.bias is not None:
        raise ValueError(
            f"`{path}.bias` has no counterpart on the chip, whose biases act on the "
            "membrane: make the Linear with use_bias=False and give the LIF a bias"
        )
    _require_neurons(places[1], neurons)
    n_in = linear.in_features if source is None else nodes[source].size
    n_out = neurons.shape[0] * neurons.synapses
    if (linear.in_features, linear.out_features) != (n_in, n_out):
        raise ValueError(
            f"`{path}` maps {linear.in_features} to {linear.out_features}, but stands "
            f"between {n_in} and {n_out} (neurons times synapses of `{own}`)"
        )
    weight = linear.weight.T.reshape(n_in, *neurons.shape, neurons.synapses)
    lag = 0 if source is None else nodes[source].lag + 1
    return Node(linear, neurons, places, {source: weight}, source, (), lag)


def _require_neurons(place: Place, neurons: LIF) -> None:
    settings = neurons.settings
    faults = {
        f"has the shape {neurons.shape}; those of the chip are in a row": len(neurons.shape) > 1,
        f"has a reset of {settings.reset!r}; the chip has 'subtract'": settings.reset != "subtract",
        "has a refractory period, which the chip has not": settings.refractory > 0,
        "has a reset without a gradient, `detach_reset`": settings.detach_reset,
        "transforms its state; map what `transforms.burn_in` gives": neurons.on_state is not None,
        f"has noise, a `noise_std` of {neurons.noise_std}; the chip has none: set it to 0": (
            neurons.noise_std != 0
        ),
    }
    for fault, found in faults.items():
        if found:
            raise unmappable(place, neurons, fault)


def _read_residual(residual: Residual, place: Place, source: int | None, nodes: list[Node]) -> int:
    if source is None:
        raise unmappable(place, residual, "skips the input, whose events no neuron can repeat")
    before = len(nodes)
    end = _read(residual, place, source, nodes)
    if end is None or end < before:
        raise unmappable(place, residual, "holds no neurons")
    sizes = nodes[source].size, nodes[end].size
    if sizes[0] != sizes[1]:
        raise unmappable(place, residual, f"adds {sizes[0]} neurons to {sizes[1]}")
    nodes[end] = dataclasses.replace(nodes[end], skips=(*nodes[end].skips, source))
    return end


def _with_recurrence(node: Node, index: int) -> Node:
    """The node with its recurrent weights among those that feed it.

    The end of a Residual feeds back the spikes that it repeats too, so the neurons that these come
    from get the opposite weights, which cancel them.
    """
    if node.neurons.w_rec is None:
        return node
    loop = node.neurons.w_rec.reshape(node.size, node.size, node.neurons.synapses)
    feeds = dict(node.feeds)
    for skipped in node.skips:
        feeds[skipped] = feeds[skipped] - loop if skipped in feeds else -loop
    feeds = {i: feeds[i] for i in sorted(feeds, key=lambda i: -1 if i is None else i)}
    return dataclasses.replace(node, feeds=feeds | {index: loop})


def _require_readout(readout: Node) -> None:
    neurons, place = readout.neurons, readout.places[1]
    if readout.skips:
        raise unmappable(place, neurons, "ends a Residual, which the readout cannot")
    if readout.recurrent:
        raise unmappable(place, neurons, "is recurrent, which the readout cannot be")
    if neurons.synapses != 1:
        raise unmappable(place, neurons, f"has {neurons.synapses} synapses; a readout, 1")


def _require_agreement(nodes: Sequence[Node]) -> None:
    repeated_by: dict[int, str] = {}
    for node in nodes:
        for source in node.skips:
            if source in repeated_by:
                raise ValueError(
                    f"`{nodes[source].path}` is skipped into both `{repeated_by[source]}` and "
                    f"`{node.path}`, but a neuron of the chip has one alias"
                )
            repeated_by[source] = node.path
    for node in nodes[:-1]:
        if node.neurons.settings.output != "spikes":
            raise unmappable(node.places[1], node.neurons, "passes on membrane potentials")
    dts = {node.path: node.neurons.dt for node in nodes}
    if len(set(dts.values())) > 1:
        raise ValueError(f"every LIF must have the same `dt` in seconds; got {dts}")


def unmappable(place: Place, layer: object, why: str) -> ValueError:
    """The error for a layer that the chip cannot run."""
    name = path_of(place) or "model"
    return ValueError(
        f"`{name}` ({type(layer).__name__}) {why}. A Xylo chip runs pairs of eqx.nn.Linear and "
        "LIF, within Sequential and Residual, and dropout is left out"
    )
