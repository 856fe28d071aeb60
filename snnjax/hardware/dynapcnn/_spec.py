"""The network that a chip of the DYNAP-CNN family holds: layers on cores, and who feeds whom."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int, Real

from ..._checks import explained
from .._family import Spec as AnySpec, as_array
from ._chips import Chip, Memory, Pair, pair, whole, wholes
from ._sensor import Sensor

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width)."""


class Destination(NamedTuple):
    """A layer that a core sends its spikes to.

    Attributes:
        layer: index into `Spec.layers`.
        pool: height and width of the windows that the spikes are summed over.
        shift: channel of the target that channel 0 arrives at. Cores with different shifts are
            concatenated, those with the same are added.
    """

    layer: int
    pool: int = 1
    shift: int = 0


class Source(NamedTuple):
    """A layer that feeds another, None for the input; pool and shift as in `Destination`."""

    layer: int | None
    pool: int = 1
    shift: int = 0


def _as_destinations(value: Any) -> tuple[Destination, ...]:
    least = {"layer": 0, "pool": 1, "shift": 0}
    return tuple(
        Destination(*(whole(f"destinations[{i}].{k}", n, least[k]) for k, n in fields.items()))
        for i, to in enumerate(value)
        for fields in [Destination(*to)._asdict()]
    )


ARRAYS = ("weight", "bias", "threshold", "min_vmem", "vmem")
"""The arrays of a Core."""


class Core(eqx.Module):
    """One layer as a core computes it: a convolution and integrate-and-fire neurons.

    Axes are (height, width), except in the vendor's files. A mapped core holds real numbers; a
    quantised one holds integers (int32, within the ranges of the chip).

    Attributes:
        weight: (out, in, ky, kx); a linear layer is a kernel as large as its input map.
        bias: (out,), added to the membrane potentials at every step; None for no biases.
        threshold: firing threshold of all neurons.
        min_vmem: lower bound of the membrane potentials; None for what 16 bits hold.
        vmem: membrane potentials to begin with, of the shape `output_shape`; None for zeros.
        input_shape: (in, height, width) of the map that arrives.
        stride: (y, x).
        padding: zeros on either side, (y, x).
        reset: what follows a spike: "subtract" takes the threshold off, "zero" takes vmem to 0.
        max_spikes: most spikes of a neuron in a synchronous step, 1 for single spikes; None for no
            cap. The chip has no steps, and no such number.
        destinations: the layers that the spikes go to; none for a readout.
        core: number of the core on the chip; None for not yet assigned.
        monitor: whether the chip reports the spikes to the outside.
        path: path of the neurons in the model, for messages.
    """

    weight: Real[Array, "out in ky kx"]
    bias: Real[Array, " out"] | None
    threshold: Real[Array, ""]
    min_vmem: Real[Array, ""] | None
    vmem: Real[Array, "out y x"] | None
    input_shape: Shape = eqx.field(static=True)
    stride: Pair = eqx.field(static=True)
    padding: Pair = eqx.field(static=True)
    reset: Literal["subtract", "zero"] = eqx.field(static=True)
    max_spikes: int | None = eqx.field(static=True)
    destinations: tuple[Destination, ...] = eqx.field(static=True)
    core: int | None = eqx.field(static=True)
    monitor: bool = eqx.field(static=True)
    path: str = eqx.field(static=True)

    @explained
    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        threshold: ArrayLike = 1.0,
        min_vmem: ArrayLike | None = None,
        vmem: ArrayLike | None = None,
        *,
        input_shape: Sequence[int],
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        reset: Literal["subtract", "zero"] = "subtract",
        max_spikes: int | None = None,
        destinations: Iterable[tuple[int, ...]] = (),
        core: int | None = None,
        monitor: bool = False,
        path: str = "",
    ):
        """Make a layer of these attributes, which may be lists and numbers of NumPy.

        Raises:
            ValueError: if a shape or setting is out of its range; the message names it.
        """
        arrays = dict(zip(ARRAYS, (weight, bias, threshold, min_vmem, vmem), strict=True))
        for name, array in arrays.items():
            setattr(self, name, as_array(array))
        channels, *size = wholes("input_shape", input_shape, 3, 1)
        self.input_shape = (channels, *pair("input_shape", size, 1))
        self.stride, self.padding = pair("stride", stride, 1), pair("padding", padding, 0)
        self.reset = reset
        self.max_spikes = None if max_spikes is None else whole("max_spikes", max_spikes, 1)
        self.destinations = _as_destinations(destinations)
        self.core = None if core is None else whole("core", core, -(2**31))
        self.monitor, self.path = monitor, path

    @explained
    def __check_init__(self) -> None:
        if self.weight.ndim != 4 or 0 in self.weight.shape:
            raise ValueError(
                "`weight` must have the shape (out, in, ky, kx), none of them 0; got "
                f"{self.weight.shape}"
            )
        if self.weight.shape[1] != self.input_shape[0]:
            raise ValueError(
                f"`input_shape` must be ({self.weight.shape[1]}, height, width), for a `weight` of "
                f"the shape {self.weight.shape}; got {self.input_shape}"
            )
        if min(self.output_shape) < 1:
            raise ValueError(
                f"`weight`: a kernel of {self.kernel_size} does not fit in a map of "
                f"{self.input_shape[1:]} with a `padding` of {self.padding}"
            )
        shapes = {"bias": self.output_shape[:1], "threshold": (), "min_vmem": ()}
        for name, shape in {**shapes, "vmem": self.output_shape}.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"`{name}` must have the shape {shape}; got {array.shape}")
        if self.reset not in ("subtract", "zero"):
            raise ValueError(f"`reset` must be 'subtract' or 'zero'; got {self.reset!r}")

    @property
    def kernel_size(self) -> tuple[int, int]:
        """(ky, kx)."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def output_shape(self) -> Shape:
        """(out, height, width) of the neurons, before any pooling."""
        height, width = (
            (size + 2 * padding - kernel) // stride + 1
            for size, padding, kernel, stride in zip(
                self.input_shape[1:], self.padding, self.kernel_size, self.stride, strict=True
            )
        )
        return self.weight.shape[0], height, width

    @property
    def memory(self) -> Memory:
        """The words of memory that the layer takes. Addresses round sizes up to powers of two.

        For c input and f output channels: kernel = c * 2^(ceil(log2(ky*kx)) + ceil(log2 f)),
        neuron = f * 2^(ceil(log2 height) + ceil(log2 width)), bias = f, or 0 without biases.
        Source: sinabs, `DynapcnnLayer.memory_summary`.
        """
        (ky, kx), (out, height, width) = self.kernel_size, self.output_shape
        return Memory(
            kernel=self.input_shape[0] << (_bits(ky * kx) + _bits(out)),
            neuron=out << (_bits(height) + _bits(width)),
            bias=0 if self.bias is None else out,
        )

    @property
    def fan_in(self) -> int:
        """Weights that feed one neuron."""
        return self.weight.shape[1] * self.weight.shape[2] * self.weight.shape[3]

    def arrays(self) -> dict[str, Array]:
        """The arrays by name, without those that are None."""
        found = self.parameters()
        return {name: jnp.asarray(array) for name, array in found.items() if array is not None}

    def parameters(self) -> dict[str, Any]:
        """The arrays by name, those that are None too."""
        return {name: getattr(self, name) for name in ARRAYS}

    def pooled(self, pool: int) -> Shape:
        """Shape of the map that arrives after sum pooling."""
        out, height, width = self.output_shape
        return out, height // pool, width // pool


def _bits(n: int) -> int:
    """ceil(log2 n)."""
    return (n - 1).bit_length()


class Spec(AnySpec):
    """A network as a chip holds it.

    Attributes:
        layers: one for each core in use. Spikes only go to later layers; the last one is the
            readout.
        inputs: indices of the layers that the input, or the sensor's layer, feeds.
        sensor: the layer of the event sensor; None if events go to the cores directly.
        readout_stride: class i is channel i*readout_stride of the last layer; see `pad_readout`.
        chip: the chip that the network is meant for.
    """

    layers: tuple[Core, ...]
    inputs: tuple[int, ...] = eqx.field(static=True, default=(0,))
    sensor: Sensor | None = eqx.field(static=True, default=None)
    readout_stride: int = eqx.field(static=True, default=1)
    chip: Chip = eqx.field(static=True, kw_only=True)

    @explained
    def __check_init__(self) -> None:
        if not self.layers or not self.inputs:
            raise ValueError("`layers` and `inputs` must each have at least one entry")
        if len(set(self.inputs)) < len(self.inputs) or not set(self.inputs) <= self._indices():
            raise ValueError(
                f"`inputs` must be different indices of the {len(self.layers)} layers; got "
                f"{self.inputs}"
            )
        if self.readout_stride < 1:
            raise ValueError(f"`readout_stride` must be at least 1; got {self.readout_stride}")
        fed = {layer: [("the input", self.fed_shape, 0)] for layer in self.inputs}
        for i, source in enumerate(self.layers):
            for layer, pool, shift in source.destinations:
                if layer <= i or layer >= len(self.layers):
                    raise ValueError(
                        f"`layers[{i}].destinations` must be later layers, of which there are "
                        f"{len(self.layers)}; got {layer}"
                    )
                fed.setdefault(layer, []).append((f"layers[{i}]", source.pooled(pool), shift))
        for i, target in enumerate(self.layers):
            if i not in fed:
                raise ValueError(f"`layers[{i}]` gets no events: it is nobody's destination")
            _require_covered(i, target.input_shape, fed[i])

    def _indices(self) -> set[int]:
        return set(range(len(self.layers)))

    @property
    def fed_shape(self) -> Shape:
        """(channels, height, width) of what reaches the first cores."""
        if self.sensor is not None:
            return self.sensor.output_shape
        return self.layers[self.inputs[0]].input_shape

    @property
    def input_shape(self) -> Shape:
        """(channels, height, width) of what goes in, before the sensor's layer."""
        return self.fed_shape if self.sensor is None else self.sensor.input_shape

    @property
    def n_classes(self) -> int:
        """Number of answers of the readout."""
        return -(-self.layers[-1].weight.shape[0] // self.readout_stride)

    def arrays(self) -> dict[str, Array]:
        """The arrays of all layers, by names such as "layers[0].weight"."""
        return {
            f"layers[{i}].{name}": array
            for i, layer in enumerate(self.layers)
            for name, array in layer.arrays().items()
        }

    def sources(self, layer: int) -> tuple[Source, ...]:
        """The layers that feed a layer, the input first, then in their order."""
        found = [Source(None)] if layer in self.inputs else []
        for i, source in enumerate(self.layers):
            found += [
                Source(i, to.pool, to.shift) for to in source.destinations if to.layer == layer
            ]
        return tuple(found)

    def name(self, layer: int) -> str:
        """The name of a layer in messages: its index, and its path in the model."""
        path = self.layers[layer].path
        return f"layers[{layer}]" + (f" (`{path}`)" if path else "")

    def classes(self, spikes: Int[Array, "*batch channels y x"]) -> Any:
        """The numbers of spikes of each class, from those of the last layer's neurons."""
        return jnp.sum(spikes, axis=(-2, -1), dtype=spikes.dtype)[..., :: self.readout_stride]


def _require_covered(layer: int, wanted: Shape, fed: list[tuple[str, Shape, int]]) -> None:
    """Raise ValueError unless the maps that arrive cover the input channels of a layer."""
    covered = np.zeros(wanted[0], bool)
    for name, shape, shift in fed:
        if shape[1:] != wanted[1:] or shift + shape[0] > wanted[0]:
            at = f" from channel {shift}" if shift else ""
            raise ValueError(
                f"`layers[{layer}].input_shape` is {wanted}, but {name} sends maps of {shape}{at}"
            )
        covered[shift : shift + shape[0]] = True
    if not covered.all():
        missing = np.flatnonzero(~covered).tolist()
        sent = ", ".join(f"{name} sends maps of {shape}" for name, shape, _ in fed)
        raise ValueError(
            f"`layers[{layer}].input_shape` is {wanted}, but {sent}: nothing reaches the "
            f"channels {missing}"
        )
