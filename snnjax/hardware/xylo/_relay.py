"""Aliases: neurons that repeat the spikes of others, worked out for all neurons at once.

The chip visits the neurons in ascending order. Each starts with the spikes that it was handed so
far in this step, adds its own, and hands the sum to its alias, which holds 31 at most. So spikes
run along a chain of aliases within a step as long as it ascends. A neuron that was visited
before emits what it is handed too, but hands it on to nobody.

All of this is sums of numbers of at least 0, cut at 31. For such, min(31, min(31, a) + b) =
min(31, a + b), so one cut at the end will do, and what a neuron is handed is a matrix product.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


def relay(aliases: Int[Array, " neurons"]) -> Float[Array, "neurons 2*neurons"]:
    """How often a spike of each neuron (row) is handed to each neuron (column).

    The first half of the columns is what a neuron is handed before it is visited, the second half
    what it is handed from then on.

    Args:
        aliases: for each neuron the one that repeats its spikes, -1 for none.
    """
    n = len(aliases)
    source = jnp.arange(n, dtype=jnp.int32)
    # The index n stands for nobody: reading there gives n, writing there does nothing.
    later = jnp.where(aliases > source, aliases, n)
    earlier = jnp.where((aliases >= 0) & (aliases <= source), aliases, n)

    def pass_on(carry):  # type: ignore[no-untyped-def]
        holder, before, after = carry
        visited = earlier.at[holder].get(mode="fill", fill_value=n)
        after = after.at[source, visited].add(1, mode="drop")
        holder = later.at[holder].get(mode="fill", fill_value=n)
        before = before.at[source, holder].add(1, mode="drop")
        return holder, before, after

    nothing = jnp.zeros((n, n), jnp.float32)
    _, before, after = lax.while_loop(
        lambda carry: jnp.any(carry[0] < n), pass_on, (source, nothing, nothing)
    )
    return jnp.concatenate([before, after], axis=1)
