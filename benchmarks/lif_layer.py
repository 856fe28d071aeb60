"""The time of one layer, Linear and neurons, beside a loop by hand.

The reference is `_reference.reference`: the product and leaky neurons without trained decays, time
first, with a backward pass written out. All get the same arrays, with the batch after the time.
Forward and backward is the output and the gradients with respect to the input and to every
parameter. "product alone" is x @ weight.T of the whole batch, "lax.scan" the kernel of LIF in a
bare `jax.lax.scan`, differentiated by jax alone, and "Linear" the layer without neurons.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from snnjax.neurons import lif, recurrent
from snnjax.nn import LIF, Leaky, Sequential

from ._reference import ALPHA, reference
from .harness import Call, Settings, compare, main, report

SIZES: tuple[tuple[int, int], ...] = ((100, 256), (500, 256), (100, 1024), (500, 1024))
"""Time steps and neurons, of which there are as many inputs."""

LAYERS: dict[str, dict[str, Any]] = {
    "LIF": {},
    "LIF, 2 synapses": {"synapses": 2},
    "LIF, recurrent": {"recurrent": True},
}


def run(settings: Settings) -> Path:
    sizes, batch, layers = SIZES, 16, LAYERS
    if settings.quick:
        sizes, batch, layers = ((10, 8),), 2, {"LIF, recurrent": {"recurrent": True}}
    groups = {}
    for steps, neurons in sizes:
        for label, options in layers.items():
            forward = _calls(steps, batch, neurons, options)
            title = f"{label}, T={steps}, N={neurons}, batch {batch}"
            groups[f"{title}: forward"] = compare(forward, settings)
            both = {name: _with_gradients(*call) for name, call in forward.items()}
            groups[f"{title}: forward and backward"] = compare(both, settings)
    return report("lif_layer", groups, settings)


def _calls(steps: int, batch: int, neurons: int, options: dict[str, Any]) -> dict[str, Call]:
    key = jax.random.key(0)
    linear = eqx.nn.Linear(neurons, neurons * options.get("synapses", 1), use_bias=False, key=key)
    network = Sequential(linear, LIF(neurons, key=key, **options))
    x = jax.random.bernoulli(key, 0.1, (steps, batch, neurons)).astype(float)
    arrays, static = eqx.partition(network, eqx.is_inexact_array)

    def of_batch(function: Callable[..., Any]) -> Call:
        def call(arrays: Any, x: jax.Array) -> jax.Array:
            return jax.vmap(functools.partial(function, eqx.combine(arrays, static)), 1, 1)(x)

        return call, (arrays, x)

    neuron = Leaky(linear.out_features, ALPHA)
    return {
        "reference": (reference, (linear.weight, x)),
        "product alone": (lambda weight, x: x @ weight.T, (linear.weight, x)),
        "Linear": of_batch(lambda network, x: Sequential(network.layers[0])(x)[0]),
        "Linear + lax.scan": of_batch(_scanned),
        "Linear + LIF": of_batch(lambda network, x: network(x)[0]),
        "Linear + Leaky": of_batch(lambda network, x: Sequential(network.layers[0], neuron)(x)[0]),
    }


def _scanned(network: Sequential, x: jax.Array) -> jax.Array:
    """The network without the derivatives that `snnjax.scan` makes for it."""
    linear, layer = network.layers
    params = lif.LIFParams(*layer.alphas(), layer.threshold, layer.bias)

    def step(state: lif.LIFState, x: jax.Array) -> tuple[lif.LIFState, jax.Array]:
        return lif.step(params, state, x, fire=layer.settings)

    def connect(y: jax.Array) -> jax.Array:
        return recurrent.fed_back(layer.w_rec, y, current.shape[1:])

    current = jax.vmap(linear)(x).reshape(len(x), *layer.shape, layer.synapses)
    body = step if layer.w_rec is None else functools.partial(recurrent.step, step, connect)
    return jax.lax.scan(body, layer.initial_state(), current)[1]


def _with_gradients(function: Callable[..., Any], args: tuple[Any, ...]) -> Call:
    shape = jax.eval_shape(function, *args).shape
    cotangent = jax.random.normal(jax.random.key(1), shape)

    def both(cotangent: jax.Array, *args: Any) -> Any:
        y, pull = jax.vjp(function, *args)
        return y, pull(cotangent)

    return both, (cotangent, *args)


if __name__ == "__main__":
    main(run)
