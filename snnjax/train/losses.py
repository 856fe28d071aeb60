"""Losses of what a network gives over one sequence; regularisers of its activity.

All are pure functions of one sequence, time first; `jax.vmap` gives those of a batch. Their
gradients go through the spikes, whose own are those of the surrogates.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from .._typing import FloatArray
from ..passthrough import straight_through


def count_cross_entropy(
    spikes: Float[Array, "time classes"], label: Int[Array, ""]
) -> Float[Array, ""]:
    """Cross-entropy whose logits are the spike counts: the class with most spikes is the answer.

    Args:
        spikes: output spikes.
        label: the right class, a whole number from 0.

    Raises:
        ValueError: if `label` is no such number; where its value is not known, as under `jax.jit`,
            the loss of one that is out of range is NaN.

    >>> import jax.numpy as jnp
    >>> spikes = jnp.asarray([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    >>> print(f"{count_cross_entropy(spikes, 0):.3f}, {count_cross_entropy(spikes, 2):.3f}")
    0.408, 2.408
    """
    return _cross_entropy(spikes.sum(0), label)


def rate_mse(
    spikes: Float[Array, "time classes"],
    label: Int[Array, ""],
    *,
    on: float = 0.8,
    off: float = 0.2,
) -> Float[Array, ""]:
    """Mean square distance of the classes' rates from what they should be.

    Args:
        spikes: output spikes.
        label: the right class.
        on: rate of the right class, in spikes per step.
        off: rate of the other classes, in spikes per step.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    index = _index(label, spikes.shape[-1])
    wanted = jnp.full(spikes.shape[1:], off).at[index].set(on, mode="drop")
    loss = jnp.square(spikes.mean(0) - wanted).mean()
    return jnp.where(index < spikes.shape[-1], loss, jnp.nan)


def latency(spikes: Float[Array, "time *neurons"]) -> Float[Array, "*neurons"]:
    r"""Steps before each neuron's first spike: 0 if it fires at once, `time` if it stays silent.

    latency = sum over t of (1 - s_1) * ... * (1 - s_t), s_t being 1 where there are spikes, else 0.
    The gradient is that of this product, so that a neuron is told of every step before its first
    spike, in proportion to how much earlier it would be, and a silent one of all steps.
    """
    fired = straight_through(spikes, jnp.minimum(spikes, 1))
    return jnp.cumprod(1 - fired, axis=0).sum(0)


def latency_cross_entropy(
    spikes: Float[Array, "time classes"], label: Int[Array, ""], *, sharpness: float = 1.0
) -> Float[Array, ""]:
    """Cross-entropy whose logits are -latency: the class that fires first is the answer.

    Args:
        spikes: output spikes.
        label: the right class.
        sharpness: factor on the latencies, which are in steps.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    return _cross_entropy(-sharpness * latency(spikes), label)


def max_vmem_cross_entropy(
    vmem: Float[Array, "time classes"], label: Int[Array, ""]
) -> Float[Array, ""]:
    """Cross-entropy whose logits are the highest membrane potentials over time.

    Args:
        vmem: output of a readout, such as `LI`.
        label: the right class.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    return _cross_entropy(vmem.max(0), label)


def mean_vmem_cross_entropy(
    vmem: Float[Array, "time classes"], label: Int[Array, ""]
) -> Float[Array, ""]:
    """Cross-entropy whose logits are the mean membrane potentials over time.

    Args:
        vmem: output of a readout, such as `LI`.
        label: the right class.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    return _cross_entropy(vmem.mean(0), label)


def rate_penalty(
    spikes: Float[Array, "time *neurons"], *, low: float = 0.0, high: float = 0.5
) -> Float[Array, ""]:
    """Mean square of how far the neurons' rates lie outside a range: 0 if all are inside.

    Args:
        spikes: spikes of a layer, such as `records["layers[1].spikes"]`.
        low: lowest rate, in spikes per step; it keeps neurons from falling silent.
        high: highest rate, in spikes per step.
    """
    rates = spikes.mean(0)
    outside = jnp.maximum(rates - high, 0) + jnp.maximum(low - rates, 0)
    return jnp.square(outside).mean()


def synops_penalty(counts: dict[str, FloatArray], target: float) -> Float[Array, ""]:
    """Square of how far the operations of all layers lie above a target, relative to it.

    Args:
        counts: what `snnjax.nn.synops` gave for the sequence.
        target: operations that are free of charge, above 0.

    Raises:
        ValueError: if `target` is not above 0.
    """
    if not target > 0:
        raise ValueError(f"`target` must be above 0; got {target!r}")
    total = sum(counts.values(), start=jnp.zeros(()))
    return jnp.square(jnp.maximum(total / target - 1, 0))


def _cross_entropy(logits: Float[Array, " classes"], label: Int[Array, ""]) -> Float[Array, ""]:
    if logits.ndim != 1:
        raise ValueError(
            "a loss takes one sequence, (time, classes); got a sum over time of the shape "
            f"{logits.shape}. `jax.vmap` gives the losses of a batch"
        )
    index = _index(label, len(logits))
    return jax.nn.logsumexp(logits) - logits.at[index].get(mode="fill", fill_value=jnp.nan)


def _index(label: ArrayLike, n_classes: int) -> Int[Array, ""]:
    """The label as an index, and one past the end for a label that is out of range.

    Raises:
        ValueError: if it is no whole number, or known to be out of range.
    """
    given = label if isinstance(label, jax.Array) else np.asarray(label)
    if given.ndim or not jnp.issubdtype(given.dtype, jnp.integer):
        raise ValueError(
            f"`label` must be the number of a class, from 0 to {n_classes - 1}; got {given.dtype} "
            f"of the shape {given.shape}. `jax.vmap` gives the losses of a batch, `jnp.argmax` the "
            "number of a one-hot vector"
        )
    if not isinstance(given, jax.core.Tracer) and not 0 <= int(given) < n_classes:
        raise ValueError(
            f"`label` must be from 0 to {n_classes - 1}, for {n_classes} classes; got {int(given)}"
        )
    inside = (given >= 0) & (given < n_classes)
    return jnp.where(inside, jnp.asarray(given).astype(jnp.int32), n_classes)
