"""The loop over time on a GPU, beside `lax.scan`, SpikingJelly and a copy of the input.

A copy reads and writes as many bytes as the loop's forward pass must. Forward and backward must
read or write five such arrays where a copy has two: 2.5 copies. Layers are without a product, of a
batch; "lax.scan" is the same neuron in a bare `jax.lax.scan`, differentiated by jax alone.
SpikingJelly is measured where it is installed, with the kernel that it chooses itself: from version
2.0 on its own, compiled from CUDA, if there is one, or else that in Triton.
"""

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from snnjax.neurons import leaky, lif
from snnjax.nn import LIF, Leaky, Neuron

from .harness import Call, Settings, compare, main, report

SIZES = (
    (100, 256, 16),
    (500, 256, 16),
    (100, 1024, 16),
    (500, 1024, 16),
    (100, 1024, 256),
    (500, 1024, 256),
)
"""Time steps, neurons, sequences."""

ALPHA = 0.9


def run(settings: Settings) -> Path:
    sizes = ((10, 8, 2),) if settings.quick else SIZES
    groups = {}
    for steps, neurons, batch in sizes:
        x = jax.random.normal(jax.random.key(0), (batch, steps, neurons))
        for direction, gradients in (("forward", False), ("forward and backward", True)):
            calls: dict[str, Any] = {"copy": (lambda x: x + 1, (x,))}
            for name, layer in {"Leaky": Leaky(neurons, ALPHA), "LIF": LIF(neurons)}.items():
                calls[name] = _call(layer, lambda layer, x: layer(x)[0], x, gradients)
                calls[f"{name}, lax.scan"] = _call(layer, _scanned, x, gradients)
            calls |= _spikingjelly(steps, neurons, batch, gradients)
            title = f"T={steps}, N={neurons}, batch {batch}: {direction}"
            if settings.only in title:
                groups[title] = compare(calls, settings)
    return report("gpu_loop", groups, settings)


def _call(layer: Neuron, run: Callable[..., Any], x: jax.Array, gradients: bool) -> Call:
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    def of_batch(arrays: Any, x: jax.Array) -> jax.Array:
        return jax.vmap(functools.partial(run, eqx.combine(arrays, static)))(x)

    def both(arrays: Any, x: jax.Array) -> Any:
        y, pull = jax.vjp(of_batch, arrays, x)
        return y, pull(jnp.ones_like(y))

    return both if gradients else of_batch, (arrays, x)


def _scanned(layer: Any, x: jax.Array) -> jax.Array:
    """The layer without the derivatives that `snnjax.scan` makes for it."""
    if isinstance(layer, LIF):
        params: Any = lif.LIFParams(*layer.alphas(), layer.threshold, layer.bias)
        x, step = x[..., None], lif.step
    else:
        params = leaky.LeakyParams(layer.alpha_mem, layer.threshold)
        step = leaky.step
    body = functools.partial(step, params, fire=layer.settings)
    return jax.lax.scan(body, layer.initial_state(), x)[1]


def _spikingjelly(steps: int, neurons: int, batch: int, gradients: bool) -> dict[str, Any]:
    if not importlib.util.find_spec("spikingjelly"):
        return {}
    import torch
    from spikingjelly.activation_based import neuron, surrogate

    device = "cuda" if torch.cuda.is_available() else "cpu"
    x = torch.randn(steps, batch, neurons, device=device, requires_grad=gradients)
    layer = neuron.LIFNode(
        tau=1 / (1 - ALPHA),
        decay_input=False,
        surrogate_function=surrogate.ATan(),
        step_mode="m",
    ).to(device)
    return {"SpikingJelly": functools.partial(_step, torch, layer, x, gradients)}


def _step(torch: Any, layer: Any, x: Any, gradients: bool) -> None:
    layer.reset()
    x.grad = None
    with torch.set_grad_enabled(gradients):
        y = layer(x)
    if gradients:
        y.backward(torch.ones_like(y))
    if x.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(run)
