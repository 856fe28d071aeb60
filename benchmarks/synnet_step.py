"""What the constraints of a chip cost in training: one training step of a SynNet, and an epoch.

The reference is the step in plain float: loss, gradients and the update by Adam. The others are the
same step through transforms of the parameters, and through the integers of a Xylo. An epoch is the
loop over batches that `snnjax train` compiles as one call.

On a CPU, all of them run one operation after the other. XLA's usual schedule runs those in parallel
that do not depend on each other, each of which may use all cores anyway: the step in float takes as
long either way, but longer as soon as every weight is multiplied with a constant, and through a
chip's integers a tenth longer. Within the loop of an epoch it makes no difference.

Where Rockpool is installed too, its SynNet of the same sizes takes its turn, by PyTorch, with the
same loss and optimiser.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from snnjax import quant, train, transforms
from snnjax.hardware import xylo
from snnjax.networks import SynNet

from ._steps import OPTIMIZER, training_step
from .harness import Call, Settings, compare, main, report

ONE_BY_ONE = "--xla_cpu_enable_concurrency_optimized_scheduler=false"

Run = Callable[[SynNet, jax.Array], jax.Array]
"""(network, batch of inputs) -> batch of outputs, over time or summed over it."""


def run(settings: Settings) -> Path:
    hidden, steps, batch = ((6,), 10, 2) if settings.quick else ((60, 60, 60), 100, 64)
    keys = jax.random.split(jax.random.key(0), 3)
    model = SynNet(10, 16, hidden, (2, 4, 8)[: len(hidden)], key=keys[0])
    x = jax.random.poisson(keys[1], 1.0, (batch, steps, 16)).astype(float)
    labels = jax.random.randint(keys[2], (batch,), 0, 10)
    plan = transforms.plan(model, {"weights": quant.Int(8), "decays": quant.Bitshift()})
    late = xylo.latency(model)

    def plain(model: SynNet, x: jax.Array) -> jax.Array:
        return jax.vmap(model)(x)[0]

    def planned(model: SynNet, x: jax.Array) -> jax.Array:
        return plain(transforms.apply(plan, model), x)

    def chip(model: SynNet, x: jax.Array) -> jax.Array:
        return xylo.emulate(model)(x).spikes_out[:, late:]

    def counts(run: Run) -> Run:
        return lambda model, x: run(model, x).sum(axis=1)

    calls: dict[str, Call | Callable[[], Any]] = {
        "training step, float": training_step(counts(plain), model, x, labels),
        "training step, transformed": training_step(counts(planned), model, x, labels),
        "training step, the chip's integers": training_step(counts(chip), model, x, labels),
        "forward, float": _forward(plain, model, x),
        "forward, transformed": _forward(planned, model, x),
    }
    title = f"SynNet 16-{'-'.join(map(str, hidden))}-10, T={steps}, batch {batch}"
    batches = 2 if settings.quick else 42
    epochs = {
        "epoch, float": _epoch(counts(plain), model, x, labels, batches),
        "epoch, the chip's integers": _epoch(counts(chip), model, x, labels, batches),
    }
    theirs = _rockpool(x, labels, hidden)
    if theirs is not None:
        calls["training step, Rockpool"] = theirs
    groups = {
        title: compare(calls, settings),
        f"{title}, an epoch of {batches} steps": compare(epochs, settings),
    }
    return report("synnet_step", groups, settings)


def _epoch(
    logits: Run, model: SynNet, x: jax.Array, labels: jax.Array, batches: int
) -> Callable[[], Any]:
    """One pass over the batch so many times."""

    def loss(model: SynNet, data: tuple[jax.Array, jax.Array], key: jax.Array) -> Any:
        found = logits(model, data[0])
        return optax.softmax_cross_entropy_with_integer_labels(found, data[1]).mean(), {}

    data = jax.tree.map(lambda leaf: jnp.concatenate([leaf] * batches), (x, labels))
    epoch = train.make_epoch(loss, OPTIMIZER, len(x))
    state = train.init_state(model, OPTIMIZER)
    return lambda: jax.block_until_ready(epoch(state, data, jax.random.key(0))[1])


def _rockpool(x: jax.Array, labels: jax.Array, hidden: tuple[int, ...]) -> Callable[[], Any] | None:
    """A training step of Rockpool's SynNet; None without Rockpool."""
    sys.modules.setdefault("samna", MagicMock(name="samna"))  # the vendor's driver of boards
    try:
        import torch
        from rockpool.nn.networks import SynNet as RockpoolSynNet
    except ImportError:
        return None
    torch.set_num_threads(1)  # its arrays are small; on a loaded machine two threads wait
    constants = [2, 4, 8][: len(hidden)]
    network = RockpoolSynNet(10, x.shape[-1], list(hidden), time_constants_per_layer=constants)
    optimizer = torch.optim.Adam(network.parameters().astorch(), 1e-3)
    inputs, targets = torch.tensor(np.asarray(x)), torch.tensor(np.asarray(labels)).long()

    def step() -> float:
        optimizer.zero_grad()
        counts = network(inputs)[0].sum(1)
        loss = torch.nn.functional.cross_entropy(counts, targets)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def _forward(run: Run, model: SynNet, x: jax.Array) -> Call:
    arrays, static = eqx.partition(model, eqx.is_array)
    return lambda arrays, x: run(eqx.combine(arrays, static), x), (arrays, x)


if __name__ == "__main__":
    # XLA reads them when the first array is made.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_BY_ONE}"
    main(run)
