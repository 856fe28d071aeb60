"""What rounding a state to 2^bits levels costs.

The reference is `jnp.round` of the same array. "Compared with every level" is what snnTorch does:
each number against each level (in torch through an array of as many times the size; XLA fuses it).
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from snnjax.quant import StateQuant, state_levels

from .harness import Settings, compare, main, report

SIZE = 131_072
BITS = (4, 8)


def run(settings: Settings) -> Path:
    size, bits = (1_000, (4,)) if settings.quick else (SIZE, BITS)
    x = jax.random.normal(jax.random.key(0), (size,))
    groups = {}
    for b in bits:
        calls = {
            "jnp.round": (jnp.round, (x,)),
            "uniform": (StateQuant(b, threshold=1.0), (x,)),
            "uniform, tied to the threshold": (_tied(StateQuant(b)), (x, jnp.ones(size))),
            "crowded around the threshold": (StateQuant(b, False, threshold=1.0), (x,)),
            "crowded around zero": (StateQuant(b, False, False, threshold=1.0), (x,)),
            "compared with every level": (_compared, (x, state_levels(b))),
        }
        groups[f"{b} bits, {size:,} values"] = compare(calls, settings)
    return report("state_quant", groups, settings)


def _tied(transform: StateQuant) -> Callable[..., jax.Array]:
    return lambda x, threshold: transform(x, threshold=threshold)


def _compared(x: jax.Array, levels: jax.Array) -> jax.Array:
    return levels[jnp.argmin(jnp.abs(x[:, None] - levels), axis=1)]


if __name__ == "__main__":
    main(run)
