"""The training step that several benchmarks time."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import optax

from snnjax.nn import Network
from snnjax.params import trainable

from .harness import Call

OPTIMIZER = optax.adam(1e-3)


def training_step(
    logits: Callable[[Any, jax.Array], jax.Array], model: Network, x: jax.Array, labels: jax.Array
) -> Call:
    """Loss, gradients and the update by Adam.

    Args:
        logits: (network, batch of inputs) -> (batch, classes).
        model: the network.
        x: batch of inputs.
        labels: the right class of each.
    """
    # The constants are in the program, as they are where they are not trained.
    trained, held = eqx.partition(model, trainable(model))

    def loss(trained: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        found = logits(eqx.combine(trained, held), x)
        return optax.softmax_cross_entropy_with_integer_labels(found, labels).mean()

    def step(trained: Any, opt_state: Any, x: jax.Array, labels: jax.Array) -> Any:
        value, grads = jax.value_and_grad(loss)(trained, x, labels)
        updates, opt_state = OPTIMIZER.update(grads, opt_state, trained)
        return eqx.apply_updates(trained, updates), opt_state, value

    return step, (trained, OPTIMIZER.init(trained), x, labels)
