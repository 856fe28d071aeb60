"""Training through grain, for a process of its own: `python -m tests.train.loading FOLDER STOP`.

It saves a checkpoint after every batch and dies at the step STOP, if that is not 0, as if killed.
At the end it writes the weights to FOLDER/weights.npy.
"""

import os
import sys
from pathlib import Path

import equinox as eqx
import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax

from snnjax.train import (
    Checkpoints,
    init_state,
    load_checkpoint,
    make_loader_step,
    run_loader,
    start_loading,
)

SEQUENCES, BATCH, STEPS = 20, 3, 17


def dataset():
    """Batches of random sequences, shuffled anew every epoch of six batches."""
    rng = np.random.default_rng(0)
    x, y = rng.random((SEQUENCES, 4), np.float32), rng.integers(0, 2, SEQUENCES)
    items = grain.MapDataset.source([{"x": a, "y": b} for a, b in zip(x, y, strict=True)])
    return items.seed(7).shuffle().batch(BATCH, drop_remainder=True).repeat()


def loss(model, batch, key):
    noise = 0.1 * jax.random.normal(key, batch["x"].shape)
    logits = jax.vmap(model)(batch["x"] + noise)
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean(), {}


def main(folder, stop):
    """Train, from where the folder's checkpoint is."""
    optimizer = optax.adam(1e-2)
    model = eqx.nn.Linear(4, 2, key=jax.random.key(0))
    begin = start_loading(init_state(model, optimizer))
    if (folder / "checkpoint").exists():
        begin = load_checkpoint(folder / "checkpoint", begin)
    step = make_loader_step(loss, optimizer)
    with Checkpoints(folder / "checkpoint") as checkpoints:
        for loading, _ in run_loader(step, begin, dataset(), jax.random.key(1), steps=STEPS):
            checkpoints.save(int(loading.steps), loading)
            if int(loading.steps) == stop:
                checkpoints.wait()
                os._exit(9)
    np.save(folder / "weights.npy", jnp.asarray(loading.state.model.weight))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
