"""What the chip's integers cost on spoken digits, and what training through them brings back.

Accuracy in the bit-exact simulator, by bits of the weights, on the whole official test set. For
each seed a network is trained in float. From there the same number of epochs goes on in three ways:
in float, with all rounding afterwards; through a plan; and through the integers.

    python -m benchmarks.speech_table --data free-spoken-digit-dataset
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from snnjax.train import Data, TrainState
from snnjax.train.recipes import Speech

from ._table import compiled_once, report_accuracies
from .harness import Settings, main

BITS, SEEDS = (8, 4, 3, 2), (0, 1, 2)
WAYS = {"float": "rounded after", "plan": "through the plan", "chip": "through the integers"}
QUICK: dict[str, Any] = {
    "stages": "float:1,chip:1",
    "hidden": (8,),
    "time_constants": (2,),
    "steps": 20,
    "batch_size": 4,
}


def run(settings: Settings) -> Path:
    bits, seeds = ((8, 2), (0,)) if settings.quick else (BITS, SEEDS)
    recipe: dict[str, Any] = QUICK if settings.quick else {"data": str(settings.need_data())}
    data = _noise() if settings.quick else Speech(**recipe).load_data()
    rows: dict[str, dict[str, list[float]]] = {"float": {"no rounding": []}}
    rows |= {f"{b} bits": {way: [] for way in WAYS.values()} for b in bits}
    with compiled_once():
        for seed in seeds:
            found = _of_a_seed({**recipe, "seed": seed}, data, bits)
            for (row, column), accuracy in found.items():
                rows[row][column].append(accuracy)
                print(f"seed {seed}: {row}, {column}: {accuracy:.2%}", flush=True)
    title = f"test accuracy on spoken digits, mean and spread of {len(seeds)} seed(s)"
    return report_accuracies("speech_table", title, rows, settings, recipe=recipe, seeds=seeds)


def _of_a_seed(
    recipe: Mapping[str, Any], data: Data, bits: tuple[int, ...]
) -> dict[tuple[str, str], float]:
    first, later = Speech(**recipe).schedule
    shares = {through: f"float:{first.end},{through}:{later.end - later.begin}" for through in WAYS}
    start = Speech(**{**recipe, "stages": shares["float"]})
    began = _train(start, data, start.start(data), first.end)
    accuracies = {}
    for through, way in WAYS.items():
        state = None
        for b in bits:
            config = Speech(**{**recipe, "stages": shares[through], "bits": b})
            if state is None or through != "float":
                state = _train(config, data, _with_plan_of(config, data, began), later.end)
            scores = config.score(state.model, config.deploy(state.model), data)
            accuracies[f"{b} bits", way] = scores.integers / scores.total
            if through == "float":
                accuracies["float", "no rounding"] = scores.float_network / scores.total
    return accuracies


def _train(config: Speech, data: Data, state: TrainState, epochs: int) -> TrainState:
    for after, _ in config.train(data, state):
        state = after
        if int(state.epoch) == epochs:
            break
    return state


def _with_plan_of(config: Speech, data: Data, state: TrainState) -> TrainState:
    """The state, with the plan of other settings, which has no arrays."""
    return jax.tree.unflatten(jax.tree.structure(config.start(data)), jax.tree.leaves(state))


def _noise() -> Data:
    """Something of the shape of recordings."""
    key = jax.random.key(0)
    levels, labels = -60 * jax.random.uniform(key, (16, 20, 16)), np.arange(16) % 10
    return Data((levels, jax.numpy.asarray(labels)), (abs(levels).round() % 4, labels))


if __name__ == "__main__":
    main(run)
