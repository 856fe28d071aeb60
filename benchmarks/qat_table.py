"""What training through the rounding of weights is worth: accuracy on the digits by bits.

For each seed a network is trained in float and rounded afterwards, and for each number of bits one
is trained through the rounding, from the same start and on the same batches. Test accuracy is that
of the rounded network on the whole held-out split.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from snnjax import quant, transforms
from snnjax.networks import SynNet
from snnjax.train import Data
from snnjax.train._target import right
from snnjax.train.recipes import Digits

from ._table import compiled_once, report_accuracies
from .harness import Settings, main

BITS, SEEDS = (2, 3, 4, 6, 8), (0, 1, 2)
RECIPE: dict[str, Any] = {"epochs": 30}
QUICK: dict[str, Any] = {"epochs": 1, "hidden": (8,), "time_constants": (2,), "batch_size": 64}


def run(settings: Settings) -> Path:
    bits, seeds = ((2, 8), (0,)) if settings.quick else (BITS, SEEDS)
    recipe = QUICK if settings.quick else RECIPE
    data = Digits(**recipe).load_data()
    rows: dict[str, dict[str, list[float]]] = {"float": {"test accuracy": []}}
    rows |= {f"{b} bits": {"rounded after": [], "trained through": []} for b in bits}
    with compiled_once():
        for seed in seeds:
            config = Digits(seed=seed, **recipe)
            network = _train(config, data, _rules(None))
            rows["float"]["test accuracy"].append(_accuracy(network, _rules(None), data))
            for b in bits:
                row, rules = rows[f"{b} bits"], _rules(b)
                row["rounded after"].append(_accuracy(network, rules, data))
                through = _train(config, data, rules)
                row["trained through"].append(_accuracy(through, rules, data))
    title = f"test accuracy on the digits, mean and spread of {len(seeds)} seed(s)"
    return report_accuracies("qat_table", title, rows, settings, recipe=recipe, seeds=seeds)


def _rules(bits: int | None) -> transforms.Rules:
    """The plan of the recipe. The bits are an array, so that one program serves all of them."""
    by_family: dict[str, quant.Transform | None] = {"decays": quant.Bitshift()}
    if bits is not None:
        by_family["weights"] = quant.Int(jnp.asarray(bits), axis=0)
    return transforms.Rules(by_family, {}, {}, {})


def _train(config: Digits, data: Data, rules: transforms.Rules) -> SynNet:
    state = config.start(data, rules)
    for after, _ in config.train(data, state):
        state = after
    return state.model.network


def _accuracy(network: SynNet, rules: transforms.Rules, data: Data) -> float:
    plan = transforms.plan(network, **rules._asdict())
    rasters, labels = data.test
    return float(right(_forward(plan, network, rasters), labels).mean())


@eqx.filter_jit
def _forward(plan: Any, network: SynNet, rasters: jax.Array) -> jax.Array:
    applied = eqx.nn.inference_mode(transforms.apply(plan, network))
    return jax.vmap(applied)(rasters)[0]


if __name__ == "__main__":
    main(run)
