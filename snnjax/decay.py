"""Time constants (tau), decay factors (alpha) and bit shifts (dash), converted into each other.

In a step of length dt, a state with the time constant tau decays to the fraction alpha of itself.
Digital chips compute this decay as a bit shift by dash bits, `x <- x - (x >> dash)`, which leaves
the fraction 1 - 2^-dash.

    alpha = exp(-dt/tau)        dash = -log2(1 - alpha)
    alpha = 1 - 2^-dash         tau  = -dt/ln(1 - 2^-dash)

tau and dt are in seconds; alpha and dash have no unit. Every function works element by element on
arrays of any shape, is differentiable, and is compiled. Source: Rockpool's LIF modules. Rockpool's
mapper for Xylo uses dash = log2(tau/dt) instead. For tau < dt*sqrt(2) that rounds to a shift of 0
bits, which clears the state at every step.

>>> from snnjax import decay
>>> alpha = decay.tau_to_alpha(20e-3, dt=1e-3)
>>> dash = decay.alpha_to_dash(alpha)
>>> print(f"{alpha:.3f} {dash:.3f} {decay.nearest_dash(dash)}")
0.951 4.358 4
>>> print(f"{decay.dash_to_tau(4, dt=1e-3):.5f}")  # the time constant on the chip, in seconds
0.01549
"""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from ._checks import explained
from ._typing import FloatArray

_LN2 = math.log(2)

_HALFWAY = 0.4150374992788438
"""log2(4/3): at dash = n + log2(4/3), 1 - 2^-dash is halfway between its values at n and n + 1."""


def _floats(x: ArrayLike) -> FloatArray:
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(float)


@explained
@jax.jit
def tau_to_alpha(tau: ArrayLike, dt: float) -> FloatArray:
    """alpha = exp(-dt/tau)."""
    return jnp.exp(-dt / _floats(tau))


@explained
@jax.jit
def alpha_to_tau(alpha: ArrayLike, dt: float) -> FloatArray:
    """tau = -dt/ln(alpha), in seconds; infinite for alpha = 1."""
    alpha = _floats(alpha)
    return jnp.where(alpha == 1, jnp.inf, -dt / jnp.log(alpha))


@explained
@jax.jit
def alpha_to_dash(alpha: ArrayLike) -> FloatArray:
    """dash = -log2(1 - alpha)."""
    return -jnp.log1p(-_floats(alpha)) / _LN2


@explained
@jax.jit
def dash_to_alpha(dash: ArrayLike) -> FloatArray:
    """alpha = 1 - 2^-dash."""
    return 1 - jnp.exp2(-jnp.asarray(dash, float))


@explained
@jax.jit
def tau_to_dash(tau: ArrayLike, dt: float) -> FloatArray:
    """dash = -log2(1 - exp(-dt/tau)), more precise than by way of alpha."""
    return -jax.nn.log1mexp(dt / _floats(tau)) / _LN2


@explained
@jax.jit
def dash_to_tau(dash: ArrayLike, dt: float) -> FloatArray:
    """tau = -dt/ln(1 - 2^-dash), in seconds."""
    return -dt / jax.nn.log1mexp(_LN2 * jnp.asarray(dash, float))


@explained
@jax.jit
def nearest_dash(dash: ArrayLike, max_dash: int = 15, min_dash: int = 1) -> Int[Array, "..."]:
    """Round `dash` to the integer n whose decay factor 1 - 2^-n is nearest.

    Args:
        dash: dashes, not necessarily whole.
        max_dash: the largest dash of the chip.
        min_dash: the smallest useful dash. A shift by 0 bits clears the state at every step: a
            synaptic current vanishes before it reaches the membrane, and the neuron is silent.

    Returns:
        int32 in [min_dash, max_dash]; `min_dash` for NaN.
    """
    nearest = jnp.nan_to_num(jnp.ceil(jnp.asarray(dash, float) - _HALFWAY), nan=min_dash)
    return jnp.clip(nearest, min_dash, max_dash).astype(jnp.int32)
