"""The metrics of a network's size and work that NeuroBench has."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import jax
import numpy as np
from jax.typing import ArrayLike

from .._checks import explained
from .._tree import leaves_with_path
from ._layer import Layer, Records, as_float
from ._synops import fan_out, inputs_of


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
        for _, layer, given in inputs_of(model, "", as_float(x, model), records)
    ]
    spikes = [np.asarray(v) for name, v in records.items() if name.split(".")[-1] == "spikes"]
    arrays = [leaf for _, leaf in leaves_with_path(model) if isinstance(leaf, jax.Array)]
    return Workload.of(works, spikes, sum(int(leaf.nbytes) for leaf in arrays))
