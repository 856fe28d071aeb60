"""Arrays of the calls."""

import jax
import jax.numpy as jnp

KEY = jax.random.key(0)
X = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3)
COUNTS = jnp.ones((4, 3))
