"""Penalties on the spikes and the synaptic operations of a network in training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._typing import FloatArray, Key
from ..nn import Network, record, synops
from ._fit import Trained
from ._loop import Loss, Metrics
from ._stages import Through
from ._target import Target


class Activity(NamedTuple):
    """The activity of a batch of sequences.

    Attributes:
        rate: spikes per neuron and step of the hidden layers.
        synops: synaptic operations of a sequence; None where they are not counted.
    """

    rate: FloatArray
    synops: FloatArray | None


def excess(activity: Activity, rate: float | None, synops: float | None) -> Float[Array, ""]:
    """The penalty: max(0, log(rate/limit)), and the same of the operations.

    Its push is the same however far the activity lies above the limit, and it ends there, so that
    the task goes on to count while the activity falls.

    Args:
        activity: that of a batch.
        rate: spikes per neuron and step that are free; None for any.
        synops: operations of a sequence that are free; None for any.
    """
    total = jnp.zeros(())
    for found, limit in zip(activity, (rate, synops), strict=True):
        if limit is not None and found is not None:
            total += jnp.maximum(jnp.log(jnp.maximum(found, limit) / limit), 0)
    return total


def require_limits(recipe: Any) -> None:
    """Raise ValueError unless the limits of a recipe are above 0 and its stages can keep them."""
    limits = {k: getattr(recipe, k) for k in ("spikes_per_neuron", "max_synops")}
    given = {k: limit for k, limit in limits.items() if limit is not None}
    for name, limit in given.items():
        if not limit > 0:
            raise ValueError(f"`{name}` must be above 0; got {limit}")
        if recipe.attack:
            raise ValueError(f"`{name}` and `attack` cannot be trained for at once; leave one out")
    if "max_synops" in given and any(stage.through == "chip" for stage in recipe.schedule):
        raise ValueError(
            "`max_synops` is not counted through a chip; take other `stages`, or "
            f"`spikes_per_neuron`; got {recipe.stages}"
        )


def penalised(
    recipe: Any, through: Through, task: Callable[..., tuple[FloatArray, Metrics]]
) -> Loss:
    """The loss of a recipe with the penalty of its limits.

    Args:
        recipe: the recipe.
        through: what the network is run through.
        task: (logits, batch) -> (loss, metrics).
    """
    counted = recipe.max_synops is not None

    def loss(trained: Trained, batch: Any, key: Key) -> tuple[FloatArray, Metrics]:
        event_key, own_key = jax.random.split(key)
        events = recipe.encode(batch[0], key=event_key)
        network = recipe.seen(through, trained, own_key, len(events))
        if through == "chip":
            spikes, activity = run_on_chip(recipe.target, network, events)
        else:
            keys = jax.random.split(own_key, len(events))
            spikes, activity = run_in_float(network, events, keys, counted=counted)
        value, metrics = task(spikes.sum(axis=1) / recipe.spikes_per_logit, batch)
        penalty = excess(activity, recipe.spikes_per_neuron, recipe.max_synops)
        known = {k: v for k, v in activity._asdict().items() if v is not None}
        return value + penalty, {**metrics, **known}

    return loss


def run_in_float(
    network: Network, events: Float[Array, "n steps *shape"], keys: Key, *, counted: bool
) -> tuple[Float[Array, "n steps classes"], Activity]:
    """The readout's spikes of a network, and its activity.

    Args:
        network: the network, after its transforms.
        events: whole numbers.
        keys: one for each sequence.
        counted: whether synaptic operations are counted.
    """

    def one(x: FloatArray, key: Key) -> tuple[FloatArray, FloatArray, FloatArray]:
        y, _, records = record(network, x, key=key)
        *hidden, _ = [v for name, v in records.items() if name.split(".")[-1] == "spikes"]
        operations = sum(synops(network, x, records).values()) if counted else jnp.zeros(())
        return y, _rate(hidden), jnp.asarray(operations)

    spikes, rate, operations = jax.vmap(one)(events, keys)
    return spikes, Activity(rate.mean(), operations.mean() if counted else None)


def run_on_chip(
    target: Target, network: Network, events: Float[Array, "n steps *shape"]
) -> tuple[Float[Array, "n steps classes"], Activity]:
    """The same through the integers of a chip, whose operations are not counted."""
    spikes, emulation = target.emulate_all(network, events)
    hidden: Any = emulation.spikes
    layers = list(hidden[:-1]) if isinstance(hidden, tuple) else [hidden]
    return spikes, Activity(_rate(layers), None)


def _rate(layers: list[FloatArray]) -> FloatArray:
    """Spikes per neuron and step; 0 without hidden layers."""
    size = sum(int(np.prod(x.shape)) for x in layers)
    return sum((x.sum() for x in layers), start=jnp.zeros(())) / max(size, 1)
