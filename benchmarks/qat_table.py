"""What training through the rounding of weights is worth: accuracy on the digits by bits.

For each seed a network is trained in float and rounded afterwards, and for each number of bits one
is trained through the rounding, from the same start and on the same batches. Test accuracy is that
of the rounded network on the whole held-out split.
"""

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from snnjax import quant, transforms
from snnjax.networks import SynNet
from snnjax.train import digits
from snnjax.train.deploy import right

from .harness import Settings, environment, main

BITS, SEEDS = (2, 3, 4, 6, 8), (0, 1, 2)
RECIPE: dict[str, Any] = {"epochs": 30}
QUICK: dict[str, Any] = {"epochs": 1, "hidden": (8,), "time_constants": (2,), "batch_size": 64}


def run(settings: Settings) -> Path:
    bits, seeds = ((2, 8), (0,)) if settings.quick else (BITS, SEEDS)
    recipe = QUICK if settings.quick else RECIPE
    data = digits.load_data(digits.DigitsConfig(**recipe))
    rows: dict[str, dict[str, list[float]]] = {"float": {"test accuracy": []}}
    rows |= {f"{b} bits": {"rounded after": [], "trained through": []} for b in bits}
    with _compiled_once():
        for seed in seeds:
            config = digits.DigitsConfig(seed=seed, **recipe)
            network = _train(config, data, _rules(None))
            rows["float"]["test accuracy"].append(_accuracy(network, _rules(None), data))
            for b in bits:
                row, rules = rows[f"{b} bits"], _rules(b)
                row["rounded after"].append(_accuracy(network, rules, data))
                through = _train(config, data, rules)
                row["trained through"].append(_accuracy(through, rules, data))
    return _report(rows, recipe, seeds, settings)


def _rules(bits: int | None) -> transforms.Rules:
    """The plan of the recipe. The bits are an array, so that one program serves all of them."""
    by_family: dict[str, quant.Transform | None] = {"decays": quant.Bitshift()}
    if bits is not None:
        by_family["weights"] = quant.Int(jnp.asarray(bits), axis=0)
    return transforms.Rules(by_family, {}, {}, {})


def _train(config: digits.DigitsConfig, data: digits.Data, rules: transforms.Rules) -> SynNet:
    state = digits.start(config, data, rules)
    for after, _ in digits.train(config, data, state):
        state = after
    return state.model.network


def _accuracy(network: SynNet, rules: transforms.Rules, data: digits.Data) -> float:
    plan = transforms.plan(network, **rules._asdict())
    rasters, labels = data.test
    return float(right(_forward(plan, network, rasters), labels).mean())


@eqx.filter_jit
def _forward(plan: Any, network: SynNet, rasters: jax.Array) -> jax.Array:
    applied = eqx.nn.inference_mode(transforms.apply(plan, network))
    return jax.vmap(applied)(rasters)[0]


@contextlib.contextmanager
def _compiled_once() -> Iterator[None]:
    """Keeps compiled programs for as long as it lasts: the same one trains every network."""
    before = jax.config.jax_compilation_cache_dir
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            jax.config.update("jax_compilation_cache_dir", before)
            compilation_cache.reset_cache()


def _report(
    rows: dict[str, dict[str, list[float]]],
    recipe: dict[str, Any],
    seeds: tuple[int, ...],
    settings: Settings,
) -> Path:
    print(f"\nqat_table: test accuracy on the digits, mean and spread of {len(seeds)} seed(s)")
    table = {
        name: {
            column: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=len(v) > 1)), "all": v}
            for column, v in row.items()
        }
        for name, row in rows.items()
    }
    for name, row in table.items():
        cells = (f"{c} {v['mean']:7.2%} ± {v['std']:.2%}" for c, v in row.items())
        print(f"  {name:8}{'   '.join(cells)}")
    content = {
        "name": "qat_table",
        "environment": environment(),
        "settings": dataclasses.asdict(settings) | {"results": str(settings.results)},
        "quick": settings.quick,
        "recipe": recipe,
        "seeds": seeds,
        "table": table,
        "groups": {},
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    path = settings.results / "qat_table.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


if __name__ == "__main__":
    main(run)
