"""What the constraints of Speck and DYNAP-CNN cost in training: one step of a small network.

The reference is the step in plain float: loss, gradients and the update by Adam. The others are the
same step through the plan of the chip's integers, and through these integers themselves.
"""

from pathlib import Path

import jax

from snnjax import transforms
from snnjax.hardware import dynapcnn
from snnjax.nn import Sequential
from snnjax.train.recipes import Images

from ._steps import training_step
from .harness import Settings, compare, main, report


def run(settings: Settings) -> Path:
    # MNIST's network and shapes, on images of noise.
    recipe = {"channels": (2, 2)} if settings.quick else {"data": "mnist"}
    config = Images(steps=4, batch_size=2 if settings.quick else 32, **recipe)
    model, shape = config.make_network(), config.input_shape
    plan = config.make_plan(model)
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.bernoulli(keys[0], 0.2, (config.batch_size, config.steps, *shape)).astype(float)
    labels = jax.random.randint(keys[1], (config.batch_size,), 0, 10)

    def plain(model: Sequential, x: jax.Array) -> jax.Array:
        return jax.vmap(model)(x)[0].sum(axis=1)

    def planned(model: Sequential, x: jax.Array) -> jax.Array:
        return plain(transforms.apply(plan, model), x)

    def chip(model: Sequential, x: jax.Array) -> jax.Array:
        spikes = dynapcnn.emulate(model, chip=config.chip, input_shape=shape)(x).spikes_out
        return spikes[..., 0, 0].sum(axis=1)

    calls = {
        "training step, float": training_step(plain, model, x, labels),
        "training step, through the plan": training_step(planned, model, x, labels),
        "training step, the chip's integers": training_step(chip, model, x, labels),
    }
    title = f"two convolutions, {'x'.join(map(str, shape))}, T={config.steps}, batch {len(x)}"
    return report("images_step", {title: compare(calls, settings)}, settings)


if __name__ == "__main__":
    main(run)
