r"""Neurons trained by differentiation on spike representation (DSR), not through time.

Going forward they are ordinary neurons that emit at most one spike per step, of the height theta:

    IF    vmem <- vmem + x                            spike where vmem >= ratio*theta
    LIF   vmem <- decay*vmem + (1 - decay)*x          decay = exp(-dt/tau)
    both  vmem <- vmem - s                            s = theta where there is a spike, else 0
          output = s, and s/dt of a LIF

The backward pass replaces the sequence by its mean over time, weighted for a LIF by
w_t = exp(-(T - t)*dt/tau), t = 1 ... T. The mean of the output is a clipped linear function of the
mean r of the input; the gradient is the derivative of this function. With g_t the gradient of the
output, G = T * mean(g), gain = 1 and limit = theta for an IF, gain = 1/tau and limit = theta*tau/dt
for a LIF:

    dx_t   = gain * G/T     where 0 <= r <= limit (LIF: 0 < r < limit), the same for every t
    dtheta = scale * sum of G where r > limit     (LIF: times dt)

Only r is stored, so memory does not grow with time. T is the length of the input. tau and dt are in
one unit, theta, vmem and x in another.

Sources: Meng et al., arXiv 2205.00459, and their code; SpikingJelly, `DSRIFNode`, `DSRLIFNode`.
"""

import functools
import math
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import explained
from .._mesh import error_if, scan, varying_as
from .._typing import FloatArray
from ..passthrough import clip_passthrough

Bound: TypeAlias = Literal["clamp", "project"]
"""The gradient of a theta below its lower bound: none, or that at the bound."""


class DSRIF(NamedTuple):
    """Settings of an IF neuron.

    Attributes:
        ratio: fraction of theta at which the neuron fires.
        lower_bound: lower bound of theta.
        scale: factor on the gradient of theta.
        bound: "clamp" gives a theta below the bound no gradient, so that it stays there (as
            SpikingJelly does); "project" gives it the gradient at the bound, so that it can come
            back (as the authors' code does, which also sets theta to at least the bound after every
            update: `jnp.maximum(theta, lower_bound)` keeps it from drifting far below).
    """

    ratio: float = 0.5
    lower_bound: float = 0.01
    scale: float = 1.0
    bound: Bound = "clamp"


class DSRLIF(NamedTuple):
    """Settings of a LIF neuron: those of `DSRIF`, and three more.

    Attributes:
        tau: time constant of the membrane.
        dt: length of a step, in the unit of tau.
        exact_gain: gain = (1 - decay)/dt, the neuron's own, instead of its limit 1/tau for short
            steps; limit = theta/(dt*gain).
    """

    tau: float = 2.0
    dt: float = 0.05
    ratio: float = 0.3
    lower_bound: float = 0.1
    scale: float = 1.0
    bound: Bound = "clamp"
    exact_gain: bool = False


OFFICIAL_IF = DSRIF(bound="project")
"""The authors' IF of CIFAR-10; theta starts at 6."""

OFFICIAL_IF_IMAGENET = DSRIF(bound="project", scale=1e-3)
"""The authors' IF of ImageNet; theta starts at the largest activation of a trained ReLU network."""

OFFICIAL_LIF = DSRLIF(tau=1.0, lower_bound=5e-4, bound="project")
"""The authors' LIF of CIFAR-10; theta starts at 0.3."""


@explained
def dsr_if(x: FloatArray, theta: FloatArray, settings: DSRIF = DSRIF()) -> FloatArray:  # noqa: B008
    """An IF neuron over a whole sequence, from rest.

    Args:
        x: input, `(time, channels, ...)`.
        theta: threshold and height of a spike, one number or one per channel.
        settings: the rest.

    Returns:
        0 or theta for every neuron and step; shape and dtype of `x`.

    Raises:
        ValueError: if a shape does not fit, a setting is out of its range, or theta is NaN.
        TypeError: if `x` holds no floating-point numbers.
    """
    return run(x, theta, settings)[0]


@explained
def dsr_lif(x: FloatArray, theta: FloatArray, settings: DSRLIF = DSRLIF()) -> FloatArray:  # noqa: B008
    """A LIF neuron over a whole sequence, from rest.

    Args:
        x: input, `(time, channels, ...)`.
        theta: threshold, and height times dt of a spike, one number or one per channel.
        settings: the rest.

    Returns:
        0 or theta/dt for every neuron and step; shape and dtype of `x`.

    Raises:
        ValueError: if a shape does not fit, a setting is out of its range, or theta is NaN.
        TypeError: if `x` holds no floating-point numbers.
    """
    return run(x, theta, settings)[0]


@explained
def run(
    x: FloatArray,
    theta: FloatArray,
    settings: DSRIF | DSRLIF,
    vmem: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Either neuron over a whole sequence, from any state.

    Args:
        x: input, `(time, channels, ...)`.
        theta: one number or one per channel.
        settings: which neuron it is, and the rest.
        vmem: state before the first step, `(channels, ...)`; None is 0.

    Returns:
        The output, as `dsr_if` and `dsr_lif` give it, and vmem after the last step. The states
        neither pass a gradient nor get one.

    Raises:
        ValueError, TypeError: as `dsr_if` and `dsr_lif` do.
    """
    _check(x, theta, settings)
    start = jnp.zeros_like(x, shape=x.shape[1:]) if vmem is None else vmem
    start, bounded = varying_as((start, _bounded(theta, x, settings)), x)
    return _represent(rule_of(settings), x, bounded, start)


class Rule(NamedTuple):
    """The numbers in which an IF and a LIF differ."""

    ratio: float
    scale: float
    decay: float = 1.0
    input_gain: float = 1.0
    dt: float = 1.0
    gain: float = 1.0
    tau: float | None = None


@explained
def rule_of(settings: DSRIF | DSRLIF) -> Rule:
    """The numbers of a neuron with these settings."""
    if isinstance(settings, DSRIF):
        return Rule(settings.ratio, settings.scale)
    decay = math.exp(-settings.dt / settings.tau)
    gain = (1 - decay) / settings.dt if settings.exact_gain else 1 / settings.tau
    return Rule(settings.ratio, settings.scale, decay, 1 - decay, settings.dt, gain, settings.tau)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _represent(
    rule: Rule, x: FloatArray, theta: FloatArray, start: FloatArray
) -> tuple[FloatArray, FloatArray]:
    def step(vmem: FloatArray, x_t: FloatArray) -> tuple[FloatArray, FloatArray]:
        vmem = rule.decay * vmem + rule.input_gain * x_t
        s = jnp.where(vmem >= rule.ratio * theta, theta, 0 * theta)  # NaN stays NaN
        return vmem - s, s / rule.dt

    after, spikes = scan(step, start, x)
    return spikes, after


def _represent_fwd(
    rule: Rule, x: FloatArray, theta: FloatArray, start: FloatArray
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    return _represent(rule, x, theta, start), (_mean_over_time(rule, x), theta)


def _represent_bwd(
    rule: Rule, kept: tuple[FloatArray, FloatArray], gradients: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    (r, theta), (g, _) = kept, gradients
    mean = _mean_over_time(rule, g)
    limit = theta * (1 / (rule.dt * rule.gain))
    linear = (r >= 0) & (r <= limit) if rule.tau is None else (r > 0) & (r < limit)
    dx = jnp.broadcast_to(jnp.where(linear, rule.gain * mean, 0), g.shape)
    each = jnp.where(r > limit, rule.scale * rule.dt * len(g) * mean, 0)
    # theta is shared by neurons; its gradient is summed over them.
    (dtheta,) = jax.linear_transpose(lambda t: jnp.broadcast_to(t, r.shape), theta)(each)
    return dx, dtheta, jnp.zeros_like(r)


_represent.defvjp(_represent_fwd, _represent_bwd)


def _mean_over_time(rule: Rule, x: FloatArray) -> FloatArray:
    """The mean, weighted for a LIF, of the dtype of `x` but summed in at least float32."""
    steps = len(x)
    weights = np.ones(steps)
    if rule.tau is not None:
        weights = np.exp(-rule.dt / rule.tau * np.arange(steps - 1, -1, -1))
    weights = (weights / weights.sum()).reshape(-1, *(1,) * (x.ndim - 1))
    wide = x.astype(max(x.dtype, jnp.dtype(jnp.float32), key=lambda dtype: dtype.itemsize))
    return (wide * jnp.asarray(weights, wide.dtype)).sum(0).astype(x.dtype)


def _bounded(theta: FloatArray, x: FloatArray, settings: DSRIF | DSRLIF) -> FloatArray:
    """theta, at least its lower bound, of the dtype of `x` and in the shape of its channels."""
    theta = jnp.asarray(theta)
    if isinstance(theta, jax.core.Tracer):
        # With a NaN, all neurons would only fall silent.
        theta = error_if(theta, jnp.isnan(theta).any(), _NAN)
    low = jnp.asarray(settings.lower_bound, theta.dtype)
    if settings.bound == "project":
        theta = clip_passthrough(theta, low, jnp.full_like(low, jnp.inf))
    else:
        theta = jnp.where(theta < low, low, theta)
    return theta.reshape(theta.shape + (1,) * (x.ndim - 2) * theta.ndim).astype(x.dtype)


_NAN = "`theta`, the threshold of DSR neurons, must not be NaN"


def _check(x: FloatArray, theta: FloatArray, settings: DSRIF | DSRLIF) -> None:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"`x` must hold floating-point numbers; got {x.dtype}")
    if x.ndim < 2:
        raise ValueError(f"`x` must have the shape (time, channels, ...); got {x.shape}")
    if jnp.shape(theta) not in ((), x.shape[1:2]):
        raise ValueError(
            f"`theta` must be one number or one for each of the {x.shape[1]} channels; "
            f"got the shape {jnp.shape(theta)}"
        )
    if not isinstance(theta, jax.core.Tracer) and np.isnan(np.asarray(theta)).any():
        raise ValueError(f"{_NAN}; got {theta!r}")
    for name in {"tau", "dt", "lower_bound"} & set(settings._fields):
        if not getattr(settings, name) > 0:
            raise ValueError(f"`{name}` must be above 0; got {getattr(settings, name)!r}")
    if not 0 < settings.ratio <= 1:
        raise ValueError(f"`ratio` must be above 0 and at most 1; got {settings.ratio!r}")
    if settings.bound not in ("clamp", "project"):
        raise ValueError(f"`bound` must be 'clamp' or 'project'; got {settings.bound!r}")
