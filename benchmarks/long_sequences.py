"""Memory and time of a training step against the length of the sequence.

The reference is the gradient of a network of three layers of neurons over the shortest sequence, at
once. The others are longer sequences, at once and in pieces by `run_chunked`, which keeps the
states between pieces and runs each anew on the way back. A ratio of times is that of whole
sequences, so that of a step is that divided by that of the lengths, which is printed.
"""

from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax

from snnjax.nn import LIF, Sequential, run_chunked

from .harness import Call, Settings, compare, main, report

STEPS: tuple[int, ...] = (500, 2000, 4000)


def run(settings: Settings) -> Path:
    lengths, batch, neurons = ((4, 8), 2, 4) if settings.quick else (STEPS, 16, 256)
    calls = {
        f"T={steps}, {how}": gradient(steps, batch, neurons, whole=how == "at once")
        for steps in lengths
        for how in ("at once", "in pieces")
    }
    found = compare(calls, settings)
    path = report("long_sequences", {f"{neurons} neurons, batch {batch}": found}, settings)
    print("\nlong_sequences: memory, and time of one step in times of the first row's")
    for name, measured in found.items():
        longer = int(name[2 : name.index(",")]) / lengths[0]
        memory = "?" if measured.temp_bytes is None else f"{measured.temp_bytes / 2**20:.0f} MiB"
        print(f"  {name:20} {memory:>8} {measured.ratio / longer:6.2f}")
    return path


def gradient(steps: int, batch: int, neurons: int, *, whole: bool) -> Call:
    """The gradient of a loss of all spikes by every parameter, and its arguments."""
    keys = jax.random.split(jax.random.key(0), 4)
    sizes = ((neurons // 4, neurons), (neurons, neurons), (neurons, 10))
    layers = []
    for (inputs, outputs), key in zip(sizes, keys[:3], strict=True):
        layers += [eqx.nn.Linear(inputs, outputs, use_bias=False, key=key), LIF(outputs, key=key)]
    network = Sequential(*layers)
    arrays, static = eqx.partition(network, eqx.is_inexact_array)
    x = jax.random.bernoulli(keys[3], 0.1, (batch, steps, neurons // 4)).astype(float)

    def loss(arrays: Sequential, x: jax.Array) -> jax.Array:
        model = eqx.combine(arrays, static)
        of_one: Callable[[jax.Array], jax.Array] = (
            (lambda x: model(x)[0]) if whole else (lambda x: run_chunked(model, x)[0])
        )
        return (jax.vmap(of_one)(x) ** 2).sum()

    return jax.grad(loss), (arrays, x)


if __name__ == "__main__":
    main(run)
