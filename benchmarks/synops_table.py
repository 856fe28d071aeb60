"""Accuracy against synaptic operations: the digits with any number of spikes, and with fewer.

For each seed and limit the network of the main job is trained, by its recipe. Accuracy, spikes and
synaptic operations are those of the integers on the whole held-out split.
"""

from pathlib import Path
from typing import Any

import numpy as np

from snnjax.hardware import xylo
from snnjax.train import Data, right
from snnjax.train.recipes import Digits

from ._table import compiled_once, report_table
from .harness import Settings, main

LIMITS, SEEDS = (None, 0.2, 0.07, 0.007), (0, 1, 2)
FORMATS = {"accuracy": ".2%", "spikes per neuron and step": ".3f", "operations": ",.0f"}
QUICK: dict[str, Any] = {"epochs": 1, "hidden": (8,), "time_constants": (2,), "batch_size": 64}


def run(settings: Settings) -> Path:
    limits, seeds = (LIMITS[:2], SEEDS[:1]) if settings.quick else (LIMITS, SEEDS)
    recipe = QUICK if settings.quick else {}
    data = Digits(**recipe).load_data()
    rows: dict[str, dict[str, list[float]]] = {}
    with compiled_once():
        for limit in limits:
            columns = rows[_name(limit)] = {column: [] for column in FORMATS}
            for seed in seeds:
                config = Digits(**recipe, seed=seed, spikes_per_neuron=limit)
                for column, number in zip(FORMATS, _trained(config, data), strict=True):
                    columns[column].append(number)
                print(_name(limit), seed, {k: v[-1] for k, v in columns.items()}, flush=True)
    title = (
        f"the digits by free spikes per neuron and step, mean and spread of {len(seeds)} seed(s)"
    )
    about = {"recipe": recipe, "seeds": seeds}
    return report_table("synops_table", title, rows, settings, FORMATS, **about)


def _name(limit: float | None) -> str:
    return "any" if limit is None else f"{limit:g}"


def _trained(config: Digits, data: Data) -> tuple[float, float, float]:
    """Accuracy, hidden spikes per neuron and step, and operations of a sequence."""
    state = config.start(data)
    for after, _ in config.train(data, state):
        state = after
    network, spec = state.model.network, config.deploy(state.model)
    rasters, labels = data.test
    trace, answers = config.target.simulate(network, spec, rasters)
    late = np.shape(trace.spikes_out)[1] - rasters.shape[1]
    padded = np.pad(np.asarray(rasters), ((0, 0), (0, late), (0, 0)))
    operations = xylo.cost(spec, padded, trace=trace).total("synops")
    return float(right(answers, labels).mean()), float(trace.spikes.mean()), operations


if __name__ == "__main__":
    main(run)
