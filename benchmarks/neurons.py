"""What one layer of each neuron model costs, forward and backward, here and in other libraries.

Every group is one kind of model; the reference is our layer, compiled, and the first of ours if
there are several. The other libraries (SpikingJelly, snnTorch, sinabs, Norse) are run by PyTorch as
their documentation shows it, not compiled, in the same process and in turns with ours. Both jax and
PyTorch use all cores that the process may use, and steps this small are mostly overhead to PyTorch,
the more so on a busy machine: look at the load before you run it. A kind of model is not one
equation: resets, spike functions and what is multiplied with what differ, each library's own
defaults being taken.

Backward is the gradient of the input, and also that of the parameters where the group says that
something is learned. The input has no product with weights before it.

    pip install "snnjax[peers]"
    python -m benchmarks.neurons
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnjax import ALIF, DSRIF, DSRLIF, IAF, LI, LIF, PLIF, CubaLIF, Leaky, LIFEuler, Synaptic
from snnjax.nn import Layer
from snnjax.params import trainable

from . import _peers
from .harness import Call, Settings, compare, main, report

_ALPHA = float(np.exp(-1 / 20))


class Group(NamedTuple):
    """Layers of one kind of model.

    Attributes:
        layers: label -> (number of neurons, key) -> layer.
        learned: what is learned, as the title says it; the gradients of the parameters are taken.
    """

    layers: dict[str, Callable[[int, jax.Array], Layer]]
    learned: str = ""


GROUPS: dict[str, Group] = {
    "LIF with a synapse": Group(
        {
            "LIF": lambda n, key: LIF(n),
            "Synaptic": lambda n, key: Synaptic(n, _ALPHA, _ALPHA),
            "CubaLIF": lambda n, key: CubaLIF(n),
        }
    ),
    "LIF": Group(
        {
            "Leaky": lambda n, key: Leaky(n, _ALPHA),
            "LIFEuler": lambda n, key: LIFEuler(n),
        }
    ),
    "LIF, recurrent": Group(
        {
            "Leaky": lambda n, key: Leaky(n, _ALPHA, recurrent=True, key=key),
            "LIF": lambda n, key: LIF(
                n, recurrent=True, frozen=("tau_mem", "tau_syn", "threshold", "bias"), key=key
            ),
        },
        "recurrent weights",
    ),
    "LIF, leak learned": Group({"PLIF": lambda n, key: PLIF(n)}, "leak"),
    "LIF, threshold adapts": Group({"ALIF": lambda n, key: ALIF(n, max_spikes=1)}),
    "IAF": Group(
        {
            "IAF": lambda n, key: IAF(n),
            "IAF, parallel": lambda n, key: IAF(n, parallel=True),
        }
    ),
    "leaky integrator": Group({"LI": lambda n, key: LI(n)}),
    "DSR IF": Group({"DSRIF": lambda n, key: DSRIF(n, threshold=1.0)}, "threshold"),
    "DSR LIF": Group({"DSRLIF": lambda n, key: DSRLIF(n)}, "threshold"),
}


def run(settings: Settings) -> Path:
    steps, batch, neurons = (100, 16, 256) if not settings.quick else (4, 2, 3)
    names = list(GROUPS) if not settings.quick else ["LIF", "DSR IF"]
    rng = np.random.default_rng(0)
    x, cotangent = (
        rng.poisson(0.3, (steps, batch, neurons)).astype(np.float32),
        rng.standard_normal((steps, batch, neurons)).astype(np.float32),
    )
    groups = {}
    for name in names:
        group = GROUPS[name]
        calls: dict[str, Call | Callable[[], Any]] = {
            f"snnjax: {label}": _both(make(neurons, jax.random.key(0)), x, cotangent, group.learned)
            for label, make in group.layers.items()
        }
        calls |= _peers.calls(name, x, cotangent, learned=bool(group.learned))
        of = f", gradients of input and {group.learned}" if group.learned else ""
        title = f"{name}, T={steps}, N={neurons}, batch {batch}{of}"
        groups[title] = compare(calls, settings)
    path = report("neurons", groups, settings)
    if absent := _peers.missing():
        print(f'\nleft out: {", ".join(absent)}; they come with pip install "snnjax[peers]"')
    return path


def _both(layer: Layer, x: np.ndarray, cotangent: np.ndarray, learned: str) -> Call:
    trained, held = eqx.partition(layer, trainable(layer) if learned else lambda leaf: False)

    def both(trained: Any, x: jax.Array, cotangent: jax.Array) -> Any:
        def forward(trained: Any, x: jax.Array) -> jax.Array:
            network = eqx.combine(trained, held)
            return jax.vmap(lambda x: network(x)[0], in_axes=1, out_axes=1)(x)

        y, pull = jax.vjp(forward, trained, x)
        return y, pull(cotangent)

    return both, (trained, jnp.asarray(x), jnp.asarray(cotangent))


if __name__ == "__main__":
    main(run)
