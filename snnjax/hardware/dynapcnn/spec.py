"""The network that a chip of the DYNAP-CNN family holds: layers on cores, and who feeds whom."""

from typing import Any, Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int, Real

from ._chips import (
    CHIPS as CHIPS,
    CORES as CORES,
    DYNAPCNN as DYNAPCNN,
    SPECK_2E as SPECK_2E,
    SPECK_2F as SPECK_2F,
    Chip as Chip,
    Memory as Memory,
    bounds as bounds,
    get_chip as get_chip,
)
from ._sensor import Sensor as Sensor

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width)."""


class Destination(NamedTuple):
    """Where a core sends its spikes.

    Attributes:
        layer: index into `Spec.layers`.
        pool: height and width of the windows that it sums them over.
    """

    layer: int
    pool: int = 1


def _as_array(value: ArrayLike | None) -> Array | None:
    """`value` as an array of JAX, its integers as int32; refuses those that int32 cannot hold."""
    if value is None or isinstance(value, jax.Array):
        array = value
    else:
        known = np.asarray(value)
        limits = np.iinfo(np.int32)
        if known.dtype.kind in "iu" and known.size:
            low, high = int(known.min()), int(known.max())
            if low < limits.min or high > limits.max:
                raise ValueError(f"integers must fit in 32 bits; got {low} to {high}")
        array = jnp.asarray(known)
    if array is not None and jnp.issubdtype(array.dtype, jnp.integer):
        return array.astype(jnp.int32)
    return array


ARRAYS = ("weight", "bias", "threshold", "min_vmem", "vmem")
"""The arrays of a Core."""


class Core(eqx.Module):
    """One layer as a core computes it: a convolution and integrate-and-fire neurons.

    Axes are (height, width), as everywhere but in the vendor's files. Once quantised every array
    holds integers (int32, within the chip's ranges); before that, real numbers.

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
        max_spikes: most spikes of a neuron in a synchronous step, 1 for single spikes; None for as
            many as fit. The chip has no steps, and no such number.
        destinations: the layers that the spikes go to; none for the readout.
        core: number of the core on the chip; None for not yet assigned.
        monitor: whether the chip reports the spikes to the outside.
        path: where the neurons were in the model, for messages.
    """

    weight: Real[Array, "out in ky kx"] = eqx.field(converter=_as_array)
    bias: Real[Array, " out"] | None = eqx.field(converter=_as_array, default=None)
    threshold: Real[Array, ""] = eqx.field(converter=_as_array, default=1.0)
    min_vmem: Real[Array, ""] | None = eqx.field(converter=_as_array, default=None)
    vmem: Real[Array, "out y x"] | None = eqx.field(converter=_as_array, default=None)
    input_shape: Shape = eqx.field(static=True, kw_only=True)
    stride: tuple[int, int] = eqx.field(static=True, default=(1, 1))
    padding: tuple[int, int] = eqx.field(static=True, default=(0, 0))
    reset: Literal["subtract", "zero"] = eqx.field(static=True, default="subtract")
    max_spikes: int | None = eqx.field(static=True, default=None)
    destinations: tuple[Destination, ...] = eqx.field(static=True, default=())
    core: int | None = eqx.field(static=True, default=None)
    monitor: bool = eqx.field(static=True, default=False)
    path: str = eqx.field(static=True, default="")

    def __check_init__(self) -> None:
        if self.weight.ndim != 4 or 0 in self.weight.shape:
            raise ValueError(
                "`weight` must have the shape (out, in, ky, kx), none of them 0; got "
                f"{self.weight.shape}"
            )
        if len(self.input_shape) != 3 or self.weight.shape[1] != self.input_shape[0]:
            raise ValueError(
                f"`input_shape` must be ({self.weight.shape[1]}, height, width), for a `weight` of "
                f"the shape {self.weight.shape}; got {self.input_shape}"
            )
        if min(self.stride) < 1 or min(self.padding) < 0:
            raise ValueError(
                "`stride` must be at least 1 and `padding` at least 0; got "
                f"{self.stride} and {self.padding}"
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
        if self.max_spikes is not None and self.max_spikes < 1:
            raise ValueError(f"`max_spikes` must be None or at least 1; got {self.max_spikes}")
        for destination in self.destinations:
            if destination.pool < 1:
                raise ValueError(f"`destinations`: a pool must be at least 1; got {destination}")

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
        """The words of memory that the layer takes, in powers of two for the sake of addressing.

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

    @property
    def quantized(self) -> bool:
        """Whether every array holds integers."""
        return all(jnp.issubdtype(x.dtype, jnp.integer) for x in self.arrays().values())

    def arrays(self) -> dict[str, Array]:
        """The arrays by name, without those that are None."""
        found = {name: getattr(self, name) for name in ARRAYS}
        return {name: array for name, array in found.items() if array is not None}

    def parameters(self) -> dict[str, Any]:
        """The arrays by name, those that are None too."""
        return {name: getattr(self, name) for name in ARRAYS}

    def pooled(self, pool: int) -> Shape:
        """The map that a destination with that pool gets."""
        out, height, width = self.output_shape
        return out, height // pool, width // pool


def _bits(n: int) -> int:
    """ceil(log2 n)."""
    return (n - 1).bit_length()


class Spec(eqx.Module):
    """A network as a chip holds it.

    Attributes:
        layers: each with a core of its own, such that spikes only go to later ones. The last one is
            the readout.
        inputs: indices of the layers that the input, or the sensor's layer, feeds.
        sensor: the layer of the event sensor; None where events go to the cores directly.
        readout_stride: class i is channel i*readout_stride of the last layer; see `pad_readout`.
        chip: the chip that the network is meant for.
    """

    layers: tuple[Core, ...]
    inputs: tuple[int, ...] = eqx.field(static=True, default=(0,))
    sensor: Sensor | None = eqx.field(static=True, default=None)
    readout_stride: int = eqx.field(static=True, default=1)
    chip: Chip = eqx.field(static=True, kw_only=True)

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
        sent = {layer: [("the input", self.fed_shape)] for layer in self.inputs}
        for i, source in enumerate(self.layers):
            for layer, pool in source.destinations:
                if layer <= i or layer >= len(self.layers):
                    raise ValueError(
                        f"`layers[{i}].destinations` must be later layers, of which there are "
                        f"{len(self.layers)}; got {layer}"
                    )
                sent.setdefault(layer, []).append((f"layers[{i}]", source.pooled(pool)))
        for i, target in enumerate(self.layers):
            if i not in sent:
                raise ValueError(f"`layers[{i}]` gets no events: it is nobody's destination")
            for name, shape in sent[i]:
                if shape != target.input_shape:
                    raise ValueError(
                        f"`layers[{i}].input_shape` is {target.input_shape}, but {name} sends maps "
                        f"of {shape}"
                    )

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

    @property
    def quantized(self) -> bool:
        """Whether every array holds integers."""
        return all(layer.quantized for layer in self.layers)

    def sources(self, layer: int) -> tuple[tuple[int | None, int], ...]:
        """Who feeds a layer: (index of the layer or None for the input, pool), in order."""
        found: list[tuple[int | None, int]] = [(None, 1)] if layer in self.inputs else []
        for i, source in enumerate(self.layers):
            found += [(i, d.pool) for d in source.destinations if d.layer == layer]
        return tuple(found)

    def name(self, layer: int) -> str:
        """What messages call a layer."""
        path = self.layers[layer].path
        return f"layers[{layer}]" + (f" (`{path}`)" if path else "")

    def classes(self, spikes: Int[Array, "*batch channels y x"]) -> Any:
        """The numbers of spikes of each class, from those of the last layer's neurons."""
        return jnp.sum(spikes, axis=(-2, -1), dtype=spikes.dtype)[..., :: self.readout_stride]
