"""Losses against a sequence: of labels, or of spikes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from ..._checks import explained
from ..._mesh import varying_as
from ._over_time import Mask, kept


@explained
def ctc(
    y: Float[Array, "time classes"],
    labels: Int[Array, " n"],
    *,
    blank: int = 0,
    mask: Mask = None,
    label_mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    """Negative log-likelihood of a sequence of labels, with no word on when each is said.

    Connectionist temporal classification, by `optax.ctc_loss`. Source: A. Graves et al., ICML 2006.

    Args:
        y: logits at every step, such as the membrane potentials of a readout.
        labels: the labels in their order, without blanks; all but the class `blank`.
        blank: the class that stands for no label.
        mask: the steps that count.
        label_mask: the labels that count, at the start of `labels`; None for all.

    Raises:
        ValueError: if `y` is not (time, classes), `labels` are no whole numbers, or `blank` is no
            class; or, where their values are known, if a label is no class or blank.
    """
    if y.ndim != 2 or jnp.ndim(labels) != 1 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            "`y` must be (time, classes) and `labels` whole numbers (n,); got the shapes "
            f"{y.shape} and {jnp.shape(labels)}, and labels of {labels.dtype}"
        )
    if not 0 <= blank < y.shape[1]:
        raise ValueError(f"`blank` must be from 0 to {y.shape[1] - 1}; got {blank}")
    said = jnp.ones(len(labels), bool) if label_mask is None else label_mask
    if not any(isinstance(x, jax.core.Tracer) for x in (labels, said)):
        found = np.asarray(labels)[np.asarray(said)]
        bad = found[(found < 0) | (found >= y.shape[1]) | (found == blank)]
        if bad.size:
            raise ValueError(
                f"`labels` must be from 0 to {y.shape[1] - 1}, and not the blank, {blank}; "
                f"got {bad[0]}"
            )
    logits = kept(y, mask, 0.0)[None]
    steps = jnp.ones(len(y), bool) if mask is None else mask
    absent = [jnp.asarray(~each, y.dtype)[None] for each in (steps, said)]
    # The first state of optax's loop is made of this number, and varies over devices as it does.
    impossible = varying_as(jnp.asarray(-1e5), y)
    return optax.ctc_loss(
        logits, absent[0], labels[None], absent[1], blank_id=blank, log_epsilon=impossible
    )[0]


@explained
def van_rossum(
    spikes: Float[Array, "time *neurons"],
    target: Float[Array, "time *neurons"],
    *,
    tau: float,
    dt: float,
    mask: Mask = None,
) -> Float[Array, "*neurons"]:
    r"""Square of the van Rossum distance of each neuron's spikes from those that are wanted.

    D^2 = 1/tau * the integral over time of (f - g)^2, f and g being the spikes as sums of
    exp(-(t - t_i)/tau) from each spike on. The integral is exact and goes on after the last step:
    one spike too many costs 1/2, and so does one too few; one that is late by d costs
    1 - exp(-d/tau). The gradient says of every step what a spike there would change.

    Elephant's `van_rossum_distance` is sqrt(2 D^2). Source: M. C. W. van Rossum, Neural
    Computation 13, 2001.

    Args:
        spikes: the network's spikes.
        target: those that are wanted.
        tau: time constant of the kernel, in seconds: short for the time of each spike, long for
            their number.
        dt: length of a step, in seconds.
        mask: the steps that count.

    Raises:
        ValueError: if the two have different shapes, or `tau` or `dt` is not above 0.

    >>> import jax.numpy as jnp
    >>> from snnjax.train.losses import van_rossum
    >>> early, late = jnp.eye(50)[10], jnp.eye(50)[12]
    >>> print(f"{van_rossum(early, late, tau=10e-3, dt=1e-3):.3f}")  # 1 - exp(-0.2)
    0.181
    """
    if spikes.shape != target.shape:
        raise ValueError(
            "`spikes` and `target` must have one shape, (time, *neurons); got "
            f"{spikes.shape} and {target.shape}"
        )
    for name, value in (("tau", tau), ("dt", dt)):
        if not value > 0:
            raise ValueError(f"`{name}` must be above 0; got {value!r}")
    alpha = jnp.exp(jnp.asarray(-dt / tau, spikes.dtype))
    lost = -jnp.expm1(jnp.asarray(-2 * dt / tau, spikes.dtype))  # share of f^2 that a step takes
    # A step that does not count has no spikes, and only lets the traces decay.
    change = kept(spikes - target.astype(spikes.dtype), mask, 0.0)

    def step(before, given):  # type: ignore[no-untyped-def]
        after = alpha * before + given
        return after, jnp.square(after)

    last, squares = jax.lax.scan(step, jnp.zeros_like(change[0]), change)
    return (lost * squares.sum(0) + jnp.square(alpha * last)) / 2
