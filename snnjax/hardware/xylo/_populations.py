"""Reads a network of layers as populations of neurons, each fed by one product of matrices."""

import dataclasses

import equinox as eqx
from jaxtyping import Array, Float

from ...nn import LIF, Chain, Residual, TimeStepDropout
from ...params import stop_frozen

_IDLE = (TimeStepDropout, eqx.nn.Dropout, eqx.nn.Identity)
"""Layers that do nothing once a network is trained."""


@dataclasses.dataclass(frozen=True)
class Population:
    """A group of neurons and the product that feeds it.

    Attributes:
        path: where the neurons are in the model.
        neurons: the neurons.
        weight: what the spikes of the source are multiplied with, for each neuron and synapse.
        source: index of the population that feeds it; None for the input channels.
        skips: indices of the populations whose spikes it adds to its own, as the end of a Residual.
    """

    path: str
    neurons: LIF
    weight: Float[Array, "sources neurons synapses"]
    source: int | None
    skips: tuple[int, ...] = ()


def populations(model: Chain) -> tuple[Population, ...]:
    """The populations of `model` in the order of its layers; the last is the readout.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if it holds something that a Xylo chip cannot run; the message names the layer.
    """
    if not isinstance(model, Chain):
        raise TypeError(
            f"`model` must be a Sequential, a SynNet or another Chain; got {type(model).__name__}"
        )
    found: list[Population] = []
    _read(stop_frozen(model), "", None, found)
    if len(found) < 2:
        raise ValueError(
            "`model` needs at least one hidden layer and a readout, each a Linear and a LIF: the "
            f"chip's outputs listen to hidden neurons only; got {len(found)} layer(s) of neurons"
        )
    _check_readout(found[-1])
    _check_skips(found)
    return tuple(found)


def _read(chain: Chain, prefix: str, source: int | None, found: list[Population]) -> int | None:
    """Append the populations of `chain`; return the index of the one that carries its output."""
    product: tuple[str, eqx.nn.Linear] | None = None
    for i, layer in enumerate(chain.layers):
        path = f"{prefix}layers[{i}]"
        if isinstance(layer, _IDLE):
            continue
        if product is not None and not isinstance(layer, LIF):
            raise _unmappable(*product, "is not followed by a LIF")
        if isinstance(layer, eqx.nn.Linear):
            product = path, layer
        elif isinstance(layer, LIF):
            if product is None:
                raise _unmappable(path, layer, "has no Linear before it")
            found.append(_population(path, layer, *product, source, found))
            source, product = len(found) - 1, None
        elif isinstance(layer, Residual):
            source = _read_residual(layer, path, source, found)
        elif isinstance(layer, Chain):
            source = _read(layer, f"{path}.", source, found)
        else:
            raise _unmappable(path, layer, "has no counterpart on the chip")
    if product is not None:
        raise _unmappable(*product, "is not followed by a LIF")
    return source


def _population(
    path: str,
    neurons: LIF,
    linear_path: str,
    linear: eqx.nn.Linear,
    source: int | None,
    found: list[Population],
) -> Population:
    if len(neurons.shape) > 1:
        raise _unmappable(path, neurons, f"has the shape {neurons.shape}; the chip's are in a row")
    if neurons.settings.reset != "subtract":
        raise _unmappable(path, neurons, f"has a reset of {neurons.settings.reset!r}")
    if neurons.settings.refractory > 0:
        raise _unmappable(path, neurons, "has a refractory period")
    if neurons.settings.detach_reset:
        raise _unmappable(path, neurons, "has a reset without a gradient, `detach_reset`")
    if linear.bias is not None:
        raise ValueError(
            f"`{linear_path}.bias` has no counterpart on the chip, whose biases act on the "
            "membrane: make the Linear with use_bias=False and give the LIF a bias"
        )
    n_in = linear.in_features if source is None else found[source].neurons.shape[0]
    n_out = neurons.shape[0] * neurons.synapses
    if (linear.in_features, linear.out_features) != (n_in, n_out):
        raise ValueError(
            f"`{linear_path}` maps {linear.in_features} to {linear.out_features}, but stands "
            f"between {n_in} and {n_out} (neurons times synapses of `{path}`)"
        )
    weight = linear.weight.T.reshape(n_in, *neurons.shape, neurons.synapses)
    return Population(path, neurons, weight, source)


def _read_residual(
    residual: Residual, path: str, source: int | None, found: list[Population]
) -> int:
    if source is None:
        raise _unmappable(path, residual, "skips the input, whose events no neuron can repeat")
    before = len(found)
    end = _read(residual, f"{path}.", source, found)
    if end is None or end < before:
        raise _unmappable(path, residual, "holds no neurons")
    sizes = found[source].neurons.shape[0], found[end].neurons.shape[0]
    if sizes[0] != sizes[1]:
        raise _unmappable(path, residual, f"adds {sizes[0]} neurons to {sizes[1]}")
    found[end] = dataclasses.replace(found[end], skips=(*found[end].skips, source))
    return end


def _check_readout(readout: Population) -> None:
    neurons = readout.neurons
    if readout.skips:
        raise _unmappable(readout.path, neurons, "ends a Residual, which the readout cannot")
    if neurons.recurrent:
        raise _unmappable(readout.path, neurons, "is recurrent, which the readout cannot be")
    if neurons.synapses != 1:
        raise _unmappable(readout.path, neurons, f"has {neurons.synapses} synapses; a readout, 1")


def _check_skips(found: list[Population]) -> None:
    repeated_by: dict[int, str] = {}
    for population in found:
        for source in population.skips:
            if source in repeated_by:
                raise ValueError(
                    f"`{found[source].path}` is skipped into both `{repeated_by[source]}` and "
                    f"`{population.path}`, but a neuron of the chip has one alias"
                )
            repeated_by[source] = population.path
    for population in found[:-1]:
        if population.neurons.settings.output != "spikes":
            raise _unmappable(population.path, population.neurons, "passes on membrane potentials")
    dts = {population.path: population.neurons.dt for population in found}
    if len(set(dts.values())) > 1:
        raise ValueError(f"every LIF must have the same `dt` in seconds; got {dts}")


def _unmappable(path: str, layer: object, why: str) -> ValueError:
    return ValueError(
        f"`{path}` ({type(layer).__name__}) {why}. A Xylo chip runs pairs of eqx.nn.Linear and "
        "LIF, within Sequential and Residual, and dropout is left out"
    )
