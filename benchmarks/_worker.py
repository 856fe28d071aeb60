"""One layer of one library, Linear and LIF, timed on demand: a process of its own for `peers`.

It runs in the library's own environment, so only snnjax's own layers import snnjax. It says the
version of the library, or null where there is none. A line on its input is a list in JSON:
"forward" or "both", time steps, neurons, batch, seed, threads (of PyTorch) and number of calls. The
answer is the seconds that a call took.

    python -m benchmarks._worker LIBRARY
"""

import importlib
import importlib.metadata
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

TAU = 20.0
DECAY = math.exp(-1 / TAU)

Work = Callable[[], Any]
Layer = Callable[[np.ndarray, np.ndarray, np.ndarray, bool], Work]
"""(weight, input (time, batch, neurons), gradient of the output, backward too) -> a call of it."""


def _of_torch(make: Callable[[Any], Callable[[Any], Any]]) -> Layer:
    def layer(weight: np.ndarray, x: np.ndarray, cotangent: np.ndarray, both: bool) -> Work:
        import torch

        linear = torch.nn.Linear(*weight.shape, bias=False)
        linear.weight.data = torch.tensor(weight)
        run = make(linear)
        inputs, g = torch.tensor(x, requires_grad=True), torch.tensor(cotangent)

        def forward() -> Any:
            with torch.no_grad():
                return run(inputs)

        learned = [inputs, linear.weight]
        return (lambda: torch.autograd.grad(run(inputs), learned, g)) if both else forward

    return layer


def _spikingjelly(linear: Any) -> Callable[[Any], Any]:
    from spikingjelly.activation_based import functional, neuron

    node = neuron.LIFNode(tau=TAU, decay_input=False, step_mode="m")

    def run(x: Any) -> Any:
        functional.reset_net(node)
        return node(linear(x))

    return run


def _snntorch(linear: Any) -> Callable[[Any], Any]:
    import snntorch
    import torch

    node = snntorch.Leaky(beta=DECAY)

    def run(x: Any) -> Any:
        vmem, spikes = node.reset_mem(), []
        for current in linear(x):
            spike, vmem = node(current, vmem)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


def _sinabs(linear: Any) -> Callable[[Any], Any]:
    from sinabs import layers

    node = layers.LIF(TAU, norm_input=False)

    def run(x: Any) -> Any:
        node.reset_states()
        return node(linear(x).transpose(0, 1)).transpose(0, 1)

    return run


def _norse(linear: Any) -> Callable[[Any], Any]:
    import norse.torch as norse

    node = norse.Lift(norse.LIFBoxCell())
    return lambda x: node(linear(x))[0]


def _rockpool(linear: Any) -> Callable[[Any], Any]:
    from rockpool.nn.modules import LIFTorch

    n = linear.out_features
    node = LIFTorch((n,), tau_mem=TAU * 1e-3, tau_syn=TAU * 1e-3, dt=1e-3)

    def run(x: Any) -> Any:
        node.reset_state()
        return node(linear(x).transpose(0, 1))[0].transpose(0, 1)

    return run


def _of_jax(make: Callable[[np.ndarray], tuple[Any, Callable[[Any, Any], Any]]]) -> Layer:
    def layer(weight: np.ndarray, x: np.ndarray, cotangent: np.ndarray, both: bool) -> Work:
        import jax
        import jax.numpy as jnp

        learned, run = make(weight)

        def gradients(learned: Any, x: Any, g: Any) -> Any:
            y, pull = jax.vjp(run, learned, x)
            return y, pull(g)

        args = learned, jnp.asarray(x), jnp.asarray(cotangent)
        compiled = jax.jit(gradients if both else lambda p, x, g: run(p, x)).lower(*args).compile()
        return lambda: jax.block_until_ready(compiled(*args))

    return layer


def _jaxpike(weight: np.ndarray) -> tuple[Any, Callable[[Any, Any], Any]]:
    import equinox as eqx
    import jax
    import jaxpike

    dense = jaxpike.Dense(*weight.shape, key=jax.random.key(0), use_bias=False)
    dense = eqx.tree_at(lambda d: d.weight, dense, jax.numpy.asarray(weight))
    arrays, rest = eqx.partition(jaxpike.Sequential(dense, jaxpike.LIF(tau=TAU)), eqx.is_array)

    def run(arrays: Any, x: Any) -> Any:
        return jaxpike.unroll(eqx.combine(arrays, rest), x, scan_unroll=1)[0]

    return arrays, run


def _spyx(weight: np.ndarray) -> tuple[Any, Callable[[Any, Any], Any]]:
    import jax.numpy as jnp
    from flax import nnx
    from spyx import nn

    node = nn.LIF((len(weight),), beta=DECAY, rngs=nnx.Rngs(0))
    graph, state = nnx.split(node)

    def run(learned: Any, x: Any) -> Any:
        state, weight = learned
        return nn.run(nnx.merge(graph, state), x @ weight.T)[0]

    return (state, jnp.asarray(weight)), run


def _snnjax(name: str) -> Callable[[np.ndarray], tuple[Any, Callable[[Any, Any], Any]]]:
    def make(weight: np.ndarray) -> tuple[Any, Callable[[Any, Any], Any]]:
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from snnjax import nn
        from snnjax.params import trainable

        n, key = len(weight), jax.random.key(0)
        linear = eqx.nn.Linear(n, n, use_bias=False, key=key)
        linear = eqx.tree_at(lambda layer: layer.weight, linear, jnp.asarray(weight))
        neurons = nn.LIF(n, key=key) if name == "LIF" else nn.Leaky(n, DECAY, reset_delay=False)
        network = nn.Sequential(linear, neurons)
        arrays, rest = eqx.partition(network, trainable(network))

        def run(arrays: Any, x: Any) -> Any:
            network = eqx.combine(arrays, rest)
            return jax.vmap(lambda x: network(x)[0], in_axes=1, out_axes=1)(x)

        return arrays, run

    return make


LIBRARIES: dict[str, tuple[str, Layer]] = {
    "snnjax Leaky": ("snnjax", _of_jax(_snnjax("Leaky"))),
    "snnjax LIF": ("snnjax", _of_jax(_snnjax("LIF"))),
    "jaxpike": ("jaxpike", _of_jax(_jaxpike)),
    "Spyx": ("spyx", _of_jax(_spyx)),
    "SpikingJelly": ("spikingjelly", _of_torch(_spikingjelly)),
    "snnTorch": ("snntorch", _of_torch(_snntorch)),
    "Norse": ("norse", _of_torch(_norse)),
    "sinabs": ("sinabs", _of_torch(_sinabs)),
    "Rockpool": ("rockpool", _of_torch(_rockpool)),
}
"""By name, the package and the layer."""

TORCH = ("spikingjelly", "snntorch", "norse", "sinabs", "rockpool")
"""Those that run on PyTorch."""


def main(name: str) -> None:
    package, layer = LIBRARIES[name]
    is_torch = package in TORCH
    try:
        version = importlib.metadata.version(package)
        importlib.import_module("torch" if is_torch else package)
    except ImportError:
        version = None
    print(json.dumps(version), flush=True)
    made: dict[tuple[Any, ...], Work] = {}
    for line in sys.stdin:
        direction, steps, neurons, batch, seed, threads, number = json.loads(line)
        if is_torch:
            import torch

            torch.set_num_threads(threads)
        key = direction, steps, neurons, batch, seed, threads
        if key not in made:
            made[key] = layer(*_drawn(steps, neurons, batch, seed), direction == "both")
            made[key]()
        start = time.perf_counter()
        for _ in range(number):
            made[key]()
        print((time.perf_counter() - start) / number, flush=True)


def _drawn(steps: int, neurons: int, batch: int, seed: int) -> tuple[np.ndarray, ...]:
    """Weight, input and gradient of the output."""
    rng = np.random.default_rng(seed)
    x = (rng.random((steps, batch, neurons)) < 0.1).astype(np.float32)
    weight = rng.normal(0, neurons**-0.5, (neurons, neurons)).astype(np.float32)
    return weight, x, rng.normal(size=x.shape).astype(np.float32)


if __name__ == "__main__":
    main(sys.argv[1])
