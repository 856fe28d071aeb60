r"""The three ways to write the decay of a state, and the only copy of the formulas between them.

A state that decays with the time constant tau keeps the factor alpha of itself at every step of
length dt. Digital chips compute that decay by a bit shift of d bits, called dash:
x <- x - (x >> d), which keeps the factor 1 - 2^-d.

    alpha = exp(-dt/tau)        dash = -log2(1 - alpha)
    alpha = 1 - 2^-dash         tau  = -dt/ln(1 - 2^-dash)

tau and dt are in seconds; alpha and dash have no unit. All functions work element by element on
arrays of any shape and are differentiable; each is compiled, so that outside of jit it is one call.
Source: Rockpool's LIF modules. Its Xylo mapper takes
log2(tau/dt) for the dash instead, which rounds to 0, a decay that wipes the state out, for any tau
below dt*sqrt(2).
"""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from ._typing import FloatArray

_LN2 = math.log(2)

_HALFWAY = 0.4150374992788438
"""log2(4/3): the fraction of a dash at which 1-2^-dash lies halfway between its two neighbours."""


@jax.jit
def tau_to_alpha(tau: ArrayLike, dt: float) -> FloatArray:
    """alpha = exp(-dt/tau)."""
    return jnp.exp(-dt / jnp.asarray(tau))


@jax.jit
def alpha_to_tau(alpha: ArrayLike, dt: float) -> FloatArray:
    """tau = -dt/ln(alpha), in seconds; infinite where nothing decays."""
    alpha = jnp.asarray(alpha)
    return jnp.where(alpha == 1, jnp.inf, -dt / jnp.log(alpha))


@jax.jit
def alpha_to_dash(alpha: ArrayLike) -> FloatArray:
    """dash = -log2(1 - alpha)."""
    return -jnp.log1p(-jnp.asarray(alpha)) / _LN2


@jax.jit
def dash_to_alpha(dash: ArrayLike) -> FloatArray:
    """alpha = 1 - 2^-dash."""
    return 1 - jnp.exp2(-jnp.asarray(dash, float))


@jax.jit
def tau_to_dash(tau: ArrayLike, dt: float) -> FloatArray:
    """dash = -log2(1 - exp(-dt/tau)), without the loss of digits that going through alpha has."""
    return -jax.nn.log1mexp(dt / jnp.asarray(tau)) / _LN2


@jax.jit
def dash_to_tau(dash: ArrayLike, dt: float) -> FloatArray:
    """tau = -dt/ln(1 - 2^-dash), in seconds."""
    return -dt / jax.nn.log1mexp(_LN2 * jnp.asarray(dash, float))


@jax.jit
def nearest_dash(dash: ArrayLike, max_dash: int = 15, min_dash: int = 1) -> Int[Array, "..."]:
    """The whole dash whose decay 1-2^-d is nearest to that of `dash`.

    Args:
        dash: a dash that need not be whole, as the functions above give it.
        max_dash: the largest that the chip holds.
        min_dash: the smallest that is useful. A shift by 0 bits clears the state at every step: a
            synaptic current is then gone before the membrane sees it, and the neuron is silent.

    Returns:
        int32, within [min_dash, max_dash]; `min_dash` for NaN.
    """
    nearest = jnp.nan_to_num(jnp.ceil(jnp.asarray(dash, float) - _HALFWAY), nan=min_dash)
    return jnp.clip(nearest, min_dash, max_dash).astype(jnp.int32)
