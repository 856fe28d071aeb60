"""The parts of a network that cores compute, and the spikes between them."""

import dataclasses
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np

from ..._typing import FloatArray
from ...nn import IAF, Network
from ._chips import Pair
from ._layers import Product
from ._spec import Shape

Place: TypeAlias = tuple[int, ...]
"""Indices into the `layers` of nested networks: (3, 0) is `layers[3].layers[0]`."""


class Tap(NamedTuple):
    """Spikes on their way to the next product.

    Attributes:
        source: index of the node that they are from; None for the input.
        pool: (height, width) of the windows that they are summed over.
        factor: factor of the sums, which makes them averages.
        shift: channel that channel 0 arrives at.
    """

    source: int | None
    pool: Pair = (1, 1)
    factor: float = 1.0
    shift: int = 0


@dataclasses.dataclass(frozen=True)
class Node:
    """A product and the neurons after it: what one core computes.

    Attributes:
        product: the convolution, with a batch norm folded in, without the factor.
        factor: factor of the weights for the average pools before them: one number, or one for each
            input channel, `(1, in, 1, 1)`.
        neurons: the neurons.
        vmem: their membrane potentials to begin with; None for zeros.
        taps: the sources of the product.
        places: of the product, of the batch norm if there is one, and of the neurons.
    """

    product: Product
    factor: float | np.ndarray
    neurons: IAF
    vmem: FloatArray | None
    taps: tuple[Tap, ...]
    places: tuple[Place, Place | None, Place]

    @property
    def path(self) -> str:
        """Path of the neurons, for messages."""
        return path_of(self.places[2])

    @property
    def weight(self) -> FloatArray:
        """The weights with the factor."""
        weight, factor = self.product.weight, self.factor
        if isinstance(factor, np.ndarray):
            return weight * jnp.asarray(factor, weight.dtype)
        return weight if factor == 1 else weight * factor


@dataclasses.dataclass(frozen=True)
class Signal:
    """Output of a layer: spikes; or, with `product`, sums that have yet to reach neurons."""

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


def add_up(model: Network, place: Place, signals: list[Signal]) -> Signal:
    _require_spikes(model, place, signals, "adds")
    if len({(signal.shape, signal.flat) for signal in signals}) > 1:
        shapes = [signal.shape for signal in signals]
        raise unmappable(place, model, f"adds maps of different shapes, {shapes}")
    taps = tuple(tap for signal in signals for tap in signal.taps)
    return dataclasses.replace(signals[0], taps=taps)


def concatenate(model: Network, place: Place, signals: list[Signal]) -> Signal:
    """Maps one after another by channel, which is also their order once they are flattened."""
    _require_spikes(model, place, signals, "concatenates")
    axis = getattr(model, "axis", 0)
    if len({(signal.shape[1:], signal.flat) for signal in signals}) > 1 or axis not in (0, -3):
        shapes = [signal.shape for signal in signals]
        raise unmappable(
            place, model, f"concatenates maps {shapes} along axis {axis}; cores, by channel only"
        )
    taps: list[Tap] = []
    channels = 0
    for signal in signals:
        taps += [tap._replace(shift=tap.shift + channels) for tap in signal.taps]
        channels += signal.shape[0]
    if any(tap.source is None and tap.shift for tap in taps):
        raise unmappable(
            place, model, "has the input after other branches; the input keeps its channels: put "
            "it first"
        )  # fmt: skip
    shape = (channels, *signals[0].shape[1:])
    return dataclasses.replace(signals[0], taps=tuple(taps), shape=shape)


def _require_spikes(model: Network, place: Place, signals: list[Signal], verb: str) -> None:
    if any(signal.product is not None for signal in signals):
        raise unmappable(place, model, f"{verb} what has not passed neurons; end it with an IAF")
    taps = [tap for signal in signals for tap in signal.taps]
    if len({tap.source for tap in taps}) < len(taps):
        raise unmappable(
            place, model, f"{verb} spikes of the same neurons twice, but a core sends them on once"
        )


def factor_of(signal: Signal, nodes: list[Node]) -> float | np.ndarray:
    """The factor of a product's weights, for the average pools before it."""
    assert signal.product is not None
    assert signal.places is not None
    factors = {tap.factor for tap in signal.taps}
    if len(factors) == 1:
        return factors.pop()
    channels = signal.product.input_shape[0]
    each: list[set[float]] = [set() for _ in range(channels)]
    for tap in signal.taps:
        own = channels if tap.source is None else nodes[tap.source].product.weight.shape[0]
        for channel in each[tap.shift : tap.shift + own]:
            channel.add(tap.factor)
    if any(len(found) > 1 for found in each):
        raise ValueError(
            f"`{path_of(signal.places[0])}` gets averages over windows of different sizes, with "
            f"the factors {sorted(factors)}, but its weights can hold one: use sum pools, or the "
            "same windows"
        )
    return np.array([found.pop() for found in each]).reshape(1, channels, 1, 1)


def unmappable(place: Place, layer: object, why: str) -> ValueError:
    return ValueError(
        f"`{path_of(place) or 'model'}` ({type(layer).__name__}) {why}. These chips run pairs of "
        "eqx.nn.Conv2d or eqx.nn.Linear and IAF, with SumPool2d or eqx.nn.AvgPool2d after them and "
        "eqx.nn.BatchNorm between them, within Sequential, Residual, Parallel, Concatenate and "
        "Graph; dropout and Flatten are left out"
    )
