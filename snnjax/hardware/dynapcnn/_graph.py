"""Reads a network of layers as pairs of a product and neurons, and who feeds whom."""

import dataclasses
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax.numpy as jnp

from ..._typing import FloatArray, PyTree
from ...nn import IAF, Chain, Flatten, Network, Parallel, Residual, SumPool2d, TimeStepDropout
from ._neurons import require_mappable, start_of
from ._product import Product, convolution, linear, with_norm
from .spec import Shape

Place: TypeAlias = tuple[int, ...]
"""Which of its `layers` to take, network after network: (3, 0) is `layers[3].layers[0]`."""

_IDLE = (TimeStepDropout, eqx.nn.Dropout, eqx.nn.Identity)
"""Layers that do nothing once a network is trained."""


class Tap(NamedTuple):
    """Spikes on their way to the next product.

    Attributes:
        source: index of the node that they are from; None for the input.
        pool: height and width of the windows that they are summed over.
        factor: what the sums are multiplied with, to make averages.
    """

    source: int | None
    pool: int = 1
    factor: float = 1.0


@dataclasses.dataclass(frozen=True)
class Node:
    """What one core computes.

    Attributes:
        product: the convolution, with a batch norm folded in; not yet with the factor.
        factor: what the weights are to be multiplied with, for the average pools before them.
        neurons: the neurons.
        vmem: their membrane potentials to begin with; None for zeros.
        taps: what feeds the product.
        places: where the product, the batch norm if there is one, and the neurons are.
    """

    product: Product
    factor: float
    neurons: IAF
    vmem: FloatArray | None
    taps: tuple[Tap, ...]
    places: tuple[Place, Place | None, Place]

    @property
    def path(self) -> str:
        """Where the neurons are, for messages."""
        return path_of(self.places[2])


@dataclasses.dataclass(frozen=True)
class _Signal:
    """What a layer gives: spikes; or, with `product`, what is yet to reach neurons."""

    taps: tuple[Tap, ...]
    shape: Shape
    flat: bool = False
    product: Product | None = None
    places: tuple[Place, Place | None] | None = None


def path_of(place: Place) -> str:
    """The place as a path into the model."""
    return ".".join(f"layers[{i}]" for i in place)


def layer_at(model: Any, place: Place) -> Any:
    """The layer at a place."""
    for i in place:
        model = model.layers[i]
    return model


def read(model: Network, input_shape: Shape, state: PyTree) -> tuple[Node, ...]:
    """The nodes of `model`, each after those that feed it; the last one is the readout.

    Args:
        model: a network of layers.
        input_shape: (channels, height, width) of a step of its input.
        state: that of the network, for the statistics of batch norms and the membrane potentials
            to begin with; None for the resting state.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if it holds something that the chips cannot run; the message names the layer.
    """
    if not isinstance(model, Network):
        raise TypeError(f"`model` must be a Sequential or the like; got {type(model).__name__}")
    nodes: list[Node] = []
    end = _read(model, (), state, _Signal((Tap(None),), input_shape), nodes)
    if end.product is not None or end.taps != (Tap(len(nodes) - 1),):
        raise _unmappable(
            (),
            model,
            "must end in one layer of neurons, with no pool, sum or product after it",
        )
    return tuple(nodes)


def _read(layer: Any, place: Place, state: PyTree, signal: _Signal, nodes: list[Node]) -> _Signal:
    """Append the nodes of a layer; return what it gives."""
    if isinstance(layer, _IDLE):
        return signal
    if isinstance(layer, Network):
        return _read_network(layer, place, state, signal, nodes)
    if isinstance(layer, IAF):
        return _read_neurons(layer, place, state, signal, nodes)
    if isinstance(layer, eqx.nn.BatchNorm):
        return _read_norm(layer, place, state, signal)
    if signal.product is not None:
        raise _unmappable(place, layer, "stands between a product and its neurons")
    if isinstance(layer, Flatten) or getattr(layer, "fn", layer) is jnp.ravel:
        return dataclasses.replace(signal, flat=True)
    if isinstance(layer, SumPool2d | eqx.nn.AvgPool2d):
        return _read_pool(layer, place, signal)
    return _read_product(layer, place, signal)


def _read_network(
    model: Network, place: Place, state: PyTree, signal: _Signal, nodes: list[Node]
) -> _Signal:
    if not isinstance(model, Chain | Parallel):
        raise _unmappable(place, model, "has no counterpart on the chip")
    if signal.product is not None:
        raise _unmappable(place, model, "stands between a product and its neurons")
    if model.on_output is not None:
        raise _unmappable(place, model, "transforms outputs; map what `transforms.burn_in` gives")
    states = (None,) * len(model.layers) if state is None else state
    if not isinstance(states, tuple) or len(states) != len(model.layers):
        raise ValueError(
            f"`state` must be that of the network, with one entry for each of the "
            f"{len(model.layers)} layers of `{path_of(place) or 'model'}`"
        )
    if isinstance(model, Parallel):
        ends = [
            _read(layer, (*place, i), states[i], signal, nodes)
            for i, layer in enumerate(model.layers)
        ]
        return _sum(model, place, ends)
    end = signal
    for i, layer in enumerate(model.layers):
        end = _read(layer, (*place, i), states[i], end, nodes)
    return _sum(model, place, [signal, end]) if isinstance(model, Residual) else end


def _sum(model: Network, place: Place, signals: list[_Signal]) -> _Signal:
    if any(signal.product is not None for signal in signals):
        raise _unmappable(place, model, "adds what has not passed neurons; end it with an IAF")
    if len({(signal.shape, signal.flat) for signal in signals}) > 1:
        shapes = [signal.shape for signal in signals]
        raise _unmappable(place, model, f"adds maps of different shapes, {shapes}")
    taps = tuple(tap for signal in signals for tap in signal.taps)
    if len({tap.source for tap in taps}) < len(taps):
        raise _unmappable(
            place, model, "adds spikes of the same neurons twice, but a core sends them on once"
        )
    return dataclasses.replace(signals[0], taps=taps)


def _read_product(layer: Any, place: Place, signal: _Signal) -> _Signal:
    try:
        if isinstance(layer, eqx.nn.Conv) and not signal.flat:
            product = convolution(layer, signal.shape)
        elif isinstance(layer, eqx.nn.Linear) and signal.flat:
            product = linear(layer, signal.shape)
        elif isinstance(layer, eqx.nn.Conv | eqx.nn.Linear):
            given = "a flattened map" if signal.flat else "a map that is not flattened"
            raise ValueError(f"gets {given}")
        else:
            raise ValueError("has no counterpart on the chip")
        shape = product.output_shape
    except ValueError as error:
        raise _unmappable(place, layer, str(error)) from None
    return dataclasses.replace(signal, shape=shape, product=product, places=(place, None))


def _read_norm(layer: eqx.nn.BatchNorm, place: Place, state: PyTree, signal: _Signal) -> _Signal:
    if signal.product is None or signal.places is None or signal.places[1] is not None:
        raise _unmappable(place, layer, "does not follow a convolution or linear layer")
    try:
        product = with_norm(signal.product, layer, state)
    except ValueError as error:
        raise _unmappable(place, layer, str(error)) from None
    return dataclasses.replace(signal, product=product, places=(signal.places[0], place))


def _read_pool(layer: eqx.nn.Pool, place: Place, signal: _Signal) -> _Signal:
    (size, other), padding = layer.kernel_size, layer.padding
    if size != other:
        raise _unmappable(place, layer, f"has windows of {size} by {other}; cores pool squares")
    if tuple(layer.stride) != (size, size):
        raise _unmappable(
            place, layer, f"has windows of {size}, but a stride of {tuple(layer.stride)}"
        )
    if any(any(side) for side in padding) or layer.use_ceil:
        raise _unmappable(place, layer, "pads its input, which the pools of cores do not")
    if signal.flat:
        raise _unmappable(place, layer, "gets a flattened map")
    if any(tap.source is None for tap in signal.taps) and size > 1:
        raise _unmappable(
            place, layer, "pools the input, which only the event sensor's layer does: see `Sensor`"
        )
    factor = 1 / size**2 if isinstance(layer, eqx.nn.AvgPool2d) else 1.0
    taps = tuple(Tap(tap.source, tap.pool * size, tap.factor * factor) for tap in signal.taps)
    channels, height, width = signal.shape
    if min(height, width) < size:
        raise _unmappable(place, layer, f"has windows of {size} on maps of {signal.shape}")
    return dataclasses.replace(signal, taps=taps, shape=(channels, height // size, width // size))


def _read_neurons(
    layer: IAF, place: Place, state: PyTree, signal: _Signal, nodes: list[Node]
) -> _Signal:
    if signal.product is None or signal.places is None:
        raise _unmappable(place, layer, "has no convolution or linear layer before it")
    shape = signal.shape[:1] if signal.flat else signal.shape
    try:
        require_mappable(layer, shape)
        vmem = start_of(layer, state)
    except ValueError as error:
        raise _unmappable(place, layer, str(error)) from None
    factors = {tap.factor for tap in signal.taps}
    if len(factors) > 1:
        product = path_of(signal.places[0])
        raise ValueError(
            f"`{product}` gets averages over windows of different sizes, with the factors "
            f"{sorted(factors)}, but its weights can hold one: use sum pools, or the same windows"
        )
    places = (*signal.places, place)
    vmem = None if vmem is None else vmem.reshape(signal.shape)
    nodes.append(Node(signal.product, factors.pop(), layer, vmem, signal.taps, places))
    return _Signal((Tap(len(nodes) - 1),), signal.shape, signal.flat)


def _unmappable(place: Place, layer: object, why: str) -> ValueError:
    return ValueError(
        f"`{path_of(place) or 'model'}` ({type(layer).__name__}) {why}. These chips run pairs of "
        "eqx.nn.Conv2d or eqx.nn.Linear and IAF, with SumPool2d or eqx.nn.AvgPool2d after them and "
        "eqx.nn.BatchNorm between them, within Sequential, Residual and Parallel; dropout and "
        "Flatten are left out"
    )
