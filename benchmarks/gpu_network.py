"""Training steps of whole networks on a GPU: loss, gradients and the update by Adam.

A SynNet in float, through a plan and through the integers of a Xylo; and three layers of leaky
neurons beside the same network of SpikingJelly, where it is installed. Products are in float32 or
what the card makes of it by default (TF32), in both libraries. "lax.scan" is the same step without
the kernels of the loop over time.
"""

import functools
import importlib.util
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import equinox as eqx
import jax

from snnjax import quant, transforms
from snnjax._time_loop import _kernels
from snnjax.hardware import xylo
from snnjax.networks import SynNet
from snnjax.nn import Leaky, Sequential

from ._steps import training_step
from .harness import Call, Settings, compare, main, report

ALPHA = 0.9
WIDTHS = (700, 512, 512, 20)


def run(settings: Settings) -> Path:
    steps, batches = (10, (2,)) if settings.quick else (100, (64, 1024))
    groups = {}
    for batch in batches:
        title = f"SynNet 16-60-60-60-10, T={steps}, batch {batch}"
        if settings.only in title:
            groups[title] = compare(_synnet(steps, batch), settings)
        title = f"Leaky {'-'.join(map(str, WIDTHS))}, T={steps}, batch {batch}"
        if settings.only in title:
            groups[title] = compare(_leaky(steps, batch), settings)
    return report("gpu_network", groups, settings)


def _synnet(steps: int, batch: int) -> dict[str, Any]:
    keys = jax.random.split(jax.random.key(0), 3)
    model = SynNet(10, 16, (60, 60, 60), (2, 4, 8), key=keys[0])
    x = jax.random.poisson(keys[1], 1.0, (batch, steps, 16)).astype(float)
    labels = jax.random.randint(keys[2], (batch,), 0, 10)
    plan = transforms.plan(model, {"weights": quant.Int(8), "decays": quant.Bitshift()})
    late = xylo.latency(model)

    def plain(model: SynNet, x: jax.Array) -> jax.Array:
        return jax.vmap(model)(x)[0].sum(axis=1)

    def planned(model: SynNet, x: jax.Array) -> jax.Array:
        return plain(transforms.apply(plan, model), x)

    def chip(model: SynNet, x: jax.Array) -> jax.Array:
        return xylo.emulate(model)(x).spikes_out[:, late:].sum(axis=1)

    return {
        "float": training_step(plain, model, x, labels),
        "float, lax.scan": _scanned(training_step(plain, model, x, labels)),
        "plan": training_step(planned, model, x, labels),
        "the chip's integers": training_step(chip, model, x, labels),
    }


def _leaky(steps: int, batch: int) -> dict[str, Any]:
    keys = jax.random.split(jax.random.key(0), len(WIDTHS) + 1)
    layers: list[Any] = []
    for key, inputs, out in zip(keys[2:], WIDTHS[:-1], WIDTHS[1:], strict=True):
        layers += [eqx.nn.Linear(inputs, out, use_bias=False, key=key), Leaky(out, ALPHA)]
    x = jax.random.bernoulli(keys[0], 0.1, (batch, steps, WIDTHS[0])).astype(float)
    labels = jax.random.randint(keys[1], (batch,), 0, WIDTHS[-1])

    def counts(model: Any, x: jax.Array) -> jax.Array:
        return jax.vmap(model)(x)[0].sum(axis=1)

    model = Sequential(*layers)
    return {
        "float": training_step(counts, model, x, labels),
        "float, lax.scan": _scanned(training_step(counts, model, x, labels)),
        **_spikingjelly(steps, batch),
    }


def _scanned(call: Call) -> Call:
    """The same step, traced where there are no kernels."""
    function, args = call

    def traced(*args: Any) -> Any:
        with patch.object(_kernels, "are_there", lambda: False):
            return function(*args)

    return traced, args


def _spikingjelly(steps: int, batch: int) -> dict[str, Callable[[], Any]]:
    if not importlib.util.find_spec("spikingjelly"):
        return {}
    import torch
    from spikingjelly.activation_based import layer, neuron, surrogate

    torch.set_float32_matmul_precision("high")  # TF32, as XLA takes
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts: list[Any] = []
    for inputs, out in itertools.pairwise(WIDTHS):
        parts += [
            layer.Linear(inputs, out, bias=False, step_mode="m"),
            neuron.LIFNode(
                tau=1 / (1 - ALPHA),
                decay_input=False,
                surrogate_function=surrogate.ATan(),
                step_mode="m",
            ),
        ]
    network = torch.nn.Sequential(*parts).to(device)
    x = (torch.rand(steps, batch, WIDTHS[0], device=device) < 0.1).float()
    labels = torch.randint(WIDTHS[-1], (batch,), device=device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    return {"SpikingJelly": functools.partial(_step, torch, network, optimizer, x, labels)}


def _step(torch: Any, network: Any, optimizer: Any, x: Any, labels: Any) -> None:
    for part in network[1::2]:
        part.reset()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(x).sum(0), labels).backward()
    optimizer.step()
    if x.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(run)
