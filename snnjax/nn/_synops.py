"""Synaptic operations, the arrivals of spikes at synapses, and NeuroBench's metrics of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._checks import explained
from .._tree import leaves_with_path, modules_with_path
from .._typing import FloatArray
from ..neurons import later, recurrent
from ._combine import Branches, Recurrent
from ._layer import Layer, Records, as_float
from ._network import Network
from ._neuron import Neuron

_PRODUCT = eqx.nn.Linear | eqx.nn.Conv | eqx.nn.ConvTranspose


@explained
def synops(model: Layer, x: FloatArray, records: Records) -> Records:
    """Synaptic operations of every layer with weights, over a whole sequence.

    A spike counts once for each synapse that it reaches, whether its weight is zero or not: in a
    linear layer, one for each output; in a convolution, one for each output position and channel
    that the spike's position is part of, given stride, padding, dilation and groups, so fewer at
    the borders. What reaches a layer otherwise than as a whole number counts with its value.
    Counts are exact up to 2^24 for each layer, as float32 is. Differentiable, for a regulariser.
    Source: sinabs, `SNNAnalyzer`.

    Args:
        model: a network.
        x: its input, time first.
        records: records of `snnjax.record(model, x)`.

    Returns:
        The operations of the sequence by path, `layers[0]`, and `layers[1].w_rec` for recurrent
        weights. Divide by the length of the sequence in seconds for operations per second.

    Raises:
        ValueError: if `records` are not those of this network, or a layer that is not ours has
            weights inside it, whose inputs are not recorded; the message names it.
    """
    return {
        path: (spikes.sum(0, dtype=float) * fan_out(layer, spikes.shape[1:])).sum()
        for path, layer, spikes in _inputs_of(model, "", as_float(x, model), records)
    }


@explained
def fan_out(layer: Any, shape: tuple[int, ...], *, zeros: bool = True) -> FloatArray:
    """The number of synapses of each input of a layer.

    Args:
        layer: `eqx.nn.Linear`, `eqx.nn.Conv` or `eqx.nn.ConvTranspose`; or neurons with `w_rec`,
            whose inputs are then their own spikes.
        shape: shape of one time step of the input.
        zeros: count synapses whose weight is zero as well.

    Returns:
        An array of that shape.

    Raises:
        TypeError: if `layer` is something else.
    """
    # With weights of 1, an input's gradient counts the outputs that it is part of.
    y, transposed = jax.vjp(_of_ones(layer, zeros), jnp.zeros(shape))
    return transposed(jnp.ones_like(y))[0]


def _of_ones(layer: Any, zeros: bool) -> Callable[[FloatArray], FloatArray]:
    """The product that `layer` applies, with weights of 1, or of 0 where they are that."""

    def ones(weight: FloatArray) -> FloatArray:
        return jnp.ones(weight.shape) if zeros else (weight != 0).astype(float)

    if isinstance(layer, _PRODUCT):
        return jax.tree.map(ones, layer)
    w_rec = getattr(layer, "w_rec", None)
    if w_rec is None:
        raise TypeError(
            "`layer` must be an eqx.nn.Linear, Conv or ConvTranspose, or neurons with `w_rec`; "
            f"got {type(layer).__name__}"
        )
    inputs = (*layer.shape, getattr(layer, "synapses", 1))
    return lambda y: recurrent.fed_back(ones(w_rec), y, inputs)


def _inputs_of(
    layer: Any, path: str, x: FloatArray, records: Records
) -> Iterator[tuple[str, Any, FloatArray]]:
    """The layers with weights inside `layer`: path, layer, input over time."""
    prefix = f"{path}." if path else ""
    if isinstance(layer, _PRODUCT):
        yield path, layer, x
    elif isinstance(layer, Neuron):
        if layer.w_rec is not None:
            yield f"{prefix}w_rec", layer, later(_recorded(records, f"{prefix}spikes"))
    elif isinstance(layer, Network):
        paths = [f"{prefix}layers[{i}]" for i in range(len(layer.layers))]
        outputs = [_recorded(records, f"{inner}.output") for inner in paths]
        for i, (inner, at) in enumerate(zip(layer.layers, paths, strict=True)):
            yield from _inputs_of(inner, at, _input_of(layer, i, x, outputs), records)
    elif any(isinstance(module, _PRODUCT) for _, module in modules_with_path(layer)):
        raise ValueError(
            f"`{path or 'model'}`: {type(layer).__name__} has weights inside, whose inputs "
            "`record` does not see; make it a snnjax.Sequential of its layers"
        )


def _recorded(records: Records, name: str) -> FloatArray:
    if name not in records:
        raise ValueError(
            f"`records` must be those of `snnjax.record(model, x)`; there is no {name!r}"
        )
    return records[name]


def _input_of(network: Network, i: int, x: FloatArray, outputs: list[FloatArray]) -> FloatArray:
    match network:
        case Branches():
            return x
        case Recurrent():
            return x + outputs[1] if i == 0 else later(outputs[0])
    return x if i == 0 else outputs[i - 1]


class Work(NamedTuple):
    """The work of one layer with weights.

    Attributes:
        zeros: number of weights that are zero.
        weights: number of weights.
        dense: operations of a step with every input and weight.
        effective: operations of each step.
        spikes_only: whether the input of each step is of 0, 1 and -1 only.
    """

    zeros: int
    weights: int
    dense: float
    effective: np.ndarray
    spikes_only: np.ndarray

    @classmethod
    def of(cls, every: ArrayLike, present: ArrayLike, given: ArrayLike, weight: ArrayLike) -> Self:
        """The work of a layer on its inputs over time.

        Args:
            every: synapses of each input.
            present: those of a weight that is not zero.
            given: inputs, `(time, ...)` with the axes of `every`.
            weight: the weights.
        """
        x, w = np.asarray(given), np.asarray(weight)
        axes = tuple(range(1, x.ndim))
        return cls(
            zeros=int((w == 0).sum()),
            weights=w.size,
            dense=float(np.asarray(every, np.float64).sum()),
            effective=((x != 0) * np.asarray(present, np.float64)).sum(axes),
            spikes_only=np.asarray(np.isin(x, (-1, 0, 1)).all(axes)),
        )


class Workload(NamedTuple):
    """The size of a network, and its work on one sequence, in the terms of NeuroBench.

    Attributes:
        footprint: bytes of all parameters and states.
        connection_sparsity: share of weights that are zero.
        activation_sparsity: share of steps of neurons without a spike.
        dense: synaptic operations if every input came at every step, and no weight were zero.
        effective_macs: operations of inputs and weights that are not zero, at steps in which a
            layer's input is not of spikes only: multiplications.
        effective_acs: the same at steps whose inputs are all 0, 1 or -1: additions.
    """

    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    dense: float
    effective_macs: float
    effective_acs: float

    @classmethod
    def of(cls, works: Sequence[Work], spikes: Sequence[np.ndarray], footprint: int) -> Self:
        """The metrics, given the work of all layers and the spikes of all neurons over time."""
        weights = sum(layer.weights for layer in works)
        activations = sum(x.size for x in spikes)
        return cls(
            footprint=footprint,
            connection_sparsity=sum(layer.zeros for layer in works) / max(weights, 1),
            activation_sparsity=sum(int((x == 0).sum()) for x in spikes) / max(activations, 1),
            dense=sum(layer.dense * len(layer.effective) for layer in works),
            effective_macs=float(sum(w.effective[~w.spikes_only].sum() for w in works)),
            effective_acs=float(sum(w.effective[w.spikes_only].sum() for w in works)),
        )


@explained
def workload(model: Layer, x: ArrayLike, records: Records) -> Workload:
    """The metrics of NeuroBench for a network on one sequence.

    With each input and weight replaced by 1 where it is not zero, an operation is a product of two
    ones. Biases and the neurons' own arithmetic do not count. Layers are those of `synops`;
    activations are spikes. Source: Yik et al. 2025, "The NeuroBench framework for benchmarking
    neuromorphic computing algorithms and systems"; the numbers are those of its package, version
    2.3, with batches of one.

    Args:
        model: a network.
        x: its input, time first.
        records: records of `snnjax.record(model, x)`.

    Raises:
        ValueError: as `synops` does.

    >>> import equinox as eqx, jax, jax.numpy as jnp, snnjax
    >>> linear = eqx.nn.Linear(3, 2, use_bias=False, key=jax.random.key(0))
    >>> model = snnjax.Sequential(linear, snnjax.IAF(2))
    >>> x = jnp.asarray([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    >>> found = workload(model, x, snnjax.record(model, x)[2])
    >>> found.dense, found.effective_acs, found.connection_sparsity
    (12.0, 6.0, 0.0)
    """
    works = [
        Work.of(
            fan_out(layer, given.shape[1:]),
            fan_out(layer, given.shape[1:], zeros=False),
            given,
            layer.weight if hasattr(layer, "weight") else layer.w_rec,
        )
        for _, layer, given in _inputs_of(model, "", as_float(x, model), records)
    ]
    spikes = [np.asarray(v) for name, v in records.items() if name.split(".")[-1] == "spikes"]
    arrays = [leaf for _, leaf in leaves_with_path(model) if isinstance(leaf, jax.Array)]
    return Workload.of(works, spikes, sum(int(leaf.nbytes) for leaf in arrays))
