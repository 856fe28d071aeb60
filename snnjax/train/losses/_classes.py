"""Losses against the label of a whole sequence."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from ..._checks import explained
from ...passthrough import straight_through
from ._over_time import Mask, kept, largest, mean, total


@explained
def count_cross_entropy(
    spikes: Float[Array, "time classes"], label: Int[Array, ""], *, mask: Mask = None
) -> Float[Array, ""]:
    """Cross-entropy whose logits are the spike counts: the class with most spikes is the answer.

    Args:
        spikes: output spikes.
        label: the right class, a whole number from 0.
        mask: the steps that count.

    Raises:
        ValueError: if `label` is no such number; where its value is not known, as under `jax.jit`,
            the loss of one that is out of range is NaN.

    >>> import jax.numpy as jnp
    >>> spikes = jnp.asarray([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    >>> print(f"{count_cross_entropy(spikes, 0):.3f}, {count_cross_entropy(spikes, 2):.3f}")
    0.408, 2.408
    """
    return _cross_entropy(total(spikes, mask), label)


@explained
def rate_mse(
    spikes: Float[Array, "time classes"],
    label: Int[Array, ""],
    *,
    on: float = 0.8,
    off: float = 0.2,
    mask: Mask = None,
) -> Float[Array, ""]:
    """Mean square distance of the classes' rates from what they should be.

    Args:
        spikes: output spikes.
        label: the right class.
        on: rate of the right class, in spikes per step.
        off: rate of the other classes, in spikes per step.
        mask: the steps that count.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    index = _index(label, spikes.shape[-1])
    wanted = jnp.full(spikes.shape[1:], off).at[index].set(on, mode="drop")
    loss = jnp.square(mean(spikes, mask) - wanted).mean()
    return jnp.where(index < spikes.shape[-1], loss, jnp.nan)


@explained
def latency(
    spikes: Float[Array, "time *neurons"], *, mask: Mask = None
) -> Float[Array, "*neurons"]:
    r"""Steps before each neuron's first spike: 0 if it fires at once, all if it stays silent.

    latency = sum over t of (1 - s_1) * ... * (1 - s_t), s_t being 1 where there are spikes, else 0.
    The gradient is that of this product, so that a neuron is told of every step before its first
    spike, in proportion to how much earlier it would be, and a silent one of all steps.

    Args:
        spikes: spikes of a layer.
        mask: the steps that count.
    """
    fired = straight_through(spikes, jnp.minimum(spikes, 1))
    return total(jnp.cumprod(1 - fired, axis=0), mask)


@explained
def latency_cross_entropy(
    spikes: Float[Array, "time classes"],
    label: Int[Array, ""],
    *,
    sharpness: float = 1.0,
    mask: Mask = None,
) -> Float[Array, ""]:
    """Cross-entropy whose logits are -latency: the class that fires first is the answer.

    Args:
        spikes: output spikes.
        label: the right class.
        sharpness: factor on the latencies, which are in steps.
        mask: the steps that count.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    return _cross_entropy(-sharpness * latency(spikes, mask=mask), label)


@explained
def max_vmem_cross_entropy(
    vmem: Float[Array, "time classes"], label: Int[Array, ""], *, mask: Mask = None
) -> Float[Array, ""]:
    """Cross-entropy whose logits are the highest membrane potentials over time.

    Args:
        vmem: output of a readout, such as `LI`.
        label: the right class.
        mask: the steps that count.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    return _cross_entropy(largest(vmem, mask), label)


@explained
def mean_vmem_cross_entropy(
    vmem: Float[Array, "time classes"], label: Int[Array, ""], *, mask: Mask = None
) -> Float[Array, ""]:
    """Cross-entropy whose logits are the mean membrane potentials over time.

    Args:
        vmem: output of a readout, such as `LI`.
        label: the right class.
        mask: the steps that count.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    return _cross_entropy(mean(vmem, mask), label)


@explained
def step_cross_entropy(
    y: Float[Array, "time classes"], label: Int[Array, ""], *, mask: Mask = None
) -> Float[Array, ""]:
    """Mean over the steps of the cross-entropy at each: the right class leads at every step.

    snnTorch calls it `ce_rate_loss`, SpikingJelly temporal efficient training. Source: S. Deng et
    al., ICLR 2022.

    Args:
        y: logits at every step: spikes, or the membrane potentials of a readout such as `LI`.
        label: the right class.
        mask: the steps that count.

    Raises:
        ValueError: as for `count_cross_entropy`.
    """
    index = _index(label, _classes(y))
    right = y.at[:, index].get(mode="fill", fill_value=jnp.nan)
    return mean(jax.nn.logsumexp(y, axis=1) - right, mask)


@explained
def peak_mse(
    y: Float[Array, "time classes"],
    label: Int[Array, ""],
    *,
    window: int,
    on: float,
    off: float = 0.0,
    off_weight: float = 1.0,
    mask: Mask = None,
) -> Float[Array, ""]:
    """Square distance of the right class's peak from its level, and of the others from theirs.

    The peak is the mean over `window` steps, from the highest value of the right class on; where
    the sequence ends, the window begins again at that highest value. The loss is
    (peak - on)^2 + off_weight * mean((y_other - off)^2) over all steps and other classes. It is the
    `PeakLoss` of Rockpool, whose own level of the others is 0 whatever is asked for.

    Args:
        y: membrane potentials, or spikes.
        label: the right class.
        window: steps of the peak, 1 or more.
        on: level of the right class in its window.
        off: level of the other classes at every step.
        off_weight: weight of the other classes.
        mask: the steps that count: the first ones.

    Raises:
        ValueError: as for `count_cross_entropy`; or if `window` is below 1, or there is one class.
    """
    if window < 1:
        raise ValueError(f"`window` must be 1 step or more; got {window}")
    classes = _classes(y)
    if classes < 2:
        raise ValueError("`y` must have two classes or more; got one")
    index = _index(label, classes)
    own = y.at[:, index].get(mode="fill", fill_value=jnp.nan)
    steps = len(y) if mask is None else mask.sum()
    start = jnp.argmax(kept(own, mask, -jnp.inf))
    peak = own[start + jnp.arange(window) % (steps - start)].mean()
    others = jnp.where(jnp.arange(classes) == index, 0, jnp.square(y - off)).sum(1)
    return jnp.square(peak - on) + off_weight * mean(others, mask) / (classes - 1)


def _cross_entropy(logits: Float[Array, " classes"], label: Int[Array, ""]) -> Float[Array, ""]:
    if logits.ndim != 1:
        raise ValueError(
            "a loss takes one sequence, (time, classes); got a sum over time of the shape "
            f"{logits.shape}. `jax.vmap` gives the losses of a batch"
        )
    index = _index(label, len(logits))
    return jax.nn.logsumexp(logits) - logits.at[index].get(mode="fill", fill_value=jnp.nan)


def _classes(y: Float[Array, "time classes"]) -> int:
    """The number of classes.

    Raises:
        ValueError: if `y` is of more than one sequence.
    """
    if y.ndim != 2:
        raise ValueError(
            f"a loss takes one sequence, (time, classes); got the shape {y.shape}. `jax.vmap` "
            "gives the losses of a batch"
        )
    return y.shape[1]


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
